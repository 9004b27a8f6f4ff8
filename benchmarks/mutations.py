"""Ways in which a file is damaged on its way from the instrument: each takes its bytes and a generator, and returns others."""

import re
from collections.abc import Callable

import numpy as np

HEAD = 4096
"""Half of the small damages go here, where files say what they hold."""
HUGE = (0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 1 << 31, 1 << 24, 0x10001, 1 << 40)
NUMBER = re.compile(rb"\d+")


def truncated(raw: bytes, rng: np.random.Generator) -> bytes:
    """The copy was stopped; a text within a line, since at the end of one it may be another valid text."""
    end = int(rng.integers(1, max(2, len(raw))))
    if b"\0" not in raw[:HEAD]:
        while end > 1 and raw[end - 1:end + 1].strip() != raw[end - 1:end + 1]:
            end -= 1
    return raw[:end]


def bits_flipped(raw: bytes, rng: np.random.Generator) -> bytes:
    """One to eight bits changed."""
    damaged = bytearray(raw)
    for at in _places(raw, rng, int(rng.integers(1, 9))):
        damaged[at] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def blocks_swapped(raw: bytes, rng: np.random.Generator) -> bytes:
    """Two blocks of a disk, or two words of a header, changed places."""
    size = min(int(rng.choice([4, 16, 512, 4096])), len(raw) // 2)
    if size == 0:
        return raw
    reach = len(raw) if rng.random() < 0.5 else min(len(raw), HEAD)
    a, b = sorted(int(i) * size for i in rng.integers(0, max(1, reach // size), 2))
    damaged = bytearray(raw)
    damaged[a:a + size], damaged[b:b + size] = raw[b:b + size], raw[a:a + size]
    return bytes(damaged[:len(raw)])


def sizes_huge(raw: bytes, rng: np.random.Generator) -> bytes:
    """A number of the file, as text or as a word of 2, 4 or 8 bytes, says that there is far more than there is."""
    value = int(rng.choice(HUGE))
    head = raw[:HEAD]
    numbers = list(NUMBER.finditer(head)) if b"\0" not in head else []
    if numbers:
        found = numbers[int(rng.integers(len(numbers)))]
        return raw[:found.start()] + str(value).encode() + raw[found.end():]
    width = int(rng.choice([2, 4, 8]))
    at = _places(raw, rng, 1)[0] // width * width
    word = (value & (1 << 8 * width) - 1).to_bytes(width, "little" if rng.random() < 0.7 else "big")
    return (raw[:at] + word + raw[at + width:])[:len(raw)]


def magic_wrong(raw: bytes, rng: np.random.Generator) -> bytes:
    """Some of the first bytes are others."""
    length = int(rng.choice([1, 2, 4, 8, 16, 128]))
    return rng.bytes(length) + raw[length:]


def emptied(raw: bytes, rng: np.random.Generator) -> bytes:
    """Nothing, or nothing but zeros from somewhere on, as after a power cut."""
    kept = int(rng.choice([0, 0, int(rng.integers(len(raw) + 1))]))
    return raw[:kept] + bytes(len(raw) - kept) if kept else b""


def random(raw: bytes, rng: np.random.Generator) -> bytes:
    """Noise behind none, some or all of a header."""
    kept = int(rng.choice([0, 4, 8, 64, 512, 1024, 4096]))
    return raw[:kept] + rng.bytes(max(0, len(raw) - kept))


MUTATIONS: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    truncated, bits_flipped, blocks_swapped, sizes_huge, magic_wrong, emptied, random,
)


def mutated(raw: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Name of a way, chosen at random, and what it makes of a file; flips and sizes are chosen most, since they hide best."""
    if not raw:
        return "unchanged", raw
    mutation = MUTATIONS[int(rng.choice(len(MUTATIONS), p=(0.15, 0.3, 0.15, 0.25, 0.05, 0.03, 0.07)))]
    return mutation.__name__, mutation(raw, rng)


def _places(raw: bytes, rng: np.random.Generator, count: int) -> list[int]:
    """Bytes to damage: in the first kilobytes, or anywhere."""
    reach = min(len(raw), HEAD) if rng.random() < 0.5 else len(raw)
    return [int(i) for i in rng.integers(0, reach, count)]
