"""Weights, caps and pins of the manifest, by the time that the monitor shows. One processor, whose
time is instructions: nothing here depends on how busy the host is."""
import time

import pytest

import console
from console import tiny_vm
from monitor import seconds, uptime

SECONDS = 3  # of the guests' time


def used(machine, names):
    """The time that each VM has had so far."""
    machine.send("list\r")
    times = {}
    for name in names:
        found = machine.expect(rf"\n{name} +running +\d+ +\w+ +([\d:.]+) +\d+\r")
        times[name] = seconds(found.group(1))
    return times


def shares(ringfence, tmp_path, where, **keys):
    """Boots a busy VM for each name with its keys; what each had of the processor, in percent."""
    vms = [tiny_vm(tmp_path, "BUSY", name=name, **keys[name]) for name in keys]
    machine = ringfence(*vms, **console.MACHINES[where])
    machine.expect("starting the supervisor", console.BOOT_SECONDS)
    machine.send("\x01m")
    machine.expect("monitor: 'help'")
    before = used(machine, keys)
    start = uptime(machine)
    while uptime(machine) < start + SECONDS:
        time.sleep(5)  # what the monitor does meanwhile costs the VMs
    after = used(machine, keys)
    passed = uptime(machine) - start
    machine.send("poweroff\rpoweroff\r")
    machine.ends(console.ALL_ENDED)
    return {name: 100 * (after[name] - before[name]) / passed for name in keys}


@pytest.mark.long
@pytest.mark.parametrize("where", ["qemu", "bochs-intel"])
def test_weights(ringfence, tmp_path, where):
    got = shares(ringfence, tmp_path, where, a={"weight": 100}, b={"weight": 200}, c={"weight": 400})
    total = sum(got.values())
    assert total > 40, got  # the rest is the supervisor's, who has their output and the monitor
    assert {name: part / total for name, part in got.items()} == {
        "a": pytest.approx(1 / 7, rel=0.05),
        "b": pytest.approx(2 / 7, rel=0.05),
        "c": pytest.approx(4 / 7, rel=0.05),
    }


@pytest.mark.long
@pytest.mark.parametrize("where", ["qemu", "bochs-intel"])
def test_caps(ringfence, tmp_path, where):
    got = shares(ringfence, tmp_path, where, a={"cap": 20}, b={"cap": 30})
    assert got == {"a": pytest.approx(20, rel=0.05), "b": pytest.approx(30, rel=0.05)}
