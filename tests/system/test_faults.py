"""Each thing that goes wrong is said in one line, ends in order, and stops nothing else."""
import re

import pytest

import console
from console import Bochs, Qemu, make_damaged_iso, tiny_vm, vm


def assert_ends_before_any_guest(machine, status, words):
    """No guest ran, and one line of the console holds all the words."""
    machine.ends(status, console.BOOT_SECONDS)
    lines = machine.log.split("\n")
    assert any(all(re.search(word, line, re.I) for word in words) for line in lines), (
        f"no line with {words}:\n" + "\n".join(lines[-30:])
    )
    assert "Hello from the guest" not in machine.log
    assert "Linux version" not in machine.log


def assert_refused(machine, *words):
    """The machine, or the whole manifest, is not good enough: nothing starts."""
    assert_ends_before_any_guest(machine, console.CORE_REFUSED, words)


def assert_not_started(machine, *words):
    """Only this VM cannot start."""
    assert_ends_before_any_guest(machine, console.VM_FAILED, words)


@pytest.mark.parametrize(
    "kind, cpu, words",
    [
        (Qemu, "EPYC,-svm", ("AMD-V|SVM",)),
        (Qemu, "EPYC,-npt", ("NPT|nested paging",)),
        (Qemu, "qemu64", ("NPT|nested paging",)),
        (Bochs, "athlon64_venice", ("AMD-V|SVM",)),
        (Bochs, "p4_prescott_celeron_336", ("VT-x|VMX",)),
        (Bochs, "core2_penryn_t9600", ("EPT", "Nehalem")),
        (Bochs, "corei5_lynnfield_750", ("unrestricted guest", "Westmere")),
        (Bochs, "pentium", ("64-bit mode",)),
    ],
)
def test_processor_without(ringfence, kind, cpu, words):
    assert_refused(ringfence(vm(), kind=kind, cpu=cpu), *words)


def test_processor_without_long_mode(ringfence):
    assert_refused(ringfence(vm(), cpu="EPYC,-lm"), "(?i)long mode|64-bit")


def test_too_little_memory_for_the_machine(ringfence, on):
    assert_refused(ringfence(vm(memory="512M"), memory=64, **on), "memory")


def test_too_little_memory_for_the_vms(ringfence, on):
    assert_not_started(ringfence(vm(memory="4G"), memory=512, **on), "VM debian", "MiB|memory")


def test_pin_to_processors_that_the_machine_does_not_have(ringfence, tmp_path):
    guest = tiny_vm(tmp_path, "TRIPLE_FAULT")
    machine = ringfence(
        {**guest, "name": "nowhere", "pin": [6, 4, 7]},
        {**guest, "name": "somewhere", "pin": [0, 9]},
        {**guest, "name": "here", "pin": [0]},
    )
    machine.ends(console.VM_FAILED, console.BOOT_SECONDS)
    said = {
        name: re.findall(rf"(?:error|warning): VM {name}(?:: | does).*", machine.log)
        for name in ("nowhere", "somewhere", "here")
    }
    assert said == {
        "nowhere": ["error: VM nowhere: pin names processors 4,6-7, this machine has 1 (0)"],
        "somewhere": ["warning: VM somewhere: pin to processor 9 ignored, this machine has 1 (0)"],
        "here": [],
    }
    ended = re.findall(r"VM (\w+) ended: crash", machine.log)
    assert sorted(ended) == ["here", "somewhere"]


def flip(offset):
    def change(data):
        return data[:offset] + bytes([data[offset] ^ 0x40]) + data[offset + 1 :]

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(flip(8), id="version"),
        pytest.param(flip(80), id="checksum"),
        pytest.param(lambda data: data[:-1], id="cut-short"),
        pytest.param(lambda data: b"", id="empty"),
    ],
)
def test_damaged_manifest_is_refused_whole(tmp_path, boot_iso, change):
    bad = make_damaged_iso(tmp_path, [vm()], "manifest.bin", change)
    assert_refused(boot_iso(bad), "manifest")


def without_line(word):
    """GRUB's configuration without the module whose last word is `word`."""

    def change(data):
        lines = data.decode().split("\n")
        kept = [line for line in lines if not (line.startswith("module2") and line.endswith(word))]
        assert len(kept) == len(lines) - 1, lines
        return "\n".join(kept).encode()

    return change


@pytest.mark.parametrize("module", ["supervisor", "vmm", "manifest"])
def test_missing_program(tmp_path, boot_iso, module):
    bad = make_damaged_iso(tmp_path, [vm()], "grub.cfg", without_line(module))
    assert_refused(boot_iso(bad), module)


@pytest.mark.parametrize("module", ["file:0", "file:1"])
def test_missing_file_of_a_vm(tmp_path, boot_iso, module):
    bad = make_damaged_iso(tmp_path, [vm()], "grub.cfg", without_line(module))
    assert_not_started(boot_iso(bad), module, "missing")


def test_cut_file_of_a_vm(tmp_path, boot_iso):
    bad = make_damaged_iso(tmp_path, [vm()], "file-0", lambda data: data[:-4096])
    assert_not_started(boot_iso(bad), "file:0")


def assert_crashed(machine, name, *words):
    machine.ends(console.VM_FAILED, console.BOOT_SECONDS)
    ended = re.search(rf"^ringfence: VM {name} ended: crash: (.*)$", machine.log, re.M)
    assert ended, machine.log[-2000:]
    assert all(re.search(word, ended.group(1), re.I) for word in words), ended.group(0)
    assert "all VMs ended" in machine.log


def test_triple_fault_of_a_tiny_guest(ringfence, tmp_path, on):
    machine = ringfence(tiny_vm(tmp_path, "TRIPLE_FAULT"), **on)
    assert_crashed(machine, "triple-fault", "triple fault|shutdown")


def test_triple_fault_of_linux(ringfence):
    machine = ringfence(vm(cmdline='reboot=t rf.run="reboot -f"'))
    assert_crashed(machine, "debian", "triple fault|shutdown")


def test_guest_cannot_say_how_the_machine_ended(ringfence, tmp_path, on):
    machine = ringfence(tiny_vm(tmp_path, "IMPOSTOR"), **on)
    assert_crashed(machine, "impostor", "triple fault|shutdown")
    assert machine.log.count("ringfence: all VMs ended, powering off") == 2


def test_running_where_nothing_is(ringfence, tmp_path):
    assert_crashed(ringfence(tiny_vm(tmp_path, "UNBACKED")), "unbacked")


def test_vmm_that_crashes_takes_only_its_vm(ringfence, tmp_path, on):
    machine = ringfence(tiny_vm(tmp_path, "FAULT_VMM", **{"fault-vmm": True}), **on)
    assert_crashed(machine, "fault-vmm", "vmm")
    # The core itself went on: it reported, and ended in order.
    assert "panic" not in machine.log.lower()


def test_planted_fault_needs_the_manifest(ringfence, tmp_path):
    machine = ringfence(tiny_vm(tmp_path, "FAULT_VMM"))
    machine.expect("ringfence")
    with pytest.raises(AssertionError, match="still ran"):
        machine.wait(15)
    assert "ended: crash" not in machine.log


def test_kernel_that_is_none(ringfence, tmp_path, on):
    junk = tmp_path / "junk"
    junk.write_bytes(bytes(range(256)) * 64)
    machine = ringfence({"name": "junk", "kernel": str(junk), "memory": "16M"}, **on)
    assert_crashed(machine, "junk", "kernel|image|format")
