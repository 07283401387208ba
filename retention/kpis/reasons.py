"""Why customers left: a Pareto by count and money, by side, and by what we could have controlled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Loss:
    """One customer that left: why (code of the churn reason) and what a year of it was worth."""

    reason: str
    money: float


@dataclass(frozen=True)
class ReasonLine:
    """One bar: customers and money, their shares of all, and the running share of customers down to here."""

    reason: str
    count: int
    money: float
    count_share: float
    money_share: float
    running_share: float


def pareto(losses: Iterable[Loss]) -> list[ReasonLine]:
    """Reasons by number of customers lost, most first; an empty reason is "unknown", which is never dropped."""
    counts: dict[str, int] = {}
    money: dict[str, float] = {}
    for loss in losses:
        reason = loss.reason or UNKNOWN
        counts[reason] = counts.get(reason, 0) + 1
        money[reason] = money.get(reason, 0.0) + loss.money
    total, total_money, running = sum(counts.values()), sum(money.values()), 0
    lines = []
    for reason in sorted(counts, key=lambda code: (-counts[code], -money[code], code)):
        running += counts[reason]
        lines.append(
            ReasonLine(
                reason,
                counts[reason],
                money[reason],
                counts[reason] / total,
                money[reason] / total_money if total_money > 0 else 0.0,
                running / total,
            )
        )
    return lines


@dataclass(frozen=True)
class GroupLine:
    """Customers and money lost on one side, or within or beyond our control."""

    key: str
    count: int
    money: float
    count_share: float


def grouped(lines: Iterable[ReasonLine], group_of: Mapping[str, str]) -> list[GroupLine]:
    """The same losses by what `group_of` says of each reason, most customers first."""
    counts: dict[str, int] = {}
    money: dict[str, float] = {}
    for line in lines:
        key = group_of.get(line.reason, UNKNOWN)
        counts[key] = counts.get(key, 0) + line.count
        money[key] = money.get(key, 0.0) + line.money
    total = sum(counts.values())
    keys = sorted(counts, key=lambda key: (-counts[key], key))
    return [GroupLine(key, counts[key], money[key], counts[key] / total) for key in keys]
