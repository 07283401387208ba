"""KPIs recorded from rows in the database: known answers, slices, and the accounts behind each number."""

import datetime as dt
from decimal import Decimal

import pytest

from accounts.models import ExchangeRate
from retention.kpis.catalogue import BY_NAME
from retention.kpis.evidence import unpack_evidence
from retention.models import KpiEvidence, KpiValue, Tier
from retention.services.kpis import record_kpis
from tests.factories import (
    AccountFactory,
    ClosedHandbackFactory,
    ContractFactory,
    HandbackAttemptFactory,
    HandbackFactory,
    InteractionFactory,
    OrderFactory,
    PromiseFactory,
    PulseCheckFactory,
    SalesRepFactory,
    ScoreFactory,
    ScoreRunFactory,
    TeamFactory,
    churn_reason,
)

pytestmark = pytest.mark.django_db
AS_OF = dt.date(2026, 6, 30)


def at(day: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{day}T12:00:00+00:00")


def order(account, day: str, amount, **fields):
    return OrderFactory(account=account, ordered_at=at(day), amount=Decimal(amount), **fields)


def value(name: str, kind: str = "company", key: str = "", day: dt.date = AS_OF) -> KpiValue:
    return KpiValue.objects.get(name=name, period_end=day, slice_kind=kind, slice_key=key)


@pytest.fixture
def book():
    """Hotels: one grew 100 -> 150, one shrank 200 -> 120 (80 of it in a second currency). Bars: one left (100 -> 0),
    one is new (80)."""
    ExchangeRate.objects.create(currency="GBP", rate=Decimal("2"))
    grew = AccountFactory(name="Grew", segment="Hotels", region="North")
    shrank = AccountFactory(name="Shrank", segment="Hotels", region="South")
    left = AccountFactory(name="Left", segment="Bars", region="North")
    new = AccountFactory(name="New", segment="Bars", region="South")
    order(grew, "2024-07-01", 100)
    order(grew, "2026-06-30", 150)
    order(shrank, "2025-06-30", 230)
    order(shrank, "2025-06-30", -30)
    order(shrank, "2025-07-01", 40)
    order(shrank, "2026-01-10", 40, currency="GBP")
    order(shrank, "2026-01-11", 5000, status="cancelled")
    order(left, "2024-12-01", 100)
    order(left, "2026-07-01", 100)  # the day after: must not count
    order(new, "2026-03-01", 80)
    return {"grew": grew, "shrank": shrank, "left": left, "new": new}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gross_revenue_retention", 220 / 400),
        ("net_revenue_retention", 270 / 400),
        ("erosion_rate", 180 / 400),
        ("full_loss_rate", 100 / 400),
        ("partial_decline_rate", 80 / 400),
        ("logo_churn_rate", 1 / 3),
        ("net_logo_rate", 0),
    ],
)
def test_retention_of_a_small_book(book, name, expected):
    record_kpis(AS_OF)
    assert value(name).value == pytest.approx(expected)


def test_slices_are_the_same_formula_over_their_accounts(book):
    record_kpis(AS_OF)
    hotels = value("gross_revenue_retention", "segment", "Hotels")
    assert (hotels.numerator, hotels.denominator, hotels.accounts) == (220, 300, 2)
    assert value("gross_revenue_retention", "segment", "Bars").value == 0
    assert value("logo_churn_rate", "region", "North").value == 0.5


def test_a_team_is_that_of_the_account_manager_else_of_the_one_who_won_it(book):
    won, managing = TeamFactory(), TeamFactory()
    book["left"].original_salesperson = SalesRepFactory(team=won)
    book["left"].save()
    book["grew"].original_salesperson = SalesRepFactory(team=won)
    book["grew"].account_manager = SalesRepFactory(team=managing)
    book["grew"].save()
    record_kpis(AS_OF)
    assert value("gross_revenue_retention", "team", str(won.pk)).value == 0
    assert value("net_revenue_retention", "team", str(managing.pk)).value == 1.5


def test_the_accounts_behind_a_number_add_up_to_it(book):
    ScoreFactory(account=book["grew"], run=ScoreRunFactory(as_of=AS_OF))
    record_kpis(AS_OF)
    shown = {row.name: row for row in KpiValue.objects.filter(period_end=AS_OF, slice_kind="company")}
    kept = {row.name: row for row in KpiEvidence.objects.exclude(name="book")}
    assert set(shown) == set(kept) <= set(BY_NAME)
    for name, row in shown.items():
        evidence = unpack_evidence(bytes(kept[name].payload))
        assert len(evidence.rows) == row.accounts, name
        assert evidence.numerator.sum() == pytest.approx(row.numerator), name
        bottom = None if evidence.denominator is None else evidence.denominator.sum()
        assert bottom == (None if row.denominator is None else pytest.approx(row.denominator)), name


def test_repeat_purchases_within_the_horizon_of_the_run(book):
    ScoreRunFactory(as_of=AS_OF, horizon_days=90)
    record_kpis(AS_OF)
    row = value("repeat_purchase_rate")
    # Old enough: all four. Back within 90 days: only Shrank (after one day).
    assert (row.numerator, row.denominator, row.detail["within_days"]) == (1, 4, 90)


def test_contracts_count_their_yearly_value_and_wait_for_their_grace_period():
    kept = AccountFactory(billing_mode="contract")
    ContractFactory(account=kept, starts_on="2025-01-01", ends_on="2026-06-20", annual_value=1000)
    lost = AccountFactory(billing_mode="contract")
    ContractFactory(account=lost, starts_on="2025-01-01", ends_on="2026-03-31", annual_value=3000)
    order(lost, "2026-05-05", 99999)  # a contract account's orders are its contract's bills
    record_kpis(AS_OF)
    row = value("gross_revenue_retention")
    assert row.value == 0.25
    assert row.is_provisional
    assert row.detail["provisional"].startswith("1 contract that ran out is")
    renewals = value("renewal_rate")
    assert (renewals.numerator, renewals.denominator, renewals.is_provisional) == (0, 1, True)


def test_a_book_younger_than_two_years_is_provisional():
    order(AccountFactory(), "2026-05-01", 10)
    record_kpis(AS_OF)
    row = value("gross_revenue_retention")
    assert (row.value, row.is_provisional) == (None, True)
    assert "1 May 2026" in row.detail["provisional"]


def test_money_at_risk_and_shares_come_from_the_scores_of_the_day(book):
    run = ScoreRunFactory(as_of=AS_OF)
    scores = [("grew", 0.1, Tier.THRIVING), ("shrank", 0.6, Tier.AT_RISK), ("left", 0.95, Tier.LOST)]
    for name, probability, tier in scores:
        ScoreFactory(
            account=book[name], run=run, churn_probability=probability, tier=tier, expected_value_12m=1000
        )
    ScoreFactory(
        account=book["new"],
        run=run,
        churn_probability=0.3,
        tier=Tier.QUIET,
        expected_value_12m=1000,
        currency="GBP",
    )
    InteractionFactory(account=book["grew"], happened_at=at("2026-06-01"))
    InteractionFactory(account=book["shrank"], happened_at=at("2025-12-01"))
    record_kpis(AS_OF)
    assert value("expected_loss").value == pytest.approx(100 + 600 + 2 * 300)
    assert value("revenue_at_risk").value == pytest.approx(600)
    assert value("quiet_share").value == pytest.approx(1 / 3)
    assert value("out_of_touch_share").value == pytest.approx(2 / 3)


def test_pulse_coverage_follows_the_cadence_of_the_tier(book):
    run = ScoreRunFactory(as_of=AS_OF)
    for name in ("grew", "shrank"):
        ScoreFactory(account=book[name], run=run, tier=Tier.AT_RISK)  # every 14 days
    ScoreFactory(account=book["left"], run=run, tier=Tier.LOST)
    PulseCheckFactory(account=book["grew"], taken_at=at("2026-06-16"))
    PulseCheckFactory(account=book["shrank"], taken_at=at("2026-06-15"))
    record_kpis(AS_OF)
    row = value("pulse_coverage")
    assert (row.numerator, row.denominator) == (1, 2)


def test_promises_and_deliveries_of_the_year(book):
    account = book["grew"]
    PromiseFactory(
        account=account, made_on="2026-01-01", due_on="2026-01-10", kept_on="2026-01-10", status="kept"
    )
    PromiseFactory(
        account=account, made_on="2026-01-01", due_on="2026-01-10", kept_on="2026-01-11", status="late"
    )
    PromiseFactory(account=account, made_on="2026-01-01", due_on="2026-07-01")
    order(account, "2026-02-01", 1, promised_on="2026-02-05", delivered_on="2026-02-05")
    order(account, "2026-02-01", 1, promised_on="2026-02-05", delivered_on="2026-02-06")
    order(account, "2026-02-01", 1, promised_on="2026-02-05", status="placed")
    order(account, "2026-02-01", 1, promised_on="2026-02-05")  # delivered, but no day recorded
    record_kpis(AS_OF)
    assert value("promise_kept_rate").value == 0.5
    delivered = value("on_time_delivery_rate")
    assert (delivered.numerator, delivered.denominator) == (1, 3)


def closed(account, opened: str, **fields):
    defaults = {"opened_at": at(opened), "accepted_at": at(opened) + dt.timedelta(days=2)}
    defaults |= {"closed_at": at(opened) + dt.timedelta(days=20), "risk": {"horizon_days": 90}}
    return ClosedHandbackFactory(account=account, **(defaults | fields))


def test_saves_are_judged_at_the_horizon_by_revenue(book):
    HandbackAttemptFactory(handback=closed(book["shrank"], "2025-12-15"))
    # Prior: 240 in the year before, 59.18 of it in 90 days; later: 80.
    HandbackAttemptFactory(handback=closed(book["grew"], "2025-06-01"))  # nothing for 90 days: not saved
    HandbackAttemptFactory(handback=closed(book["new"], "2026-05-01"))  # its horizon lies ahead
    HandbackFactory(account=book["left"], opened_at=at("2026-06-01"))
    record_kpis(AS_OF)
    row = value("save_rate")
    assert (row.numerator, row.denominator, row.is_provisional) == (1, 2, True)
    assert (row.detail["open"], row.detail["waiting"]) == (1, 1)
    assert value("handback_acceptance_days").value == 2
    completed = value("handback_completion_rate")
    assert (completed.numerator, completed.denominator) == (2, 3)
    assert completed.detail == {"saved": 2, "lost": 0, "false_alarm": 0}


def test_why_customers_left_keeps_the_unknown(book):
    closed(
        book["new"],
        "2026-04-01",
        outcome="lost",
        churn_reason=churn_reason("undercut"),
    )
    record_kpis(AS_OF)
    lines = {line["reason"]: line for line in value("churn_reasons").detail["lines"]}
    assert lines["unknown"]["money"] == 100  # Left, without a word
    assert lines["undercut"]["money"] == 80  # what New had bought in the year before
    assert value("churn_reasons", "region", "South").detail["lines"][0]["reason"] == "undercut"


def test_a_reason_recorded_before_the_window_explains_who_stopped_in_it(book):
    closed(book["left"], "2025-05-01", outcome="lost", churn_reason=churn_reason("budget-cut"))
    closed(book["grew"], "2025-05-01", outcome="lost", churn_reason=churn_reason("undercut"))
    record_kpis(AS_OF)
    lines = [(line["reason"], line["money"]) for line in value("churn_reasons").detail["lines"]]
    assert lines == [("budget-cut", 100)]


def test_cohorts_by_quarter_of_the_first_order(book):
    record_kpis(AS_OF)
    detail = value("cohort_retention").detail
    assert (detail["labels"][0], detail["labels"][-1]) == ("Q3 2023", "Q2 2026")
    at_start = detail["labels"].index("Q3 2024")
    assert detail["sizes"][at_start] == 1
    assert detail["active"][at_start] == [1, 0, 0, 0, 0, 0, 0, 1, *[None] * 4]
    assert detail["revenue"][at_start][7] == 1.5


def test_recording_again_changes_nothing(book):
    first = record_kpis(AS_OF)
    assert first.changed == first.values
    assert record_kpis(AS_OF).changed == 0


def test_an_earlier_day_leaves_the_newest_evidence_alone(book):
    record_kpis(AS_OF)
    record_kpis(dt.date(2026, 3, 15))
    assert set(KpiEvidence.objects.values_list("as_of", flat=True)) == {AS_OF}
    assert value("gross_revenue_retention", day=dt.date(2026, 3, 15)).denominator == 200


def test_what_is_imported_later_does_not_change_an_earlier_day(book):
    record_kpis(AS_OF)
    before = value("gross_revenue_retention").value
    order(book["left"], "2026-07-02", 70000)
    record_kpis(AS_OF)
    assert value("gross_revenue_retention").value == before


def test_days_between_month_ends_are_forgotten(book):
    record_kpis(dt.date(2026, 6, 28))
    record_kpis(dt.date(2026, 6, 29))
    days = set(KpiValue.objects.values_list("period_end", flat=True))
    assert dt.date(2026, 6, 28) not in days
    assert {dt.date(2026, 6, 29), dt.date(2026, 5, 31), dt.date(2026, 5, 29), dt.date(2025, 6, 29)} <= days


def test_an_empty_installation_records_without_figures():
    record_kpis(AS_OF)
    assert value("gross_revenue_retention").value is None
    assert not KpiValue.objects.filter(name="expected_loss").exists()
