"""p-charts: which share stands out from what is usual, and where there is too little to tell. Plain Python.

Limits are three standard errors of a share around the common share (Shewhart; NIST/SEMATECH e-Handbook, 6.3.3.2), and
as wide for every group as its size demands. A group from which fewer than three cases would be expected is not judged:
below that even a usual group shows none in one of twenty looks (Montgomery, Introduction to Statistical Quality
Control: choose n so that n times p is at least 3), and one case more or less would decide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

SIGMAS = 3.0
LEAST_EXPECTED = 3.0


class Verdict(StrEnum):
    """What a point says."""

    HIGH = "high"
    USUAL = "usual"
    LOW = "low"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True)
class Limits:
    """Between `lower` and `upper`, shares of 0..1, chance alone moves a group of this size."""

    lower: float
    upper: float


@dataclass(frozen=True)
class Group:
    """`cases` of `size`: poor pulses of all pulses in a month, a team, a region."""

    label: str
    cases: int
    size: int


@dataclass(frozen=True)
class Point:
    """A group held against the common share; without members it has no share and no limits."""

    group: Group
    share: float | None
    limits: Limits | None
    verdict: Verdict


@dataclass(frozen=True)
class Chart:
    """The common share of all groups (None without any member) and each of them held against it."""

    centre: float | None
    points: list[Point]


def limits_of(centre: float, size: int) -> Limits:
    """`centre` ± three standard errors of a share of `size`, never outside 0..1."""
    spread = SIGMAS * math.sqrt(centre * (1 - centre) / size)
    return Limits(max(0.0, centre - spread), min(1.0, centre + spread))


def p_chart(groups: Iterable[Group]) -> Chart:
    """Every group against the share of all of them together."""
    found = list(groups)
    return against(found, _common(found))


def against(groups: Sequence[Group], centre: float | None) -> Chart:
    """Every group against a share that is given."""
    return Chart(centre, [_point(group, centre) for group in groups])


def _common(groups: Sequence[Group]) -> float | None:
    size = sum(group.size for group in groups)
    return sum(group.cases for group in groups) / size if size else None


def _point(group: Group, centre: float | None) -> Point:
    if centre is None or group.size == 0:
        return Point(group, None, None, Verdict.CANNOT_TELL)
    share, limits = group.cases / group.size, limits_of(centre, group.size)
    return Point(group, share, limits, _verdict(share, centre, group.size, limits))


def _verdict(share: float, centre: float, size: int, limits: Limits) -> Verdict:
    if size * centre < LEAST_EXPECTED or size * (1 - centre) < LEAST_EXPECTED:
        return Verdict.CANNOT_TELL
    if share > limits.upper:
        return Verdict.HIGH
    return Verdict.LOW if share < limits.lower else Verdict.USUAL


def needed(centre: float) -> int | None:
    """The smallest group that can be judged where `centre` is usual; None where nothing ever happens, or always does."""
    rarer = min(centre, 1 - centre)
    return math.ceil(LEAST_EXPECTED / rarer) if rarer > 0 else None
