"""An emulated machine whose serial console a test reads and types on.

`boot_iso` boots the real image, in QEMU or in Bochs; `boot_bare` boots a kernel without a hypervisor,
to compare with. Every wait ends: its seconds are multiplied by RINGFENCE_TIMEOUT_SCALE.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import pexpect
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
PROGRAMS = {"core": "core-debug.elf", "supervisor": "supervisor.elf", "vmm": "vmm.elf"}
OVMF = "/usr/share/ovmf/OVMF.fd"
SCALE = float(os.environ.get("RINGFENCE_TIMEOUT_SCALE", "1"))

BOOT_SECONDS = 240
REPLY_SECONDS = 120

# What the emulator ends with when the core says how it went: (value << 1) | 1.
ALL_ENDED = 33
VM_FAILED = 35
CORE_REFUSED = 37
CORE_PANICKED = 39

# The last line of the default guest's greeting.
GREETING = r"'poweroff' ends this machine"


def guest_file(name):
    return str(BUILD / "guest" / name)


def vm(name="debian", kernel="cloud", cmdline="", **keys):
    """One VM of a manifest: a stock kernel with the default initramfs."""
    return {
        "name": name,
        "kernel": guest_file(f"vmlinuz-{kernel}"),
        "initrd": guest_file("initramfs.cpio.gz"),
        "cmdline": f"console=ttyS0 quiet {cmdline}".strip(),
        "memory": "512M",
        "cpus": 1,
        **keys,
    }


def _call(*command):
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=120 * SCALE,
        check=False,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"


def write_manifest(folder, vms):
    manifest = folder / "manifest.yaml"
    manifest.write_text(yaml.safe_dump({"vms": vms}, sort_keys=False))
    return manifest


def make_iso(folder, vms, core_cmdline="emulator-exit no-apic-virtualization"):
    """Bochs' virtual interrupts are nothing for an operating system, see docs/emulators.md.

    Every test is one of the page tables and of the order of locks, too: what leads where it must
    not, or a lock out of its order, stops the machine.
    """
    iso = folder / "ringfence.iso"
    command = [BUILD / "ringfence-image", "--manifest", write_manifest(folder, vms), "--iso", iso]
    for program, file in PROGRAMS.items():
        command += [f"--{program}", BUILD / file]
    _call(*command, "--core-cmdline", f"{core_cmdline} audit".strip())
    return iso


class Machine:
    """An emulator whose standard input and output are the console."""

    patience = 1  # how many times longer than QEMU it may take

    def __init__(self, log, command):
        self.path = log
        self._log = open(log, "w", encoding="utf-8")
        self._child = pexpect.spawn(
            str(command[0]),
            [str(word) for word in command[1:]],
            encoding="utf-8",
            codec_errors="replace",
            dimensions=(50, 200),
        )
        self._child.logfile_read = self._log
        self._child.delaybeforesend = None

    @property
    def log(self):
        """Everything on the console so far, without QEMU's own warnings about TCG."""
        self._log.flush()
        lines = self.path.read_text(encoding="utf-8").replace("\r", "").split("\n")
        return "\n".join(line for line in lines if "TCG doesn't support" not in line)

    def _patient(self, seconds):
        return seconds * SCALE * self.patience

    def _fail(self, problem):
        tail = "\n".join(self.log.split("\n")[-40:])
        raise AssertionError(f"{problem}\n--- end of {self.path} ---\n{tail}") from None

    def expect(self, pattern, seconds=REPLY_SECONDS):
        """Waits for a regular expression on the console and returns its match."""
        try:
            self._child.expect(pattern, timeout=self._patient(seconds))
        except pexpect.TIMEOUT:
            self._fail(f"waited {self._patient(seconds):.0f} s for {pattern!r}")
        except pexpect.EOF:
            self._fail(f"the machine ended before {pattern!r}")
        return self._child.match

    def until(self, is_so, seconds=REPLY_SECONDS):
        """Reads what comes until something is so, which a line of the log need not show."""
        end = time.monotonic() + self._patient(seconds)
        while not is_so():
            if time.monotonic() > end:
                self._fail(f"waited {self._patient(seconds):.0f} s in vain")
            try:
                self._child.expect(pexpect.TIMEOUT, timeout=0.5)
            except pexpect.EOF:
                self._fail("the machine ended")

    def send(self, text):
        self._child.send(text)

    def boot_to_shell(self):
        self.expect(GREETING, BOOT_SECONDS)
        self.expect("# ")
        # The shell echoes what is typed; a narrow terminal would make it break lines.
        self.send("stty cols 1000\n")
        self.expect("# ")

    def run(self, command, seconds=REPLY_SECONDS):
        """Types a command at the guest's shell; returns its output; it must succeed."""
        self.send(f"{command}; echo status-$?-\n")
        self.expect(r"echo status-\$\?-\r*\n", seconds)
        match = self.expect(r"status-(\d+)-\r*\n", seconds)
        output = self._child.before.replace("\r", "")
        self.expect("# ", seconds)
        assert match.group(1) == "0", f"{command!r} failed in the guest:\n{output}"
        return output

    def wait(self, seconds=REPLY_SECONDS):
        """Waits until the emulator ends by itself; returns its exit status."""
        try:
            self._child.expect(pexpect.EOF, timeout=self._patient(seconds))
        except pexpect.TIMEOUT:
            self._fail(f"the machine still ran after {self._patient(seconds):.0f} s")
        self._child.close()
        return self._child.exitstatus

    def ends(self, status, seconds=REPLY_SECONDS):
        """Waits for the end and insists on the emulator's exit status."""
        got = self.wait(seconds)
        if got != status:
            self._fail(f"the machine ended with status {got}, expected {status}")

    def close(self):
        try:
            self._child.close(force=True)
        except pexpect.ExceptionPexpect:  # killed, but a large one takes its time to end
            self._child.wait()
        self._log.close()


class Qemu(Machine):
    """QEMU. With icount, time is instructions: a loaded test machine changes nothing but the wall
    time. That is so with one processor only: QEMU 7.2 lets the first of several run until its next
    timer, and one that waits for another without PAUSE or HLT, as Linux does, waits for ever."""

    def __init__(self, log, what, cpu="EPYC", memory=768, firmware="bios", icount="auto", cpus=1,
                 emulator="qemu-system-x86_64", extra=()):
        if icount == "auto":
            # OVMF waits 1.5 s for a TPM: minutes, if an instruction took a nanosecond.
            icount = "sleep=off" if cpus == 1 and firmware != "uefi" else None
        command = [emulator, "-machine", "q35", "-accel", "tcg", "-cpu", cpu, "-m", memory]
        command += ["-smp", cpus, "-display", "none", "-nic", "none", "-monitor", "none"]
        # A folder of its own: the path of a socket must be short.
        self._folder = tempfile.TemporaryDirectory(prefix="ringfence.")
        self._monitor = f"{self._folder.name}/monitor"
        command += ["-qmp", f"unix:{self._monitor},server=on,wait=off"]
        command += ["-no-reboot", "-chardev", "stdio,id=console,signal=off"]
        command += ["-serial", "chardev:console"]
        command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        if icount:
            command += ["-icount", f"shift=0,{icount}", "-rtc", "base=2026-01-01,clock=vm"]
        if firmware == "uefi":
            command += ["-bios", OVMF]
        super().__init__(log, [*command, *extra, *what])

    @classmethod
    def with_cd(cls, log, iso, **options):
        return cls(log, ["-cdrom", iso], **options)

    def _command(self, name, **arguments):
        """Has QEMU itself do something; returns what it answers."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(REPLY_SECONDS * SCALE)
            monitor.connect(self._monitor)
            with monitor.makefile("rw", encoding="utf-8") as lines:
                assert "QMP" in json.loads(lines.readline())
                for request in ({"execute": "qmp_capabilities"},
                                {"execute": name, "arguments": arguments}):
                    lines.write(json.dumps(request) + "\n")
                    lines.flush()
                    replies = (json.loads(line) for line in lines)
                    reply = next(reply for reply in replies if "event" not in reply)
                    assert "return" in reply, reply
                return reply["return"]

    def press_power_button(self):
        """Of the machine itself."""
        self._command("system_powerdown")

    def monitor(self, line):
        """What QEMU itself says about the machine."""
        return self._command("human-monitor-command", **{"command-line": line})

    def instructions(self):
        """How many the processor has executed; with icount only. Those in HLT are none."""
        return self._command("query-replay")["icount"]

    def close(self):
        super().close()
        self._folder.cleanup()


class Bochs(Machine):
    """Bochs, as the launcher runs it, but for its clock: time is instructions."""

    patience = 3
    MHZ = 50  # instructions, and so TSC ticks, in a second

    def __init__(self, log, iso, cpu="broadwell_ult", memory=768, firmware="bios", cpus=1,
                 extra=()):
        self.own_log = log.with_suffix(".bochs")
        command = [ROOT / "tools" / "bochs-machine", "--iso", iso, "--cpu", cpu, "--memory", memory]
        command += ["--firmware", firmware, "--cpus", cpus, "--clock", "instructions"]
        super().__init__(log, [*command, "--log", self.own_log, *extra])

    @classmethod
    def with_cd(cls, log, iso, **options):
        return cls(log, iso, **options)


# Machines that differ enough to run the same test on each: options of boot_iso.
MACHINES = {
    "qemu": {},
    "bochs-intel": {"kind": Bochs, "cpu": "broadwell_ult"},
    "bochs-amd": {"kind": Bochs, "cpu": "ryzen"},
}


def boot_iso(log, iso, kind=Qemu, **options):
    return kind.with_cd(log, iso, **options)


def boot_bare(log, kernel="cloud", cmdline="", **options):
    """The same guest on the emulated machine itself."""
    what = ["-kernel", guest_file(f"vmlinuz-{kernel}"), "-initrd", guest_file("initramfs.cpio.gz")]
    return Qemu(log, what + ["-append", f"console=ttyS0 quiet {cmdline}".strip()], **options)


# --- Images with a defect that ringfence-image would never write ---------------------------------


def make_damaged_iso(folder, vms, name, change):
    """An image in which one file, named `name`, went through `change(bytes) -> bytes`."""
    root = folder / "root"
    boot = root / "boot"
    (boot / "grub").mkdir(parents=True)
    files = folder / "files"
    command = [BUILD / "ringfence-image", "--manifest", write_manifest(folder, vms)]
    _call(*command, "--output", files, "--core-cmdline", "emulator-exit")
    for file in files.iterdir():
        file.rename(boot / ("grub/grub.cfg" if file.name == "grub.cfg" else file.name))
    for program, file in PROGRAMS.items():
        shutil.copy(BUILD / file, boot / f"{program}.elf")
    (damaged,) = root.rglob(name)
    damaged.write_bytes(change(damaged.read_bytes()))
    iso = folder / "damaged.iso"
    modules = "--install-modules=multiboot2 normal all_video cpuid part_msdos"
    _call("grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", modules, "-o", iso, root)
    return iso


# --- Guests of a few instructions ----------------------------------------------------------------


def tiny_guest(folder, name):
    """Assembles one of the guests in guests/multiboot.S; returns the VM's kernel."""
    elf = folder / f"{name.lower()}.elf"
    command = ["gcc", "-m32", "-nostdlib", "-static", "-no-pie", f"-DGUEST_{name}"]
    command += ["-Wl,-n,-Ttext=0x100000,--build-id=none,-z,noexecstack", "-o", elf]
    source = ROOT / "tests" / "system" / "guests" / "multiboot.S"
    _call(*command, source)
    return str(elf)


def tiny_vm(folder, guest, **keys):
    kernel = tiny_guest(folder, guest)
    return {"name": guest.lower().replace("_", "-"), "kernel": kernel, "memory": "16M", **keys}
