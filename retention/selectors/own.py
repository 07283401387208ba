"""My retention: a person's own figures, seen by themselves first, and when a manager sees them (decisions/0011)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from accounts.models import Account, User
from accounts.selectors import keep_if_large
from retention.kpis.expected import Kept, kept_of
from retention.selectors import own_lines as lines_of
from retention.selectors.own_lines import Counts, Line, Span
from retention.selectors.own_retention import prediction_runs, retention_lines, was_told_before
from retention.selectors.today_team import led_people

SPAN_DAYS = 365
CLOSES_AFTER_DAYS = 7  # a month is the person's alone until a week after it has ended
LEAST = 5  # records below which a share says nothing
STRONG = 0.95  # from here on there is nothing to help with
MOST_LINES = 200
CLOSED_SECONDS, MANY_LINES = 6 * 3600, 500  # figures of closed months over more lines are kept for so long
RETENTION, THANKS, SAVES = "retention", "thanks", "saves"
Found = TypeVar("Found")
Find = Callable[[Sequence[User], Span], Iterable[Line]]
Count = Callable[[Sequence[User], Span], Counts]


@dataclass(frozen=True)
class Measure:
    """One of a person's figures. `good` and `of` name the top and the bottom of its share; `help` is what to do when it
    is the weakest, on the page named (with a query); without it the figure is never called weak. `count` counts the lines
    that `find` tells where that is quicker than telling them."""

    name: str
    title: str
    short: str
    definition: str
    good: str
    of: str
    find: Find
    help: str = ""
    page: str = ""
    query: str = ""
    label: str = ""
    count: Count | None = None


def _by_id(find: Callable[[Sequence[int], Span], Found]) -> Callable[[Sequence[User], Span], Found]:
    return lambda people, span: find([person.pk for person in people], span)


MEASURES: tuple[Measure, ...] = (
    Measure(
        RETENTION,
        "Own accounts that stayed",
        "Accounts",
        "Of the accounts that were one's own on the day of a prediction, the share that bought again within its horizon, "
        "beside what the model expected of these same accounts on that day. Accounts a rep won, accounts an account "
        "manager looks after. Predictions whose horizons do not overlap; contracts are left out.",
        "stayed",
        "predictions whose horizon is over",
        retention_lines,
    ),
    Measure(
        "promises",
        "Promises kept in time",
        "Promises",
        "Promises one made that fell due, kept on their day or before. One that is overdue counts as not kept until it is.",
        "kept in time",
        "promises due",
        _by_id(lines_of.promise_lines),
        "Promise a day you can hold and write it down at once. When it slips, tell the customer before the day, not after. "
        "Start with what is due this week.",
        "pulsecheck:promises",
        "?whose=mine",
        "My promises",
        _by_id(lines_of.count_promises),
    ),
    Measure(
        "answers",
        "Questions answered in time",
        "Questions",
        "Questions one owns, answered within the office hours the company allows, or waiting for longer than that.",
        "in time",
        "questions answered or late",
        _by_id(lines_of.answer_lines),
        "Answer the oldest first, even if only to say when they hear more: that stops the clock once it names a next step. "
        "What you cannot answer, give to somebody who can on the day it came.",
        "pulsecheck:enquiries",
        "?whose=mine",
        "Questions that wait",
        _by_id(lines_of.count_answers),
    ),
    Measure(
        "handbacks",
        "Handbacks answered in time",
        "Handbacks",
        "Handbacks that were one's own to answer, accepted or declined within their office hours. Those that went to somebody else "
        "because they lay unanswered count as not answered, those given on during an absence do not count.",
        "answered in time",
        "handbacks to answer",
        _by_id(lines_of.handback_lines),
        "Accept or decline on the day it comes: declining with a reason is an answer too. Note your days away, so that "
        "what comes then goes to whoever stands in.",
        "pulsecheck:handbacks",
        "?whose=mine",
        "My handbacks",
    ),
    Measure(
        "pulses",
        "Pulse checks made on time",
        "Pulse checks",
        "Pulse checks that were one's own and due, made on their day or before. Those left out with a reason do not count.",
        "on time",
        "pulse checks due",
        _by_id(lines_of.pulse_lines),
        "Make two a day rather than ten on a Friday. Move what you cannot make before its day: the calendar shows where "
        "there is room.",
        "pulsecheck:calendar",
        "",
        "My calendar",
        _by_id(lines_of.count_pulses),
    ),
    Measure(
        SAVES,
        "Saves",
        "Saves",
        "Handbacks one had that were closed as saved, of those closed as saved or lost, as they were closed. The KPI page "
        "counts a save only after the horizon, when the customer still buys.",
        "saved",
        "closed as saved or lost",
        _by_id(lines_of.save_lines),
    ),
    Measure(
        THANKS,
        "Thanks received",
        "Thanks",
        "Thanks of others for saves one had a part in.",
        "thanks",
        "",
        _by_id(lines_of.thanks_lines),
    ),
)
BY_NAME = {measure.name: measure for measure in MEASURES}


@dataclass(frozen=True)
class Share:
    """How many were good of how many."""

    good: int
    n: int

    @property
    def value(self) -> float | None:
        return self.good / self.n if self.n else None

    @property
    def is_few(self) -> bool:
        return 0 < self.n < LEAST


@dataclass(frozen=True)
class Own:
    """One figure of one person in a span and in the one before."""

    measure: Measure
    now: Share
    before: Share

    @property
    def change(self) -> float | None:
        """Percentage points since the span before; None where either is too few to say."""
        if min(self.now.n, self.before.n) < LEAST:
            return None
        return ((self.now.value or 0.0) - (self.before.value or 0.0)) * 100


@dataclass(frozen=True)
class OwnPage:
    """Everything a person sees of themselves."""

    span: Span
    kept: Kept
    kept_before: Kept
    own: list[Own]
    weakest: Own | None
    is_afterwards: bool


def own_span(today: dt.date) -> Span:
    """A year up to today."""
    return Span(today - dt.timedelta(days=SPAN_DAYS), today)


def own_page(person: User, today: dt.date) -> OwnPage:
    """A person's figures with those of the year before; a fixed number of queries for each figure and prediction."""
    span = own_span(today)
    kept, now = _figures_of([person], span)[person.pk]
    kept_before, before = _figures_of([person], span.before)[person.pk]
    own = [Own(measure, now[measure.name], before[measure.name]) for measure in MEASURES]
    return OwnPage(
        span,
        kept,
        kept_before,
        own,
        find_weakest(own),
        any(not was_told_before(run) for run in prediction_runs(span)),
    )


def _share(lines: Sequence[Line]) -> Share:
    return Share(sum(line.is_good for line in lines), len(lines))


def _kept(lines: Iterable[Line]) -> Kept:
    return kept_of((line.probability, line.is_good) for line in lines if line.probability is not None)


def find_weakest(own: Iterable[Own]) -> Own | None:
    """Of the figures that lie in a person's own hand (those with help) and rest on at least LEAST records, the one with
    the lowest share; None where all are STRONG or better, or too few."""
    judged = [one for one in own if one.measure.help and one.now.n >= LEAST]
    weak = [one for one in judged if (one.now.value or 0.0) < STRONG]
    return min(weak, key=lambda one: one.now.value or 0.0, default=None)


@dataclass(frozen=True)
class OwnRecord:
    """A line with its account where the reader may still see it."""

    line: Line
    account: Account | None


def own_records(person: User, measure: Measure, span: Span) -> tuple[list[OwnRecord], Share]:
    """The newest lines behind a figure (at most MOST_LINES), and how many there are."""
    lines = sorted(measure.find([person], span), key=lambda line: (line.on, line.account), reverse=True)
    shown = lines[:MOST_LINES]
    seen = Account.objects.visible_to(person).in_bulk([line.account for line in shown])
    return [OwnRecord(line, seen.get(line.account)) for line in shown], _share(lines)


# ── what a manager sees ────────────────────────────────────────────────
def closed_until(today: dt.date) -> dt.date:
    """The last day of the newest month that is closed: it ended at least CLOSES_AFTER_DAYS ago."""
    return (today - dt.timedelta(days=CLOSES_AFTER_DAYS)).replace(day=1) - dt.timedelta(days=1)


def next_closing(today: dt.date) -> dt.date:
    """The day on which the month after the last closed one is closed: from then on a manager sees it."""
    month_after = (closed_until(today) + dt.timedelta(days=32)).replace(day=1)
    return month_after + dt.timedelta(days=CLOSES_AFTER_DAYS)


@dataclass(frozen=True)
class PersonRow:
    """One person of a team over closed months."""

    person: User
    kept: Kept
    shares: list[tuple[Measure, Share]]


def team_rows(leader: User, today: dt.date) -> list[PersonRow]:
    """The people `leader` leads over the year up to the last closed month, by name and not by figure; as many queries
    as for one person. Closed months hardly change, so what was added up over many records is kept for some hours."""
    people, until = list(led_people(leader).order_by("pk")), closed_until(today)
    found = keep_if_large(
        "team-retention",
        leader,
        "mine",
        (until, [person.pk for person in people]),
        lambda: _figures_of(people, Span(until - dt.timedelta(days=SPAN_DAYS), until)),
        lambda figures: sum(share.n for _, shares in figures.values() for share in shares.values()),
        large=MANY_LINES,
        seconds=CLOSED_SECONDS,
    )
    return [_row(person, *found[person.pk]) for person in sorted(people, key=lambda one: (one.name, one.pk))]


def _row(person: User, kept: Kept, shares: dict[str, Share]) -> PersonRow:
    return PersonRow(
        person, kept, [(BY_NAME[name], share) for name, share in shares.items() if name != RETENTION]
    )


def _figures_of(people: Sequence[User], span: Span) -> dict[int, tuple[Kept, dict[str, Share]]]:
    """By person: accounts kept against expected, and every figure by its name."""
    predicted: dict[int, list[Line]] = defaultdict(list)
    for line in BY_NAME[RETENTION].find(people, span):
        predicted[line.person].append(line)
    counted = {m.name: _counts_of(m, people, span) for m in MEASURES if m.name != RETENTION}
    return {
        person.pk: (
            _kept(predicted[person.pk]),
            {RETENTION: _share(predicted[person.pk])}
            | {name: Share(*counts.get(person.pk, (0, 0))) for name, counts in counted.items()},
        )
        for person in people
    }


def _counts_of(measure: Measure, people: Sequence[User], span: Span) -> Counts:
    """How many lines of the figure are good, of how many, for each person."""
    if measure.count:
        return measure.count(people, span)
    found: Counts = {}
    for line in measure.find(people, span):
        good, n = found.get(line.person, (0, 0))
        found[line.person] = good + line.is_good, n + 1
    return found
