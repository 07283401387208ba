"""The Pareto of churn reasons, the days figures are kept for, and the packed lists of accounts."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.kpis.catalogue import BY_NAME, KPIS
from retention.kpis.evidence import evidence_of, pack_evidence, unpack_evidence
from retention.kpis.periods import month_ends_before, months_before, period_ends
from retention.kpis.reasons import Loss, grouped, pareto
from retention.kpis.terms import amount, share

LOSSES = [Loss("price", 100), Loss("service", 500), Loss("price", 50), Loss("", 10), Loss("service", 40)]


def test_pareto_ranks_by_count_then_money_and_keeps_the_unknown():
    lines = pareto(LOSSES)
    assert [(line.reason, line.count, line.money) for line in lines] == [
        ("service", 2, 540),
        ("price", 2, 150),
        ("unknown", 1, 10),
    ]
    assert [line.running_share for line in lines] == [0.4, 0.8, 1.0]
    assert lines[0].money_share == pytest.approx(540 / 700)


def test_losses_by_side_keep_reasons_without_a_side():
    lines = grouped(pareto(LOSSES), {"price": "sales", "service": "operations"})
    assert {line.key: (line.count, line.money) for line in lines} == {
        "operations": (2, 540),
        "sales": (2, 150),
        "unknown": (1, 10),
    }


def test_nobody_left_is_an_empty_pareto():
    assert pareto([]) == []


@given(st.lists(st.tuples(st.sampled_from(["a", "b", ""]), st.floats(0, 1e6))))
def test_pareto_loses_nobody_and_no_money(rows):
    lines = pareto(Loss(*row) for row in rows)
    assert sum(line.count for line in lines) == len(rows)
    assert sum(line.money for line in lines) == pytest.approx(sum(money for _, money in rows))


def test_months_before_keeps_month_ends_and_shortens():
    assert months_before(dt.date(2026, 3, 31), 1) == dt.date(2026, 2, 28)
    assert months_before(dt.date(2026, 2, 28), 12) == dt.date(2025, 2, 28)
    assert months_before(dt.date(2025, 2, 28), 12) == dt.date(2024, 2, 29)
    assert months_before(dt.date(2026, 1, 15), 1) == dt.date(2025, 12, 15)


def test_month_ends_before_are_full_months():
    ends = month_ends_before(dt.date(2026, 3, 31), 2)
    assert ends == [dt.date(2026, 1, 31), dt.date(2026, 2, 28)]


@given(st.dates(dt.date(1990, 1, 1), dt.date(2100, 1, 1)))
def test_a_record_covers_the_day_and_both_comparisons_once(day):
    days = period_ends(day)
    assert days == sorted(set(days))
    assert {day, months_before(day, 1), months_before(day, 12)} <= set(days)
    assert days[-1] == day


def test_evidence_survives_packing_and_adds_up():
    terms = share(np.array([1.0, 5.0, 2.5]), np.array([2.0, 0.0, 3.0]))
    back = unpack_evidence(pack_evidence(evidence_of(terms, np.array([7, 8, 9]))))
    assert back.rows.tolist() == [0, 2]
    assert back.part.tolist() == [7, 9]
    assert back.numerator.sum() / back.denominator.sum() == terms.figure().value


def test_evidence_shows_what_weighs_most_first():
    kept = evidence_of(share(np.array([9.0, 1.0, 5.0]), np.array([10.0, 10.0, 5.0])))
    assert kept.by_weight(lost_first=True).tolist() == [1, 0, 2]
    at_risk = evidence_of(amount(np.array([3.0, 8.0, 0.0])))
    assert at_risk.by_weight(lost_first=False).tolist() == [1, 0]
    assert at_risk.denominator is None


def test_every_kpi_is_explained():
    assert len(BY_NAME) == len(KPIS)
    for kpi in KPIS:
        assert all((kpi.title, kpi.says, kpi.formula, kpi.window, kpi.left_out, kpi.top)), kpi.name
        assert kpi.unit in {"share", "money", "days"}
        assert len(kpi.name) <= 40
