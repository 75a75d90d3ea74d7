"""The emulated machines of the measurements, what they start, and one run of each.

QEMU emulates AMD-V and counts instructions (-icount shift=0: one is one nanosecond and one tick of the
TSC); Bochs emulates both vendors' and counts them by nature (one is one tick; of several processors
that take turns, one of each).
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

QEMU = "qemu-system-x86_64 -accel tcg -cpu EPYC -machine q35 -m {memory} -display none -nic none"
QEMU += " -no-reboot -monitor none -device isa-debug-exit,iobase=0xf4,iosize=1"
QEMU += " -rtc base=2026-01-01,clock=vm -seed 1 -serial file:{console}"
COUNTED = " -icount shift=0,sleep=off"


def bochs(model="broadwell_ult", cpus=1):
    return (f"tools/bochs-machine --cpu {model} --cpus {cpus} --clock instructions "
            "--memory {memory}")


TICKS_PER_US = {"qemu": 1000, "bochs": 50}
CMDLINE = "console=ttyS0 quiet"
OVERHEAD = 256  # MiB of the machine that are not the guest's
TIMEOUT = 1200
POLL = 0.1

GRUB_LINUX = f"""set timeout=0
linux /boot/kernel {CMDLINE}
initrd /boot/initrd
boot
"""
GRUB_MULTIBOOT = """set timeout=0
multiboot /boot/kernel bare
boot
"""


def call(*command, **options):
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        check=False,
        **options,
    )
    if done.returncode:
        sys.exit(f"bench: {command[0]} failed:\n{done.stdout.decode(errors='replace')}")
    return done.stdout


# --- What they start -----------------------------------------------------------------------------
# From images that GRUB starts, as on a real machine, for what is timed and on Bochs; from QEMU's own
# loader for what is counted there: a CD's answers come when the host likes.


def write_manifest(folder, *vms):
    """Each VM is the values of its keys."""
    lines = ["vms:"]
    for vm in vms:
        words = [f"{key}: {value}" for key, value in {**vm, "test-exit": "true"}.items()]
        lines.append("  - " + "\n    ".join(words))
    manifest = folder / "manifest.yaml"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


def ringfence_loaded(folder, manifest):
    files = folder / "files"
    call(BUILD / "ringfence-image", "--manifest", manifest, "--output", files)
    modules = [f"{BUILD / 'core.elf'} emulator-exit"]
    modules += [f"{BUILD / program}.elf {program}" for program in ("supervisor", "vmm")]
    modules += [f"{files / 'manifest.bin'} manifest"]
    for number in range(len(list(files.glob("file-*")))):
        modules.append(f"{files}/file-{number} file:{number}")
    loader = BUILD / "tests" / "bench" / "loader.elf"
    return ["-kernel", str(loader), "-initrd", ",".join(modules)]


def ringfence_image(folder, manifest):
    iso = folder / "ringfence.iso"
    command = [BUILD / "ringfence-image", "--manifest", manifest, "--iso", iso]
    for program in ("core", "supervisor", "vmm"):
        command += [f"--{program}", BUILD / f"{program}.elf"]
    call(*command, "--core-cmdline", "emulator-exit")
    return iso


def bare_loaded(kernel, initrd=None):
    if not initrd:
        return ["-kernel", str(kernel), "-append", "bare"]
    return ["-kernel", str(kernel), "-initrd", str(initrd), "-append", CMDLINE]


def bare_image(folder, kernel, initrd=None):
    boot = folder / "bare" / "boot"
    (boot / "grub").mkdir(parents=True)
    text = GRUB_LINUX if initrd else GRUB_MULTIBOOT
    (boot / "grub" / "grub.cfg").write_text(text, encoding="utf-8")
    (boot / "kernel").write_bytes(kernel.read_bytes())
    if initrd:
        (boot / "initrd").write_bytes(initrd.read_bytes())
    iso = folder / "bare.iso"
    call("grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", iso, boot.parent)
    return iso


# --- Runs ----------------------------------------------------------------------------------------


def read(console):
    return console.read_text(encoding="utf-8", errors="replace").replace("\r", "")


def run(emulator, what, memory, last_line, ends=True):
    """One machine that starts `what`, from power-on until it ends, or until its last line when it never does.

    Returns its console and what it took of the host. A machine that did not say that line ends the
    measurement: what it printed until then must not pass for a result.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        console = pathlib.Path(folder) / "console"
        words = emulator.format(memory=memory, console=console).split() + what
        with open(console, "wb") as output:
            child = subprocess.Popen(  # pylint: disable=consider-using-with
                words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
            )
        pid = 0
        while not pid:
            time.sleep(POLL)
            late = time.monotonic() - began > TIMEOUT
            if late or (not ends and re.search(last_line, read(console), re.M)):
                os.kill(child.pid, signal.SIGTERM)
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        text = read(console)
        errors.seek(0)
        complaint = errors.read().decode(errors="replace")
    if not re.search(last_line, text, re.M):
        sys.exit(
            f"bench: a machine ended with status {child.returncode} after {seconds:.0f} s and has "
            f"not said {last_line!r}: {' '.join(words)}\n--- its console:\n{text[-3000:]}\n"
            f"--- the emulator:\n{complaint[-1000:]}"
        )
    return {"console": text, "wall": seconds, "cpu": usage.ru_utime}
