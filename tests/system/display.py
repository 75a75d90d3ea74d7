"""What an emulated machine shows, read back as text: VGA's cells, or glyphs among the pixels."""
import pathlib
import re
import socket
import struct
import time

FONT = pathlib.Path("/usr/share/grub/ascii.pf2")
GLYPH_WIDTH, GLYPH_HEIGHT = 8, 16
VGA_COLUMNS, VGA_ROWS = 80, 25
GREY = b"\xaa\xaa\xaa"


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

    @staticmethod
    def _settled(read):
        """What `read` returns once it returns the same twice: the log is still being drawn when
        its last byte has left the serial port."""
        before = None
        now = read()
        while now != before:
            time.sleep(0.5)
            before, now = now, read()
        return now

    def text_mode_lines(self):
        """The lines of VGA's text screen."""
        return self._settled(self._text_mode_lines)

    def _text_mode_lines(self):
        dump = self._folder / "cells"
        self._command(f'pmemsave 0xb8000 {VGA_COLUMNS * VGA_ROWS * 2} "{dump}"')
        text = dump.read_bytes()[::2].decode("cp437")
        return [text[i : i + VGA_COLUMNS].rstrip() for i in range(0, len(text), VGA_COLUMNS)]

    def graphics_lines(self, scale=1):
        """(width, height) of the screen, and its lines, whose glyphs are `scale` times enlarged."""
        return self._settled(lambda: self._graphics_lines(scale))

    def _graphics_lines(self, scale):
        dump = self._folder / "screen.ppm"
        self._command(f'screendump "{dump}"')
        size, pixels = re.fullmatch(
            rb"P6\n(\d+ \d+)\n255\n(.*)", dump.read_bytes(), re.S
        ).groups()
        width, height = map(int, size.split())
        return (width, height), list(_lines(pixels, width, height, scale))


def _lines(pixels, width, height, scale):
    """A cell that shows anything but one of the font's glyphs reads as U+FFFD."""
    font = _glyphs()
    grey = [pixels[i : i + 3] == GREY for i in range(0, len(pixels), 3 * scale)]
    columns, across = width // (GLYPH_WIDTH * scale), width // scale
    for top in range(0, height - GLYPH_HEIGHT * scale + 1, GLYPH_HEIGHT * scale):
        rows = [(top + y * scale) * across for y in range(GLYPH_HEIGHT)]
        cells = (
            tuple(
                sum(grey[row + x * GLYPH_WIDTH + bit] << 7 - bit for bit in range(GLYPH_WIDTH))
                for row in rows
            )
            for x in range(columns)
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


def _rows(data, offset, ascent):
    width, height, left, bottom, _ = struct.unpack_from(">HHhhh", data, offset)
    count = (width * height + 7) // 8
    bits = "".join(f"{byte:08b}" for byte in data[offset + 10 : offset + 10 + count])
    rows = [0] * GLYPH_HEIGHT
    for y in range(height):
        row = bits[y * width : (y + 1) * width]
        rows[ascent - bottom - height + y] = int((("0" * left) + row).ljust(8, "0"), 2)
    return tuple(rows)
