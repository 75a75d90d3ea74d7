"""ringfence-image: what it refuses, with the exact place; what it writes; and that it leaves nothing behind."""

import os
import resource
import signal
import struct
import subprocess
import time
import zlib
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
TOOL = REPO / "build" / "ringfence-image"

HEADER = struct.Struct("<QIIIIII")
VM = struct.Struct("<32s2048sQIIIIIIIIQ")
FILE = struct.Struct("<QII")
NO_FILE = 0xFFFFFFFF
ANY_CPU = 2**64 - 1
MIB = 1 << 20

EXPECT_NAME = "expected a name of 1 to 31 characters a-z, 0-9 and -"
EXPECT_KERNEL = "expected the kernel image, a path relative to the manifest"
EXPECT_INITRD = "expected an initial RAM disk, a path relative to the manifest"
EXPECT_CMDLINE = "expected a command line of at most 2047 bytes"
EXPECT_MEMORY = "expected a multiple of 2M from 2M to 1024G, such as 512M"
EXPECT_CPUS = "expected a number from 1 to 64"
EXPECT_WEIGHT = "expected a number from 1 to 10000"
EXPECT_CAP = "expected percent of one processor, a number from 1 to 6400"
EXPECT_PIN = "expected a list of processors from 0 to 63, such as [0, 2]"
EXPECT_PROCESSOR = "expected a processor's number from 0 to 63"
EXPECT_RESTART = "expected never, on-failure or always"
EXPECT_KEYS = (
    "expected name, kernel, initrd, cmdline, memory, cpus, weight, cap, pin, restart, "
    "debug-port, test-exit or fault-vmm"
)

GOOD = "vms:\n  - name: a\n    kernel: k\n    memory: 4M\n"


@pytest.fixture
def place(tmp_path):
    """A directory with a manifest's files: a kernel, an initrd, and what is none."""
    (tmp_path / "k").write_bytes(b"kernel" * 1000)
    (tmp_path / "i").write_bytes(b"initrd" * 100)
    (tmp_path / "big").write_bytes(b"\0" * (3 * MIB))
    (tmp_path / "empty").touch()
    (tmp_path / "dir").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(4 << 30)
    for name in ("core.elf", "supervisor.elf", "vmm.elf"):
        (tmp_path / name).write_bytes(name.encode() * 10)
    return tmp_path


def run(place, *arguments, env=None):
    return subprocess.run(
        [TOOL, *arguments], cwd=place, env=env, capture_output=True, text=True, timeout=60
    )


def snapshot(place):
    return sorted(path.relative_to(place) for path in place.rglob("*"))


def iso_arguments(place, manifest="m.yaml"):
    programs = []
    for name in ("core", "supervisor", "vmm"):
        programs += [f"--{name}", f"{name}.elf"]
    return ["--manifest", manifest, "--iso", "out.iso", *programs]


def assert_refused(place, text, *lines):
    """Every way to run refuses the manifest with exactly these lines and writes nothing."""
    data = text if isinstance(text, bytes) else text.encode()
    (place / "m.yaml").write_bytes(data)
    before = snapshot(place)
    for more in ([], ["--output", "out"], iso_arguments(place)[2:]):
        result = run(place, "--manifest", "m.yaml", *more)
        assert result.stderr.splitlines() == [f"m.yaml:{line}" for line in lines]
        assert result.returncode == 2
        assert result.stdout == ""
    assert snapshot(place) == before


def write_directory(place, text, manifest="m.yaml", output="out"):
    (place / manifest).write_text(text)
    result = run(place, "--manifest", manifest, "--output", output)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    return place / output


def parse_blob(blob):
    """The blob as the header's fields, VMs and files, checksum checked."""
    magic, version, length, crc, vm_count, file_count, reserved = HEADER.unpack_from(blob)
    assert (magic.to_bytes(8, "little"), version, reserved) == (b"RINGMANF", 2, 0)
    assert length == len(blob) == HEADER.size + vm_count * VM.size + file_count * FILE.size
    assert crc == zlib.crc32(blob[:16] + bytes(4) + blob[20:])
    vms = [VM.unpack_from(blob, HEADER.size + i * VM.size) for i in range(vm_count)]
    start = HEADER.size + vm_count * VM.size
    files = [FILE.unpack_from(blob, start + i * FILE.size) for i in range(file_count)]
    return vms, files


def text_of(field):
    text, _, padding = field.partition(b"\0")
    assert padding.strip(b"\0") == b""
    return text.decode()


# One bad value of one key: the YAML line after "  - name: a\n    kernel: k\n    memory: 4M\n" or in
# place of the line with that key, and the complaint from its column on.
BAD_VALUES = [
    ("name", '""', f'11: found "", {EXPECT_NAME}'),
    ("name", "Debian", f'11: found "Debian", {EXPECT_NAME}'),
    ("name", "a_b", f'11: found "a_b", {EXPECT_NAME}'),
    ("name", "é", f'11: found "é", {EXPECT_NAME}'),
    ("name", "a" * 32, f'11: found "{"a" * 32}", {EXPECT_NAME}'),
    ("name", "[a]", f"11: found a list, {EXPECT_NAME}"),
    ("name", "", f"10: found nothing, {EXPECT_NAME}"),
    ("name", "~", f"11: found nothing, {EXPECT_NAME}"),
    ("name", "null", f"11: found nothing, {EXPECT_NAME}"),
    ("name", "!!int 3", f"11: found the tag tag:yaml.org,2002:int, {EXPECT_NAME} without a tag"),
    ("kernel", "{a: b}", f"13: found a mapping, {EXPECT_KERNEL}"),
    ("kernel", '""', f'13: found "", {EXPECT_KERNEL}'),
    ("kernel", "none", f"13: found at @/none: No such file or directory; {EXPECT_KERNEL}"),
    ("kernel", "/none/k", f"13: found at /none/k: No such file or directory; {EXPECT_KERNEL}"),
    ("kernel", "empty", f"13: found at @/empty: an empty file; {EXPECT_KERNEL}"),
    ("kernel", "dir", f"13: found at @/dir: not a regular file; {EXPECT_KERNEL}"),
    ("kernel", "fifo", f"13: found at @/fifo: not a regular file; {EXPECT_KERNEL}"),
    ("kernel", "huge", f"13: found at @/huge: a file of 4G or more; {EXPECT_KERNEL}"),
    ("initrd", "none", f"13: found at @/none: No such file or directory; {EXPECT_INITRD}"),
    ("initrd", "", f"12: found nothing, {EXPECT_INITRD}"),
    ("cmdline", "x" * 2048, f"14: found 2048 bytes, {EXPECT_CMDLINE}"),
    ("cmdline", "[a, b]", f"14: found a list, {EXPECT_CMDLINE}"),
    ("cmdline", '"a\\nb"', f"14: found a line break or control character, {EXPECT_CMDLINE}"),
    ("cmdline", '"a\\0b"', f"14: found a line break or control character, {EXPECT_CMDLINE}"),
    ("cmdline", "|\n      a", f"14: found a line break or control character, {EXPECT_CMDLINE}"),
    ("memory", "0", f'13: found "0", {EXPECT_MEMORY}'),
    ("memory", "0M", f'13: found "0M", {EXPECT_MEMORY}'),
    ("memory", "512", f'13: found "512", {EXPECT_MEMORY}'),
    ("memory", "M", f'13: found "M", {EXPECT_MEMORY}'),
    ("memory", "-2M", f'13: found "-2M", {EXPECT_MEMORY}'),
    ("memory", "1.5G", f'13: found "1.5G", {EXPECT_MEMORY}'),
    ("memory", "512MB", f'13: found "512MB", {EXPECT_MEMORY}'),
    ("memory", "3M", f'13: found "3M", {EXPECT_MEMORY}'),
    ("memory", "2050K", f'13: found "2050K", {EXPECT_MEMORY}'),
    ("memory", "1025G", f'13: found "1025G", {EXPECT_MEMORY}'),
    ("memory", "18446744073709551618M", f'13: found "18446744073709551618M", {EXPECT_MEMORY}'),
    ("memory", "17179869186G", f'13: found "17179869186G", {EXPECT_MEMORY}'),
    ("memory", "{}", f"13: found a mapping, {EXPECT_MEMORY}"),
    ("cpus", "0", f'11: found "0", {EXPECT_CPUS}'),
    ("cpus", "65", f'11: found "65", {EXPECT_CPUS}'),
    ("cpus", "4294967297", f'11: found "4294967297", {EXPECT_CPUS}'),
    ("cpus", "two", f'11: found "two", {EXPECT_CPUS}'),
    ("cpus", "1x", f'11: found "1x", {EXPECT_CPUS}'),
    ("weight", "0", f'13: found "0", {EXPECT_WEIGHT}'),
    ("weight", "10001", f'13: found "10001", {EXPECT_WEIGHT}'),
    ("weight", "4294967552", f'13: found "4294967552", {EXPECT_WEIGHT}'),
    ("weight", "-1", f'13: found "-1", {EXPECT_WEIGHT}'),
    ("weight", "1.5", f'13: found "1.5", {EXPECT_WEIGHT}'),
    ("weight", "", f"12: found nothing, {EXPECT_WEIGHT}"),
    ("weight", "[1]", f"13: found a list, {EXPECT_WEIGHT}"),
    ("cap", "0", f'10: found "0", {EXPECT_CAP}'),
    ("cap", "6401", f'10: found "6401", {EXPECT_CAP}'),
    ("cap", "50%", f'10: found "50%", {EXPECT_CAP}'),
    ("cap", "none", f'10: found "none", {EXPECT_CAP}'),
    ("cap", "~", f"10: found nothing, {EXPECT_CAP}"),
    ("pin", "[]", f"10: found an empty list, {EXPECT_PIN}"),
    ("pin", "", f"9: found nothing, {EXPECT_PIN}"),
    ("pin", "2", f'10: found "2", {EXPECT_PIN}'),
    ("pin", '"[0, 2]"', f'10: found "[0, 2]", {EXPECT_PIN}'),
    ("pin", "{0: 1}", f"10: found a mapping, {EXPECT_PIN}"),
    ("pin", "!!set [0]", f"10: found the tag tag:yaml.org,2002:set, {EXPECT_PIN} without a tag"),
    ("pin", "[0, 64]", f'14: found "64", {EXPECT_PROCESSOR}'),
    ("pin", "[18446744073709551616]", f'11: found "18446744073709551616", {EXPECT_PROCESSOR}'),
    ("pin", "[-1]", f'11: found "-1", {EXPECT_PROCESSOR}'),
    ("pin", "[0-3]", f'11: found "0-3", {EXPECT_PROCESSOR}'),
    ("pin", "[all]", f'11: found "all", {EXPECT_PROCESSOR}'),
    ("pin", "[1, ~]", f"14: found nothing, {EXPECT_PROCESSOR}"),
    ("pin", "[[1]]", f"11: found a list, {EXPECT_PROCESSOR}"),
    ("pin", "[2, 0, 2]", "17: found processor 2 again (the first is at 5:11), expected it once"),
    ("pin", "[1, 01]", "14: found processor 1 again (the first is at 5:11), expected it once"),
    ("restart", "sometimes", f'14: found "sometimes", {EXPECT_RESTART}'),
    ("debug-port", "yes", '17: found "yes", expected true or false'),
    ("test-exit", "1", '16: found "1", expected true or false'),
    ("fault-vmm", "True", '16: found "True", expected true or false'),
    ("fault-vmm", "[]", "16: found a list, expected true or false"),
]


@pytest.mark.parametrize("key, value, complaint", BAD_VALUES, ids=lambda v: str(v)[:24])
def test_bad_value_is_refused_at_its_place(place, key, value, complaint):
    lines = {"name": "a", "kernel": "k", "memory": "4M", key: value}
    text = "vms:\n"
    for row, (name, content) in enumerate(lines.items()):
        text += ("  - " if row == 0 else "    ") + f"{name}: {content}".rstrip(" ") + "\n"
    line = 2 + list(lines).index(key)
    assert_refused(place, text, f"{line}:{complaint}".replace("@", str(place)))


# A whole manifest and every line of complaint.
BAD_MANIFESTS = {
    "empty file": ("", ['1:1: found an empty manifest, expected the key "vms"']),
    "comment only": ("# x\n", ['1:1: found an empty manifest, expected the key "vms"']),
    "scalar root": ("vms\n", ['1:1: found no mapping, expected the key "vms"']),
    "list root": ("- name: a\n", ['1:1: found no mapping, expected the key "vms"']),
    "empty root": ("{}\n", ['1:1: found no key, expected the key "vms"']),
    "wrong root key": ("\n vm: []\n", ['2:2: found the unknown key "vm", expected "vms"']),
    "two roots": (GOOD + "vms: []\n", ['5:1: found "vms" again, expected it once']),
    "list as key": ("[a]: b\n", ['1:1: found a list, expected the key "vms"']),
    "no list": ("vms: a\n", ["1:6: found no VM, expected a list of 1 to 64 VMs"]),
    "empty list": ("vms: []\n", ["1:6: found no VM, expected a list of 1 to 64 VMs"]),
    "nothing": ("vms:\n", ["1:5: found no VM, expected a list of 1 to 64 VMs"]),
    "mapping for list": ("vms: {a: b}\n", ["1:6: found no VM, expected a list of 1 to 64 VMs"]),
    "scalar VM": ("vms:\n  - debian\n", ["2:5: found no mapping, expected the keys of a VM"]),
    "list VM": ("vms: [[a]]\n", ["1:7: found no mapping, expected the keys of a VM"]),
    "typo": (GOOD + "    cmdlin: x\n", ['5:5: found the unknown key "cmdlin", expected "cmdline"?']),
    "capital": (GOOD + "    Cpus: 1\n", ['5:5: found the unknown key "Cpus", expected "cpus"?']),
    "two edits": (GOOD + "    restrat: x\n", ['5:5: found the unknown key "restrat", expected "restart"?']),
    "far key": (GOOD + "    disk: x\n", [f'5:5: found the unknown key "disk", {EXPECT_KEYS}']),
    "far from a short key": (
        GOOD + "    ram: x\n",
        [f'5:5: found the unknown key "ram", {EXPECT_KEYS}'],
    ),
    "near a short key": (
        GOOD + "    pins: [0]\n",
        ['5:5: found the unknown key "pins", expected "pin"?'],
    ),
    "two swapped letters": (
        GOOD.replace("name", "naem"),
        [
            '2:5: found the unknown key "naem", expected "name"?',
            f'2:5: found a VM without "name", {EXPECT_NAME}',
        ],
    ),
    "every wrong processor": (
        GOOD + "    pin:\n      - 64\n      - 1\n      - x\n      - 1\n",
        [
            f'6:9: found "64", {EXPECT_PROCESSOR}',
            f'8:9: found "x", {EXPECT_PROCESSOR}',
            "9:9: found processor 1 again (the first is at 7:9), expected it once",
        ],
    ),
    "merge key": (GOOD + "    <<: {}\n", [f'5:5: found the unknown key "<<", {EXPECT_KEYS}']),
    "mapping as key": (GOOD + "    {a: b}: x\n", ["5:5: found a mapping, expected a key"]),
    "key twice": (
        GOOD + "    memory: 6M\n",
        ['5:5: found "memory" again (the first is at 4:5), expected it once'],
    ),
    "nothing given": (
        "vms:\n  - cpus: 1\n",
        [
            f'2:5: found a VM without "name", {EXPECT_NAME}',
            f'2:5: found a VM without "kernel", {EXPECT_KERNEL}',
            f'2:5: found a VM without "memory", {EXPECT_MEMORY}',
        ],
    ),
    "name twice": (
        GOOD + "  - name: b\n    kernel: k\n    memory: 4M\n"
        "  - kernel: k\n    memory: 4M\n    name: 'a'\n",
        [
            '10:11: found a second VM named "a" (the first is at 2:11), '
            "expected a name of its own"
        ],
    ),
    "kernel larger than memory": (
        "vms:\n  - name: a\n    kernel: big\n    memory: 2M\n",
        ["4:13: found less memory than kernel and initrd take, expected 4M or more"],
    ),
    "initrd larger than memory": (
        "vms:\n  - {name: a, kernel: big, initrd: ./big, memory: 4M}\n",
        ["2:51: found less memory than kernel and initrd take, expected 6M or more"],
    ),
    "all at once": (
        "vms:\n  - name: A\n    kernal: k\n    memory: 1M\n  - name: b\n    cpus: no\n",
        [
            f'2:11: found "A", {EXPECT_NAME}',
            '3:5: found the unknown key "kernal", expected "kernel"?',
            f'4:13: found "1M", {EXPECT_MEMORY}',
            f'2:5: found a VM without "kernel", {EXPECT_KERNEL}',
            f'6:11: found "no", {EXPECT_CPUS}',
            f'5:5: found a VM without "kernel", {EXPECT_KERNEL}',
            f'5:5: found a VM without "memory", {EXPECT_MEMORY}',
        ],
    ),
    "second document": (
        GOOD + "---\nvms: []\n",
        ["6:1: found a second document, expected the end of the file"],
    ),
    "indentation": (
        "vms:\n  - name: a\n   kernel: b\n",
        [
            "3:4: found YAML that does not parse: did not find expected '-' indicator "
            "(while parsing a block collection at 2:3)"
        ],
    ),
    "tab": (
        "vms:\n\t- name: a\n",
        [
            "2:1: found YAML that does not parse: found character that cannot start any token "
            "(while scanning for the next token at 2:1)"
        ],
    ),
    "open list": (
        "vms: [a, b",
        [
            "2:1: found YAML that does not parse: did not find expected ',' or ']' "
            "(while parsing a flow sequence at 1:6)"
        ],
    ),
    "unknown alias": (
        "vms: *x\n",
        ["1:6: found YAML that does not parse: found undefined alias"],
    ),
    "after the document": (
        GOOD + "...\n]\n",
        [
            "6:1: found YAML that does not parse: did not find expected <document start>",
        ],
    ),
    "no text": (
        b"vms:\n - n\xc3\xa9\xffme: x\n",
        ["2:6: found YAML that does not parse: invalid leading UTF-8 octet"],
    ),
    "control character": (
        b"vms:\n - name: a\x01b\n",
        ["2:11: found YAML that does not parse: control characters are not allowed"],
    ),
}


@pytest.mark.parametrize("case", BAD_MANIFESTS)
def test_bad_manifest_is_refused_at_its_place(place, case):
    text, lines = BAD_MANIFESTS[case]
    assert_refused(place, text, *lines)


def test_too_many_vms_are_refused_at_the_first_too_many(place):
    vms = "".join(f"  - {{name: vm-{i}, kernel: k, memory: 4M}}\n" for i in range(65))
    assert_refused(place, "vms:\n" + vms, "66:5: found one VM more, expected at most 64")


def test_unreadable_file_is_refused(place):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (place / "k").chmod(0)
    assert_refused(place, GOOD, f"3:13: found at {place}/k: Permission denied; {EXPECT_KERNEL}")


@pytest.mark.parametrize(
    "manifest, reason",
    [("none.yaml", "No such file or directory"), ("dir", "Is a directory"), ("huge", "File too large")],
)
def test_unreadable_manifest_is_refused(place, manifest, reason):
    result = run(place, "--manifest", manifest)
    assert result.returncode == 2
    assert result.stderr == f"{manifest}: cannot read the manifest: {reason}\n"


def test_blob_says_what_the_manifest_says(place):
    out = write_directory(
        place,
        "# comment\n"
        "vms:\n"
        "  - name: debian-12\n"
        "    kernel: k\n"
        "    initrd: i\n"
        "    cmdline: >-\n"
        "      console=ttyS0\n"
        "      quiet\n"
        "    memory: 1024G\n"
        "    cpus: 64\n"
        "    weight: 10000\n"
        "    cap: 6400\n"
        "    pin: [63, 0]\n"
        "    restart: on-failure\n"
        "    debug-port: true\n"
        "    test-exit: false\n"
        "  - {memory: 2048K, kernel: ./k, name: '1', test-exit: true, fault-vmm: true}\n"
        f"  - {{name: {'a' * 31}, kernel: {place}/big, memory: 4M, restart: always, cmdline: ''}}\n"
        f"  - {{name: d, kernel: k, memory: 2M, restart: never, cmdline: {'x' * 2047}}}\n"
        "  - {name: e, kernel: k, memory: 2M, weight: 1, cap: 1, pin: [2]}\n"
        f"  - {{name: f, kernel: k, memory: 2M, pin: {list(range(64))}}}\n",
    )
    vms, files = parse_blob((out / "manifest.bin").read_bytes())
    rows = [(text_of(vm[0]), text_of(vm[1]), *vm[2:]) for vm in vms]
    #   name, cmdline, memory, cpus, restart, kernel, initrd, flags, weight, cap, reserved, pin
    assert rows == [
        ("debian-12", "console=ttyS0 quiet", 1 << 40, 64, 1, 0, 1, 1, 10000, 6400, 0, 1 << 63 | 1),
        ("1", "", 2 * MIB, 1, 0, 0, NO_FILE, 6, 256, 0, 0, ANY_CPU),
        ("a" * 31, "", 4 * MIB, 1, 2, 2, NO_FILE, 0, 256, 0, 0, ANY_CPU),
        ("d", "x" * 2047, 2 * MIB, 1, 0, 0, NO_FILE, 0, 256, 0, 0, ANY_CPU),
        ("e", "", 2 * MIB, 1, 0, 0, NO_FILE, 0, 1, 1, 0, 1 << 2),
        ("f", "", 2 * MIB, 1, 0, 0, NO_FILE, 0, 256, 0, 0, ANY_CPU),
    ]
    # A file that several VMs name is there once, whatever its spelling.
    assert len(files) == 3
    for number, name in enumerate(("k", "i", "big")):
        content = (place / name).read_bytes()
        assert files[number] == (len(content), zlib.crc32(content), 0)
        assert (out / f"file-{number}").read_bytes() == content
    assert sorted(path.name for path in out.iterdir()) == [
        "file-0", "file-1", "file-2", "grub.cfg", "manifest.bin",
    ]
    assert (out / "grub.cfg").read_text() == (
        "insmod all_video\n"
        "multiboot2 /boot/core.elf\n"
        "module2 /boot/supervisor.elf supervisor\n"
        "module2 /boot/vmm.elf vmm\n"
        "module2 /boot/manifest.bin manifest\n"
        "module2 /boot/file-0 file:0\n"
        "module2 /boot/file-1 file:1\n"
        "module2 /boot/file-2 file:2\n"
        "if ! cpuid -l; then set gfxpayload=text; fi\n"
        "boot\n"
    )


def test_sixty_four_vms_with_files_of_their_own_fit(place):
    text = "vms:\n"
    for i in range(64):
        (place / f"k{i}").write_bytes(b"k%d" % i)
        (place / f"i{i}").write_bytes(b"i%d" % i)
        text += f"  - {{name: vm-{i}, kernel: k{i}, initrd: i{i}, memory: 2M}}\n"
    vms, files = parse_blob((write_directory(place, text) / "manifest.bin").read_bytes())
    assert (len(vms), len(files)) == (64, 128)
    assert [vm[5:7] for vm in vms] == [(2 * i, 2 * i + 1) for i in range(64)]


def test_example_in_the_documentation_is_accepted(place):
    document = (REPO / "docs" / "manifest.md").read_text()
    example = document.split("```yaml\n")[1].split("```")[0]
    for name in ("vmlinuz", "initrd.img", "bzImage"):
        (place / name).write_bytes(b"x")
    vms, _ = parse_blob((write_directory(place, example) / "manifest.bin").read_bytes())
    assert len(vms) == 2


def test_anchors_share_values(place):
    text = (
        "vms:\n"
        "  - {name: a, kernel: &kernel k, memory: 4M}\n"
        "  - {name: b, kernel: *kernel, memory: 4M}\n"
    )
    vms, files = parse_blob((write_directory(place, text) / "manifest.bin").read_bytes())
    assert (len(vms), len(files)) == (2, 1)


def test_paths_start_at_the_manifest(place):
    (place / "dir" / "m.yaml").write_text(GOOD.replace("kernel: k", "kernel: ../k"))
    result = run(place, "--manifest", "dir/m.yaml", "--output", "out")
    assert (result.returncode, result.stderr) == (0, "")
    assert (place / "out" / "file-0").read_bytes() == (place / "k").read_bytes()


def test_equal_input_gives_equal_output(place):
    first = write_directory(place, GOOD, output="first")
    time.sleep(1.1)  # a time stamp in the output would show
    (place / "dir" / "k").write_bytes((place / "k").read_bytes())
    second = write_directory(place, GOOD, manifest="dir/m.yaml", output="second")
    for name in ("manifest.bin", "grub.cfg", "file-0"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_check_alone_writes_nothing(place):
    (place / "m.yaml").write_text(GOOD)
    before = snapshot(place)
    result = run(place, "--manifest", "m.yaml")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert snapshot(place) == before


def test_output_takes_an_empty_directory_and_keeps_a_full_one(place):
    (place / "out").mkdir()
    write_directory(place, GOOD, output="out/")
    before = snapshot(place)
    result = run(place, "--manifest", "m.yaml", "--output", "out")
    assert result.returncode == 1
    assert result.stderr == "ringfence-image: cannot write out: Directory not empty\n"
    assert snapshot(place) == before


def test_iso_holds_the_files(place):
    (place / "m.yaml").write_text(GOOD + "    initrd: i\n")
    before = snapshot(place)
    result = run(place, *iso_arguments(place), "--core-cmdline", "log=all  x=$y;z")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert snapshot(place) == sorted(before + [Path("out.iso")])

    listing = subprocess.run(
        ["xorriso", "-indev", place / "out.iso", "-find", "/", "-type", "f"],
        capture_output=True, text=True, check=True,
    ).stdout
    files = {line.strip("'") for line in listing.splitlines()}
    names = ["core.elf", "supervisor.elf", "vmm.elf", "manifest.bin", "file-0", "file-1"]
    assert {name for name in files if name.count("/") == 2 and name.startswith("/boot/")} == {
        f"/boot/{name}" for name in names
    }
    assert "/boot/grub/grub.cfg" in files
    assert any(name.endswith("/multiboot2.mod") for name in files)

    subprocess.run(
        ["xorriso", "-osirrox", "on", "-indev", place / "out.iso", "-extract", "/boot",
         place / "boot"],
        capture_output=True, check=True,
    )
    subprocess.run(["chmod", "-R", "u+w", place / "boot"], check=True)
    for name, source in (("core.elf", "core.elf"), ("vmm.elf", "vmm.elf"),
                         ("supervisor.elf", "supervisor.elf"), ("file-0", "k"), ("file-1", "i")):
        assert (place / "boot" / name).read_bytes() == (place / source).read_bytes()
    parse_blob((place / "boot" / "manifest.bin").read_bytes())
    config = (place / "boot" / "grub" / "grub.cfg").read_text()
    assert "multiboot2 /boot/core.elf 'log=all' 'x=$y;z'\n" in config


def test_iso_boots_on_each_platform_that_grub_has(place):
    (place / "m.yaml").write_text(GOOD)
    assert run(place, *iso_arguments(place)).returncode == 0
    report = subprocess.run(
        ["xorriso", "-indev", place / "out.iso", "-report_el_torito", "plain"],
        capture_output=True, text=True, check=True,
    ).stdout
    for platform, word in (("i386-pc", " BIOS "), ("x86_64-efi", " UEFI ")):
        if Path("/usr/lib/grub", platform, "multiboot2.mod").exists():
            assert word in report


def test_iso_replaces_an_older_one_and_odd_names_work(place):
    odd = place / "a=b, $c"
    odd.mkdir()
    (place / "m.yaml").write_text(GOOD)
    (odd / "out.iso").write_text("old")
    arguments = [str(odd / "out.iso") if a == "out.iso" else a for a in iso_arguments(place)]
    result = run(place, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert (odd / "out.iso").stat().st_size > MIB
    assert os.listdir(odd) == ["out.iso"]


def fake_path(place, script):
    """An environment whose grub-mkrescue is a script."""
    programs = place / "bin"
    programs.mkdir()
    (programs / "grub-mkrescue").write_text("#!/bin/sh\n" + script)
    (programs / "grub-mkrescue").chmod(0o755)
    return {"PATH": f"{programs}:/usr/bin:/bin"}


def test_failing_grub_is_told_and_leaves_nothing(place):
    (place / "m.yaml").write_text(GOOD)
    (place / "out.iso").write_text("old")
    script = 'echo half > image.iso; echo temporary in "$TMPDIR"; echo no space >&2; exit 3'
    env = fake_path(place, script)
    before = snapshot(place)
    result = run(place, *iso_arguments(place), env=env)
    assert result.returncode == 1
    assert result.stderr == (
        "temporary in .\nno space\n"
        "ringfence-image: grub-mkrescue failed; its messages are above\n"
    )
    assert snapshot(place) == before
    assert (place / "out.iso").read_text() == "old"


@pytest.mark.parametrize("kind", ["--output", "--iso"])
def test_full_disk_is_told_and_leaves_nothing(place, kind):
    (place / "m.yaml").write_text(GOOD.replace("kernel: k", "kernel: big"))
    arguments = ["--manifest", "m.yaml", "--output", "out"]
    arguments = arguments if kind == "--output" else iso_arguments(place)

    def limit_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write fails as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))

    before = snapshot(place)
    result = subprocess.run(
        [TOOL, *arguments], cwd=place, capture_output=True, text=True, timeout=60,
        preexec_fn=limit_files, restore_signals=False,
    )
    assert result.returncode == 1
    assert result.stderr == f"ringfence-image: cannot copy {place}/big: File too large\n"
    assert snapshot(place) == before


def test_missing_grub_is_told(place):
    (place / "m.yaml").write_text(GOOD)
    before = snapshot(place)
    result = run(place, *iso_arguments(place), env={"PATH": "/nowhere"})
    assert result.returncode == 1
    assert result.stderr.startswith("grub-mkrescue: No such file or directory (Debian: apt install")
    assert snapshot(place) == before


def test_a_signal_leaves_nothing(place):
    (place / "m.yaml").write_text(GOOD)
    env = fake_path(place, f"touch {place}/started; sleep 1; echo whole > image.iso")
    before = snapshot(place)
    with subprocess.Popen([TOOL, *iso_arguments(place)], cwd=place, env=env) as tool:
        for _ in range(500):
            if (place / "started").exists():
                break
            time.sleep(0.01)
        tool.send_signal(signal.SIGTERM)
        assert tool.wait(timeout=30) == -signal.SIGTERM
    (place / "started").unlink()
    assert snapshot(place) == before


@pytest.mark.parametrize("option", [["--output", "none/out"], ["--iso", "none/out.iso"]])
def test_missing_target_directory_is_told(place, option):
    (place / "m.yaml").write_text(GOOD)
    programs = iso_arguments(place)[4:] if option[0] == "--iso" else []
    before = snapshot(place)
    result = run(place, "--manifest", "m.yaml", *option, *programs)
    assert result.returncode == 1
    assert result.stderr == (
        f"ringfence-image: cannot write {option[1]}: No such file or directory\n"
    )
    assert snapshot(place) == before


@pytest.mark.parametrize("program", ["core", "supervisor", "vmm"])
@pytest.mark.parametrize(
    "path, reason", [("none", "No such file or directory"), ("empty", "an empty file")]
)
def test_bad_program_is_refused(place, program, path, reason):
    (place / "m.yaml").write_text(GOOD)
    arguments = [path if a == f"{program}.elf" else a for a in iso_arguments(place)]
    before = snapshot(place)
    result = run(place, *arguments)
    assert result.returncode == 2
    assert result.stderr == f"ringfence-image: --{program} {path}: {reason}\n"
    assert snapshot(place) == before


BAD_OPTIONS = [
    ([], "missing option --manifest"),
    (["--frobnicate"], "unknown option --frobnicate"),
    (["-x"], "unknown option -x"),
    (["--manifest"], "missing value after --manifest"),
    (["--manifest", "a", "--manifest", "b"], "given twice: --manifest"),
    (["--manifest", "a", "b"], "unexpected argument b"),
    (["--manifest", "a", "--output", "o", "--iso", "i"], "--output and --iso exclude each other"),
    (["--manifest", "a", "--iso", "i", "--core", "c"], "--iso needs --supervisor"),
    (["--manifest", "a", "--vmm", "v"], "only --iso takes --vmm"),
    *(
        (
            ["--manifest", "a", "--core-cmdline", text],
            "--core-cmdline takes printable ASCII without quotes and backslashes",
        )
        for text in ("it's", 'a"b', "a\\b", "a\nb", "a\x7f", "\u00e9")
    ),
]


@pytest.mark.parametrize("arguments, complaint", BAD_OPTIONS)
def test_bad_command_line_is_refused_in_one_line(place, arguments, complaint):
    result = run(place, *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == f"ringfence-image: {complaint}; see --help\n"


def test_help_names_every_option(place):
    result = run(place, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    for option in ("manifest", "output", "iso", "core", "supervisor", "vmm", "core-cmdline"):
        assert f"--{option} " in result.stdout
