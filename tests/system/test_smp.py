"""A stock kernel with several processors, on machines with fewer, as many and more; in Bochs, see
test_many.py."""
import re

import pytest

import console
import session
from console import tiny_vm, vm

# Busy for a while in a process of its own: long enough for several time slices.
WORK = "i=0; while [ $i -lt 5000 ]; do i=$((i + 1)); done"


def interrupts(machine, row):
    """How many of a kind each processor has taken, from /proc/interrupts."""
    found = re.search(rf"^ *{row}: +([\d ]+?) +[A-Za-z]", machine.run("cat /proc/interrupts"), re.M)
    return [int(count) for count in found.group(1).split()]


def check_interrupts(machine, cpus):
    """Each processor has its own timer, and the others wake it."""
    work = "; ".join(f"taskset {1 << cpu:x} sh -c '{WORK}' &" for cpu in range(cpus))
    before = interrupts(machine, "LOC")
    machine.run(f"{{ {work.replace('&;', '&')} wait; }} 2>/dev/null", 4 * console.REPLY_SECONDS)
    after = interrupts(machine, "LOC")
    assert len(after) == cpus
    assert all(new > old for old, new in zip(before, after)), (before, after)
    calls = [sum(pair) for pair in zip(interrupts(machine, "RES"), interrupts(machine, "CAL"))]
    assert len(calls) == cpus and all(calls), calls


@pytest.mark.long
@pytest.mark.parametrize("cpus, machine_cpus", [(2, 1), (4, 4)])
def test_linux_uses_all_processors(ringfence, cpus, machine_cpus):
    machine = ringfence(vm(cpus=cpus), cpus=machine_cpus)
    machine.boot_to_shell()
    session.check_processors(machine, cpus)
    check_interrupts(machine, cpus)
    if machine_cpus > 1:
        session.reboot(machine)
        session.check_processors(machine, cpus)
    session.power_off(machine)


def test_more_processors_than_the_machine_has(ringfence):
    machine = ringfence(vm(cpus=8), cpus=2)
    machine.boot_to_shell()
    session.check_processors(machine, 8)
    session.power_off(machine)


def start_badly(boot_iso, folder, word, **on):
    """Boots two processors of which one is not taken; what the core said of it."""
    iso = console.make_iso(folder, [tiny_vm(folder, "TRIPLE_FAULT")], f"emulator-exit {word}")
    machine = boot_iso(iso, cpus=2, **on)
    machine.ends(console.VM_FAILED, console.BOOT_SECONDS)
    assert "1 of 2 processors started" in machine.log
    assert "the processor with APIC id 1 did not start: left out" in machine.log
    return machine.log


def test_a_processor_that_comes_late_is_left_out(boot_iso, tmp_path):
    start_badly(boot_iso, tmp_path, "late-processor-test")


@pytest.mark.parametrize("word", ["ahead", "behind"])
def test_a_processor_with_another_clock_is_left_out(boot_iso, tmp_path, word):
    log = start_badly(boot_iso, tmp_path, f"tsc-{word}-test", kind=console.Bochs)
    assert re.search(rf"processor 1: its TSC is \d+ {word}", log)
