"""The core's log is on the screen, whatever firmware and mode: text, or pixels of 24 or 32 bits."""
import re

import pytest

import console
from console import make_damaged_iso, make_iso, tiny_vm
from display import BochsScreen, Monitor

SAID = "starting the supervisor"


def log_lines(machine):
    """What the core itself said on the serial port."""
    return re.findall(r"ringfence: .*", machine.log)


def wrapped(lines, columns=80):
    """As a narrow screen shows them."""
    return [line[i : i + columns].rstrip() for line in lines for i in range(0, len(line), columns)]


def grub(mode, option):
    """An edit of the image's grub.cfg: multiboot2 has set gfxpayload, boot reads it."""

    def change(data):
        text = data.decode().replace("emulator-exit", option)
        assert text.endswith("\nboot\n"), text
        if mode:
            text = text.removesuffix("boot\n") + f"set gfxpayload={mode}\nboot\n"
        return text.encode()

    return change


def boot_in_mode(tmp_path, boot_iso, mode, *qemu, guest="HANG", option="emulator-exit"):
    """Boots with GRUB's choice of a video mode, or with one that it is told."""
    monitor = Monitor(tmp_path)
    vms = [tiny_vm(tmp_path, guest)]
    iso = make_damaged_iso(tmp_path, vms, "grub.cfg", grub(mode, option))
    machine = boot_iso(iso, extra=[*monitor.options, *qemu])
    return machine, monitor


def test_uefi(tmp_path, boot_iso):
    monitor = Monitor(tmp_path)
    iso = make_iso(tmp_path, [tiny_vm(tmp_path, "HANG")])
    machine = boot_iso(iso, firmware="uefi", extra=monitor.options)
    machine.expect(SAID, console.BOOT_SECONDS)
    _, lines = monitor.graphics_lines()
    said = log_lines(machine)
    assert lines[: len(said)] == said
    assert not any(lines[len(said) :])


@pytest.mark.parametrize(
    "mode, size, scale, qemu",
    [
        pytest.param(None, None, 1, [], id="chosen"),
        pytest.param("800x600x32", (800, 600), 1, [], id="32"),
        pytest.param("800x600x24", (800, 600), 1, [], id="24"),
        pytest.param(
            "2560x1440x32",
            (2560, 1440),
            2,
            ["-vga", "none", "-device", "VGA,vgamem_mb=32,xres=2560,yres=1440"],
            id="large",
        ),
    ],
)
def test_bios_graphics(tmp_path, boot_iso, mode, size, scale, qemu):
    machine, monitor = boot_in_mode(tmp_path, boot_iso, mode, *qemu)
    machine.expect(SAID, console.BOOT_SECONDS)
    shown, lines = monitor.graphics_lines(scale)
    assert size in (None, shown)
    said = log_lines(machine)
    assert lines[: len(said)] == said
    assert not any(lines[len(said) :])


def test_bios_text(tmp_path, boot_iso):
    machine, monitor = boot_in_mode(tmp_path, boot_iso, "text")
    machine.expect(SAID, console.BOOT_SECONDS)
    lines = monitor.text_mode_lines()
    said = wrapped(log_lines(machine))
    assert lines[: len(said)] == said
    assert not any(lines[len(said) :])


def test_bochs_text(tmp_path, boot_iso, in_bochs):
    change = grub("text", "emulator-exit")
    iso = make_damaged_iso(tmp_path, [tiny_vm(tmp_path, "HANG")], "grub.cfg", change)
    machine = boot_iso(iso, extra=BochsScreen.options, **in_bochs)
    machine.expect(SAID, console.BOOT_SECONDS)
    lines = BochsScreen(machine).text_mode_lines()
    said = wrapped(log_lines(machine))
    assert lines[: len(said)] == said
    assert not any(lines[len(said) :])


@pytest.mark.parametrize("mode", ["text", "640x480x32"])
def test_panic_scrolls(tmp_path, boot_iso, mode):
    machine, monitor = boot_in_mode(tmp_path, boot_iso, mode, guest="BUSY", option="panic-test")
    # The machine stays on, so that its screen can be read.
    machine.expect("the machine can be switched off now", console.BOOT_SECONDS)
    lines = monitor.text_mode_lines() if mode == "text" else monitor.graphics_lines()[1]
    shown = [line for line in lines if line]
    said = wrapped(log_lines(machine))
    assert len(said) > len(lines), "nothing scrolled"
    assert shown == [line for line in said if line][-len(shown) :]
    assert len(shown) >= len(lines) - 1
    assert any(re.search("stopped by: planted", line) for line in shown)


def assert_refused_on_the_text_screen(machine, monitor):
    machine.expect("this processor has no 64-bit mode", console.BOOT_SECONDS)
    machine.expect("halted", console.REPLY_SECONDS)
    text = "".join(line.ljust(80) for line in monitor.text_mode_lines())
    assert text.startswith("ringfence: this processor has no 64-bit mode")
    assert text.rstrip().endswith("; halted")


@pytest.mark.parametrize(
    "emulator, cpu", [("qemu-system-i386", "qemu32"), ("qemu-system-x86_64", "EPYC,-lm")]
)
def test_processor_without_long_mode(tmp_path, boot_iso, emulator, cpu):
    monitor = Monitor(tmp_path)
    # Without the option, because the end of the emulator would be the end of its screen.
    iso = make_iso(tmp_path, [tiny_vm(tmp_path, "HANG")], "")
    machine = boot_iso(iso, icount=None, emulator=emulator, cpu=cpu, extra=monitor.options)
    assert_refused_on_the_text_screen(machine, monitor)


@pytest.mark.parametrize(
    "emulator, cpu", [("qemu-system-i386", "qemu32"), ("qemu-system-x86_64", "EPYC,-nx")]
)
def test_refusal_before_c_has_its_status(tmp_path, boot_iso, emulator, cpu):
    iso = make_iso(tmp_path, [tiny_vm(tmp_path, "HANG")])
    machine = boot_iso(iso, icount=None, emulator=emulator, cpu=cpu)
    machine.ends(console.CORE_REFUSED, console.BOOT_SECONDS)
    assert "this processor has no 64-bit mode" in machine.log
