"""Micro guests: each under Ringfence, several VMs a boot, and each on the bare emulated machine.

A guest says `MICRO PASS name (N checks)` and ends its VM with status 0. One that must end otherwise
has a file `expect`: a line for each permitted beginning of the reason the supervisor gives. One that
wants more than one processor has a file `cpus`, which says how many.
"""
import fcntl
import os
import pathlib
import re
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import console  # noqa: E402  pylint: disable=wrong-import-position
from models import GUESTS, MODELS, REFUSED  # noqa: E402  pylint: disable=wrong-import-position

LOGS = console.BUILD / "test" / "micro"
SECONDS = 180

# These measure time or have a second copy to disturb: a boot of their own, with fewer neighbours.
# Those of several processors take long.
TIMED = ["fpu", "hlt", "interrupts", "timer"]
SEVERAL = ["smp"]
GROUPS = {
    "timed": TIMED,
    "several": SEVERAL,
    "others": [name for name in GUESTS if name not in TIMED + SEVERAL],
}
TWICE = ["fpu"]


def expected(name):
    path = HERE / name / "expect"
    return path.read_text().split("\n")[:-1] if path.exists() else ["test: status 0"]


def cpus_of(name):
    path = HERE / name / "cpus"
    return int(path.read_text()) if path.exists() else 1


def vms_of(group, cpu):
    words = {"QEMU": "tcg", "Bochs": "bochs"}[MODELS[cpu].emulator]
    if "APIC virtualization" in MODELS[cpu].features:
        words += " virtual-interrupts"
    names = GROUPS[group] + [f"{name}-again" for name in GROUPS[group] if name in TWICE]
    return [
        {
            "name": name,
            "kernel": str(console.BUILD / "tests" / "micro" / f"{name.removesuffix('-again')}.elf"),
            "cmdline": words,
            "memory": "32M",
            "cpus": cpus_of(name.removesuffix("-again")),
            "debug-port": True,
            "test-exit": True,
        }
        for name in names
    ]


def options_of(cpu):
    """Of console.boot_iso. Where Bochs does not know an MSR, it shall be absent."""
    if MODELS[cpu].emulator == "QEMU":
        return {"cpu": cpu}
    return {"cpu": cpu, "kind": console.Bochs, "extra": ["--msrs", "fault"]}


def boot(group, cpu, folder, log):
    """Runs a group until all its VMs have ended, or for SECONDS."""
    iso = console.make_iso(folder, vms_of(group, cpu), "emulator-exit")
    machine = console.boot_iso(log, iso, memory=1024, **options_of(cpu))
    try:
        machine.wait(SECONDS)
    except AssertionError:
        pass  # the guests that have not ended are the ones to blame
    finally:
        machine.close()


@pytest.fixture(name="log_of")
def fixture_log_of(tmp_path):
    """The console of one boot of a group; parallel test processes share it."""

    def log_of(group, cpu):
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
        LOGS.mkdir(parents=True, exist_ok=True)
        log, mark = LOGS / f"{group}-{cpu}.log", LOGS / f"{group}-{cpu}.run"
        with open(LOGS / f"{group}-{cpu}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not mark.exists() or mark.read_text() != run:
                mark.unlink(missing_ok=True)
                boot(group, cpu, tmp_path, log)
                mark.write_text(run)
        return log.read_bytes().decode(errors="replace").replace("\r", "")

    return log_of


def said_by(name, log):
    """What a VM wrote, in one line: the console breaks lines when the VMs take turns."""
    prefix = f"[{name}] "
    lines = log.split("\n")
    apart = "".join(line.removeprefix(prefix) for line in lines if line.startswith(prefix))
    front = "".join(line for line in lines if not re.match(r"\[[a-z0-9-]+\] |ringfence: ", line))
    return apart, front


def exits_of(name, log):
    table = re.search(rf"^ringfence: exits of VM {name}:\n((?:ringfence:   .*\n)+)", log, re.M)
    assert table, log[-3000:]
    return {row.split()[1]: int(row.split()[2]) for row in table.group(1).splitlines()}


CASES = [
    pytest.param(vm["name"], group, cpu, id=f"{vm['name']}-{cpu}")
    for cpu in MODELS
    for group in GROUPS
    for vm in vms_of(group, cpu)
]


@pytest.mark.parametrize("name, group, cpu", CASES)
def test_under_ringfence(log_of, record_property, name, group, cpu):
    log = log_of(group, cpu)
    guest = name.removesuffix("-again")
    ends = re.findall(rf"^ringfence: VM {name} ended: (.*)$", log, re.M)
    said = said_by(name, log)
    for lack in re.findall(rf"\{{{guest}: \w+ lacks (.*?)\}}", "\n".join(said)):
        record_property("lacks", lack)
    assert ends, f"{name} has not ended; it said: {said[0]}\n{log[-3000:]}"
    assert ends[0].startswith(tuple(expected(guest))), f"{name}: {ends[0]}; it said: {said}"
    if ends[0] == "test: status 0":
        assert any(f"MICRO PASS {guest} (" in text for text in said), said


@pytest.mark.parametrize("cpu", MODELS)
def test_optional_features(log_of, cpu):
    """Each is used where the processor has it; PAUSE shows it: a guest that spins exits or not."""
    log = log_of("others", cpu)
    found = re.search(r"^ringfence: (?:AMD-V|VT-x): (.*)$", log, re.M)
    assert found and tuple(found.group(1).split(", ")[1:]) == MODELS[cpu].features
    counts = any("PAUSE" in feature for feature in MODELS[cpu].features)
    assert ("pause" in exits_of("spin", log)) == counts
    exits = exits_of("apicv", log)
    if "APIC virtualization" in MODELS[cpu].features:
        assert exits["all"] < 1000, exits  # of 3000 self-IPIs and ends, 6000 TPRs, 9000 reads
    else:
        assert exits["all"] > 9000, exits


@pytest.mark.parametrize("cpu", MODELS)
@pytest.mark.parametrize("group", GROUPS)
def test_audit(log_of, group, cpu):
    """Of the page tables, at each VM's start and end and behind the last one: nothing leaks."""
    said = re.findall(r"audit: .*", log_of(group, cpu))
    assert said == ["audit: no address space leads where it must not"]


@pytest.mark.parametrize("cpu", REFUSED)
def test_refused(tmp_path, cpu):
    LOGS.mkdir(parents=True, exist_ok=True)
    iso = console.make_iso(tmp_path, vms_of("others", "tigerlake")[:1])
    machine = console.boot_iso(LOGS / f"refused-{cpu}.log", iso, kind=console.Bochs, cpu=cpu)
    try:
        machine.ends(console.CORE_REFUSED, SECONDS)
        log = machine.log
    finally:
        machine.close()
    for control, since in REFUSED[cpu].items():
        line = f'lacks the VT-x control "{control}": Intel processors since {since} have it'
        assert line in log
    if cpu == "corei5_lynnfield_750":
        assert log.count(" lacks ") == 1, "and it lacks nothing else"
    assert "cannot run virtual machines: see the lines above; stopped" in log
    assert "root mode on" not in log


@pytest.mark.parametrize("name", [name for name in GUESTS if not (HERE / name / "expect").exists()])
def test_bare(name):
    """The tests themselves: without Ringfence everything but its own policy holds, too."""
    LOGS.mkdir(parents=True, exist_ok=True)
    elf = console.BUILD / "tests" / "micro" / f"{name}.elf"
    what = ["-kernel", str(elf), "-append", "bare tcg"]
    machine = console.Qemu(LOGS / f"bare-{name}.log", what, memory=64, cpus=cpus_of(name))
    try:
        machine.expect(rf"MICRO PASS {name} \(\d+ checks\)")
        machine.ends(1)
    finally:
        machine.close()
