"""What changed and what would change it: steps that add up, futures that come true."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retention.scoring.adjustment import TERMS, Adjustment
from retention.scoring.bgnbd import BgNbd
from retention.scoring.features import NAMES, Basis
from retention.scoring.history import UNKNOWN_DAY, History, history_from_rows
from retention.scoring.models import FittedModel
from retention.scoring.money import GammaGamma
from retention.scoring.parts import Standing
from retention.scoring.scores import score_accounts
from retention.scoring.signals import FACTS, Signals, records_of
from retention.scoring.trees import BINS, AdditiveTrees
from retention.scoring.whatif import Fitted, changes, futures

DAY = 18_000
ONE = np.array([1])


def model(seed: int, as_of: int = DAY, horizon: int = 90) -> FittedModel:
    """A model with trees of arbitrary steps: whatever holds for it holds for any."""
    random = np.random.default_rng(seed)
    edges = np.sort(random.uniform(0, 400, (len(NAMES), BINS - 1)), axis=1).astype(np.float32)
    trees = AdditiveTrees(edges, random.normal(0, 0.2, (len(NAMES), BINS + 1)).astype(np.float32), -0.3)
    usual = Standing(random.normal(0, 0.1, len(NAMES) + 2), np.ones(len(NAMES) + 2))
    basis = Basis(BgNbd(0.6 + 0.1 * seed, 30.0, 0.8, 2.5), 30.0, horizon)
    return FittedModel(
        "learned", True, as_of, basis, GammaGamma(1.0, 2.0, 1.0), 0.1, 0.5, 0.5, trees, standing=usual
    )


def adjusted(seed: int = 1) -> FittedModel:
    """With something known beyond orders that counts: every term adds in its natural direction."""
    ones = np.ones(len(TERMS))
    beyond = Adjustment(0.3 * ones, 0 * ones, -10 * ones, 10 * ones)
    plain = model(seed)
    standing = Standing(
        np.concatenate([plain.standing.added, np.zeros(len(FACTS))]),
        np.concatenate([plain.standing.values, np.ones(len(FACTS))]),
    )
    return replace(
        plain, adjustment=beyond, standing=standing, since=dict.fromkeys(("issues", "touches", "pulses"), 0)
    )


def history(*orders: tuple[int, float], promised: int | None = None) -> History:
    """Account 1 with orders given as (days before DAY, amount); the last one promised so many days before DAY."""
    days = DAY - np.array([ago for ago, _ in orders])
    late = np.full(len(orders), UNKNOWN_DAY)
    if promised is not None:
        late[-1] = DAY - promised
    return history_from_rows(
        np.ones(len(orders), dtype=int), days, np.array([amount for _, amount in orders]), promised=late
    )


def probability(fitted: FittedModel, records: History, as_of: int, signals: Signals | None = None) -> float:
    return float(score_accounts(records, as_of, fitted, signals=signals).probability[0])


orders = st.lists(
    st.tuples(st.integers(0, 700), st.sampled_from([-20.0, 5.0, 80.0])), min_size=1, max_size=25
)


@settings(max_examples=40, deadline=None)
@given(orders, st.integers(1, 120), st.sampled_from([None, 0.2]), st.sampled_from([None, 0.9]))
def test_steps_sum_to_the_change_and_their_factors_to_the_step(
    rows: list[tuple[int, float]], back: int, said_then: float | None, said_now: float | None
) -> None:
    records = history((650, 10.0), *rows)
    old, new = model(1, DAY - back), model(2)
    found = changes(Fitted(old, DAY - back, said_then), Fitted(new, DAY, said_now), records)
    assert found is not None
    before = probability(old, records, DAY - back) if said_then is None else said_then
    after = probability(new, records, DAY) if said_now is None else said_now
    assert (found.before, found.after) == (pytest.approx(before, abs=1e-12), pytest.approx(after, abs=1e-12))
    assert sum(step.points for step in found.steps) == pytest.approx(100 * (after - before), abs=1e-9)
    for step in found.steps:
        if step.factors:
            assert sum(step.factors.values()) == pytest.approx(step.points, abs=1e-6)
    assert (found.points("late") == 0) == (said_then is None)
    assert (found.points("uncounted") == 0) == (said_now is None)


def test_each_step_changes_one_thing() -> None:
    quiet, busy = (
        history((400, 9.0), (300, 9.0), (200, 9.0)),
        history((400, 9.0), (300, 9.0), (200, 9.0), (10, 9.0)),
    )
    same = model(1, DAY - 30)

    def points(records: History, new: FittedModel) -> dict[str, float]:
        found = changes(Fitted(same, DAY - 30), Fitted(new, DAY), records)
        assert found is not None
        return {step.kind: step.points for step in found.steps}

    still = points(quiet, same)
    assert (still["behaviour"], still["model"], still["late"]) == (0, 0, 0)
    assert still["time"] != 0
    ordered = points(busy, same)
    assert ordered["time"] == still["time"]
    assert ordered["behaviour"] != 0
    anew = points(busy, model(2))
    assert (anew["time"], anew["behaviour"]) == (ordered["time"], ordered["behaviour"])
    assert anew["model"] != 0


def test_records_that_arrived_late_are_a_part_of_their_own() -> None:
    """The order of 40 days ago was not known when the account was scored 30 days ago."""
    known, all_of_it = history((400, 9.0), (300, 9.0)), history((400, 9.0), (300, 9.0), (40, 9.0))
    fitted = model(1, DAY - 30)
    said = probability(fitted, known, DAY - 30)
    found = changes(Fitted(fitted, DAY - 30, said), Fitted(fitted, DAY), all_of_it)
    assert found is not None
    assert found.points("late") == pytest.approx(100 * (probability(fitted, all_of_it, DAY - 30) - said))
    assert found.points("behaviour") == 0


def test_an_account_that_had_not_bought_yet_did_not_change() -> None:
    assert changes(Fitted(model(1, DAY - 30), DAY - 30), Fitted(model(1), DAY), history((5, 9.0))) is None


def test_what_happened_beyond_orders_is_behaviour() -> None:
    signals = Signals(ONE, issues=records_of(ONE, ONE, day=np.array([DAY - 5]), until=np.array([UNKNOWN_DAY]), weight=np.array([3])))  # fmt: skip
    fitted = replace(adjusted(), as_of=DAY - 30)
    records = history((400, 9.0), (100, 9.0))
    found = changes(Fitted(fitted, DAY - 30), Fitted(fitted, DAY), records, signals)
    assert found is not None
    behaviour = next(step for step in found.steps if step.kind == "behaviour")
    assert behaviour.points > 0
    assert behaviour.factors["service"] == pytest.approx(behaviour.points)
    assert found.after == pytest.approx(probability(fitted, records, DAY, signals))


# ── futures ────────────────────────────────────────────────────────────
@settings(max_examples=25, deadline=None)
@given(orders, st.integers(0, 60))
def test_futures_come_true(rows: list[tuple[int, float]], ahead: int) -> None:
    """What is said of a coming day is what the engine says on that day."""
    rows = [(500, 10.0), *rows]
    records = history(*rows, promised=12)
    fitted = model(1)
    found = futures(fitted, records, DAY)
    assert found is not None
    assert found.now == pytest.approx(probability(fitted, records, DAY), abs=1e-12)
    assert found.silent_on(ahead) == pytest.approx(probability(fitted, records, DAY + ahead), abs=1e-12)
    sizes = [amount for _, amount in sorted(rows, key=lambda row: -row[0]) if amount > 0][-20:]
    assert found.order_size == np.median(sizes)
    ordered = history(*rows, (-ahead, found.order_size))
    assert found.ordered[ahead] == pytest.approx(probability(fitted, ordered, DAY + ahead), abs=1e-12)


def test_nothing_after_the_score_is_looked_at() -> None:
    early = futures(model(1), history((90, 9.0), (50, 9.0)), DAY)
    late = futures(model(1), history((90, 9.0), (50, 9.0), (-3, 9.0)), DAY)
    assert early is not None
    assert late is not None
    assert early.ordered.tolist() == late.ordered.tolist()
    assert futures(model(1), history((-3, 9.0)), DAY) is None


def test_the_last_day_for_an_order_is_the_last_one_that_helps() -> None:
    found = futures(model(1), history(*((ago, 9.0) for ago in range(400, 100, -20))), DAY)
    assert found is not None
    for below in (0.0, 0.2, 0.3, 0.5, 1.0):
        last = found.last_day_for_order(below)
        if last is None:
            assert found.ordered[0] >= below
            continue
        assert found.after_order_by(last) < below
        assert last == 60 or found.ordered[last + 1] >= below
    crossed = found.silent_until(found.now + 0.01)
    assert crossed is None or found.silent_on(crossed) >= found.now + 0.01 > found.silent_on(crossed - 1)


def test_thousands_of_orders_are_looked_at_weekly() -> None:
    found = futures(model(1), history(*((ago % 700, 9.0) for ago in range(3_000))), DAY)
    assert found is not None
    assert found.days.tolist() == list(range(0, 61, 7))


def test_deeds_are_scored_as_if_done() -> None:
    open_issue = {"day": np.array([DAY - 40]), "until": np.array([UNKNOWN_DAY]), "weight": np.array([2])}
    touch = records_of(ONE, ONE, day=np.array([DAY - 200]))
    signals = Signals(ONE, issues=records_of(ONE, ONE, **open_issue), touches=touch)
    records = history((400, 9.0), (100, 9.0))
    found = futures(adjusted(), records, DAY, signals)
    assert found is not None
    solved = replace(signals, issues=records_of(ONE, ONE, **(open_issue | {"until": np.array([DAY])})))
    assert found.solved == pytest.approx(probability(adjusted(), records, DAY, solved))
    talked = replace(signals, touches=records_of(ONE, np.array([1, 1]), day=np.array([DAY - 200, DAY])))
    assert found.talked == pytest.approx(probability(adjusted(), records, DAY, talked))
    assert found.pleased is not None
    assert found.pleased < found.talked < found.now
    plain = futures(model(1), records, DAY, signals)
    assert plain is not None
    assert (plain.solved, plain.talked, plain.pleased) == (None, None, None)
