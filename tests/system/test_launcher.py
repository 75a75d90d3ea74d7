"""`./ringfence` as a newcomer uses it: options refused in one line, a guest at the terminal."""
import os
import pathlib
import re
import shutil
import subprocess

import pexpect
import pytest

from console import BOOT_SECONDS, GREETING, REPLY_SECONDS, ROOT, SCALE, Bochs, tiny_guest

LAUNCHER = str(ROOT / "ringfence")


def has_vmx():
    """Whether this host's own processor has VT-x."""
    return re.search(r"\bvmx\b", pathlib.Path("/proc/cpuinfo").read_text()) is not None


def call(*arguments, folder=ROOT):
    return subprocess.run(
        [LAUNCHER, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=BOOT_SECONDS * SCALE,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments, word",
    [
        (["fly"], "fly"),
        (["run", "--colour", "red"], "--colour"),
        (["run", "--kernel"], "--kernel"),
        (["run", "--kernel", "no/such/file"], "no/such/file"),
        (["run", "--initrd", "no/such/file"], "no/such/file"),
        (["run", "--manifest", "no/such/file"], "no/such/file"),
        (["run", "--memory", "lots"], "lots"),
        (["run", "--memory", "0M"], "0M"),
        (["run", "--cpus", "0"], "--cpus"),
        (["run", "--smp", "0"], "1 to 8"),
        (["run", "--smp", "9"], "1 to 8"),
        (["run", "--smp", "two"], "two"),
        (["run", "--smp"], "--smp"),
        (["run", "--timeout", "soon"], "soon"),
        (["run", "--machine", "arm"], "arm"),
        (["run", "--emulator", "simh"], "simh"),
        (["run", "--cpu", "a b"], "--cpu"),
        (["run", "--firmware", "coreboot"], "coreboot"),
        (["run", "--manifest", "README.md", "--memory", "1G"], "--memory"),
        (["image"], "-o"),
        (["image", "-o", "x.iso"], "--manifest"),
        (["image", "-o", "x.iso", "--manifest", "no/such/file"], "no/such/file"),
        (["test", "everything"], "everything"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(arguments, word):
    done = call(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert word in done.stderr
    assert done.stderr.startswith("ringfence: ") and done.stderr.count("\n") == 1


def test_no_command_shows_the_commands():
    done = call()
    assert done.returncode == 2 and "usage" in done.stderr


def test_help():
    done = call("help")
    assert done.returncode == 0 and done.stderr == ""
    for word in ("run", "test", "image", "--timeout", "--smp", "--firmware", "--emulator", "Ctrl-] x", "Ctrl-A h"):
        assert word in done.stdout


@pytest.mark.parametrize(
    "arguments, package", [([], "qemu-system-x86"), (["--machine", "intel"], "bochs")]
)
def test_without_root_and_sudo_it_names_the_packages(tmp_path, arguments, package):
    # A PATH where nothing is installed, nobody is root and there is no sudo.
    tools = {"dpkg-query": "exit 1", "id": "echo 1000", "apt-get": "exit 1"}
    for name, line in tools.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    for name in ("sh", "dirname", "grep", "cat"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    done = subprocess.run(
        [LAUNCHER, "run", *arguments],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f" {package} " in done.stderr and "make" in done.stderr
    assert done.stderr.count("\n") == 1


def terminal(*arguments):
    child = pexpect.spawn(
        LAUNCHER, ["run", *arguments], encoding="utf-8", codec_errors="replace", dimensions=(50, 200)
    )
    child.delaybeforesend = None
    return child


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments, patience",
    [pytest.param([], 1, id="amd"), pytest.param(["--machine", "intel"], Bochs.patience, id="intel")],
)
def test_newcomer_types_at_the_shell_and_powers_off(arguments, patience):
    child = terminal(*arguments)

    def expect(pattern, seconds=REPLY_SECONDS):
        child.expect(pattern, timeout=seconds * SCALE * patience)

    expect("machine: ", BOOT_SECONDS)
    expect(GREETING, BOOT_SECONDS)
    expect("# ")
    # Until the command itself runs, the key is the shell's.
    child.send("sh -c 'echo go\"\"ing; exec sleep 100000'\n")
    expect("going")
    child.send("\x03")
    expect("# ")
    child.send("echo $((6 * 7))-\n")
    expect("42-")
    child.send("poweroff\n")
    expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert "VM debian ended: power-off" in child.before


EMULATORS = [["--emulator", "qemu"], ["--emulator", "bochs"], ["--machine", "intel"]]


@pytest.mark.parametrize("arguments", EMULATORS)
def test_escape_keys_leave(arguments):
    child = terminal(*arguments)
    child.expect("root mode on", timeout=BOOT_SECONDS * SCALE)
    # Ctrl-A x would be the emulator's own: here it is Ringfence's, which says that it means nothing.
    child.send("\x01x")
    child.expect("Ctrl-A x means nothing", timeout=REPLY_SECONDS * SCALE)
    child.send("\x1dx")
    child.expect(pexpect.EOF, timeout=REPLY_SECONDS * SCALE)
    child.close()
    assert child.exitstatus == 1
    assert "left before" in child.before


def test_uefi():
    done = call("run", "--firmware", "uefi", "--cmdline", 'console=ttyS0 quiet rf.run="uname -a"')
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "rf.run: status 0" in done.stdout


@pytest.mark.parametrize("arguments", EMULATORS)
def test_timeout(arguments):
    done = call("run", "--timeout", "3", *arguments)
    assert done.returncode == 124
    assert "3 seconds" in done.stderr


@pytest.mark.parametrize("arguments", EMULATORS)
def test_crash_of_the_guest(tmp_path, arguments):
    kernel = tiny_guest(tmp_path, "TRIPLE_FAULT")
    # A path from where the user stands, not from where the launcher is.
    done = call("run", "--kernel", kernel.rsplit("/", 1)[1], *arguments, folder=tmp_path)
    assert done.returncode == 1
    assert "the guest failed" in done.stderr
    assert "ended: crash" in done.stdout


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        pytest.param(
            ["--machine", "intel", "--emulator", "qemu"],
            2,
            ["VT-x"],
            marks=pytest.mark.skipif(has_vmx(), reason="KVM may lend it"),
        ),
        (["--cpu", "z80"], 2, ["z80", "-cpu help"]),
        (["--machine", "intel", "--cpu", "z80"], 2, ["z80", "broadwell_ult"]),
        (["--machine", "intel", "--cpu", "corei5_lynnfield_750"], 3, ["did not start"]),
        (["--emulator", "bochs", "--memory", "4G"], 2, ["4352 MiB", "at most 3072 MiB"]),
    ],
)
def test_machine_that_cannot_be(tmp_path, arguments, status, words):
    done = call("run", "--kernel", tiny_guest(tmp_path, "HANG"), *arguments)
    assert done.returncode == status, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


# Stand-ins for the emulators: they keep what they are asked for, and end at once with "all ended".
RECORDERS = {
    "qemu-system-x86_64": """case $* in *help*) exec {real} "$@" ;; esac
        echo "$*" >{record}; exit 33""",
    "bochs-bin": """case $* in *help*) exec {real} "$@" ;; esac
        cat "$3" >{record}; printf '\\020'; exec sleep 60""",
}


def machine_asked_for(tmp_path, arguments, host_cpus):
    """What the launcher tells the emulator, on a host with so many processors."""
    folder, record = tmp_path / "bin", tmp_path / "record"
    folder.mkdir()
    scripts = {name: text.format(real=shutil.which(name), record=record) for name, text in RECORDERS.items()}
    scripts["nproc"] = f"echo {host_cpus}"
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    done = subprocess.run(
        [LAUNCHER, "run", "--kernel", tiny_guest(tmp_path, "HANG"), *arguments],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=BOOT_SECONDS * SCALE, stdin=subprocess.DEVNULL, check=False,
    )
    assert done.returncode == 0, done.stderr
    return record.read_text()


@pytest.mark.parametrize(
    "arguments, host_cpus, words",
    [
        ([], 1, "-smp 1 "),
        ([], 2, "-smp 2 "),
        (["--cpus", "4"], 16, "-smp 2 "),
        (["--smp", "8"], 1, "-smp 8 "),
        (["--emulator", "bochs"], 16, ", count=1,"),
        (["--machine", "intel", "--emulator", "bochs", "--smp", "4"], 1, ", count=4,"),
    ],
)
def test_processors_of_the_machine(tmp_path, arguments, host_cpus, words):
    assert words in machine_asked_for(tmp_path, arguments, host_cpus)


@pytest.mark.parametrize("cpus", ["0", "9", "-1"])
def test_bochs_machine_with_a_wrong_number_of_processors(tmp_path, cpus):
    (tmp_path / "iso").touch()
    tool = [ROOT / "tools" / "bochs-machine", "--iso", tmp_path / "iso", f"--cpus={cpus}"]
    done = subprocess.run(tool, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{cpus} processors: Bochs' machine has 1 to 8\n"


def test_wrong_manifest(tmp_path):
    manifest = tmp_path / "m.yaml"
    manifest.write_text("vms:\n  - name: a\n    colour: red\n")
    done = call("run", "--manifest", str(manifest))
    assert done.returncode == 2
    assert "m.yaml:3:" in done.stderr


def test_image(tmp_path):
    kernel = tiny_guest(tmp_path, "HANG")
    (tmp_path / "m.yaml").write_text(f"vms:\n  - {{name: a, kernel: {kernel}, memory: 16M}}\n")
    done = call("image", "-o", "out.iso", "--manifest", "m.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    listing = subprocess.run(["file", tmp_path / "out.iso"], capture_output=True, text=True, check=True)
    assert "bootable" in listing.stdout
