"""What is worth doing now, for one person: at most as many rows as they can make calls in a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from django.core.cache import cache
from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet, Subquery, Sum

from accounts.models import Account, Contract, Enquiry, Interaction, Issue, Promise, Role, User
from accounts.models.care import PromiseStatus
from pulsecheck.models import Handback, PulseCheck, Touchpoint
from pulsecheck.models.handbacks import HandbackOutcome, HandbackState
from pulsecheck.models.touchpoints import TouchpointState
from retention.models import Score, ScoreRun, Tier
from retention.models.scores import RunState
from retention.selectors.at_risk import quarter_start
from retention.selectors.book import why
from retention.selectors.frame import run_stamp

MOST_OF_A_KIND = 40
SPOKEN_DAYS = 5
ACCEPTED_REST_DAYS = 3
DISMISSED_DAYS = 30
RENEWAL_DAYS = 60
STEP_DAYS = 30
RUN_SECONDS = 120
# What comes first when all is equally late.
RANK = {
    "handback": 0,
    "promise": 1,
    "enquiry": 2,
    "issue": 3,
    "step": 4,
    "accepted": 5,
    "risk": 6,
    "pulse": 7,
    "renewal": 8,
}


@dataclass(frozen=True)
class Task:
    """One row of Today. `row_id` is the id of the record that `kind` names; `also` are other duties at the account."""

    kind: str
    account: Account
    why: str
    next_step: str
    due_on: dt.date | None
    row_id: int
    score: Score | None = None
    money: Decimal | None = None
    currency: str = ""
    also: list[str] = field(default_factory=list)

    def urgency(self, today: dt.date) -> tuple[int, int, Decimal]:
        """Late and due today first, then by kind, then most money."""
        is_due = self.due_on is not None and self.due_on <= today and self.kind not in {"pulse", "risk"}
        return (
            0 if is_due else 1,
            RANK[self.kind],
            -(self.score.revenue_at_risk_company if self.score else Decimal(0)),
        )


@dataclass(frozen=True)
class Today:
    """The rows to show, how many can wait, and the money at risk behind those shown."""

    tasks: list[Task]
    waiting: int
    capacity: int


def today_of(user: User, run: ScoreRun | None, today: dt.date) -> Today:
    """Everything `user` owes somebody, most urgent first, one row per account."""
    found = [
        *_handbacks(user, today),
        *_promises(user, today),
        *_enquiries(user),
        *_issues(user, today),
        *_steps(user, today),
        *_pulses(user, today),
        *_renewals(user, today),
        *(_risks(user, run, today) if run else []),
    ]
    scored = _with_scores(found, run)
    tasks = merge_by_account(sorted(scored, key=lambda task: task.urgency(today)))
    shown = tasks[: user.calls_per_day]
    return Today(shown, len(tasks) - len(shown), user.calls_per_day)


def merge_by_account(tasks: Iterable[Task]) -> list[Task]:
    """One row per account: the most urgent duty, the others named beside it."""
    rows: dict[int, Task] = {}
    for task in tasks:
        first = rows.get(task.account.pk)
        if first is None:
            rows[task.account.pk] = task
        elif task.next_step not in first.also:
            rows[task.account.pk] = replace(first, also=[*first.also, task.next_step])
    return list(rows.values())


def _with_scores(tasks: Sequence[Task], run: ScoreRun | None) -> list[Task]:
    if run is None or not tasks:
        return list(tasks)
    ids = {task.account.pk for task in tasks}
    scores = {s.account_id: s for s in Score.objects.filter(as_of=run.as_of, account__in=ids)}
    return [_with_score(task, scores.get(task.account.pk)) for task in tasks]


def _with_score(task: Task, score: Score | None) -> Task:
    if score is None:
        return task
    return replace(task, score=score, money=score.revenue_at_risk, currency=score.currency)


def _handbacks(user: User, today: dt.date) -> list[Task]:
    rows = (
        Handback.objects.filter(salesperson=user, state__in=[HandbackState.OPEN, HandbackState.ACCEPTED])
        .select_related("account")
        .annotate(tried_at=Max("attempts__happened_at"))
        .order_by("due_on")[:MOST_OF_A_KIND]
    )
    return [task for handback in rows if (task := _handback_task(handback, today))]


def _handback_task(handback: Handback, today: dt.date) -> Task | None:
    reasons = handback.risk.get("reasons") or []
    sentence = (
        max(reasons, key=lambda r: r["points"])["sentence"] if reasons else handback.get_trigger_display()
    )
    if handback.state == HandbackState.OPEN:
        return Task(
            "handback", handback.account, sentence, "Answer the handback", handback.due_on, handback.pk
        )
    tried_at: dt.datetime | None = getattr(handback, "tried_at", None)
    tried = tried_at.date() if tried_at else None
    if tried and (today - tried).days < ACCEPTED_REST_DAYS:
        return None
    text = (
        f"Last try {(today - tried).days} days ago." if tried else "You accepted it and have not tried yet."
    )
    return Task("accepted", handback.account, text, "Call them", None, handback.pk)


def _promises(user: User, today: dt.date) -> list[Task]:
    rows = Promise.objects.filter(
        made_by=user, status=PromiseStatus.OPEN, due_on__lte=today + dt.timedelta(days=2)
    ).select_related("account")
    return [
        Task("promise", p.account, f"You promised: {p.text}", "Keep the promise", p.due_on, p.pk)
        for p in rows.order_by("due_on")[:MOST_OF_A_KIND]
    ]


def _enquiries(user: User) -> list[Task]:
    mine = Q(owner=user) | Q(owner=None, account__account_manager=user)
    rows = Enquiry.objects.filter(mine, responded_at=None, account__isnull=False).select_related("account")
    return [
        Task(
            "enquiry",
            e.account,
            f"They ask: {e.subject or 'no subject'}",
            "Answer them",
            e.received_at.date(),
            e.pk,
        )
        for e in rows.order_by("received_at")[:MOST_OF_A_KIND]
        if e.account is not None
    ]


def _issues(user: User, today: dt.date) -> list[Task]:
    rows = Issue.objects.filter(owner=user, resolved_at=None, due_on__lte=today).select_related("account")
    return [
        Task("issue", i.account, str(i), "Solve the issue", i.due_on, i.pk)
        for i in rows.order_by("due_on")[:MOST_OF_A_KIND]
    ]


def _steps(user: User, today: dt.date) -> list[Task]:
    """Steps agreed at a pulse check; those forgotten for longer than a month stay on the page of pulse checks."""
    oldest = today - dt.timedelta(days=STEP_DAYS)
    rows = PulseCheck.objects.filter(
        next_step_owner=user, next_step_done_at=None, next_step_due_on__range=(oldest, today)
    ).select_related("account")
    return [
        Task(
            "step",
            p.account,
            f"Agreed at the pulse check: {p.next_step}",
            "Do the next step",
            p.next_step_due_on,
            p.pk,
        )
        for p in rows.order_by("next_step_due_on")[:MOST_OF_A_KIND]
    ]


def _pulses(user: User, today: dt.date) -> list[Task]:
    rows = Touchpoint.objects.filter(
        assignee=user, state=TouchpointState.PLANNED, due_on__lte=today
    ).select_related("account")
    return [
        Task("pulse", t.account, t.reason, "Take the pulse", t.due_on, t.pk)
        for t in rows.order_by("due_on")[:MOST_OF_A_KIND]
    ]


def _renewals(user: User, today: dt.date) -> list[Task]:
    """Contracts that end soon and about which nobody has spoken for a month."""
    spoken = Interaction.objects.filter(
        account=OuterRef("account"), happened_at__date__gte=today - dt.timedelta(days=30)
    )
    rows = (
        Contract.objects.filter(_mine(user, "account__"))
        .filter(ends_on__range=(today, today + dt.timedelta(days=RENEWAL_DAYS)), cancelled_on=None)
        .filter(~Exists(spoken))
        .select_related("account")
    )
    return [
        Task(
            "renewal",
            c.account,
            f"The contract ends in {(c.ends_on - today).days} days.",
            "Talk about renewing",
            c.ends_on,
            c.pk,
        )
        for c in rows.order_by("ends_on")[:MOST_OF_A_KIND]
    ]


def _risks(user: User, run: ScoreRun, today: dt.date) -> list[Task]:
    """At-risk and quiet accounts of one's own without a handback under way, not spoken with lately, not put off and
    not dismissed; most money first."""
    since = today - dt.timedelta(days=SPOKEN_DAYS)
    spoken = Interaction.objects.filter(account=OuterRef("account"), happened_at__date__gte=since)
    handled = Handback.objects.filter(account=OuterRef("account")).filter(
        Q(state__in=[HandbackState.OPEN, HandbackState.ACCEPTED])
        | Q(closed_at__date__gte=today - dt.timedelta(days=DISMISSED_DAYS))
    )
    put_off = Touchpoint.objects.filter(
        account=OuterRef("account"),
        state=TouchpointState.PLANNED,
        snoozed_from__isnull=False,
        due_on__gt=today,
    )
    scores = (
        Score.objects.filter(_mine(user, "account__"), as_of=run.as_of, tier__in=[Tier.AT_RISK, Tier.QUIET])
        .filter(~Exists(spoken), ~Exists(handled), ~Exists(put_off))
        .select_related("account")
        .order_by("-revenue_at_risk_company", "account_id")[:MOST_OF_A_KIND]
    )
    return [
        Task("risk", s.account, why(s, 1), "Call them", None, s.account_id, s, s.revenue_at_risk, s.currency)
        for s in scores
    ]


def _mine(user: User, prefix: str) -> Q:
    if user.role == Role.SALES_REP:
        return Q(**{f"{prefix}original_salesperson": user})
    if user.role == Role.ACCOUNT_MANAGER:
        return Q(**{f"{prefix}account_manager": user})
    return Q(**{f"{prefix}original_salesperson": user}) | Q(**{f"{prefix}account_manager": user})


# ── what changed, what was saved, how the team does ────────────────────
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
        return scores.filter(_mine(user, "account__"))
    return scores.risky()


def saves_of(user: User, today: dt.date, *, team: bool) -> list[Handback]:
    """Handbacks closed as saved this quarter: one's own, or all that a leader sees."""
    saved = Handback.objects.visible_to(user) if team else Handback.objects.filter(salesperson=user)
    saved = saved.filter(outcome=HandbackOutcome.SAVED, closed_at__date__gte=quarter_start(today))
    return list(saved.select_related("account", "salesperson").order_by("-closed_at")[:6])


@dataclass
class Member:
    """How one person of the team stands."""

    user: User
    risky: int = 0
    money: Decimal = Decimal(0)
    waiting: int = 0
    overdue: int = 0
    pulses_late: int = 0


def team_table(user: User, run: ScoreRun | None, today: dt.date) -> list[Member]:
    """The people a leader sees (managing no team: everybody who cares for accounts), most money at risk first."""
    people = User.objects.filter(is_active=True, role__in=[Role.SALES_REP, Role.ACCOUNT_MANAGER])
    if user.role == Role.MANAGER and user.managed_team_ids:
        people = people.filter(team__in=user.managed_team_ids)
    members = {person.pk: Member(person) for person in people.select_related("team")}
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
