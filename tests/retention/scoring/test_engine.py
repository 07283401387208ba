"""The engine as a whole: what must hold for every book."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retention.scoring.backtest import backtest
from retention.scoring.errors import ScoringError
from retention.scoring.features import NAMES
from retention.scoring.history import History, history_from_rows, purchases_of
from retention.scoring.horizon import default_horizon
from retention.scoring.ladder import fit_model, fit_sample, training_logits
from retention.scoring.models import FittedModel, model_from_bytes
from retention.scoring.scores import Scores, score_accounts
from retention.scoring.tiers import TIERS
from tests.retention.scoring.books import START, book, book_rows, of_account

AS_OF = START + 600
HORIZON = 60
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

orders = st.lists(
    st.tuples(
        st.integers(1, 8),
        st.integers(0, 400),
        st.sampled_from([-50.0, 0.0, 0.01, 10.0, 99.95, 1e12]),
    ),
    min_size=1,
    max_size=60,
)


def made(rows: list[tuple[int, int, float]]) -> History:
    account, day, amount = zip(*rows, strict=True)
    return history_from_rows(np.array(account), np.array(day) + START, np.array(amount, dtype=float))


def scored(history: History, as_of: int, horizon: int = HORIZON) -> Scores:
    return score_accounts(history, as_of, fit_model(history, as_of, horizon))


def assert_sensible(scores: Scores) -> None:
    assert ((scores.probability > 0) & (scores.probability < 1)).all()
    assert (scores.worth.expected >= 0).all()
    assert np.isfinite(scores.worth.expected).all()
    assert (scores.revenue_at_risk <= scores.worth.expected).all()
    assert set(scores.tier) <= set(TIERS)
    for reasons, p in zip(scores.reasons, scores.probability, strict=True):
        assert reasons[0]["sentence"]
        points = sum(reason["points"] for reason in reasons)
        assert points == pytest.approx(100 * (p - scores.base_probability), abs=0.02)


def same(one: Scores, other: Scores) -> None:
    assert one.account_ids.tolist() == other.account_ids.tolist()
    assert one.probability.tolist() == other.probability.tolist()
    assert one.worth.expected.tolist() == other.worth.expected.tolist()
    assert one.tier.tolist() == other.tier.tolist()
    assert one.reasons == other.reasons


@quick
@given(orders, st.integers(0, 450), st.integers(1, 200))
def test_any_book_gives_sensible_scores_or_a_sentence(
    rows: list[tuple[int, int, float]], day: int, horizon: int
) -> None:
    as_of = START + day
    has_customers = any(amount > 0 and order_day <= day for _, order_day, amount in rows)
    if has_customers:
        assert_sensible(scored(made(rows), as_of, horizon))
    else:
        with pytest.raises(ScoringError, match="bought"):
            scored(made(rows), as_of, horizon)


@quick
@given(orders, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: list[tuple[int, int, float]], random: object) -> None:
    rows = [*rows, (1, 0, 10.0)]
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    same(scored(made(rows), START + 300), scored(made(shuffled), START + 300))


@quick
@given(orders, orders)
def test_nothing_after_as_of_changes_anything(
    rows: list[tuple[int, int, float]], later: list[tuple[int, int, float]]
) -> None:
    rows = [*((a, min(day, 200), amount) for a, day, amount in rows), (1, 0, 10.0)]
    known = {account for account, _, _ in rows}
    after = [(a, 201 + day, amount) for a, day, amount in later if a in known]
    same(scored(made(rows), START + 200), scored(made(rows + after), START + 200))


def learned_book() -> tuple[History, FittedModel]:
    history = book(500)
    return history, fit_model(history, AS_OF, HORIZON)


def test_a_book_with_rhythm_reaches_the_learned_rung() -> None:
    history, model = learned_book()
    assert (model.stage, model.has_signal) == ("learned", True)
    scores = score_accounts(history, AS_OF, model)
    assert_sensible(scores)
    assert len(scores) == len(purchases_of(history).customers(AS_OF))


def test_later_records_leave_model_and_scores_of_a_learned_book_alone() -> None:
    account, day, amount = book_rows(500)
    past = day <= AS_OF
    known = history_from_rows(account[past], day[past], amount[past])
    model = fit_model(known, AS_OF, HORIZON)
    everything = history_from_rows(account, day, amount)
    assert everything.orders > known.orders
    assert fit_model(everything, AS_OF, HORIZON).version == model.version
    same(score_accounts(known, AS_OF, model), score_accounts(everything, AS_OF, model))


def test_past_log_odds_know_nothing_of_what_came_after_them() -> None:
    """Each moment of the past is scored as it would have been scored then: a later order moves its label only."""
    account, day, amount = book_rows(500)
    moments = training_logits(history_from_rows(account, day, amount), AS_OF, HORIZON)
    assert [m.as_of for m in moments[:8]] == [AS_OF - round(HORIZON * (1 + k / 2)) for k in range(8)]
    assert all(m.learned for m in moments[:8])
    then = moments[2]
    mixed_up = np.where(day > then.as_of, 501 - account, account)
    changed = training_logits(history_from_rows(mixed_up, day, amount), AS_OF, HORIZON)[2]
    assert changed.learned
    assert changed.account_ids.tolist() == then.account_ids.tolist()
    assert changed.logit == pytest.approx(then.logit, abs=1e-3)  # where the search for BG/NBD began differs
    assert changed.churned.tolist() != then.churned.tolist()


def test_chunks_give_the_scores_of_the_whole() -> None:
    history, model = learned_book()
    whole = score_accounts(history, AS_OF, model)
    parts = [score_accounts(history.between(a, a + 99), AS_OF, model) for a in range(1, 501, 100)]
    assert np.concatenate([part.probability for part in parts]).tolist() == whole.probability.tolist()
    assert [reason for part in parts for reason in part.reasons] == whole.reasons


def test_tables_are_the_trees_exactly() -> None:
    """What is read off the grid equals the sum over features wherever the features are."""
    _, model = learned_book()
    assert model.trees is not None
    features = np.random.default_rng(0).normal(50, 80, (200, len(NAMES))).astype(np.float32)
    features[::7, 3] = np.nan
    by_feature = model.trees.contributions(features)
    assert model.trees.intercept + by_feature.sum(axis=1) == pytest.approx(
        model.trees.logit(features), abs=1e-4
    )


def test_a_stored_model_scores_the_same_and_holds_no_code() -> None:
    history, model = learned_book()
    payload = model.to_bytes()
    again = model_from_bytes(payload)
    assert again.version == model.version
    assert b"sklearn" not in payload
    same(score_accounts(history, AS_OF, again), score_accounts(history, AS_OF, model))


def test_a_model_of_another_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = fit_model(book(30), AS_OF, HORIZON).to_bytes()
    monkeypatch.setattr("retention.scoring.models.FORMAT", 2)
    with pytest.raises(ScoringError, match="another version"):
        model_from_bytes(payload)


def test_a_model_cannot_score_a_day_before_it_was_fitted() -> None:
    history = book(30)
    with pytest.raises(ScoringError, match="later"):
        score_accounts(history, AS_OF - 1, fit_model(history, AS_OF, HORIZON))


def test_few_customers_get_rules() -> None:
    assert fit_model(book(20), AS_OF, HORIZON).stage == "rules"


def test_short_history_gets_rhythm() -> None:
    model = fit_model(book(300, days=80), START + 80, 60)
    assert model.stage == "rhythm"
    assert model.summary["checked"] is False


def test_orders_by_chance_are_no_signal() -> None:
    """Everybody orders at the same rate and nobody leaves: the next order cannot be told from the past ones."""
    random = np.random.default_rng(5)
    account = random.integers(1, 1501, 12_000)
    history = history_from_rows(account, START + random.integers(0, 720, 12_000), np.full(12_000, 10.0))
    model = fit_model(history, START + 719, 90)
    assert not model.has_signal
    scores = score_accounts(history, START + 719, model)
    assert len(set(scores.probability)) == 1
    assert scores.probability[0] == pytest.approx(np.exp(-8 * 90 / 720), abs=0.03)
    assert "at_risk" not in scores.tier
    assert scores.reasons[0][0]["sentence"].startswith("No usable signal")


def test_fit_sample_is_the_same_whatever_the_order() -> None:
    ids = np.arange(1, 100_001)
    chosen = fit_sample(ids)
    assert chosen.tolist() == fit_sample(ids[::-1]).tolist()
    assert len(chosen) == 40_000
    assert chosen.mean() == pytest.approx(50_000, rel=0.02)


@pytest.mark.parametrize("horizon", [0, -5, 731])
def test_an_unusable_horizon_is_refused(horizon: int) -> None:
    with pytest.raises(ScoringError, match=f"horizon of {horizon} days"):
        fit_model(book(5), AS_OF, horizon)


def test_the_horizon_follows_the_pace_of_the_book() -> None:
    weekly = np.tile(np.arange(0, 400, 7), 5)
    account = np.repeat(np.arange(5), len(weekly) // 5)
    fast = purchases_of(history_from_rows(account, weekly + START, np.ones(len(weekly))))
    slow = purchases_of(history_from_rows(account, weekly * 10 + START, np.ones(len(weekly))))
    assert default_horizon(fast, START + 400) == 14
    assert default_horizon(slow, START + 4000) == 90
    assert default_horizon(purchases_of(of_account((0, 1.0))), START) == 90


class TestEdges:
    def test_one_customer_with_one_order(self) -> None:
        scores = scored(of_account((0, 10.0)), START)
        assert_sensible(scores)
        assert scores.tier.tolist() == ["new"]
        assert scores.reasons[0][0]["sentence"] == "First and only order today."

    def test_horizon_longer_than_the_history(self) -> None:
        assert_sensible(scored(of_account((0, 10.0), (9, 12.0)), START + 10, 365))

    def test_everybody_left(self) -> None:
        account, day, amount = book_rows(300, days=200)
        scores = scored(history_from_rows(account, day, amount), START + 1500)
        assert_sensible(scores)
        assert scores.probability.min() > 0.9
        assert set(scores.tier) == {"lost"}

    def test_nobody_left(self) -> None:
        days = np.tile(np.arange(0, 600, 10), 200)
        account = np.repeat(np.arange(200), 60)
        scores = scored(history_from_rows(account, days + START, np.full(len(days), 5.0)), START + 599)
        assert_sensible(scores)
        assert scores.probability.max() < 0.1

    def test_amounts_of_nothing_and_of_a_trillion(self) -> None:
        history = of_account((0, 1e12), (30, 0.0), (60, 1e12), (61, -1e12))
        assert_sensible(scored(history, START + 70))

    def test_ten_thousand_orders_in_one_account(self) -> None:
        random = np.random.default_rng(0)
        account = np.concatenate([np.zeros(10_000, dtype=int), np.arange(1, 80).repeat(3)])
        day = START + random.integers(0, 600, len(account))
        scores = scored(history_from_rows(account, day, np.ones(len(account))), AS_OF)
        assert_sensible(scores)
        assert scores.probability[0] == scores.probability.min()

    def test_the_same_order_many_times(self) -> None:
        assert_sensible(scored(of_account(*[(5, 10.0)] * 50), START + 30))


def test_backtest_compares_with_bgnbd_and_recency() -> None:
    results = backtest(book(400), START + 719, HORIZON, 3)
    assert [row.as_of for row in results] == [START + 719 - HORIZON * step for step in (1, 2, 3)]
    for row in results:
        assert row.model.log_loss <= row.bgnbd.log_loss + 0.02
        assert row.model.auc > 0.7
        assert set(row.as_dict()["recency"]) == {"auc", "ap", "log_loss", "brier", "ece", "lift"}


def test_backtest_without_history_is_refused() -> None:
    with pytest.raises(ScoringError, match="shorter horizon"):
        backtest(of_account((0, 1.0)), START, 90, 2)


def test_what_came_back_is_no_money_to_be_saved() -> None:
    account, day, amount = book_rows(80)
    last = int(day[account == 1].max())
    huge = history_from_rows(np.append(account, 1), np.append(day, last), np.append(amount, 50_000.0))
    back = history_from_rows(
        np.append(account, [1, 1]), np.append(day, [last, last]), np.append(amount, [50_000.0, -50_000.0])
    )
    plain = history_from_rows(account, day, amount)
    bought, returned, without = (scored(history, AS_OF).worth.expected[0] for history in (huge, back, plain))
    assert returned == pytest.approx(without, rel=1e-9)
    assert bought > 20 * without
