"""What one VM does, and what becomes of it, is nothing to another: a canary counts on, at its pace.

It says `tick N work M time T` at every tick of its local APIC's timer: M is the work that
it has done by then, T what the TSC says. How fast the work grows is its share of the processor.
"""
import re

import pytest

import console
from console import BOOT_SECONDS, Bochs, tiny_vm

# Log lines on a graphic screen cost more than what is measured here.
NO_SCREEN = {"extra": ("-vga", "none")}
INTEL = {"kind": Bochs, "cpu": "broadwell_ult"}
MACHINES = {
    "qemu": {**NO_SCREEN},
    "qemu-2": {**NO_SCREEN, "cpus": 2},
    "bochs-intel": {**INTEL},
    "bochs-intel-2": {**INTEL, "cpus": 2},
}
TICK = r"tick ([0-9a-f]{8}) work ([0-9a-f]{8}) time ([0-9a-f]{8})"
MEASURED_TICKS = 6


def on(*machines):
    return pytest.mark.parametrize("where", machines)


def boot(ringfence, where, *vms, **options):
    machine = ringfence(*vms, **{"memory": 256, **MACHINES[where], **options})
    machine.expect("starting the supervisor", BOOT_SECONDS)
    machine.send("\x01m")
    machine.expect("monitor: 'help'")
    return machine


def do(machine, command, pattern):
    machine.send(f"{command}\r")
    return machine.expect(pattern)


def canary(tmp_path, quick=False):
    """Ten ticks a second, or, where a second is a billion instructions, fifty."""
    return tiny_vm(tmp_path, "QUICK_CANARY" if quick else "CANARY", name="canary")


def tick(machine, more=1):
    """The canary goes on: its work and the time, so many ticks later."""
    for _ in range(more):
        match = machine.expect(TICK + "\r", BOOT_SECONDS)
    return int(match.group(2), 16), int(match.group(3), 16)


def rate(machine):
    """The canary's work in a unit of time."""
    work, time = tick(machine, 3)  # what was typed has been answered
    more_work, later = tick(machine, MEASURED_TICKS)
    return (more_work - work) / (later - time)


def seconds(text):
    hours, minutes, rest = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def used(machine, *names):
    """The processor time that each VM has had so far, and how long the machine has run."""
    machine.send("list\r")
    row = r" +running +\d+ +\w+ +([\d:.]+) +\d+\r"
    times = [seconds(machine.expect(rf"\n{name}{row}").group(1)) for name in names]
    return [*times, seconds(do(machine, "version", r"running for ([\d:.]+)\r").group(1))]


def free_memory(machine):
    return int(do(machine, "mem", r"free +(\d+) KiB").group(1))


def said_by_canary(log):
    """Its lines, put together again where others have cut them; the core's come anywhere."""
    cut = r"^((?:\[canary\] |tick ).*)ringfence: .*(?:\n+ringfence: (?:error|warning):.*)*"
    log = re.sub(cut + r"\n+(?=[0-9a-z ]+\n)", r"\1", log, flags=re.M)
    log = re.sub(cut, r"\1", log, flags=re.M)
    pieces = re.findall(r"^(?:\[canary\] |(?=tick ))(.*)$", log, re.M)
    return re.findall(TICK, "".join(pieces))


def end(machine, status=console.ALL_ENDED):
    """Ends all, and looks through everything that the canary has said: nothing is missing."""
    machine.send("poweroff\r")
    machine.expect("power button pressed")
    machine.send("poweroff\r")
    machine.expect("the machine goes off|VM canary: killed")
    machine.ends(status)
    said = said_by_canary(machine.log)
    assert [int(count, 16) for count, _, _ in said] == list(range(1, len(said) + 1))
    assert "no address space leads where it must not" in machine.log


def faulty(tmp_path, guest, **keys):
    return tiny_vm(tmp_path, guest, **{"fault-vmm": True, "memory": "4M", **keys})


@on("qemu", "qemu-2", "bochs-intel")
def test_what_crashes_or_hangs_takes_only_its_vm(ringfence, tmp_path, where):
    # The one that hangs has the processor nearly for itself: 10 s of it are soon over.
    hangs = {"weight": 10000, "restart": "on-failure"}
    machine = boot(
        ringfence,
        where,
        canary(tmp_path),
        faulty(tmp_path, "FAULT_VMM"),
        faulty(tmp_path, "TRIPLE_FAULT"),
        faulty(tmp_path, "HANG_VMM", **hangs),
        **({"icount": None} if where == "qemu" else {}),
    )
    machine.expect("VMM of hang-vmm: killed: it has not answered for 10 s", BOOT_SECONDS)
    machine.expect("VM hang-vmm ended: crash: its VMM was killed")
    machine.expect("VM hang-vmm: failure 1 in a row, starts again in 1 s")
    tick(machine, 3)
    machine.expect("VM hang-vmm: starting again")
    do(machine, "kill hang-vmm", "VM hang-vmm: killed")
    before = free_memory(machine)
    for name, how in (("fault-vmm", "its VMM was killed"), ("triple-fault", "triple fault")):
        do(machine, f"start {name}", f"VM {name} ended: crash: {how}")
        tick(machine, 3)
    assert free_memory(machine) == before
    end(machine, console.VM_FAILED)


STORMS = {"cpuid": 1, "port": 1, "ipi": 2, "timer": 8}


def storm(tmp_path, name, **keys):
    return tiny_vm(tmp_path, f"{name.upper()}_STORM", **{"name": name, "memory": "4M", **keys})


@pytest.mark.long
@on("qemu", "qemu-2", "bochs-intel", "bochs-intel-2")
def test_storms_leave_the_canary_its_share(ringfence, tmp_path, where):
    # Bochs runs its processors in turn; between two of them it is this one that matters.
    names = ["ipi"] if where == "bochs-intel-2" else list(STORMS)
    storms = [storm(tmp_path, name, cpus=STORMS[name]) for name in names]
    machine = boot(ringfence, where, canary(tmp_path, where == "qemu"), *storms)
    for name in names:
        do(machine, f"pause {name}", f"VM {name}: paused")
    got = {}
    for name in names:
        do(machine, f"resume {name}", f"VM {name}: resumed")
        before = used(machine, "canary", name)
        work = rate(machine)
        after = used(machine, "canary", name)
        do(machine, f"kill {name}", f"VM {name}: killed")
        own, other, passed = (new - old for old, new in zip(before, after))
        got[name] = work, own / passed, other / passed
    alone = rate(machine)
    got = {name: (work / alone, mine, other) for name, (work, mine, other) in got.items()}
    for name, (work, share, _) in got.items():
        assert share > 0.4, (name, got)
        assert work > 0.4 or where == "qemu-2", (name, got)
    end(machine)


@on("qemu-2", "bochs-intel")
def test_killing_in_the_middle_of_output(ringfence, tmp_path, where):
    machine = boot(ringfence, where, canary(tmp_path, where == "qemu"), storm(tmp_path, "print"))
    free = []
    for _ in range(5):
        machine.expect(r"\[print\] in the middle of an output", BOOT_SECONDS)
        do(machine, "kill print", "VM print: killed")
        free.append(free_memory(machine))
        tick(machine, 2)
        do(machine, "start print", "VM print: started")
    assert len(set(free)) == 1, free
    end(machine)


@pytest.mark.long
@on("qemu", "qemu-2", "bochs-intel")
def test_memory_after_many_starts(ringfence, tmp_path, where):
    # Between two emulated processors each start costs long waits; Bochs is slow.
    cycles = 1000 if where == "qemu" else 50
    machine = boot(
        ringfence,
        where,
        canary(tmp_path, where == "qemu"),
        tiny_vm(tmp_path, "HANG", name="tiny", memory="2M"),
        memory=128,
    )
    do(machine, "kill tiny", "VM tiny: killed")
    do(machine, "start tiny", "VM tiny: started")
    before = free_memory(machine)
    for done in range(0, cycles, 50):
        machine.send("reset tiny\r" * 50)
        for _ in range(50):
            machine.expect("VM tiny: reset")
        tick(machine)
        assert free_memory(machine) == before, done + 50
    do(machine, "kill tiny", "VM tiny: killed")
    end(machine)
