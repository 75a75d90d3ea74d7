"""Stock kernels reach a shell, whatever the processor and the firmware, and end as they ask to."""
from hashlib import md5

import pytest

import console
from console import vm


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("cpu", ["EPYC", "max"])
@pytest.mark.parametrize("kernel", ["cloud", "amd64"])
def test_stock_kernel_reaches_the_shell(ringfence, kernel, cpu, firmware):
    machine = ringfence(vm(kernel=kernel), cpu=cpu, firmware=firmware)
    machine.boot_to_shell()
    assert machine.run("echo $((6 * 7))").strip() == "42"
    assert "cloud" in machine.run("uname -r") or kernel == "amd64"
    machine.send("poweroff\n")
    machine.ends(console.ALL_ENDED)


def test_end_of_a_vm_is_reported_with_its_exits(ringfence):
    machine = ringfence(vm(cmdline='rf.run="true"'))
    machine.ends(console.ALL_ENDED, console.BOOT_SECONDS)
    report = machine.log.split("VM debian ended: power-off", 1)
    assert len(report) == 2, machine.log[-2000:]
    assert "cpuid" in report[1].lower(), "the exit table has no row for CPUID"
    assert "all VMs ended" in report[1]


def test_control_c_interrupts_in_the_guest(ringfence):
    machine = ringfence(vm())
    machine.boot_to_shell()
    # While its editor has the line, the shell itself reads Ctrl-C: wait until the command runs.
    machine.send("echo go''ing; sleep 100000\n")
    machine.expect("going")
    machine.send("\x03")
    machine.expect("# ")
    assert machine.run("echo alive").strip() == "alive"


def test_pasted_text_arrives_whole(ringfence):
    machine = ringfence(vm())
    machine.boot_to_shell()
    lines = [f"{number:04d} " + "the quick brown fox jumps over the lazy dog " * 4 for number in range(40)]
    text = "\n".join(lines) + "\n"
    machine.send("stty -echo; echo re''ady; cat >/tmp/pasted; stty echo\n")
    machine.expect("ready")
    # At once, far faster than a serial line carries it.
    machine.send(text + "\x04")
    machine.expect("# ")
    assert machine.run("md5sum </tmp/pasted").split()[0] == md5(text.encode()).hexdigest()


def test_reboot_restarts_the_guest_and_not_the_machine(ringfence):
    # QEMU's -no-reboot ends the emulator when the machine itself resets.
    machine = ringfence(vm())
    machine.boot_to_shell()
    machine.run("touch /tmp/before")
    machine.send("reboot\n")
    machine.boot_to_shell()
    assert machine.run("ls /tmp").strip() == ""
    machine.send("poweroff\n")
    machine.ends(console.ALL_ENDED)
