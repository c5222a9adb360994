"""PNG files without a library."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable

Pixel = tuple[int, int, int]


def png(width: int, height: int, colour: Callable[[int, int], Pixel]) -> bytes:
    """Return a picture whose pixel at ``(x, y)`` is ``colour(x, y)``."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)  # no filter
        for x in range(width):
            rows += bytes(colour(x, y))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", zlib.compress(bytes(rows), 1)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def plain(x: int, y: int) -> Pixel:
    """One colour."""
    return 15, 118, 110


def noise() -> Callable[[int, int], Pixel]:
    """Return pixels that no compression makes smaller."""
    state = 1

    def colour(x: int, y: int) -> Pixel:
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
        return state >> 56, state >> 48 & 255, state >> 40 & 255

    return colour


def evening(x: int, y: int) -> Pixel:
    """A sun that sets behind hills, 480 by 300."""
    hills = ((240, 28, 0.011, 0.4), (262, 20, 0.021, 2.0), (280, 12, 0.034, 4.4))
    for depth, (base, rise, speed, start) in reversed(list(enumerate(hills))):
        if y > base - rise * math.sin(x * speed + start):
            return ((86, 62, 84), (52, 44, 66), (28, 30, 46))[depth]
    glow = math.exp(-(((x - 300) / 120) ** 2 + ((y - 190) / 90) ** 2))
    if (x - 300) ** 2 + (y - 178) ** 2 < 34**2:
        return 255, 232, 170
    dusk = y / 300
    return (
        min(255, int(88 + 150 * dusk + 70 * glow)),
        min(255, int(84 + 60 * dusk + 90 * glow)),
        min(255, int(140 - 40 * dusk + 10 * glow)),
    )
