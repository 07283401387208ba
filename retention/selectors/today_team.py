"""Beside the rows of Today: what changed, what was saved, how the team does; and which accounts are one's own."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from django.core.cache import cache
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum

from accounts.models import Role, User
from pulsecheck.models import Handback, HandbackThanks, Touchpoint
from pulsecheck.models.handbacks import HandbackOutcome, HandbackState
from pulsecheck.models.touchpoints import TouchpointState
from retention.models import Score, ScoreRun, Tier
from retention.models.scores import RunState
from retention.selectors.at_risk import quarter_start
from retention.selectors.frame import run_stamp

RUN_SECONDS = 120
THANKED_DAYS = 30


def of_mine(user: User, prefix: str) -> Q:
    """Accounts of one's own: those a rep won, those an account manager looks after, for others both; `prefix` leads to
    the account ("account__")."""
    if user.role == Role.SALES_REP:
        return Q(**{f"{prefix}original_salesperson": user})
    if user.role == Role.ACCOUNT_MANAGER:
        return Q(**{f"{prefix}account_manager": user})
    return Q(**{f"{prefix}original_salesperson": user}) | Q(**{f"{prefix}account_manager": user})


@dataclass(frozen=True)
class Moved:
    """An account whose tier changed between two runs."""

    score: Score
    before: str


def what_changed(user: User, run: ScoreRun, most: int = 6) -> tuple[dt.date | None, list[Moved]]:
    """Accounts of one's own (leaders: of those they see, the risky ones) whose tier differs from the run before."""
    previous = (
        ScoreRun.objects.filter(state=RunState.PUBLISHED, as_of__lt=run.as_of).order_by("-as_of").first()
    )
    if previous is None:
        return None, []
    key = f"moved-{run_stamp(run)}-{user.pk}-{user.role}"
    moved: dict[int, str] | None = cache.get(key)
    if moved is None:
        moved = _moved(_watched(user, run), previous, most)
        cache.set(key, moved, RUN_SECONDS)
    scores = Score.objects.visible_to(user).filter(pk__in=moved).select_related("account")
    return previous.as_of, [Moved(score, Tier(moved[score.pk]).label) for score in scores]


def _moved(scores: QuerySet[Score], previous: ScoreRun, most: int) -> dict[int, str]:
    """The score and the tier before of accounts whose tier is another one now, most money first. Changes only with a
    run, and comparing a large book is dear, so it is kept for some minutes."""
    before = (
        Score.objects.filter(account=OuterRef("account"), as_of=previous.as_of).order_by().values("tier")[:1]
    )
    found = scores.annotate(before=Subquery(before)).filter(before__isnull=False).exclude(tier=F("before"))
    return dict(found.order_by("-revenue_at_risk_company", "account_id").values_list("pk", "before")[:most])


def _watched(user: User, run: ScoreRun) -> QuerySet[Score]:
    scores = Score.objects.visible_to(user).filter(as_of=run.as_of)
    if user.role in {Role.SALES_REP, Role.ACCOUNT_MANAGER}:
        return scores.filter(of_mine(user, "account__"))
    return scores.risky()


def saves_of(user: User, today: dt.date, *, team: bool) -> list[Handback]:
    """Handbacks closed as saved this quarter: one's own, or all that a leader sees."""
    saved = Handback.objects.visible_to(user) if team else Handback.objects.filter(salesperson=user)
    saved = saved.filter(outcome=HandbackOutcome.SAVED, closed_at__date__gte=quarter_start(today))
    shown = ("account__name", "salesperson__name", "revenue_at_risk", "currency", "closed_at")
    rows = saved.select_related("account", "salesperson").only(*shown)
    return list(rows.order_by("-closed_at")[:6])


def thanks_to(user: User, today: dt.date, most: int = 3) -> list[HandbackThanks]:
    """What others said in the last month to those who had a part in a save, newest first."""
    since = today - dt.timedelta(days=THANKED_DAYS)
    said = HandbackThanks.objects.filter(handback__credits__person=user, created_at__date__gte=since)
    rows = said.exclude(by=user).select_related("by", "handback__account")
    shown = ("words", "created_at", "by__name", "handback__account__name")
    return list(rows.only(*shown).order_by("-created_at")[:most])


@dataclass
class Member:
    """How one person of the team stands."""

    user: User
    risky: int = 0
    money: Decimal = Decimal(0)
    waiting: int = 0
    overdue: int = 0
    pulses_late: int = 0


def led_people(user: User) -> QuerySet[User]:
    """Sales reps and account managers of the teams `user` manages; of a leader without teams, all of them."""
    people = User.objects.filter(is_active=True, role__in=[Role.SALES_REP, Role.ACCOUNT_MANAGER])
    if user.role == Role.MANAGER and user.managed_team_ids:
        people = people.filter(team__in=user.managed_team_ids)
    return people


def team_table(user: User, run: ScoreRun | None, today: dt.date) -> list[Member]:
    """The people a leader sees (managing no team: everybody who cares for accounts), most money at risk first."""
    members = {person.pk: Member(person) for person in led_people(user).select_related("team")}
    _count_risks(members, run)
    _count_duties(members, today)
    return sorted(members.values(), key=lambda m: (-m.overdue, -m.money, m.user.name))


def _count_risks(members: dict[int, Member], run: ScoreRun | None) -> None:
    if run is None:
        return
    for pk, (risky, money) in _risks_by_owner(run).items():
        if pk in members:
            members[pk].risky, members[pk].money = risky, money


def _risks_by_owner(run: ScoreRun) -> dict[int, tuple[int, Decimal]]:
    """At-risk and quiet accounts and their money for everybody who won or looks after any; kept for some minutes."""
    key = f"owners-{run_stamp(run)}"
    found: dict[int, tuple[int, Decimal]] | None = cache.get(key)
    if found is None:
        found = {}
        risky = Score.objects.filter(as_of=run.as_of, tier__in=[Tier.AT_RISK, Tier.QUIET]).order_by()
        for owner in ("account__original_salesperson", "account__account_manager"):
            summed = risky.exclude(**{owner: None}).values_list(owner)
            for pk, n, money in summed.annotate(n=Count("pk"), money=Sum("revenue_at_risk_company")):
                before = found.get(pk, (0, Decimal(0)))
                found[pk] = (before[0] + n, before[1] + money)
        cache.set(key, found, RUN_SECONDS)
    return found


def _count_duties(members: dict[int, Member], today: dt.date) -> None:
    open_ones = Handback.objects.filter(salesperson__in=list(members), state=HandbackState.OPEN).order_by()
    for pk, waiting, overdue in open_ones.values_list("salesperson").annotate(
        waiting=Count("pk"), overdue=Count("pk", filter=Q(due_on__lt=today))
    ):
        members[pk].waiting, members[pk].overdue = waiting, overdue
    late = Touchpoint.objects.filter(
        assignee__in=list(members), state=TouchpointState.PLANNED, due_on__lt=today
    ).order_by()
    for pk, n in late.values_list("assignee").annotate(n=Count("pk")):
        members[pk].pulses_late = n
