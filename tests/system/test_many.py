"""Eight stock kernels at once: all come up, each has its own console, and idle they cost nothing."""
import re
import time

import pytest

import console
import session
from console import vm
from monitor import PROMPT, do, seconds, to_console, to_monitor, to_shells, uptime

TROUBLE = r"stall|lockup|hung task|unstable|BUG:|WARNING: CPU|Kernel panic"
COMPLAINT = rf"\[ *\d+\.\d+\] .*(?:{TROUBLE})"  # of a kernel, not this command's echo
WHO = "sed 's/.*who=/I am /' /proc/cmdline"
IDLE_SECONDS = 60  # of the guests' time


def linuxes(count, memory):
    return [vm(f"linux{i}", memory=memory, cmdline=f"who=linux{i}") for i in range(1, count + 1)]


def names_of(vms):
    return [one["name"] for one in vms]


def check_list(machine, vms):
    """Every VM runs, and its figures are those of a kernel that has booted."""
    machine.send("list\r")
    for one in vms:
        found = machine.expect(rf"\n{one['name']} +(\w+) +(\d+) +(\w+) +([\d:.]+) +(\d+)\r")
        assert found.groups()[:3] == ("running", str(one.get("cpus", 1)), one["memory"])
        assert 0.2 < seconds(found.group(4)) < 300
        assert 3000 < int(found.group(5)) < 1000000


def check_console(machine, name):
    """Of the VM in front: its shell answers, and its kernel has no complaint."""
    assert machine.run(WHO).split("\n").count(f"I am {name}") == 1
    complaints = machine.run(f"dmesg | grep -E '{TROUBLE}' || true")
    assert not re.search(COMPLAINT, complaints), complaints


def check_consoles(machine, names):
    """All in turn with the key, and two by name."""
    to_console(machine, names[0])
    check_console(machine, names[0])
    for name in [*names[1:], names[0]]:
        machine.send("\x01n")
        machine.expect(f"console of VM {name} ")
        check_console(machine, name)
    for name in (names[-1], names[0]):
        to_monitor(machine)
        do(machine, f"console {name}", f"console of VM {name} ")
        check_console(machine, name)
    answers = re.findall(r"^(.*)I am (linux\d+)$", machine.log, re.M)
    assert [prefix for prefix, _ in answers] == [""] * (len(names) + 3), "only who was asked answers"


def check_power_off(machine, names):
    to_monitor(machine)
    do(machine, "poweroff", "the machine goes off")
    machine.ends(console.ALL_ENDED)
    for name in names:
        assert re.search(f"^ringfence: VM {name} ended: power-off", machine.log, re.M)
    assert not re.search(COMPLAINT, machine.log)


@pytest.mark.long
def test_eight_on_two_processors_in_2_gib(ringfence):
    vms = linuxes(8, "224M")
    names = names_of(vms)
    machine = ringfence(*vms, cpus=2, memory=2048)
    to_shells(machine, *names)
    check_list(machine, vms)
    check_consoles(machine, names)
    check_power_off(machine, names)


@pytest.mark.long
def test_several_on_vt_x(ringfence):
    vms = linuxes(2, "96M")
    vms[0]["cpus"] = 2
    names = names_of(vms)
    machine = ringfence(*vms, cpus=2, memory=2048, **console.MACHINES["bochs-intel"])
    to_shells(machine, *names)
    check_list(machine, vms)
    check_consoles(machine, names)
    session.check_processors(machine, 2)
    check_power_off(machine, names)


def busy_percent(machine):
    """What `cpus` shows since it was last asked."""
    (found,) = do(machine, "cpus", r"idle ([\d.]+) %, VMs [\d.]+ %, supervisor [\d.]+ %")
    machine.expect(PROMPT)
    return 100 - float(found.group(1))


@pytest.mark.long
def test_idle_vms_cost_nothing(ringfence):
    """By two counts that know nothing of each other: the core's idle time, and the emulator's
    instructions, of which the machine executes one a nanosecond when it is not idle."""
    vms = linuxes(8, "128M")
    machine = ringfence(*vms, memory=1200)
    to_shells(machine, *names_of(vms))
    time.sleep(2)  # the guests' last work
    busy_percent(machine)
    start, instructions = uptime(machine), machine.instructions()
    while uptime(machine) < start + IDLE_SECONDS:
        time.sleep(1)  # the monitor's own work counts
    passed, instructions = uptime(machine) - start, machine.instructions() - instructions
    busy = busy_percent(machine)
    executed = 100 * instructions / (passed * 1e9)
    assert executed < 1
    assert busy == pytest.approx(executed, abs=0.2)
    for name in names_of(vms):
        do(machine, f"stats {name}", r" hlt +\d+ +\d+\r")
