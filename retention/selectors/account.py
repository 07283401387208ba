"""Everything known about one account, read in a constant number of queries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.utils import timezone

from accounts.models import (
    Account,
    AccountMember,
    Contact,
    Contract,
    CustomerEvent,
    Enquiry,
    Interaction,
    Issue,
    Order,
    OrderLine,
    OwnerChange,
    Promise,
    PromisePage,
    User,
)
from accounts.models.commerce import OrderStatus
from accounts.selectors import attach_people, get_company
from pulsecheck.models import Handback, PulseCheck, Touchpoint
from pulsecheck.models.touchpoints import TouchpointState
from retention.models import Score, ScoreRun

CHART_DAYS = 730
MOST = 50


@dataclass(frozen=True)
class Reason:
    """A reason of the score, with where its records are on the page."""

    sentence: str
    points: float
    anchor: str
    factor: str = ""


@dataclass(frozen=True)
class Change:
    """What moved since an earlier run: probability then, and points by factor, largest move first."""

    since: dt.date
    before: float
    after: float
    factors: list[tuple[str, float]]
    is_model_new: bool


@dataclass(frozen=True)
class Money:
    """What the account has bought in its own currency; profit only over orders whose cost is known."""

    orders: int
    revenue: Decimal
    profit: Decimal | None
    margin: float | None
    covers_all: bool


@dataclass(frozen=True)
class SeriesBought:
    """What the account buys of one product series."""

    name: str
    orders: int
    last: dt.datetime | None


@dataclass(frozen=True)
class AccountFacts:
    """The account page."""

    account: Account
    run: ScoreRun | None
    score: Score | None
    history: list[Score]
    change: Change | None
    reasons: list[Reason]
    money: Money
    orders: list[Order]
    contacts: list[Contact]
    contracts: list[Contract]
    promises: list[Promise]
    issues: list[Issue]
    enquiries: list[Enquiry]
    interactions: list[Interaction]
    pulses: list[PulseCheck]
    handbacks: list[Handback]
    touchpoint: Touchpoint | None
    owner_changes: list[OwnerChange]
    news: list[CustomerEvent]
    promise_page: PromisePage | None
    members: list[AccountMember]
    series: list[SeriesBought]

    @property
    def open_handback(self) -> Handback | None:
        return next((h for h in self.handbacks if not h.closed_at), None)

    @property
    def people_there(self) -> int:
        """Active contacts; one alone is a thin thread."""
        return sum(contact.is_active for contact in self.contacts)

    @property
    def last_contact_at(self) -> dt.datetime | None:
        """When somebody of ours last spoke with them."""
        return self.interactions[0].happened_at if self.interactions else None


# Where on the page the records behind a factor stand.
ANCHORS = {
    "rhythm": "rhythm",
    "pattern": "rhythm",
    "frequency": "rhythm",
    "season": "rhythm",
    "spend": "rhythm",
    "returns": "?kind=orders#timeline",
    "delivery": "?kind=orders#timeline",
    "service": "issues",
    "pulse": "pulses",
    "relationship": "people",
    "stability": "owners",
    "promises": "promises",
    "contract": "contracts",
    "renewal": "contracts",
    "loyalty": "contracts",
    "kind": "contracts",
}


def account_facts(account: Account, run: ScoreRun | None, today: dt.date) -> AccountFacts:
    """Read everything the page of `account` shows."""
    history = _history(account, run)
    score = history[0] if history and run and history[0].as_of == run.as_of else None
    facts = AccountFacts(
        account=account,
        run=run,
        score=score,
        history=history,
        change=find_change(history) if score else None,
        reasons=_reasons(score),
        money=_money(account),
        orders=_orders(account, run.as_of if run else today),
        contacts=list(account.contacts.order_by("-is_active", "name")[:MOST]),
        contracts=list(account.contracts.all()[:10]),
        promises=list(account.promises.select_related("made_to").order_by("-due_on")[:MOST]),
        issues=list(account.issues.all()[:MOST]),
        enquiries=list(account.enquiries.filter(responded_at=None)[:10]),
        interactions=list(account.interactions.select_related("contact")[:MOST]),
        pulses=list(account.pulse_checks.all()[:20]),
        handbacks=list(account.handbacks.order_by("-opened_at")[:20]),
        touchpoint=account.touchpoints.filter(state=TouchpointState.PLANNED).first(),
        owner_changes=list(account.owner_changes.all()[:20]),
        promise_page=PromisePage.objects.filter(account=account).first(),
        news=list(account.events.all()[:20]),
        members=list(account.members.all()[:20]),
        series=_series(account),
    )
    _attach_people_to(facts)
    return facts


def _attach_people_to(facts: AccountFacts) -> None:
    attach_people(
        ([facts.account], ("original_salesperson", "account_manager")),
        (facts.contracts, ("terms_disclosed_by",)),
        (facts.promises, ("made_by",)),
        (facts.issues, ("owner",)),
        (facts.enquiries, ("owner",)),
        (facts.interactions, ("user",)),
        (facts.pulses, ("next_step_owner",)),
        (facts.handbacks, ("salesperson",)),
        ([facts.touchpoint] if facts.touchpoint else [], ("assignee",)),
        (facts.owner_changes, ("from_user", "to_user")),
        (facts.members, ("user",)),
    )


def _history(account: Account, run: ScoreRun | None) -> list[Score]:
    """The last scores, newest first; none after the published run."""
    if run is None:
        return []
    return list(Score.objects.filter(account=account, as_of__lte=run.as_of).order_by("-as_of")[:60])


def find_change(history: Sequence[Score]) -> Change | None:
    """The newest score against the youngest one at least three weeks older, else the oldest there is."""
    if len(history) < 2:
        return None
    now = history[0]
    older = [s for s in history[1:] if (now.as_of - s.as_of).days >= 21]
    return change_between(older[0] if older else history[-1], now)


def change_between(then: Score, now: Score) -> Change:
    """What moved by factor, from the reasons that were stored with both."""
    moved = _by_factor(now)
    for code, points in _by_factor(then).items():
        moved[code] = moved.get(code, 0.0) - points
    largest = sorted(moved.items(), key=lambda item: -abs(item[1]))
    return Change(
        since=then.as_of,
        before=then.churn_probability,
        after=now.churn_probability,
        factors=[(code, points) for code, points in largest[:3] if abs(points) >= 1],
        is_model_new=then.model_version != now.model_version,
    )


def _by_factor(score: Score) -> dict[str, float]:
    points: dict[str, float] = {}
    for reason in score.reasons:
        points[reason["factor"]] = points.get(reason["factor"], 0.0) + reason["points"]
    return points


def _reasons(score: Score | None) -> list[Reason]:
    if score is None:
        return []
    return [
        Reason(r["sentence"].rstrip(". "), r["points"], _anchor(r["factor"]), r["factor"])
        for r in sorted(score.reasons, key=lambda r: (r["factor"] == "other", -r["points"]))
        if abs(r["points"]) >= 0.5
    ]


def _anchor(factor: str) -> str:
    place = ANCHORS.get(factor, "rhythm")
    return place if place.startswith("?") else f"#{place}"


def _purchases(account: Account) -> QuerySet[Order]:
    return Order.objects.filter(account=account).exclude(status=OrderStatus.CANCELLED)


def _money(account: Account) -> Money:
    with_cost = Q(cost__isnull=False)
    found = (
        _purchases(account)
        .filter(currency=account.currency)
        .aggregate(
            orders=Count("pk", filter=Q(amount__gt=0)),
            revenue=Sum("amount"),
            sold=Sum("amount", filter=with_cost),
            spent=Sum("cost", filter=with_cost),
            costed=Count("pk", filter=with_cost & Q(amount__gt=0)),
        )
    )
    sold, cost = found["sold"], found["spent"]
    profit = sold - cost if sold is not None and cost is not None else None
    return Money(
        orders=found["orders"],
        revenue=found["revenue"] or Decimal(0),
        profit=profit,
        margin=float(profit / sold) if profit is not None and sold and sold > 0 else None,
        covers_all=found["costed"] == found["orders"],
    )


def _orders(account: Account, as_of: dt.date) -> list[Order]:
    """Orders of the last two years up to the end of `as_of`, newest first."""
    zone = get_company().zone
    begin = dt.datetime.combine(as_of - dt.timedelta(days=CHART_DAYS), dt.time(), zone)
    orders = _purchases(account).filter(ordered_at__gte=begin).exclude(amount=0)
    return list(orders.order_by("-ordered_at", "-pk")[:2000])


def _series(account: Account) -> list[SeriesBought]:
    """By product series: how many orders held it and when the last one was; most frequent first."""
    found = (
        OrderLine.objects.filter(order__account=account)
        .order_by()
        .values_list("product__series")
        .annotate(orders=Count("order", distinct=True), last=Max("order__ordered_at"))
        .order_by("-orders")[:8]
    )
    return [SeriesBought(name or "Other", orders, last) for name, orders, last in found]


# ── timeline ───────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Event:
    """One line of the timeline. `tone`: good, bad, mine or nothing."""

    at: dt.datetime
    kind: str
    tone: str
    text: str
    detail: str = ""
    amount: Decimal | None = None
    currency: str = ""
    handback: Handback | None = None


KINDS = {
    "": "Everything",
    "orders": "Orders",
    "talk": "Conversations",
    "issues": "Issues",
    "promises": "Promises",
    "risk": "Risk",
}
TIMELINE_LENGTH = 100


def timeline(facts: AccountFacts, kind: str, most: int = TIMELINE_LENGTH) -> list[Event]:
    """What happened, newest first, of one kind or all; one more than `most` when there is more."""
    makers = {
        "orders": _order_events,
        "talk": _talk_events,
        "issues": issue_events,
        "promises": promise_events,
        "risk": _risk_events,
    }
    chosen = [makers[kind]] if kind in makers else list(makers.values())
    events = [event for maker in chosen for event in maker(facts)]
    events.sort(key=lambda event: event.at, reverse=True)
    return events[: most + 1]


def _midday(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), timezone.get_current_timezone())


def _order_events(facts: AccountFacts) -> list[Event]:
    return order_events(facts.orders[:TIMELINE_LENGTH])


def order_events(orders: Sequence[Order]) -> list[Event]:
    """Purchases and returns as lines, in the order given."""
    events = []
    for order in orders:
        late = (
            (order.delivered_on - order.promised_on).days if order.delivered_on and order.promised_on else 0
        )
        is_return = order.amount < 0
        what = "Returned goods worth" if is_return else "Ordered for"
        detail = f"delivered {late} days late" if late > 1 else "delivered a day late" if late == 1 else ""
        tone = "bad" if late > 0 or is_return else ""
        events.append(
            Event(order.ordered_at, "orders", tone, what, detail, abs(order.amount), order.currency)
        )
    return events


def _talk_events(facts: AccountFacts) -> list[Event]:
    return talk_events(facts) + pulse_events(facts)


def talk_events(facts: AccountFacts) -> list[Event]:
    """Conversations as lines."""
    return [
        Event(i.happened_at, "talk", "mine", f"{i.get_kind_display()}{_between(i)}", i.subject or i.note)
        for i in facts.interactions
    ]


def pulse_events(facts: AccountFacts) -> list[Event]:
    """Pulse checks as lines."""
    return [
        Event(
            p.taken_at,
            "talk",
            "bad" if p.is_low else "good",
            f"Pulse {p.score} of 6: {p.get_score_display()}",
            p.note or f"Next: {p.next_step}",
        )
        for p in facts.pulses
    ]


def _between(interaction: Interaction) -> str:
    ours = f" by {interaction.user}" if interaction.user else ""
    theirs = f" with {interaction.contact}" if interaction.contact else ""
    return ours + theirs


def issue_events(facts: AccountFacts) -> list[Event]:
    """Issues opened and resolved as lines."""
    events = []
    for issue in facts.issues:
        events.append(Event(issue.opened_at, "issues", "bad", "Issue opened", str(issue)))
        if issue.resolved_at:
            events.append(Event(issue.resolved_at, "issues", "good", "Issue resolved", str(issue)))
    return events


def promise_events(facts: AccountFacts) -> list[Event]:
    """Promises made and kept as lines."""
    events = []
    for promise in facts.promises:
        made = f"{promise.made_by} promised: {promise.text}"
        events.append(Event(_midday(promise.made_on), "promises", "mine", made))
        if promise.kept_on:
            tone = "good" if promise.kept_on <= promise.due_on else "bad"
            word = "in time" if tone == "good" else "late"
            events.append(
                Event(_midday(promise.kept_on), "promises", tone, f"Promise kept {word}", promise.text)
            )
    return events


def _risk_events(facts: AccountFacts) -> list[Event]:
    events = []
    for newer, older in zip(facts.history, facts.history[1:], strict=False):
        if newer.tier != older.tier:
            words = f"Moved from {older.get_tier_display().lower()} to {newer.get_tier_display().lower()}"
            tone = "bad" if newer.tier in {"at_risk", "quiet", "lost"} else ""
            events.append(Event(_midday(newer.as_of), "risk", tone, words))
    events += [_owner_event(change) for change in facts.owner_changes]
    events += [
        Event(_midday(news.happened_on), "risk", "bad", news.get_kind_display(), news.note)
        for news in facts.news
    ]
    return events + [event for handback in facts.handbacks for event in handback_events(handback)]


def _owner_event(change: OwnerChange) -> Event:
    """Another of ours looks after the account, or nobody does."""
    role = change.get_role_display()
    words = f"{role} is now {change.to_user}" if change.to_user else f"No {role.lower()} any more"
    before = f"Before: {change.from_user}" if change.from_user else ""
    return Event(change.changed_at, "risk", "" if change.to_user else "bad", words, before)


def handback_events(handback: Handback) -> list[Event]:
    """A handback opened and closed as lines."""
    opened = Event(
        handback.opened_at,
        "risk",
        "mine",
        f"Handed back to {handback.salesperson or 'nobody yet'}",
        handback.get_trigger_display(),
        handback=handback,
    )
    if not handback.closed_at:
        return [opened]
    tone = {"saved": "good", "lost": "bad"}.get(handback.outcome, "")
    words = f"Handback closed: {handback.get_outcome_display().lower()}"
    return [opened, Event(handback.closed_at, "risk", tone, words, handback.closing_note, handback=handback)]


def staff_for(user: User) -> list[User]:
    """People an account can be given to."""
    return list(User.objects.filter(is_active=True, left_on=None).only("name", "role"))
