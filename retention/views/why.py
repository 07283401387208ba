"""The Why card of an account in words: reasons with their records, what changed, what would change it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.core.cache import cache
from django.utils import timezone

from accounts.models import User
from accounts.selectors import get_company
from retention.datasets import Records
from retention.models import Score, TierPolicy
from retention.models.scores import Stage
from retention.scoring.whatif import Changes, Futures, Step
from retention.selectors.account import AccountFacts, Reason, change_between
from retention.selectors.account_records import Grounds, records_behind
from retention.selectors.account_why import Since, Why, why
from retention.selectors.book import factor_words
from retention.selectors.definitions import tier_policy_in_force
from retention.templatetags.mainstay import day_text, money, percent, plural, points

SHORTEST_LINE = 10.0  # percentage points that the bars of a change span at least
LEAST = 0.5  # percentage points below which nothing is shown
WORTH_SAYING = 0.01  # of probability
VISIT_KEPT = 400 * 24 * 3600
OTHER_DAYS = 20  # earlier scores offered by their day


@dataclass(frozen=True)
class ReasonRow:
    """A reason with its whole points and its records."""

    sentence: str
    points: float
    whole: int
    anchor: str
    records: Grounds | None


@dataclass(frozen=True)
class StepRow:
    """One part of a change."""

    label: str
    detail: str
    points: float
    whole: int


@dataclass(frozen=True)
class Link:
    """A choice of what to compare with."""

    url: str
    label: str
    is_on: bool = False


@dataclass(frozen=True)
class Card:
    """What the card shows. Whole points and `base` add up to the probability as it is shown."""

    base: int
    start: str
    reasons: list[ReasonRow]
    largest: float
    smallest: float
    since: Since | None
    links: list[Link]
    other_links: list[Link]
    steps: list[StepRow]
    change_note: str
    advice: list[str]
    has_signal: bool

    @property
    def step_largest(self) -> float:
        """Right end of the zero line that the parts of the change share; a change of next to nothing has short bars."""
        largest = max([0.0, *(step.points for step in self.steps)])
        return max(largest, self.step_smallest + SHORTEST_LINE)

    @property
    def step_smallest(self) -> float:
        """Its left end."""
        return min([0.0, *(step.points for step in self.steps)])


def why_card(user: User, facts: AccountFacts, records: Records, wanted: str) -> Card | None:
    """The card of a scored account, `records` being its own up to that day; None where it has no score."""
    score = facts.score
    if score is None:
        return None
    found = why(records, facts.history, wanted, _last_visit(user, score))
    rows = _reasons(facts, score)
    sizes = [row.points for row in rows] + [0.0]
    steps, note = _steps(found, facts, score)
    return Card(
        base=round(score.base_probability * 100),
        start=START.get(score.stage) or START[Stage.LEARNED],
        reasons=rows,
        largest=max(sizes),
        smallest=min(sizes),
        since=found.since,
        links=[_link(since, found.since) for since in found.choices],
        other_links=[_link(since, found.since) for since in found.others[:OTHER_DAYS]],
        steps=steps,
        change_note=note,
        advice=_advice(found.futures, score, facts),
        has_signal=_has_signal(score),
    )


START: dict[str, str] = {
    Stage.RULES: "Starting point: a usual customer; there are too few yet to learn from",
    Stage.CONTRACT: "Starting point: a usual contract",
    Stage.LEARNED: "Starting point: a customer in good standing",
}


def _has_signal(score: Score) -> bool:
    return not any(reason["factor"] == "no_signal" for reason in score.reasons)


def _last_visit(user: User, score: Score) -> dt.date | None:
    """Day of the score this person saw here before the present one. Kept in the cache: losing it costs nothing."""
    key = f"seen-{user.pk}-{score.account_id}"
    before, last = cache.get(key) or (None, None)
    if last != score.as_of:
        before, last = last, score.as_of
        cache.set(key, (before, last), VISIT_KEPT)
    return before


def whole_points(values: Sequence[float], total: int) -> list[int]:
    """The values as whole numbers that sum to `total`: rounded down, then up where most was cut off."""
    whole = [math.floor(value) for value in values]
    left = total - sum(whole)
    order = sorted(range(len(values)), key=lambda i: whole[i] - values[i])
    for turn in range(abs(left) if values else 0):
        place = order[turn % len(order)] if left > 0 else order[-1 - turn % len(order)]
        whole[place] += 1 if left > 0 else -1
    return whole


def _reasons(facts: AccountFacts, score: Score) -> list[ReasonRow]:
    reasons: list[Reason] = facts.reasons
    total = round(score.churn_probability * 100) - round(score.base_probability * 100)
    whole = whole_points([reason.points for reason in reasons], total)
    return [
        ReasonRow(r.sentence, r.points, rounded, r.anchor, records_behind(r.factor, facts, score))
        for r, rounded in zip(reasons, whole, strict=True)
    ]


# ── what changed ───────────────────────────────────────────────────────
def _link(since: Since, chosen: Since | None) -> Link:
    day = day_text(since.score.as_of, timezone.localdate())
    label = f"{since.label} ({day})" if since.label else day
    return Link(f"?since={since.code}#changed", label, chosen is not None and chosen.code == since.code)


def _steps(found: Why, facts: AccountFacts, score: Score) -> tuple[list[StepRow], str]:
    """The parts of the change; without the model of that day only what moved by factor, which says less."""
    if found.since is None:
        return [], ""
    if found.changes is not None:
        return _rows_of(found.changes, found.since.score, score, facts), ""
    rows = _rows_by_factor(found.since.score, score)
    if score.stage == Stage.CONTRACT:
        return rows, ""
    return (
        rows,
        "The model of that day cannot be applied any more, so behaviour, time and model are not told apart.",
    )


def _rows_by_factor(then: Score, now: Score) -> list[StepRow]:
    """What moved most, and the rest."""
    moved = [
        (factor_words(code), points) for code, points in change_between(then, now).factors if code != "other"
    ]
    rest = 100 * (now.churn_probability - then.churn_probability) - sum(points for _, points in moved)
    moved += [("Everything else", rest)] if abs(rest) >= LEAST else []
    total = round(now.churn_probability * 100) - round(then.churn_probability * 100)
    whole = whole_points([points for _, points in moved], total)
    return [
        StepRow(words, "", points, rounded) for (words, points), rounded in zip(moved, whole, strict=True)
    ]


def _rows_of(changes: Changes, then: Score, now: Score, facts: AccountFacts) -> list[StepRow]:
    same_model = then.model_version == now.model_version
    shown = [
        step
        for step in changes.steps
        if abs(step.points) >= LEAST
        or step.kind in {"time", "behaviour"}
        or (step.kind == "model" and not same_model)
    ]
    total = round(changes.after * 100) - round(changes.before * 100)
    whole = whole_points([step.points for step in shown], total)
    return [
        StepRow(STEPS[step.kind], _detail(step, then, now, facts), step.points, rounded)
        for step, rounded in zip(shown, whole, strict=True)
    ]


STEPS = {
    "late": "Records that arrived late",
    "time": "Time passing",
    "behaviour": "What happened since",
    "model": "The model learned anew",
    "uncounted": "Newer records left out",
}


def _detail(step: Step, then: Score, now: Score, facts: AccountFacts) -> str:
    days = (now.as_of - then.as_of).days
    said = {
        "late": f"dated up to {day_text(then.as_of, timezone.localdate())}, not known then",
        "time": f"had nothing happened in {'this day' if days == 1 else f'these {days} days'}",
        "behaviour": _happened(then.as_of, now.as_of, facts),
        "model": "from how past customers turned out",
        "uncounted": f"they came in after this score; with them it would be {percent(now.churn_probability - step.points / 100)}",
    }[step.kind]
    largest = sorted(step.factors.items(), key=lambda item: -abs(item[1]))[:2]
    by_factor = [f"{_factor(code)} {points(moved)}" for code, moved in largest if abs(moved) >= 1]
    return f"{said}: {', '.join(by_factor)}" if by_factor else said


def _factor(code: str) -> str:
    return "level of the whole book" if code == "base" else factor_words(code).lower()


def _happened(after: dt.date, until: dt.date, facts: AccountFacts) -> str:
    company = get_company()

    def count(moments: Iterable[dt.datetime]) -> int:
        return sum(after < company.local_date(moment) <= until for moment in moments)

    counted = [
        (count(o.ordered_at for o in facts.orders if o.amount > 0), "order,orders"),
        (count(o.ordered_at for o in facts.orders if o.amount < 0), "return,returns"),
        (count(i.opened_at for i in facts.issues), "new issue,new issues"),
        (count(i.resolved_at for i in facts.issues if i.resolved_at), "issue solved,issues solved"),
        (count(i.happened_at for i in facts.interactions), "conversation,conversations"),
        (count(p.taken_at for p in facts.pulses), "pulse check,pulse checks"),
    ]
    said = [plural(number, words) for number, words in counted if number]
    return ", ".join(said) if said else "no order, and nothing else on record in these days"


# ── what would change it ───────────────────────────────────────────────
def _advice(ahead: Futures | None, score: Score, facts: AccountFacts) -> list[str]:
    if ahead is None or not _has_signal(score):
        return []
    policy = tier_policy_in_force()
    said = [
        _order_words(ahead, policy, score.as_of),
        _deed_words(ahead, facts),
        _silence_words(ahead, policy, score.as_of),
    ]
    return [sentence for sentence in said if sentence]


def _day(as_of: dt.date, days: int) -> str:
    return day_text(as_of + dt.timedelta(days=days), timezone.localdate())


def _order_words(ahead: Futures, policy: TierPolicy, as_of: dt.date) -> str:
    """Until when an order of the usual size would bring the account below the threshold it is above."""
    steps = [
        step for step in (policy.at_risk_from, policy.watch_from, policy.thriving_below) if step <= ahead.now
    ]
    size = money(ahead.order_size, get_company().currency)
    what = f"An order of its usual size ({size})"
    if not steps:
        return ""
    last = ahead.last_day_for_order(steps[0])
    if last is None:
        now = float(ahead.ordered[0])
        if ahead.now - now < WORTH_SAYING:
            return f"{what} would hardly change it."
        short = "" if percent(now) == percent(steps[0]) else f", not below {percent(steps[0])}"
        return f"{what} now would bring it to {percent(now)}{short}."
    reached = percent(ahead.after_order_by(last))
    longest = int(ahead.days[-1])
    if last == 0:
        return f"{what} at once would bring it to {reached}; a day later it would not fall below {percent(steps[0])}."
    if last == longest:
        return f"{what} within the next {last} days would bring it to {reached} or less."
    return f"{what} within {plural(last, 'day,days')}, by {_day(as_of, last)}, would bring it to {reached} or less."


def _deed_words(ahead: Futures, facts: AccountFacts) -> str:
    """The deed of ours that would lower the score most."""
    open_issues = sum(issue.resolved_at is None for issue in facts.issues)
    issues = "Solving the open issue" if open_issues == 1 else f"Solving all {open_issues} open issues"
    deeds = [
        (ahead.solved, issues if open_issues else ""),
        (ahead.talked, "A conversation with them today"),
        (ahead.pleased, "A pulse check tomorrow that finds them happy (5 of 6)"),
    ]
    known = [(p, words) for p, words in deeds if p is not None and words and ahead.now - p >= WORTH_SAYING]
    if not known:
        return ""
    best, words = min(known)
    return f"{words} would bring it to {percent(best)}."


def _silence_words(ahead: Futures, policy: TierPolicy, as_of: dt.date) -> str:
    """When silence alone crosses the next threshold."""
    longest = int(ahead.days[-1])
    names = [
        (policy.watch_from, "to be watched"),
        (policy.at_risk_from, "at risk"),
    ]
    ahead_of = [(step, name) for step, name in names if step > ahead.now]
    if not ahead_of:
        half = longest // 2
        if ahead.silent_on(longest) - ahead.now < WORTH_SAYING:
            return f"More silence would change little: after {longest} more days it is at {percent(ahead.silent_on(longest))}."
        return f"{half} more days of silence would bring it to {percent(ahead.silent_on(half))}, {longest} to {percent(ahead.silent_on(longest))}."
    step, name = ahead_of[0]
    day = ahead.silent_until(step)
    if day is None:
        return f"Even {longest} more days without an order would leave it below {percent(step)}, at {percent(ahead.silent_on(longest))}."
    return f"Without an order it reaches {percent(step)}, {name}, on {_day(as_of, day)}."
