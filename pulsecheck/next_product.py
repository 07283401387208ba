"""What customers who bought one product bought next, and how often a suggestion made of that would have been right.

Plain Python. A customer's history is the day of the first purchase of each product. "Next" is the next day on which the
customer bought something for the first time. A customer counts for a product when there was such a day, or when
`FOLLOW_DAYS` have passed without one; who bought it yesterday says nothing yet.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from pulsecheck.intervals import share_interval

FOLLOW_DAYS = 180
LEAST_BUYERS = 20
LEAST_FOLLOWERS = 5
# product -> day of its first purchase, of one customer
History = Mapping[int, dt.date]


@dataclass(frozen=True)
class Step:
    """Of `buyers` who bought `bought` and have had time, `followers` bought `following` next."""

    bought: int
    following: int
    buyers: int
    followers: int

    @property
    def share(self) -> float:
        """0..1"""
        return self.followers / self.buyers

    @property
    def is_measured(self) -> bool:
        """Whether there are enough customers to say anything."""
        return self.buyers >= LEAST_BUYERS and self.followers >= LEAST_FOLLOWERS

    @property
    def at_least(self) -> float:
        """The lower end of the 95 % interval of the share: what the step is ranked by."""
        found = share_interval(self.followers, self.buyers)
        return found.low if found else 0.0


def steps_of(histories: Iterable[History], today: dt.date) -> list[Step]:
    """Every step that anybody took, by product and follower."""
    buyers: Counter[int] = Counter()
    followers: Counter[tuple[int, int]] = Counter()
    for history in histories:
        _count(history, today, buyers, followers)
    return [
        Step(bought, following, buyers[bought], count)
        for (bought, following), count in sorted(followers.items())
    ]


def _count(
    history: History, today: dt.date, buyers: Counter[int], followers: Counter[tuple[int, int]]
) -> None:
    """One customer's part; an empty history has none."""
    by_day: dict[dt.date, list[int]] = defaultdict(list)
    for product, day in history.items():
        by_day[day].append(product)
    days = sorted(by_day)
    for day, next_day in zip_longest(days, days[1:]):
        if next_day is None and (today - day).days < FOLLOW_DAYS:
            continue
        buyers.update(by_day[day])
        if next_day is not None:
            followers.update((bought, new) for bought in by_day[day] for new in by_day[next_day])


@dataclass(frozen=True)
class Suggestion:
    """What to talk about next, and the measured step behind it."""

    product: int
    step: Step


def suggest(held: History, steps: Mapping[int, Sequence[Step]], most: int = 1) -> list[Suggestion]:
    """The products that are best supported by what others did, of those the customer does not have. Only measured steps
    count; none means that nobody can tell yet."""
    best: dict[int, Step] = {}
    for bought in held:
        for step in steps.get(bought, ()):
            if step.following in held or not step.is_measured:
                continue
            known = best.get(step.following)
            if known is None or _rank(step) < _rank(known):
                best[step.following] = step
    ranked = sorted(best.values(), key=_rank)
    return [Suggestion(step.following, step) for step in ranked[:most]]


def _rank(step: Step) -> tuple[float, int, int]:
    return -step.at_least, step.following, step.bought


def by_product(steps: Iterable[Step]) -> dict[int, list[Step]]:
    """Steps by the product they start from."""
    found: dict[int, list[Step]] = defaultdict(list)
    for step in steps:
        found[step.bought].append(step)
    return dict(found)


@dataclass(frozen=True)
class Trial:
    """Suggestions as they would have been made on a past day, held against what was bought within `days` after it.
    `plain_hits`: had everybody been told of the most bought product they lacked."""

    suggested: int
    hits: int
    plain_hits: int
    days: int


def try_out(histories: Sequence[History], cutoff: dt.date, days: int = FOLLOW_DAYS) -> Trial:
    """How often the suggestion of `cutoff`, made from what was known then, came true within `days`."""
    before = [{p: day for p, day in history.items() if day <= cutoff} for history in histories]
    steps = by_product(steps_of(filter(None, before), cutoff))
    common = [product for product, _ in Counter(p for held in before for p in held).most_common()]
    end = cutoff + dt.timedelta(days=days)
    suggested = hits = plain = 0
    for held, history in zip(before, histories, strict=True):
        found = suggest(held, steps)
        if not found:
            continue
        came = {p for p, day in history.items() if cutoff < day <= end}
        suggested += 1
        hits += found[0].product in came
        plain += next((p for p in common if p not in held), None) in came
    return Trial(suggested, hits, plain, days)
