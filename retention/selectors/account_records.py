"""The records behind each reason of a score, from what the account page has read already: no further queries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from accounts.models import Order
from accounts.selectors import get_company
from retention.models import Score
from retention.selectors.account import (
    AccountFacts,
    Event,
    handback_events,
    issue_events,
    order_events,
    promise_events,
    pulse_events,
    talk_events,
)

Finder = Callable[[AccountFacts, Score], "Grounds"]

MOST = 6
HORIZONS = 4  # how many spans of one horizon are set beside each other
YEAR = dt.timedelta(days=365)


@dataclass(frozen=True)
class Span:
    """What was bought within some days, for a reason that compares spans."""

    name: str
    orders: int
    amount: float


@dataclass(frozen=True)
class Grounds:
    """What stands behind one reason: events or spans, and where the rest is on the page."""

    events: Sequence[Event] = ()
    spans: Sequence[Span] = ()
    more: str = ""
    more_label: str = ""
    nothing: str = ""


def records_behind(factor: str, facts: AccountFacts, score: Score) -> Grounds | None:
    """The records a reason of this factor was drawn from; None where none could be."""
    find = FINDERS.get(factor)
    return find(facts, score) if find else None


def _known(facts: AccountFacts, score: Score) -> list[tuple[dt.date, Order]]:
    """Orders up to the end of the day of the score with their local days, newest first."""
    company = get_company()
    dated = ((company.local_date(order.ordered_at), order) for order in facts.orders)
    return [(day, order) for day, order in dated if day <= score.as_of]


def _orders(facts: AccountFacts, score: Score, chosen: Callable[[dt.date, Order], bool]) -> list[Event]:
    found = [order for day, order in _known(facts, score) if chosen(day, order)]
    return order_events(found[:MOST])


def _rhythm(facts: AccountFacts, score: Score) -> Grounds:
    """The last purchases with the gap before each."""
    bought = [(day, order) for day, order in _known(facts, score) if order.amount > 0]
    days = [day for day, _ in bought]
    events = []
    for event, day in zip(order_events([order for _, order in bought[:MOST]]), days, strict=False):
        older = days[days.index(day) + days.count(day) :]
        gap = (day - older[0]).days if older else 0
        words = f"{gap} {'day' if gap == 1 else 'days'} after the one before" if gap else ""
        events.append(replace(event, detail=", ".join(filter(None, [words, event.detail]))))
    return Grounds(
        events,
        more="?kind=orders#timeline",
        more_label="All orders",
        nothing="No order in the last two years.",
    )


def _spans(facts: AccountFacts, score: Score) -> Grounds:
    """Orders and money in spans of one horizon, newest first."""
    known, horizon, spans = _known(facts, score), score.horizon_days, []
    for step in range(HORIZONS):
        last = score.as_of - dt.timedelta(days=step * horizon)
        within = [o for day, o in known if last - dt.timedelta(days=horizon) < day <= last and o.amount > 0]
        name = (
            f"Last {horizon} days"
            if step == 0
            else f"{step * horizon + 1} to {(step + 1) * horizon} days ago"
        )
        spans.append(Span(name, len(within), float(sum(o.amount for o in within))))
    return Grounds(spans=spans, more="?kind=orders#timeline", more_label="All orders")


def _returns(facts: AccountFacts, score: Score) -> Grounds:
    since = score.as_of - dt.timedelta(days=4 * score.horizon_days)
    events = _orders(facts, score, lambda day, order: order.amount < 0 and day > since)
    return Grounds(
        events,
        more="?kind=orders#timeline",
        more_label="All orders",
        nothing="No return on record in that time.",
    )


def _season(facts: AccountFacts, score: Score) -> Grounds:
    begin = score.as_of - YEAR
    end = begin + dt.timedelta(days=score.horizon_days)
    events = _orders(facts, score, lambda day, order: order.amount > 0 and begin < day <= end)
    return Grounds(events, nothing=f"No order from {begin:%-d %b} to {end:%-d %b %Y}.")


def _delivery(facts: AccountFacts, score: Score) -> Grounds:
    def was_late(day: dt.date, order: Order) -> bool:
        if order.promised_on is None or order.promised_on >= score.as_of:
            return False
        arrived = (
            order.delivered_on if order.delivered_on and order.delivered_on <= score.as_of else score.as_of
        )
        return arrived > order.promised_on

    return Grounds(
        _orders(facts, score, was_late), more="?kind=orders#timeline", more_label="All orders",
        nothing="No late delivery in the last two years.",
    )  # fmt: skip


def _upto(events: list[Event], score: Score) -> list[Event]:
    company = get_company()
    return [event for event in events if company.local_date(event.at) <= score.as_of]


def _newest(events: list[Event], score: Score) -> list[Event]:
    return sorted(_upto(events, score), key=lambda event: event.at, reverse=True)[:MOST]


def _listed(events: Callable[[AccountFacts], list[Event]], more: str, label: str, nothing: str) -> Finder:
    """The newest of some events."""

    def find(facts: AccountFacts, score: Score) -> Grounds:
        return Grounds(_newest(events(facts), score), more=more, more_label=label, nothing=nothing)

    return find


def _departures(facts: AccountFacts) -> list[Event]:
    """Who left there; the changes among us stand beside the owners."""
    left = [(contact, contact.left_on) for contact in facts.contacts]
    return [
        Event(_midday(day), "talk", "bad", f"{contact.name} left", contact.job_title)
        for contact, day in left
        if day
    ]


def _handbacks(facts: AccountFacts) -> list[Event]:
    return [event for handback in facts.handbacks for event in handback_events(handback)]


def _contracts(facts: AccountFacts) -> list[Event]:
    events = []
    for contract in facts.contracts:
        ends = f"runs until {contract.ends_on:%-d %B %Y}"
        events.append(Event(_midday(contract.starts_on), "risk", "", "Contract began", ends))
        if contract.cancelled_on:
            events.append(Event(_midday(contract.cancelled_on), "risk", "bad", "Contract cancelled", ends))
    return events


def _midday(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), get_company().zone)


CONTRACTS = _listed(_contracts, "#contracts", "All contracts", "No contract on record.")
FINDERS: dict[str, Finder] = {
    "pattern": _rhythm,
    "rhythm": _rhythm,
    "frequency": _spans,
    "spend": _spans,
    "returns": _returns,
    "season": _season,
    "delivery": _delivery,
    "service": _listed(issue_events, "#issues", "All issues", "No issue on record."),
    "promises": _listed(promise_events, "#promises", "All promises", "No promise on record."),
    "relationship": _listed(talk_events, "#people", "People there", "No conversation on record."),
    "pulse": _listed(pulse_events, "#pulses", "All pulse checks", "No pulse check on record."),
    "stability": _listed(
        _departures, "#owners", "Who looks after them", "Nobody there is on record as having left."
    ),
    "treatment": _listed(_handbacks, "?kind=risk#timeline", "All handbacks", "No handback on record."),
    "contract": CONTRACTS,
    "renewal": CONTRACTS,
}
