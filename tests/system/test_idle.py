"""An idle machine executes nothing: no tick, whether its VMs sleep or there are none left."""
import re
import time

import pytest

import console
from console import tiny_vm

QUIET_SECONDS = 2
SETTLE_SECONDS = 60


def interrupts(log):
    """What QEMU's processors have taken so far; any would show, for a HLT ends only by one."""
    return len(re.findall(r"^ *\d+: v=", log.read_text(errors="replace"), re.M))


def stays_quiet(log):
    """Counting instructions, the clock of a machine that sleeps runs ahead to whatever is due next,
    so the interrupts of hours, if there were any, would fall into these seconds."""
    before = interrupts(log)
    time.sleep(QUIET_SECONDS)
    return interrupts(log) == before


def sleeps(machine, log):
    end = time.monotonic() + SETTLE_SECONDS * console.SCALE
    while not stays_quiet(log):
        assert time.monotonic() < end, f"{interrupts(log)} interrupts, and no end"
    assert stays_quiet(log)
    assert set(re.findall(r"HLT=(\d)", machine.monitor("info registers -a"))) == {"1"}


@pytest.mark.parametrize("cpus", (1, 2))
def test_an_idle_machine_executes_nothing(ringfence, tmp_path, cpus):
    log = tmp_path / "interrupts"
    vms = [tiny_vm(tmp_path, "SLEEP", name=name) for name in ("one", "two")]
    machine = ringfence(*vms, cpus=cpus, extra=["-d", "int", "-D", log])
    for _ in vms:
        machine.expect("asleep", console.BOOT_SECONDS)
    sleeps(machine, log)
    machine.send("\x01m")
    machine.expect("monitor: 'help'")
    for name in ("one", "two"):
        machine.send(f"kill {name}\r")
        machine.expect(f"VM {name}: killed")
    sleeps(machine, log)
    machine.send("poweroff\r")
    machine.ends(console.ALL_ENDED)
