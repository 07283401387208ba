"""Lists of handbacks, and the briefing of one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from accounts.models import Account, Contact, Contract, Interaction, Issue, Order, Promise, User
from accounts.models.care import PromiseStatus
from accounts.models.commerce import OrderStatus
from accounts.paging import Page, make_page
from accounts.permissions import LEADERS, has_role
from accounts.selectors import get_company
from pulsecheck.models import (
    Handback,
    HandbackAttempt,
    HandbackCredit,
    HandbackReason,
    HandbackThanks,
    Insight,
    ReasonSettlement,
)
from pulsecheck.models.handbacks import UNFINISHED, HandbackOutcome, HandbackState, HandbackTrigger
from pulsecheck.selectors.insights import insights_for
from pulsecheck.selectors.lists import behind

PAGE_SIZE = 50
STATES = {"": "To do", "open": "Waiting for an answer", "accepted": "Accepted", "closed": "Closed"}
WHOSE = {"mine": "Mine", "all": "All I see", "nobody": "Nobody has it"}
KEYS = ("whose", "state", "trigger", "q", "after")


@dataclass(frozen=True)
class Filters:
    """What the reader asked for, as it stands in the url; values that make no sense are left out."""

    whose: str = "mine"
    state: str = ""
    trigger: str = ""
    text: str = ""
    after: str = ""
    query: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: Mapping[str, str], user: User) -> Filters:
        """Leaders look at everybody's unless they ask for their own."""
        kept = {k: query[k].strip() for k in KEYS if query.get(k, "").strip() and "\0" not in query[k]}
        standard = "all" if has_role(user, *LEADERS) else "mine"
        return cls(
            whose=kept["whose"] if kept.get("whose") in WHOSE else standard,
            state=kept["state"] if kept.get("state") in STATES else "",
            trigger=kept["trigger"] if kept.get("trigger") in HandbackTrigger.values else "",
            text=kept.get("q", ""),
            after=kept.get("after", ""),
            query=kept,
        )

    @property
    def are_set(self) -> bool:
        """Whether anything narrows the list."""
        return bool(set(self.query) - {"after"})


@dataclass(frozen=True)
class HandbackCounts:
    """Handbacks of a person (or all they see): to answer, of these too late, accepted; closed in 90 days, of these
    saved."""

    waiting: int
    overdue: int
    accepted: int
    closed: int
    saved: int


def _whose(handbacks: QuerySet[Handback], whose: str, user: User) -> QuerySet[Handback]:
    if whose == "mine":
        return handbacks.filter(salesperson=user)
    return handbacks.filter(salesperson=None) if whose == "nobody" else handbacks


def count_handbacks(user: User, whose: str, today: dt.date) -> HandbackCounts:
    """What stands above the list; one query."""
    since = timezone.now() - dt.timedelta(days=90)
    waiting, recent = Q(state=HandbackState.OPEN), Q(closed_at__gte=since)
    chosen = _whose(Handback.objects.visible_to(user), whose, user).order_by()
    return HandbackCounts(
        **chosen.aggregate(
            waiting=Count("pk", filter=waiting),
            overdue=Count("pk", filter=waiting & Q(due_on__lt=today)),
            accepted=Count("pk", filter=Q(state=HandbackState.ACCEPTED)),
            closed=Count("pk", filter=recent & ~Q(outcome=HandbackOutcome.FALSE_ALARM)),
            saved=Count("pk", filter=recent & Q(outcome=HandbackOutcome.SAVED)),
        )
    )


def handback_page(user: User, filters: Filters) -> Page:
    """A page of handbacks: unfinished ones by the day they are due, closed ones newest first; two queries."""
    handbacks = _whose(Handback.objects.visible_to(user), filters.whose, user)
    if filters.text:
        handbacks = handbacks.filter(account__name__icontains=filters.text)
    if filters.trigger:
        handbacks = handbacks.filter(trigger=filters.trigger)
    is_closed = filters.state == HandbackState.CLOSED
    ordered = _closed(handbacks, filters.after) if is_closed else _unfinished(handbacks, filters)
    found = list(ordered.select_related("account", "salesperson", "churn_reason")[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    cursor = _cursor(shown[-1]) if shown else ""
    words = f"{len(shown)} shown" + (", more follow" if len(found) > PAGE_SIZE else "")
    return make_page(found, PAGE_SIZE, filters.query, cursor, words)


def _cursor(row: Handback) -> str:
    """Names a row by what it is ordered by."""
    if row.closed_at is not None:
        return f"{row.closed_at.isoformat()}~{row.pk}"
    return f"{row.state}~{row.due_on.isoformat()}~{row.pk}"


def _closed(handbacks: QuerySet[Handback], cursor: str) -> QuerySet[Handback]:
    """Newest first, behind the row that `cursor` names."""
    closed = handbacks.filter(state=HandbackState.CLOSED)
    return behind(closed, cursor, "closed_at", newest_first=True)


def _unfinished(handbacks: QuerySet[Handback], filters: Filters) -> QuerySet[Handback]:
    """Those that wait for an answer before those accepted, and what is due first on top."""
    states = [filters.state] if filters.state else UNFINISHED
    # "open" comes before "accepted" when ordered backwards.
    rows = handbacks.filter(state__in=states).order_by("-state", "due_on", "pk")
    state, _, rest = filters.after.partition("~")
    text, _, number = rest.rpartition("~")
    try:
        due_on, last = dt.date.fromisoformat(text), int(number)
    except ValueError:
        return rows
    later = Q(due_on__gt=due_on) | Q(due_on=due_on, pk__gt=last)
    return rows.filter(state__lte=state).filter(Q(state__lt=state) | later)


def is_late(handback: Handback, now: dt.datetime) -> bool:
    """Whether the time to answer is over."""
    if handback.state != HandbackState.OPEN:
        return False
    if handback.due_at is not None:
        return handback.due_at < now
    return handback.due_on < get_company().local_date(now)


# ── briefing ───────────────────────────────────────────────────────────
LIKE_ACCOUNTS_DAYS = 730
FEWEST_TO_TELL = 5


@dataclass(frozen=True)
class LikeAccounts:
    """How earlier handbacks of the same segment and kind ended, with and without the customer being reached."""

    words: str
    closed: int
    saved: int
    reached: int
    reached_saved: int

    @property
    def can_tell(self) -> bool:
        """Fewer than five say nothing."""
        return self.closed >= FEWEST_TO_TELL

    @property
    def unreached(self) -> int:
        return self.closed - self.reached

    @property
    def unreached_saved(self) -> int:
        return self.saved - self.reached_saved


@dataclass(frozen=True)
class Purchases:
    """What the account bought in its own currency in the last year and the year before."""

    revenue: Decimal
    revenue_before: Decimal
    orders: int
    last_at: dt.datetime | None


@dataclass(frozen=True)
class Said:
    """One conversation or pulse check; `tone`: good, bad or mine."""

    at: dt.datetime
    tone: str
    text: str
    detail: str


@dataclass(frozen=True)
class Briefing:
    """Everything the salesperson should know before calling, on one page."""

    handback: Handback
    spoken: list[HandbackReason]
    reasons: list[dict[str, Any]]
    purchases: Purchases
    contacts: list[Contact]
    contracts: list[Contract]
    promises: list[Promise]
    issues: list[Issue]
    said: list[Said]
    attempts: list[HandbackAttempt]
    earlier: list[Handback]
    like: LikeAccounts
    insights: list[Insight]
    team: list[User]
    credits: list[HandbackCredit]
    thanks: list[HandbackThanks]


def _is_told(reason: dict[str, Any], said: set[str]) -> bool:
    """What a trigger has said already is not said again, and the rest of a score is nothing to talk about."""
    return reason["sentence"] not in said and reason.get("factor") != "other"


def briefing(handback: Handback, today: dt.date) -> Briefing:
    """Read the page of one handback; a constant number of queries."""
    account = handback.account
    spoken = list(handback.reasons.all())
    said = {reason.sentence for reason in spoken}
    return Briefing(
        handback=handback,
        spoken=spoken,
        reasons=[r for r in handback.risk.get("reasons") or [] if _is_told(r, said)],
        purchases=_purchases(account),
        contacts=_contacts(account),
        contracts=list(
            account.contracts.filter(ends_on__gte=today, cancelled_on=None).order_by("ends_on")[:3]
        ),
        promises=_promises(account),
        issues=list(account.issues.filter(resolved_at=None).select_related("owner")[:5]),
        said=_said(account),
        attempts=list(handback.attempts.select_related("user")),
        earlier=list(
            account.handbacks.filter(state=HandbackState.CLOSED)
            .exclude(pk=handback.pk)
            .select_related("salesperson", "churn_reason")
            .order_by("-closed_at")[:5]
        ),
        like=_like_accounts(handback),
        insights=insights_for([account], today)[account.pk][:2],
        team=list(User.objects.filter(memberships__account=account, is_active=True).order_by("name")[:6]),
        credits=list(handback.credits.select_related("person")),
        thanks=list(handback.thanks.select_related("by")),
    )


def _said(account: Account) -> list[Said]:
    """The last conversations and pulse checks, newest first."""
    talks = account.interactions.select_related("user", "contact")[:6]
    pulses = account.pulse_checks.all()[:3]
    found = [Said(t.happened_at, "mine", _talk_words(t), t.subject or t.note) for t in talks]
    found += [
        Said(
            p.taken_at,
            "bad" if p.is_low else "good",
            f"Pulse {p.score} of 6: {p.get_score_display().lower()}",
            p.note,
        )
        for p in pulses
    ]
    return sorted(found, key=lambda said: said.at, reverse=True)


def settlements_of(handback: Handback) -> list[ReasonSettlement]:
    """How the churn reason changed after the owners disagreed, oldest first."""
    return list(handback.settlements.select_related("before", "after", "settled_by"))


def _talk_words(talk: Interaction) -> str:
    ours = f" by {talk.user}" if talk.user else ""
    theirs = f" with {talk.contact}" if talk.contact else ""
    return f"{talk.get_kind_display()}{ours}{theirs}"


CALL_FIRST = {"decision_maker": 0, "champion": 1, "user": 2, "billing": 3, "other": 4, "blocker": 5}


def _contacts(account: Account) -> list[Contact]:
    """Who to call: those who decide, then those who like us; and who has left in the last year, because it explains."""
    there = list(account.contacts.filter(is_active=True)[:50])
    return sorted(there, key=lambda contact: CALL_FIRST.get(contact.role, 9))[:5]


def _promises(account: Account) -> list[Promise]:
    """Promises still open, and those broken or kept late."""
    chosen = account.promises.exclude(status=PromiseStatus.KEPT).select_related("made_by")
    return list(chosen.order_by("-due_on")[:6])


def _purchases(account: Account) -> Purchases:
    now = timezone.now()
    year, before = now - dt.timedelta(days=365), now - dt.timedelta(days=730)
    orders = Order.objects.filter(account=account, currency=account.currency, ordered_at__gte=before)
    last = Q(ordered_at__gte=year)
    found = orders.exclude(status=OrderStatus.CANCELLED).aggregate(
        revenue=Sum("amount", filter=last, default=Decimal(0)),
        revenue_before=Sum("amount", filter=~last, default=Decimal(0)),
        orders=Count("pk", filter=last & Q(amount__gt=0)),
    )
    newest = Order.objects.filter(account=account, amount__gt=0).order_by("-ordered_at").first()
    return Purchases(last_at=newest.ordered_at if newest else None, **found)


def _like_accounts(handback: Handback) -> LikeAccounts:
    """Closed handbacks of two years with the same trigger in the same segment; false alarms do not count."""
    segment, trigger = handback.account.segment, handback.get_trigger_display().lower()
    reached = HandbackAttempt.objects.filter(handback=OuterRef("pk"), has_reached=True)
    closed = (
        Handback.objects.filter(
            state=HandbackState.CLOSED,
            trigger=handback.trigger,
            account__segment=segment,
            closed_at__gte=timezone.now() - dt.timedelta(days=LIKE_ACCOUNTS_DAYS),
        )
        .exclude(outcome=HandbackOutcome.FALSE_ALARM)
        .exclude(pk=handback.pk)
        .annotate(was_reached=Exists(reached))
    )
    saved = Q(outcome=HandbackOutcome.SAVED)
    counts = closed.order_by().aggregate(
        closed=Count("pk"),
        saved=Count("pk", filter=saved),
        reached=Count("pk", filter=Q(was_reached=True)),
        reached_saved=Count("pk", filter=saved & Q(was_reached=True)),
    )
    return LikeAccounts(words=f"{segment or 'accounts without a segment'}, {trigger}", **counts)
