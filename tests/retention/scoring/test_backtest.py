"""Looking back: figures with known answers, and the honesty of what is compared."""

from dataclasses import replace

import numpy as np
import pytest

from retention.scoring.backtest import (
    Terms,
    backtest,
    calibration_groups,
    calls_among,
    found_in,
    judge,
    judge_scores,
)
from retention.scoring.features import NAMES
from retention.scoring.history import history_from_rows, purchases_of
from retention.scoring.inputs import input_shifts, stability_index, weights_of
from retention.scoring.ladder import fit_model
from retention.scoring.scores import score_accounts
from tests.retention.scoring.books import START, book, book_rows

LAST = START + 719
HORIZON = 60


@pytest.fixture(scope="module")
def history():
    return book(400)


@pytest.fixture(scope="module")
def looked_back(history):
    return backtest(history, LAST, HORIZON, 2, lag=30)


class TestCapacity:
    @pytest.mark.parametrize(
        ("per_day", "customers", "calls"),
        [
            (8, 1000, (40, "week")),
            (8, 160, (40, "week")),
            (8, 159, (8, "day")),
            (8, 20, (5, "share")),
            (8, 1, (1, "share")),
            (8, 0, (0, "share")),
        ],
    )
    def test_calls_are_a_weeks_a_days_or_a_quarter(self, per_day, customers, calls) -> None:
        assert calls_among(per_day, customers) == calls

    def test_whoever_shares_the_last_place_is_drawn_by_lot(self) -> None:
        left = np.array([True, True, False, False, True])
        assert found_in(np.array([0.9, 0.5, 0.5, 0.5, 0.1]), left, 2) == pytest.approx(1 + 1 / 3)
        assert found_in(np.full(5, 0.3), left, 2) == pytest.approx(2 * 3 / 5), "as good as lots"
        assert found_in(np.arange(5.0), left, 5) == 3

    def test_naming_those_who_left_long_ago_is_no_merit(self) -> None:
        silence = np.array([500.0] * 40 + [10.0] * 40)
        left = np.array([True] * 40 + [True] * 10 + [False] * 30)
        p = np.concatenate([np.full(40, 0.99), np.linspace(0.9, 0.1, 40)])
        found = judge({"model": p, "recency": silence / 1000}, left, silence, 60, calls_per_day=2).capacity
        assert (found.calls, found.customers, found.leavers) == (10, 40, 10)
        assert found.found == {"model": 10.0, "recency": 2.5}
        told = found.as_dict()
        assert told["lift"]["model"] == 4.0
        assert told["recall"] == {"model": 1.0, "recency": 0.25}


class TestCalibration:
    def test_groups_are_of_equal_count_in_rising_order(self) -> None:
        random = np.random.default_rng(0)
        p = random.uniform(size=1000)
        groups = calibration_groups(p, random.uniform(size=1000) < p)
        assert [group.customers for group in groups] == [100] * 10
        assert [group.said for group in groups] == sorted(group.said for group in groups)
        assert all(abs(group.said - group.happened) < 0.15 for group in groups)

    @pytest.mark.parametrize(("customers", "groups"), [(99, 9), (10, 1), (3, 1)])
    def test_few_customers_make_few_groups(self, customers, groups) -> None:
        assert (
            len(calibration_groups(np.linspace(0, 1, customers), np.zeros(customers, dtype=bool))) == groups
        )

    def test_one_probability_for_all_is_one_group(self) -> None:
        assert len(calibration_groups(np.full(500, 0.6), np.arange(500) % 2 == 0)) == 1

    def test_chance_is_what_a_perfect_score_shows(self) -> None:
        random = np.random.default_rng(1)
        p, silence = random.uniform(size=400), np.zeros(400)
        shown = [judge({"model": p}, random.uniform(size=400) < p, silence, 60, 8) for _ in range(60)]
        seen = np.mean([one.figures["model"].ece for one in shown])
        assert shown[0].by_chance == pytest.approx(seen, rel=0.1)


class TestLookingBack:
    def test_every_contender_is_judged_on_the_same_customers(self, looked_back) -> None:
        newest = looked_back[0]
        assert set(newest.verdict.figures) == {"model", "bgnbd", "recency", "previous"}
        assert sum(group.customers for group in newest.verdict.calibration) == newest.customers
        assert (newest.previous_is, newest.previous_as_of) == ("recipe", LAST - HORIZON - 30)
        assert looked_back[1].previous_is == "", "one more fit, for the newest alone"

    def test_a_stored_model_counts_only_where_it_could_not_know(self, history) -> None:
        newest = LAST - HORIZON
        honest, too_new = fit_model(history, newest - 20, HORIZON), fit_model(history, newest + 20, HORIZON)
        (stored,) = backtest(history, LAST, HORIZON, 1, earlier={newest: honest})
        assert (stored.previous_is, stored.previous_as_of) == ("stored", newest - 20)
        older = newest - HORIZON
        other = replace(honest, as_of=older, basis=replace(honest.basis, horizon=30))
        refused = backtest(history, LAST, HORIZON, 2, earlier={newest: too_new, older: other})
        assert [row.previous_is for row in refused] == ["", ""]

    def test_nothing_after_the_last_day_changes_anything(self, history, looked_back) -> None:
        account, day, amount = book_rows(400)
        later = history_from_rows(
            np.append(account, np.arange(1, 401)),
            np.append(day, [LAST + 1] * 400),
            np.append(amount, [9.0] * 400),
        )
        (again,) = backtest(later, LAST, HORIZON, 1)
        told = looked_back[0].as_dict()
        assert {name: told[name] for name in ("model", "recency", "calibration", "missed")} == {
            name: again.as_dict()[name] for name in ("model", "recency", "calibration", "missed")
        }

    def test_missed_are_those_who_left_unwatched(self, history, looked_back) -> None:
        newest = looked_back[0]
        missed = newest.missed
        assert 0 < missed.customers <= missed.leavers
        assert all(account.probability < 0.3 for account in missed.accounts)
        spent = [account.spent for account in missed.accounts]
        assert spent == sorted(spent, reverse=True)
        assert sum(spent) == pytest.approx(missed.spent, abs=0.1)
        purchases = purchases_of(history)
        for account in missed.accounts:
            days = purchases.day[
                purchases.offsets[account.account_id - 1] : purchases.offsets[account.account_id]
            ]
            assert not ((days > newest.as_of) & (days <= LAST)).any(), "it did leave"
            assert account.silence == newest.as_of - days[days <= newest.as_of].max()

    def test_lead_time_needs_two_horizons_and_counts_leavers(self, looked_back) -> None:
        assert looked_back[0].lead_time is None
        lead = looked_back[1].lead_time
        assert lead is not None
        assert lead.leavers >= lead.warned >= lead.in_time > 0

    def test_who_is_rated_at_risk_sooner_is_warned_earlier(self, history, looked_back) -> None:
        now = looked_back[1].lead_time
        sooner = backtest(history, LAST, HORIZON, 2, Terms(at_risk_from=0.3))[1].lead_time
        assert now is not None
        assert sooner is not None
        assert now.leavers == sooner.leavers
        assert sooner.in_time > now.in_time
        assert sooner.days is not None
        assert now.days is None or sooner.days > now.days

    def test_stored_scores_give_the_figures_of_the_look_back(self, history, looked_back) -> None:
        day = LAST - HORIZON
        model = fit_model(history, day, HORIZON)
        scores = score_accounts(history, day, model)
        verdict = judge_scores(history, day, HORIZON, scores.account_ids, scores.probability, model, 8)
        assert verdict is not None
        for name in ("model", "bgnbd", "recency"):
            assert verdict.figures[name].as_dict() == looked_back[0].verdict.figures[name].as_dict()
        nobody = np.array([1])
        assert judge_scores(history, START - 1, HORIZON, nobody, np.array([0.5]), None, 8) is None


class TestInputs:
    def test_index_of_known_shares(self) -> None:
        old = np.repeat(np.arange(10.0), 1000)
        assert stability_index(old, old) == 0
        half = np.concatenate([np.repeat(np.arange(5.0), 2000)])
        # Five groups double (.1 -> .2), five empty out (.1 -> almost nothing).
        empty = 0.5 / 10_005.5
        expected = 5 * 0.1 * np.log(2) + 5 * (empty - 0.1) * np.log(empty / 0.1)
        assert stability_index(old, half) == pytest.approx(expected, rel=0.01)

    def test_values_that_became_unknown_count(self) -> None:
        old = np.linspace(0, 1, 1000)
        assert stability_index(old, np.where(np.arange(1000) < 400, np.nan, old)) > 0.25

    def test_a_book_that_goes_on_as_before_does_not_drift(self, history) -> None:
        model = fit_model(history, LAST, HORIZON)
        shifts = input_shifts(purchases_of(history), LAST, LAST, model.basis)
        assert {shift.name for shift in shifts} == set(NAMES) - {"tenure"}, "that grows by itself"
        assert all(shift.index == 0 for shift in shifts)
        assert input_shifts(purchases_of(history), START - 1, LAST, model.basis) == []

    def test_weights_are_shares(self, history) -> None:
        model = fit_model(history, LAST, HORIZON)
        purchases = purchases_of(history)
        weights = weights_of(model, purchases, LAST, purchases.customers(LAST))
        assert sum(weights.factors.values()) == pytest.approx(1, abs=0.001)
        assert sum(weights.inputs.values()) == pytest.approx(1, abs=0.001)
        assert set(weights.inputs) <= set(NAMES)
