"""Stock kernels reach a shell, whatever the processor and the firmware, and end as they ask to."""
import pytest

import console
import session
from console import tiny_vm, vm


@pytest.mark.parametrize(
    "kernel, cpu, firmware",  # every pair of them
    [
        ("cloud", "EPYC", "bios"),
        ("cloud", "max", "uefi"),
        ("amd64", "EPYC", "uefi"),
        ("amd64", "max", "bios"),
    ],
)
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


def test_at_the_shell(ringfence):
    machine = ringfence(vm())
    machine.boot_to_shell()
    session.interrupt_a_command(machine)
    session.paste(machine)
    session.reboot(machine)
    session.power_off(machine)


@pytest.mark.long
@pytest.mark.parametrize(
    "name, kernel, does",
    [
        ("bochs-intel", "amd64", session.interrupt_a_command),
        ("bochs-amd", "cloud", session.reboot),
    ],
)
def test_at_the_shell_in_bochs(ringfence, name, kernel, does):
    """Everything in one boot, because one takes most of a minute."""
    machine = ringfence(vm(kernel=kernel), **console.MACHINES[name])
    machine.boot_to_shell()
    session.check_calibration(machine, console.Bochs.MHZ)
    session.compare_clocks(machine)
    session.paste(machine)
    does(machine)
    session.power_off(machine)


def test_uefi_in_bochs(ringfence, tmp_path):
    machine = ringfence(tiny_vm(tmp_path, "TRIPLE_FAULT"), kind=console.Bochs, firmware="uefi")
    machine.ends(console.VM_FAILED, console.BOOT_SECONDS)
    assert "VM triple-fault ended: crash" in machine.log


def test_bare_machine_has_the_processors_asked_for(bare):
    machine = bare(cpus=2)
    machine.boot_to_shell()
    assert machine.run("nproc").strip() == "2"


def test_machine_with_several_processors(ringfence, tmp_path, on):
    machine = ringfence(tiny_vm(tmp_path, "TRIPLE_FAULT"), cpus=2, **on)
    machine.ends(console.VM_FAILED, console.BOOT_SECONDS)
    assert "VM triple-fault ended: crash: triple fault" in machine.log
