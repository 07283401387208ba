"""Where model, scorecard and last pulse disagree: what waits for a person, and who has been right so far."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from accounts.models import User
from accounts.selectors import get_company
from pulsecheck.models import PulseCheck
from retention.models import Disagreement, Score, ScoreRun
from retention.models.health import Stance, Verdict
from retention.scoring.stances import (
    HAPPY_FROM,
    HEALTHY_FROM,
    PULSE_DAYS,
    UNHAPPY_TO,
    UNHEALTHY_BELOW,
)
from retention.selectors.definitions import tier_policy_in_force

SHOWN = 20
SETTLED_SHOWN = 10


# ── found after a run ──────────────────────────────────────────────────
@dataclass(frozen=True)
class LastPulse:
    """The newest pulse of an account that is fresh enough as of a run."""

    score: int
    label: str
    note: str
    days_ago: int


def last_pulses(run: ScoreRun, account_ids: list[int]) -> dict[int, LastPulse]:
    """The newest pulse of each of these accounts, where it is fresh enough to be held against a score."""
    company = get_company()
    end = dt.datetime.combine(run.as_of + dt.timedelta(days=1), dt.time(), company.zone)
    pulses = _fresh_pulses(end).filter(account__in=account_ids)
    return {
        pulse.account_id: LastPulse(
            pulse.score,
            pulse.get_score_display(),
            pulse.note,
            (run.as_of - company.local_date(pulse.taken_at)).days,
        )
        for pulse in pulses
    }


def _fresh_pulses(end: dt.datetime) -> QuerySet[PulseCheck]:
    """The newest pulse of each account before `end`, and not older than it may be."""
    fresh = PulseCheck.objects.filter(taken_at__lt=end, taken_at__gte=end - dt.timedelta(days=PULSE_DAYS))
    return fresh.order_by("account_id", "-taken_at", "-pk").distinct("account_id")


def disputed_scores(run: ScoreRun) -> QuerySet[Score]:
    """Scores of `run` of which two of the three say opposite things, by the stored figures alone."""
    policy, company = tier_policy_in_force(), get_company()
    end = dt.datetime.combine(run.as_of + dt.timedelta(days=1), dt.time(), company.zone)
    scores = dict(_fresh_pulses(end).values_list("account_id", "score"))
    happy = Q(account__in=[pk for pk, score in scores.items() if score >= HAPPY_FROM])
    unhappy = Q(account__in=[pk for pk, score in scores.items() if score <= UNHAPPY_TO])
    healthy, unhealthy = Q(health_score__gte=HEALTHY_FROM), Q(health_score__lt=UNHEALTHY_BELOW)
    disputed = (healthy & unhappy) | (unhealthy & happy)
    if run.model is None or run.model.has_signal:
        leaving = Q(churn_probability__gte=policy.at_risk_from)
        staying = Q(churn_probability__lt=policy.watch_from)
        disputed |= (leaving & (healthy | happy)) | (staying & (unhealthy | unhappy))
    return Score.objects.filter(disputed, as_of=run.as_of)


# ── the page ───────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Side:
    """One of the three and what it says: a figure and a sentence."""

    verdict: str
    who: str
    figure: str
    says: str


@dataclass(frozen=True)
class Dispute:
    """An account to be judged: who says it leaves, who says it stays."""

    row: Disagreement
    leaving: list[Side]
    staying: list[Side]

    @property
    def verdicts(self) -> list[tuple[str, str]]:
        """What a person may choose: one of those who took a side, or that it cannot be told."""
        sides = [(side.verdict, side.who) for side in (*self.leaving, *self.staying)]
        return [*sides, (Verdict.CANNOT_TELL.value, Verdict.CANNOT_TELL.label)]


def dispute_of(row: Disagreement) -> Dispute:
    """A disagreement with both its sides."""
    stances = (
        (row.model_stance, _side(Verdict.MODEL, f"{row.churn_probability:.0%} may leave", row.model_says)),
        (
            row.scorecard_stance,
            _side(Verdict.SCORECARD, f"health {row.health_score} of 100", row.scorecard_says),
        ),
        (row.pulse_stance, _side(Verdict.PULSE, f"{row.pulse_score} of 6", row.pulse_says)),
    )
    return Dispute(
        row,
        [side for stance, side in stances if stance == Stance.LEAVING],
        [side for stance, side in stances if stance == Stance.STAYING],
    )


def _side(verdict: Verdict, figure: str, says: str) -> Side:
    return Side(verdict.value, verdict.label, figure.replace("%", "\N{NO-BREAK SPACE}%"), says)


def count_to_settle(user: User) -> int:
    """How many wait for somebody who sees what `user` sees."""
    return Disagreement.objects.visible_to(user).to_settle().count()


def disputes_of(user: User) -> list[Dispute]:
    """The most valuable accounts that wait."""
    rows = Disagreement.objects.visible_to(user).to_settle().select_related("account")[:SHOWN]
    return [dispute_of(row) for row in rows]


def settled_lately(user: User) -> list[Disagreement]:
    """What people said, the newest first."""
    rows = Disagreement.objects.visible_to(user).exclude(verdict="").select_related("account", "settled_by")
    return list(rows.order_by("-settled_at")[:SETTLED_SHOWN])


@dataclass(frozen=True)
class Tally:
    """How often one side was right, of the times it took a side and the horizon is over."""

    who: str
    right: int
    of: int


def who_was_right(user: User) -> list[Tally]:
    """The model, the scorecard, the pulse and the people who judged, over what `user` sees."""
    sides = {
        "The model": ("model_stance", Verdict.MODEL),
        "The scorecard": ("scorecard_stance", Verdict.SCORECARD),
        "The pulse": ("pulse_stance", Verdict.PULSE),
    }
    people_right, people_of = Q(pk__in=[]), Q(pk__in=[])
    wanted: dict[str, Count] = {}
    for number, (stance, verdict) in enumerate(sides.values()):
        right = Q(**{stance: Stance.LEAVING}, has_left=True) | Q(**{stance: Stance.STAYING}, has_left=False)
        wanted[f"right_{number}"] = Count("pk", filter=right)
        wanted[f"of_{number}"] = Count("pk", filter=~Q(**{stance: ""}))
        people_right |= right & Q(verdict=verdict)
        people_of |= Q(verdict=verdict)
    wanted |= {"right_3": Count("pk", filter=people_right), "of_3": Count("pk", filter=people_of)}
    known = Disagreement.objects.visible_to(user).filter(has_left__isnull=False).order_by()
    found = known.aggregate(**wanted)
    names = [*sides, "Whoever of us judged"]
    tallies = [Tally(who, found[f"right_{n}"], found[f"of_{n}"]) for n, who in enumerate(names)]
    return [tally for tally in tallies if tally.of]
