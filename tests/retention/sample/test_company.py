"""The sample company is the same for the same arguments, fits together, and leaving has causes in it."""

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from functools import cache

import pytest

from retention.sample.company import fingerprint, generate
from retention.sample.records import SampleCompany

TODAY = dt.date(2026, 11, 21)
SEEDS = (21, 22, 23)


@cache
def company(seed: int = 21) -> SampleCompany:
    return generate(TODAY, seed)


def test_same_seed_and_day_make_the_same_company() -> None:
    assert fingerprint(generate(TODAY, 21)) == fingerprint(company())


@pytest.mark.parametrize(("today", "seed"), [(TODAY, 22), (TODAY - dt.timedelta(days=1), 21)])
def test_another_seed_or_day_makes_another(today: dt.date, seed: int) -> None:
    assert fingerprint(generate(today, seed)) != fingerprint(company())


def test_a_leap_day_is_a_day_like_any_other() -> None:
    assert len(generate(dt.date(2028, 2, 29), 5).orders) > 10_000


def test_it_is_of_the_promised_size() -> None:
    assert 380 <= len(company().accounts) <= 420
    first = min(order.ordered_at.date() for order in company().orders)
    assert 1085 <= (TODAY - first).days <= 1096


def test_nothing_lies_in_the_future() -> None:
    sample, end = company(), dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    moments = [order.ordered_at for order in sample.orders]
    moments += [issue.resolved_at or issue.opened_at for issue in sample.issues]
    moments += [interaction.happened_at for interaction in sample.interactions]
    moments += [enquiry.responded_at or enquiry.received_at for enquiry in sample.enquiries]
    moments += [pulse.taken_at for pulse in sample.pulses]
    moments += [handback.closed_at for handback in sample.handbacks]
    assert max(moments) < end
    assert max(order.delivered_on for order in sample.orders if order.delivered_on) <= TODAY
    assert max(person.left_on for person in sample.contacts if person.left_on) <= TODAY
    assert max(promise.kept_on for promise in sample.promises if promise.kept_on) <= TODAY


def test_lines_add_up_to_their_order() -> None:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for line in company().lines:
        sums[line.order] += line.quantity * line.unit_price
    purchases = {order.key: order.amount for order in company().orders if order.amount > 0}
    assert sums == purchases


@pytest.mark.parametrize(
    "kind", ["accounts", "contacts", "orders", "contracts", "issues", "promises", "products"]
)
def test_keys_do_not_repeat(kind: str) -> None:
    keys = [record.key for record in getattr(company(), kind)]
    assert len(keys) == len(set(keys))


def test_account_names_do_not_repeat() -> None:
    names = [account.name for account in company().accounts]
    assert len(names) == len(set(names))


def test_people_act_only_while_they_are_employed() -> None:
    left_on = {person.email: person.left_on or TODAY for person in company().people}
    late = [touch for touch in company().interactions if touch.happened_at.date() > left_on[touch.user or ""]]
    assert late == []


def test_every_outcome_and_state_occurs() -> None:
    sample = company()
    assert {handback.outcome for handback in sample.handbacks} == {"saved", "lost", "false_alarm"}
    assert {promise.status for promise in sample.promises} == {"kept", "late", "broken", "open"}
    assert {order.status for order in sample.orders} == {"delivered", "placed", "cancelled", "returned"}
    assert {account.billing_mode for account in sample.accounts} == {"repeat", "both"}
    assert any(issue.resolved_at is None for issue in sample.issues)
    assert any(contract.cancelled_on for contract in sample.contracts)
    assert len({handback.churn_reason for handback in sample.handbacks}) >= 6


def _stayed_and_left(seed: int) -> dict[bool, list[bool]]:
    """For accounts that bought lately, at eight dates: had they a cause to leave, and had they gone a quarter later?"""
    sample, found = company(seed), defaultdict(list)
    orders, causes = _order_days(sample), _cause_days(sample)
    for quarters_back in range(1, 9):
        as_of = TODAY - dt.timedelta(days=90 * quarters_back + 30)
        for account, days in orders.items():
            if not any(as_of - dt.timedelta(days=45) < day <= as_of for day in days):
                continue
            had_cause = sum(as_of - dt.timedelta(days=90) < day <= as_of for day in causes[account]) >= 2
            found[had_cause].append(not any(day > as_of + dt.timedelta(days=60) for day in days))
    return found


def _order_days(sample: SampleCompany) -> dict[str, list[dt.date]]:
    days: dict[str, list[dt.date]] = defaultdict(list)
    for order in sample.orders:
        if order.amount > 0 and order.status != "cancelled":
            days[order.account].append(order.ordered_at.date())
    return days


def _cause_days(sample: SampleCompany) -> dict[str, list[dt.date]]:
    days: dict[str, list[dt.date]] = defaultdict(list)
    for order in sample.orders:
        if order.delivered_on and order.promised_on and order.delivered_on > order.promised_on:
            days[order.account].append(order.promised_on)
    for issue in sample.issues:
        days[issue.account].append(issue.opened_at.date())
    for promise in sample.promises:
        if promise.status == "broken":
            days[promise.account] += [promise.due_on] * 2
    for contact in sample.contacts:
        if contact.left_on and contact.role in {"champion", "decision_maker"}:
            days[contact.account] += [contact.left_on] * 2
    return days


@pytest.mark.parametrize("seed", SEEDS)
def test_accounts_with_causes_leave_at_least_twice_as_often(seed: int) -> None:
    found = _stayed_and_left(seed)
    with_cause, without = (sum(found[key]) / len(found[key]) for key in (True, False))
    assert len(found[True]) > 100
    assert with_cause > 2 * without > 0


def test_customers_of_the_oversold_campaign_leave_early() -> None:
    sample = company()
    last = {account: max(days) for account, days in _order_days(sample).items()}
    early: dict[bool, list[bool]] = defaultdict(list)
    for account in sample.accounts:
        joined_on = account.became_customer_on
        if joined_on and TODAY - dt.timedelta(days=1000) < joined_on < TODAY - dt.timedelta(days=270):
            is_oversold = account.campaign.startswith("Autumn fair")
            early[is_oversold].append((last[account.key] - joined_on).days < 180)
    assert sum(early[True]) / len(early[True]) > 3 * sum(early[False]) / len(early[False])
