"""Which of a device's numbered messages were taken, also where they come out of order. Pure.

What a gateway refused is sent again, and may come behind messages with higher numbers. So beside the highest number it
is remembered which of those right below it are missing: a window as that of IPsec (RFC 4303, 3.4.3).
"""

from __future__ import annotations

WINDOW = 1024
"""How far below the highest number a missing one is remembered; with none missing nothing is."""
_ALL = (1 << WINDOW) - 1


def is_taken(seq: int, highest: int, missing: bytes) -> bool:
    """Whether ``seq`` was taken already, or is too far below ``highest`` (-1: none was) to tell."""
    below = highest - seq
    if below < 0:
        return False
    return below == 0 or not _bits(missing) >> (below - 1) & 1


def take(seq: int, highest: int, missing: bytes) -> tuple[int, bytes]:
    """The highest number and what is missing below it, once ``seq`` is taken. All below a first one are missing."""
    above = seq - highest
    bits = _bits(missing)
    if above > 0:
        passed = (1 << min(above - 1, WINDOW)) - 1
        return seq, _bytes(((bits << above) | passed) & _ALL if above <= WINDOW else _ALL)
    return highest, _bytes(bits & ~(1 << (-above - 1))) if above else missing


def _bits(missing: bytes) -> int:
    """Bit n is the number n + 1 below the highest."""
    return int.from_bytes(missing, "little")


def _bytes(bits: int) -> bytes:
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")
