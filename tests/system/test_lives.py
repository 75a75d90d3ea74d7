"""How VMs start, end and start again, on every kind of machine; with guests of a few instructions."""
import re
import time

import console
from console import tiny_vm
from monitor import do, row, to_monitor, uptime

POLICIES = ("never", "on-failure", "always")


def ends(machine, name):
    """How a VM has ended so far."""
    return re.findall(rf"^ringfence: VM {name} ended: ([a-z-]+)", machine.log, re.M)


def starts_again(machine, name):
    return machine.log.count(f"VM {name}: starting again")


def test_policies(ringfence, tmp_path, on):
    """A crash and a power-off under each policy, next to one that cannot start and one that runs."""
    vms = [
        tiny_vm(tmp_path, guest, name=f"{guest[:6].strip('_').lower()}-{policy}", restart=policy)
        for policy in POLICIES
        for guest in ("TRIPLE_FAULT", "OFF")
    ]
    large = tiny_vm(tmp_path, "HANG", name="large", memory="4G")
    machine = ringfence(large, *vms, tiny_vm(tmp_path, "HANG"), **on)
    machine.expect("VM large does not start: .*it wants 4096 MiB", console.BOOT_SECONDS)
    # Its starts are a second of the machine's time apart, which passes at once while all sleep.
    for _ in range(3):
        machine.expect("VM off-always: starting again")
    to_monitor(machine)
    do(machine, "kill off-always", "VM off-always: killed")
    failing = ("triple-on-failure", "triple-always")
    while min(starts_again(machine, name) for name in failing) < 3:
        machine.expect("starting again")
    states = {one["name"]: row(machine, one["name"])[0] for one in vms}
    assert row(machine, "hang")[0] == "running"
    assert row(machine, "large")[0] == "failed"
    assert states["triple-never"] == "failed"
    assert {states[f"off-{policy}"] for policy in POLICIES} == {"off"}
    for name in ("triple-never", "off-never", "off-on-failure"):
        assert len(ends(machine, name)) == 1 and starts_again(machine, name) == 0
    assert set(ends(machine, "off-always")) == {"power-off"}
    for name in failing:
        assert set(ends(machine, name)) == {"crash"}
        pauses = re.findall(rf"VM {name}: failure (\d+) in a row, starts again in (\d+) s", machine.log)
        assert pauses[:4] == [("1", "1"), ("2", "2"), ("3", "4"), ("4", "8")]
        do(machine, f"kill {name}", f"VM {name}: killed")
    # Whoever was killed stays off.
    counts = [starts_again(machine, one["name"]) for one in vms]
    do(machine, "stop hang", "did not shut down within 60 s", "VM hang: killed")
    assert counts == [starts_again(machine, one["name"]) for one in vms]
    do(machine, "poweroff")
    machine.ends(console.VM_FAILED)


def test_the_button_and_the_memory(ringfence, tmp_path, on):
    machine = ringfence(
        tiny_vm(tmp_path, "OBEY", restart="always"), tiny_vm(tmp_path, "PATTERN"), **on
    )
    machine.expect("starting the supervisor", console.BOOT_SECONDS)
    to_monitor(machine)
    do(machine, "list", "NAME")  # by now both have started
    for command in ("reset pattern", "kill pattern\rstart pattern"):
        do(machine, command, r"\[pattern\] memory is zero", r"\[pattern\] memory is filled")
    do(machine, "stop obey", "VM obey: power button pressed", "VM obey ended: power-off")
    assert row(machine, "obey")[0] == "off"
    # In what the other left, too.
    do(machine, "kill pattern", "killed")
    do(machine, "start obey", "at your command")
    do(machine, "start pattern", r"\[pattern\] memory is zero")
    assert "somebody's" not in machine.log
    do(machine, "poweroff\rpoweroff")
    machine.ends(console.ALL_ENDED)


def test_a_paused_vm_costs_nothing(ringfence, tmp_path):
    """Though its timer would tick thousands of times a second."""
    machine = ringfence(tiny_vm(tmp_path, "TICK"))
    machine.expect("4096 ticks", console.BOOT_SECONDS)
    to_monitor(machine)
    do(machine, "pause tick", "VM tick: paused")
    _, exits = row(machine, "tick")
    start, instructions = uptime(machine), machine.instructions()
    while uptime(machine) < start + 20:
        time.sleep(0.5)
    passed, instructions = uptime(machine) - start, machine.instructions() - instructions
    assert row(machine, "tick") == ("paused", exits)
    assert instructions / (passed * 1e9) < 0.001
    do(machine, "resume tick", r"\[tick\] 4096 ticks", r"\[tick\] 4096 ticks")
