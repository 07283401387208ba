"""A random draw that anybody can repeat. Plain Python."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable


def draw(ids: Iterable[int], size: int, seed: str) -> list[int]:
    """Exactly `size` of `ids` (all of them, when there are no more), each set of that size as likely as any other.

    Every id gets a lot of its own, the SHA-256 of seed and id, and the lowest lots win: the order of `ids` does not
    matter, a larger draw holds the smaller one, and an id that comes or goes changes at most one place. Returned in the order
    of their lots. Raises ValueError for a negative size.
    """
    if size < 0:
        raise ValueError("A draw cannot be of fewer than none.")
    return heapq.nsmallest(size, set(ids), key=lambda number: (lot(number, seed), number))


def lot(number: int, seed: str) -> bytes:
    """The lot of one id: 32 bytes, as good as random for whoever does not know the seed."""
    return hashlib.sha256(f"{seed}:{number}".encode()).digest()
