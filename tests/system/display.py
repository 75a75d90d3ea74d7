"""What an emulated machine shows, read back as text: VGA's cells, or glyphs among the pixels.

RFC 6143, "The Remote Framebuffer Protocol", for the screen of Bochs.
"""
import pathlib
import re
import socket
import struct
import time

FONT = pathlib.Path("/usr/share/grub/ascii.pf2")
VGA_BIOS = pathlib.Path("/usr/share/bochs/VGABIOS-lgpl-latest")
VGA_GLYPH_A = bytes.fromhex("0000 1038 6cc6 c6fe c6c6 c6c6 0000 0000")
GLYPH_WIDTH, GLYPH_HEIGHT = 8, 16
VGA_COLUMNS, VGA_ROWS = 80, 25
BOCHS_BAR_HEIGHT = 32  # its buttons, above the screen
GREY = b"\xaa\xaa\xaa"


def _settled(read, wait=0.5):
    """What `read` returns once it returns the same twice: the log is still being drawn when its
    last byte has left the serial port."""
    before = None
    now = read()
    while now != before:
        time.sleep(wait)
        before, now = now, read()
    return now


class Monitor:
    """QEMU's monitor on a socket; `options` go to the emulator."""

    def __init__(self, folder):
        self._folder = folder
        self._path = folder / "monitor"
        self.options = ["-monitor", f"unix:{self._path},server=on,wait=off"]

    def _command(self, text):
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(60)
            monitor.connect(str(self._path))
            for command in (None, text):
                if command:
                    monitor.sendall(command.encode() + b"\n")
                answer = b""
                while not answer.endswith(b"(qemu) "):
                    answer += monitor.recv(65536)

    def text_mode_lines(self):
        """The lines of VGA's text screen."""
        return _settled(self._text_mode_lines)

    def _text_mode_lines(self):
        dump = self._folder / "cells"
        self._command(f'pmemsave 0xb8000 {VGA_COLUMNS * VGA_ROWS * 2} "{dump}"')
        text = dump.read_bytes()[::2].decode("cp437")
        return [text[i : i + VGA_COLUMNS].rstrip() for i in range(0, len(text), VGA_COLUMNS)]

    def graphics_lines(self, scale=1):
        """(width, height) of the screen, and its lines, whose glyphs are `scale` times enlarged."""
        return _settled(lambda: self._graphics_lines(scale))

    def _graphics_lines(self, scale):
        dump = self._folder / "screen.ppm"
        self._command(f'screendump "{dump}"')
        size, pixels = re.fullmatch(
            rb"P6\n(\d+ \d+)\n255\n(.*)", dump.read_bytes(), re.S
        ).groups()
        width, height = map(int, size.split())
        return (width, height), list(_lines(pixels, width, height, scale))


class BochsScreen:
    """The text screen of a console.Bochs that was given `options`."""

    options = ["--text-screen"]

    def __init__(self, machine):
        log = machine.own_log.read_text(errors="replace")
        port = int(re.search(r"listening for connections on port (\d+)", log).group(1))
        self._stream = socket.create_connection(("127.0.0.1", port), timeout=60).makefile("rwb")
        self._stream.read(12)  # version
        self._exchange(b"RFB 003.003\n", 4)  # security
        self._width, _, name = struct.unpack(">HH16xI", self._exchange(b"\x01", 24))
        self._stream.read(name)
        self._exchange(struct.pack(">BxHI", 2, 1, 0), 0)  # raw pixels

    def _exchange(self, request, count):
        self._stream.write(request)
        self._stream.flush()
        return self._stream.read(count)

    def text_mode_lines(self):
        return _settled(self._text_mode_lines, wait=0)

    def _text_mode_lines(self):
        """From Bochs' next update of all the text, which comes whenever blinking text blinks."""
        while True:
            x, y, width, height = struct.unpack(">4xHHHH4x", self._stream.read(16))
            pixels = self._stream.read(width * height)
            text = pixels[max(BOCHS_BAR_HEIGHT - y, 0) * width :]
            if x == 0 and width == self._width and len(text) >= width * VGA_ROWS * GLYPH_HEIGHT:
                lit = [pixel != 0 for pixel in text]
                return list(_cells(lit, width, VGA_ROWS, width // VGA_COLUMNS, _vga_glyphs()))


def _lines(pixels, width, height, scale):
    grey = [
        pixels[i : i + 3] == GREY
        for y in range(0, height, scale)
        for i in range(3 * y * width, 3 * (y + 1) * width, 3 * scale)
    ]
    return _cells(grey, width // scale, height // scale // GLYPH_HEIGHT, GLYPH_WIDTH, _glyphs())


def _cells(lit, across, rows, cell_width, font):
    """A cell that shows anything but one of the font's glyphs reads as U+FFFD."""
    for top in range(0, rows * GLYPH_HEIGHT, GLYPH_HEIGHT):
        starts = [(top + y) * across for y in range(GLYPH_HEIGHT)]
        cells = (
            tuple(
                sum(lit[start + x * cell_width + bit] << 7 - bit for bit in range(GLYPH_WIDTH))
                for start in starts
            )
            for x in range(across // cell_width)
        )
        yield "".join(font.get(cell, "\ufffd") for cell in cells).rstrip()


def _glyphs():
    """From a glyph's 16 rows to its character: the font's file, read independently of the build."""
    data = FONT.read_bytes()
    sections, at = {}, 0
    while data[at : at + 4] != b"DATA":
        (length,) = struct.unpack_from(">I", data, at + 4)
        sections[data[at : at + 4]] = data[at + 8 : at + 8 + length]
        at += 8 + length
    (ascent,) = struct.unpack(">H", sections[b"ASCE"])
    found = {}
    for code, _, offset in struct.iter_unpack(">IBI", sections[b"CHIX"]):
        if 0x20 <= code <= 0x7E:
            found[_rows(data, offset, ascent)] = chr(code)
    assert len(found) == 95, "two characters look the same"
    return found


def _vga_glyphs():
    """The same for the font in Bochs' VGA BIOS, which is found by its letter A."""
    data = VGA_BIOS.read_bytes()
    start = data.index(VGA_GLYPH_A) - ord("A") * GLYPH_HEIGHT
    rows = (data[start + code * GLYPH_HEIGHT :][:GLYPH_HEIGHT] for code in range(0x7F))
    return {tuple(row): chr(code) for code, row in enumerate(rows) if code >= 0x20}


def _rows(data, offset, ascent):
    width, height, left, bottom, _ = struct.unpack_from(">HHhhh", data, offset)
    count = (width * height + 7) // 8
    bits = "".join(f"{byte:08b}" for byte in data[offset + 10 : offset + 10 + count])
    rows = [0] * GLYPH_HEIGHT
    for y in range(height):
        row = bits[y * width : (y + 1) * width]
        rows[ascent - bottom - height + y] = int((("0" * left) + row).ljust(8, "0"), 2)
    return tuple(rows)
