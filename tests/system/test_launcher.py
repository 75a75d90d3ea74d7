"""`./ringfence` as a newcomer uses it: options refused in one line, a guest at the terminal."""
import subprocess

import pexpect
import pytest

from console import BOOT_SECONDS, GREETING, REPLY_SECONDS, ROOT, SCALE, tiny_guest

LAUNCHER = str(ROOT / "ringfence")


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
        (["run", "--timeout", "soon"], "soon"),
        (["run", "--machine", "arm"], "arm"),
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
    for word in ("run", "test", "image", "--timeout", "--firmware"):
        assert word in done.stdout


def test_without_root_and_sudo_it_names_the_packages(tmp_path):
    # A PATH where nothing is installed, nobody is root and there is no sudo.
    tools = {"dpkg-query": "exit 1", "id": "echo 1000", "apt-get": "exit 1"}
    for name, line in tools.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    for name in ("sh", "dirname", "grep", "cat"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    done = subprocess.run(
        [LAUNCHER, "run"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "qemu-system-x86" in done.stderr and "make" in done.stderr
    assert done.stderr.count("\n") == 1


def terminal(*arguments):
    child = pexpect.spawn(
        LAUNCHER, ["run", *arguments], encoding="utf-8", codec_errors="replace", dimensions=(50, 200)
    )
    child.delaybeforesend = None
    return child


def test_newcomer_types_at_the_shell_and_powers_off():
    child = terminal()
    child.expect("machine: ", timeout=BOOT_SECONDS * SCALE)
    child.expect(GREETING, timeout=BOOT_SECONDS * SCALE)
    child.expect("# ", timeout=REPLY_SECONDS * SCALE)
    # While its editor has the line, the shell itself reads Ctrl-C: wait until the command runs.
    child.send("echo go''ing; sleep 1000\n")
    child.expect("going", timeout=REPLY_SECONDS * SCALE)
    child.send("\x03")
    child.expect("# ", timeout=REPLY_SECONDS * SCALE)
    child.send("echo $((6 * 7))-\n")
    child.expect("42-", timeout=REPLY_SECONDS * SCALE)
    child.send("poweroff\n")
    child.expect(pexpect.EOF, timeout=REPLY_SECONDS * SCALE)
    child.close()
    assert child.exitstatus == 0
    assert "VM debian ended: power-off" in child.before


def test_escape_keys_leave():
    child = terminal()
    child.expect(GREETING, timeout=BOOT_SECONDS * SCALE)
    child.send("\x01x")
    child.expect(pexpect.EOF, timeout=REPLY_SECONDS * SCALE)
    child.close()
    assert child.exitstatus == 1
    assert "left before" in child.before


def test_uefi():
    done = call("run", "--firmware", "uefi", "--cmdline", 'console=ttyS0 quiet rf.run="uname -a"')
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "rf.run: status 0" in done.stdout


def test_timeout():
    done = call("run", "--timeout", "3")
    assert done.returncode == 124
    assert "3 seconds" in done.stderr


def test_crash_of_the_guest(tmp_path):
    kernel = tiny_guest(tmp_path, "TRIPLE_FAULT")
    # A path from where the user stands, not from where the launcher is.
    done = call("run", "--kernel", kernel.rsplit("/", 1)[1], folder=tmp_path)
    assert done.returncode == 1
    assert "the guest failed" in done.stderr
    assert "ended: crash" in done.stdout


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
