"""Several VMs at one console: switching, and what the monitor shows and does."""
import re

import pytest

import console
from console import tiny_vm, vm
from monitor import do, free_memory, row, said, to_console, to_monitor, to_shells


def counters(tmp_path, *names, **keys):
    """VMs that print `count NNNNNNNN` over and over."""
    return [tiny_vm(tmp_path, "COUNT", **{"name": name, **keys}) for name in names]


def counted(machine, name=None):
    """The next number that a counting VM prints: one behind, or the one in front."""
    mark = rf"\[{name}\] " if name else r"\n"
    return int(machine.expect(rf"{mark}count ([0-9a-f]{{8}})\r").group(1), 16)


def test_consoles_and_pausing(ringfence, tmp_path, on):
    machine = ringfence(*counters(tmp_path, "one", "two"), **on)
    machine.expect(r"\[two\] count ", console.BOOT_SECONDS)
    machine.send("\x01n")
    machine.expect("console of VM two")
    counted(machine, "one")
    machine.send("x")
    machine.expect(r"\ntyped x\r")
    machine.send("\x01n")
    machine.expect("console of VM one")
    machine.send("\x01\x01")
    machine.expect("\ntyped \x01\r")
    to_monitor(machine)
    counted(machine, "one")
    do(machine, "pause one", "VM one: paused")
    assert row(machine, "one")[0] == "paused"
    _, stood = row(machine, "one")
    # It stands still while the other goes on.
    counted(machine, "two")
    first = counted(machine, "two")
    while counted(machine, "two") < first + 20:
        pass
    assert row(machine, "one") == ("paused", stood)
    before = [int(n, 16) for n in re.findall(r"\[one\] count ([0-9a-f]{8})", machine.log)][-1]
    do(machine, "resume one", "VM one: resumed")
    assert counted(machine, "one") == before + 1
    assert row(machine, "one")[0] == "running"
    do(machine, "poweroff", "power button pressed")
    do(machine, "poweroff", "VM one: killed", "VM two: killed")
    machine.ends(console.ALL_ENDED)


def test_commands(ringfence, tmp_path):
    machine = ringfence(*counters(tmp_path, "one"), tiny_vm(tmp_path, "HANG"))
    counted(machine)
    to_monitor(machine)
    do(machine, "help", "list +every VM", "poweroff +stops", "Ctrl-A n")
    do(machine, "helpp", "unknown command 'helpp': did you mean 'help'")
    do(machine, "pause nobody", "no VM is named 'nobody'")
    do(machine, "pause", "usage: pause VM")
    do(machine, "version", r"Ringfence \d\S*, AMD-V, 1 processor, \d+ MiB, running for 0:00:\d\d")
    do(machine, "cpus", r"CPU 0 +APIC ID 0 +idle [\d.]+ %, VMs \d\d[\d.]+ %, supervisor [\d.]+ %")
    times = [rf"in {part} +[\d:.]+ +[\d.]+ %" for part in ("the guest", "the core", "its VMM")]
    do(machine, "stats one", "VM one, running", *times, r" io +[1-9]\d+ +\d+")
    do(machine, "log", "starting the supervisor")
    do(machine, "trace off", "the last exits are kept")
    do(machine, "trace dump", r"CPU 0 +\d+ us ago: VM one vCPU 0: io out port 3f8, 1 bytes")
    # As a hand types: with mistakes.
    do(machine, "lits\x7f\x7fst", "NAME +STATE")
    do(machine, "nonsense\x15\x1b[A", "NAME +STATE")
    do(machine, "console hang", "console of VM hang")
    machine.send("\x01x")
    machine.expect("Ctrl-A x means nothing")
    machine.send("\x01h")
    machine.expect("Ctrl-A m")


def test_ending_and_starting_gives_memory_back(ringfence, tmp_path):
    machine = ringfence(*counters(tmp_path, "one", "two", memory="64M"))
    machine.expect(r"\[two\] count 00000003", console.BOOT_SECONDS)
    to_monitor(machine)
    with_two = free_memory(machine)
    for _ in range(3):
        do(machine, "kill two", "VM two: killed")
        assert row(machine, "two")[0] == "off"
        # With its VMM, page tables and what the core keeps of it.
        assert 64 * 1024 <= free_memory(machine) - with_two <= 64 * 1024 + 400
        do(machine, "start two", "VM two: started", r"\[two\] count 00000000")
        assert free_memory(machine) == with_two
    do(machine, "reset two", "VM two: reset", r"\[two\] count 00000000")
    assert free_memory(machine) == with_two
    do(machine, "kill one", "killed")
    do(machine, "kill two", "killed")
    # Somebody is at the prompt: the machine stays on for them.
    do(machine, "start one", r"\[one\] count 00000000")
    do(machine, "kill one", "killed")
    do(machine, "poweroff")
    machine.ends(console.ALL_ENDED)


def test_stop_is_hard_in_the_end(ringfence, tmp_path):
    machine = ringfence(tiny_vm(tmp_path, "HANG"), vm())
    machine.expect("starting the supervisor", console.BOOT_SECONDS)
    machine.expect(r"\[debian\] .*BusyBox", console.BOOT_SECONDS)
    to_monitor(machine)
    do(machine, "stop debian", "power button pressed", "VM debian ended: power-off")
    do(machine, "stop hang", "power button pressed", "VM hang did not shut down within 60 s", "killed")
    do(machine, "poweroff")
    machine.ends(console.ALL_ENDED)


def test_failures_back_off(ringfence, tmp_path):
    faulty = tiny_vm(tmp_path, "TRIPLE_FAULT", restart="on-failure")
    machine = ringfence(faulty, tiny_vm(tmp_path, "HANG"))
    for count, seconds in enumerate((1, 2, 4, 8), 1):
        machine.expect(f"failure {count} in a row, starts again in {seconds} s", console.BOOT_SECONDS)
        machine.expect("VM triple-fault: starting again")
    to_monitor(machine)
    machine.expect(r"failure \d+ in a row, starts again in 60 s")
    # Idle time passes at once here: it has ended and started often by now.
    do(machine, "kill triple-fault", "VM triple-fault: killed")
    assert row(machine, "triple-fault")[0] == "off"
    machine.send("\r")
    do(machine, "list", "triple-fault +off")
    do(machine, "kill hang", "killed")
    do(machine, "poweroff")
    machine.ends(console.ALL_ENDED)


def test_a_vm_that_does_not_start_leaves_the_others(ringfence, tmp_path):
    large = tiny_vm(tmp_path, "HANG", memory="4G")
    machine = ringfence(large, *counters(tmp_path, "one"))
    machine.expect("error: VM hang does not start", console.BOOT_SECONDS)
    machine.expect("console of VM one")
    counted(machine)
    to_monitor(machine)
    assert row(machine, "hang") == ("failed", 0)
    do(machine, "start hang", "error: VM hang does not start")


def test_shells_of_two_guests(ringfence):
    machine = ringfence(vm("first"), vm("second"), memory=1400)
    to_shells(machine, "first", "second")
    for name in ("first", "second"):
        to_console(machine, name)
        machine.run(f"echo {name} >/tmp/mine")
        to_monitor(machine)
    do(machine, "console first", "console of VM first")
    assert said(machine, "cat /tmp/mine") == "first"
    machine.send("\x01n")
    machine.expect("console of VM second")
    assert said(machine, "cat /tmp/mine") == "second"
    to_monitor(machine)
    do(machine, "poweroff", "the machine goes off")
    machine.ends(console.ALL_ENDED)
    for name in ("first", "second"):
        assert re.search(f"^ringfence: VM {name} ended: power-off", machine.log, re.M)


def test_pause_of_linux(ringfence):
    """Its clocks went on meanwhile: it knows the time, and runs on without a complaint."""
    machine = ringfence(vm("first"), vm("second"), memory=1400)
    to_shells(machine, "first", "second")
    to_console(machine, "first")
    machine.run("cat /proc/uptime >/tmp/before")
    to_monitor(machine)
    do(machine, "pause first", "VM first: paused")
    to_console(machine, "second")
    machine.run("sleep 200")
    to_monitor(machine)
    do(machine, "resume first", "VM first: resumed")
    do(machine, "console first", "console of VM first")
    before, _, after, _ = machine.run("cat /tmp/before /proc/uptime").split()
    assert 200 <= float(after) - float(before) < 220
    complaints = machine.run("sleep 30; dmesg | tail -n 12")
    assert not re.search(r"lockup|stall|hung|unstable", complaints), complaints
