"""What a guest kernel says and measures is what it says and measures on the bare machine."""
import re
import time

import pytest

import console
import session
from console import vm

# What differs by design: a pattern, and the reason that CAVEATS.md explains at length.
EXPLAINED = {}


def warnings(log):
    """The kernel's messages of level warning and worse, without what differs from boot to boot."""
    found = set()
    for line in re.findall(r"^<[0-4]>\[ *[\d.]+\] (.*)$", log, re.M):
        found.add(re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+", "N", line))
    return found


@pytest.mark.parametrize("kernel", ["cloud", "amd64"])
def test_no_warning_that_the_bare_machine_does_not_give(ringfence, bare, kernel):
    run = 'rf.run="dmesg -r"'
    plain = bare(kernel, cmdline=run)
    plain.ends(0, console.BOOT_SECONDS)
    guest = ringfence(vm(kernel=kernel, cmdline=run))
    guest.ends(console.ALL_ENDED, console.BOOT_SECONDS)
    assert "Linux version" in guest.log, "the log of the guest is not there"
    assert warnings(plain.log), "the comparison reads nothing"
    new = warnings(guest.log) - warnings(plain.log)
    new = {line for line in new if not any(re.search(known, line) for known in EXPLAINED)}
    assert not new, "\n".join(sorted(new))


def timer_interrupts(machine):
    """Of the local APIC, on the first processor."""
    return int(re.search(r"LOC: *(\d+)", machine.run("cat /proc/interrupts")).group(1))


def test_clocks_agree_about_a_sleep(shell):
    session.compare_clocks(shell)


def test_a_sleep_takes_that_long_outside_too(ringfence):
    # An idle emulator waits in real time here, so the host's clock can judge the guest's.
    machine = ringfence(vm(), icount="sleep=on")
    machine.boot_to_shell()
    machine.run("sleep 1")
    began = time.monotonic()
    machine.run("sleep 10")
    assert time.monotonic() - began > 9.5


def test_clock_calibration(shell):
    # The emulated processor's TSC counts nanoseconds.
    session.check_calibration(shell, 1000)


def test_timer_interrupts_come(shell):
    before = timer_interrupts(shell)
    # Busy for a while: the tick runs.
    shell.run("i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done")
    assert timer_interrupts(shell) > before


def test_serial_driver_uses_its_interrupt(shell):
    assert re.search(r"ttyS0 at I/O 0x3f8 \(irq = 4,.*\) is a 16550A", shell.run("dmesg"))
    row = re.compile(r"^ *4: *(\d+) .*ttyS0", re.M)
    before = int(row.search(shell.run("cat /proc/interrupts")).group(1))
    assert int(row.search(shell.run("cat /proc/interrupts")).group(1)) > before


def test_acpi(shell):
    tables = shell.run("ls /sys/firmware/acpi/tables").split()
    assert {"APIC", "DSDT", "FACP", "FACS", "MCFG"} <= set(tables)
    log = shell.run("dmesg")
    assert re.search(r"ACPI: PM: \(supports.* S5\)", log)
    assert "ACPI: Interpreter enabled" in log
    assert not re.search(r"ACPI (Error|Warning|BIOS Error|Exception)", log)
    assert re.search(r"^ *9: .*acpi", shell.run("cat /proc/interrupts"), re.M)


@pytest.mark.long
def test_reboot_by_each_way_that_a_pc_has(ringfence):
    machine = ringfence(vm())
    for way in ("pci", "kbd"):  # and ACPI's, which is what every other test uses
        machine.boot_to_shell()
        machine.run(f"echo {way} >/sys/kernel/reboot/type")
        machine.send("reboot\n")
    machine.boot_to_shell()
    machine.send("poweroff\n")
    machine.ends(console.ALL_ENDED)


def acpi_interrupts(machine):
    """Of the first processor."""
    return int(re.search(r"^ *9: *(\d+) .*acpi$", machine.run("cat /proc/interrupts"), re.M).group(1))


def wait_for_acpi_interrupts(machine, count):
    for _ in range(20):
        if acpi_interrupts(machine) >= count:
            break
        machine.run("sleep 1")
    assert acpi_interrupts(machine) == count


def press_twice_and_end(machine, status):
    """The first press is only an interrupt: nobody in the guest listens."""
    machine.boot_to_shell()
    machine.run("killall acpid")
    assert acpi_interrupts(machine) == 0
    machine.press_power_button()
    wait_for_acpi_interrupts(machine, 1)
    # A button that nobody releases, or no longer works, would show here.
    machine.run("sleep 2; acpid")
    assert acpi_interrupts(machine) == 1
    machine.press_power_button()
    machine.ends(status)


def test_power_button_of_the_bare_machine(bare):
    press_twice_and_end(bare(), 0)


def test_power_button_powers_the_guest_off(ringfence):
    machine = ringfence(vm())
    press_twice_and_end(machine, console.ALL_ENDED)
    assert re.search(r"^ringfence: VM debian ended: power-off", machine.log, re.M)


def test_power_button_is_every_guests(ringfence):
    # The second speaks later: two lines at once could break each other.
    first = vm("first", cmdline='rf.run="echo up-1; sleep 100000"')
    second = vm("second", cmdline='rf.run="sleep 5; echo up-2; sleep 100000"')
    machine = ringfence(first, second, memory=1280)
    machine.expect("up-1", console.BOOT_SECONDS)
    machine.expect("up-2", console.BOOT_SECONDS)
    machine.press_power_button()
    machine.ends(console.ALL_ENDED)
    for name in ("first", "second"):
        assert re.search(rf"^ringfence: VM {name} ended: power-off", machine.log, re.M)
