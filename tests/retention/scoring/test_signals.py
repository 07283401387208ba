"""What is known beyond orders: point in time, unknown is nothing, parts add up, and noise is not believed."""

import datetime as dt
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retention.scoring.adjustment import SIGNAL_FACTORS, TERMS, Adjustment
from retention.scoring.errors import ScoringError
from retention.scoring.features import features_at, rhythm_state
from retention.scoring.fitting import fit_book
from retention.scoring.history import UNKNOWN_DAY, History, history_from_rows, purchases_of
from retention.scoring.ladder import fit_model
from retention.scoring.models import FittedModel, model_from_bytes
from retention.scoring.parts import Parts
from retention.scoring.scores import Scores, score_accounts
from retention.scoring.signal_sentences import SIGNAL_TELLINGS
from retention.scoring.signals import FACTS, Events, Facts, Signals, records_of, signal_facts
from retention.scoring.telling import Book
from tests.retention.scoring.books import START, book

AS_OF, HORIZON = START + 600, 60
IDS = np.array([1, 2, 3])


def day_of(*date: int) -> int:
    return (dt.date(*date) - dt.date(1970, 1, 1)).days


def kind(ids: np.ndarray, *rows: tuple[int, ...], names: str = "day") -> Events | None:
    """Records given as (account, day after START, ...); None in a date means unknown."""
    columns: dict[str, np.ndarray] = {}
    for at, name in enumerate(names.split(), 1):
        raw = [row[at] for row in rows]
        is_day = name in {"day", "until", "due", "kept"}
        columns[name] = np.array(
            [UNKNOWN_DAY if v is None else v + START if is_day else v for v in raw], dtype=np.int32
        )
    return records_of(ids, np.array([row[0] for row in rows], dtype=np.int64), **columns)


def three() -> History:
    days = np.array([0, 10, 580, 0, 500, 590]) + START
    return history_from_rows(np.array([1, 1, 1, 2, 2, 3]), days, np.full(6, 50.0), account_ids=IDS)


def known(**kinds: Events | None) -> Facts:
    purchases = purchases_of(three())
    return signal_facts(Signals(IDS, **kinds), purchases, AS_OF, np.arange(3), HORIZON)


def test_an_issue_settled_later_is_open() -> None:
    facts = known(
        issues=kind(
            IDS,
            (1, 566, None, 2),
            (1, 590, 601, 3),
            (2, 500, 520, 1),
            (2, 601, None, 3),
            names="day until weight",
        )
    )
    assert facts["open_issues"].tolist() == [2, 0, 0]
    assert facts["issue_weight"].tolist() == [5, 0, 0]
    assert facts["oldest_open"].tolist() == [34, 0, 0]
    assert facts["recent_issues"].tolist() == [2, 1, 0]


def test_a_promise_is_broken_once_its_day_has_passed() -> None:
    facts = known(
        promises=kind(
            IDS,
            (1, 500, 510, 509),
            (1, 500, 510, 515),
            (1, 500, 520, None),
            (2, 590, 600, None),
            names="day due kept",
        )
    )
    assert facts["promises"].tolist() == [3, 0, 0]
    assert facts["broken"].tolist() == [2, 0, 0]


def test_whom_nobody_wrote_down_is_unknown() -> None:
    facts = known(touches=kind(IDS, (1, 526)), pulses=kind(IDS, (2, 580, 2), names="day score"))
    assert facts["silence"][0] == 74
    assert np.isnan(facts["silence"][1:]).all()
    assert facts["pulse"][1] == 2
    assert np.isnan(facts["pulse"][[0, 2]]).all()
    for name in (
        "open_issues",
        "broken",
        "contacts_left",
        "owner_changes",
        "vacant",
        "treated",
        "late_share",
    ):
        assert np.isnan(facts[name]).all(), name


def test_people_and_owners() -> None:
    facts = known(
        people=kind(IDS, (1, 0, None), (1, 0, 590), (2, 601, None), names="day until"),
        departures=kind(IDS, (1, 590, 2), names="day weight"),
        owners=kind(IDS, (2, 570, 1), names="day weight"),
        vacancies=kind(IDS, (1, 581, None), (2, 560, 570), names="day until"),
    )
    assert facts["active_contacts"][0] == 1
    assert np.isnan(facts["active_contacts"][1:]).all()
    assert facts["contacts_left"].tolist() == [1, 0, 0]
    assert facts["owner_changes"].tolist() == [0, 1, 0]
    assert facts["vacant"].tolist() == [20, 0, 0]


def test_lost_is_lost_until_the_next_order() -> None:
    facts = known(
        handbacks=kind(IDS, (1, 500, 540, 1), (2, 550, 600, 1), (3, 580, None, 0), names="day until lost")
    )
    assert facts["lost_fresh"].tolist() == [0, 1, 0]
    assert facts["treated"].tolist() == pytest.approx([0, 50 / 60, 20 / 60])
    assert facts["under_handback"].tolist() == [0, 0, 1]


def test_an_account_that_is_not_covered_is_refused() -> None:
    with pytest.raises(ScoringError):
        signal_facts(Signals(np.array([1, 2])), purchases_of(three()), AS_OF, np.arange(3), HORIZON)


# ── a book whose customers leave because of issues ─────────────────────
def troubled(seed: int, *, is_noise: bool = False, accounts: int = 200) -> tuple[History, Signals]:
    """Everybody orders every ten days or so; an issue drives half of them away soon after, unless it is noise."""
    random = np.random.default_rng(seed)
    account, day, amount, issues, touches, pulses = [], [], [], [], [], []
    for one in range(1, accounts + 1):
        upset = random.uniform(100, 1500)
        leaves = upset + random.uniform(10, 40) if random.random() < 0.5 else 2000.0
        chance = random.uniform(200, 2500)
        until, now = min(chance if is_noise else min(leaves, chance), 720.0), random.uniform(0, 60)
        while now < until:
            account.append(one)
            day.append(START + int(now))
            amount.append(random.lognormal(4, 0.4))
            now += random.gamma(4, 3)
        noticed = random.uniform(100, 1500) if is_noise else upset
        if noticed < min(until, 719):
            issues.append((one, int(noticed), None, 2))
        touches += [(one, int(t)) for t in random.uniform(0, 720, 6)]
        pulses += [(one, int(t), int(random.integers(1, 7))) for t in random.uniform(0, 720, 3)]
    ids = np.arange(1, accounts + 1)
    signals = Signals(
        ids,
        issues=kind(ids, *issues, names="day until weight"),
        touches=kind(ids, *touches),
        pulses=kind(ids, *pulses, names="day score"),
    )
    return history_from_rows(np.array(account), np.array(day), np.array(amount), account_ids=ids), signals


@cache
def fitted() -> tuple[History, Signals, FittedModel]:
    history, signals = troubled(3)
    return history, signals, fit_book(history, signals, AS_OF, HORIZON)


def test_the_stage_finds_what_drives_them_away() -> None:
    _, _, model = fitted()
    found = model.summary["signals"]
    assert found["taken"]
    assert found["gain"] > 0.003
    assert found["factors"]["service"]["kept"]
    assert found["factors"]["service"]["gain"] == max(f["gain"] for f in found["factors"].values())
    assert model.adjustment is not None
    assert all(
        coefficient >= 0
        for coefficient, term in zip(model.adjustment.coefficients, TERMS, strict=True)
        if term.sign
    )


def test_records_that_say_nothing_are_not_taken_or_do_no_harm() -> None:
    history, signals = troubled(5, is_noise=True)
    model = fit_book(history, signals, AS_OF, HORIZON)
    assert model.summary["signals"]["gain"] < 0.004
    if model.adjustment is not None:
        scores, plain = (
            score(history, signals, model),
            score(history, None, fit_model(history, AS_OF, HORIZON)),
        )
        assert np.abs(scores.probability - plain.probability).mean() < 0.02


def score(history: History, signals: Signals | None, model: FittedModel) -> Scores:
    return score_accounts(history, AS_OF, model, signals=signals)


def same(one: Scores, other: Scores) -> None:
    np.testing.assert_array_equal(one.probability, other.probability)
    np.testing.assert_array_equal(one.known_share, other.known_share)
    assert one.reasons == other.reasons


def test_points_sum_to_the_score_as_shown() -> None:
    history, signals, model = fitted()
    scores = score(history, signals, model)
    base = 100 * model.base_probability
    for reasons, p in zip(scores.reasons, scores.probability, strict=True):
        assert base + sum(r["points"] for r in reasons) == pytest.approx(100 * p, abs=0.006)


def test_parts_sum_to_the_log_odds() -> None:
    history, signals, model = fitted()
    purchases = purchases_of(history.until(AS_OF))
    rows = purchases.customers(AS_OF)
    state, features = rhythm_state(purchases, AS_OF, rows), features_at(purchases, AS_OF, rows, model.basis)
    facts = signal_facts(signals, purchases, AS_OF, rows, HORIZON, model.since)
    p_silent = model.basis.bgnbd.p_silent(state.x, state.t_x, state.age, HORIZON)
    whole = model.logit(features, p_silent, facts)
    parts = model.parts(features, state, facts)
    assert np.abs(model.start + parts.added.sum(axis=1) - whole).max() < 1e-9


def test_unknown_adds_nothing() -> None:
    history, _, model = fitted()
    forgetful = replace(model, since={})  # as if nobody had ever written anything down
    nobody = Signals(history.account_ids)
    plain = fit_model(history, AS_OF, HORIZON)
    blank, orders = score(history, nobody, forgetful), score(history, None, plain)
    np.testing.assert_array_equal(blank.probability, orders.probability)
    assert (blank.known_share <= 60).all()
    assert (score(history, fitted()[1], model).known_share > blank.known_share).any()


def test_without_records_the_result_is_that_of_the_orders_digit_for_digit() -> None:
    history = book(200)
    plain = fit_model(history, AS_OF, HORIZON)
    for signals in (None, Signals(history.account_ids)):
        assert fit_book(history, signals, AS_OF, HORIZON).to_bytes() == plain.to_bytes()


def test_the_model_survives_being_stored() -> None:
    history, signals, model = fitted()
    again = model_from_bytes(model.to_bytes())
    assert again.version == model.version
    same(score(history, signals, again), score(history, signals, model))


def test_parts_of_a_book_give_the_scores_of_the_whole() -> None:
    history, signals, model = fitted()
    whole = score(history, signals, model)
    parts = [
        score_accounts(history.between(a, a + 99), AS_OF, model, signals=signals.between(a, a + 99))
        for a in (1, 101)
    ]
    assert np.concatenate([part.probability for part in parts]).tolist() == whole.probability.tolist()
    assert [reason for part in parts for reason in part.reasons] == whole.reasons
    assert np.concatenate([part.known_share for part in parts]).tolist() == whole.known_share.tolist()


LATER = {
    "issues": "day until weight", "promises": "day due kept", "touches": "day", "pulses": "day score",
    "people": "day until", "departures": "day weight", "owners": "day weight", "vacancies": "day until",
    "handbacks": "day until lost",
}  # fmt: skip


def with_later(signals: Signals, name: str, rows: list[tuple[int, ...]]) -> Signals:
    """The signals with more records of one kind, and every open end closed after AS_OF."""
    columns = LATER[name].split()
    old = getattr(signals, name)
    account = np.array([row[0] for row in rows], dtype=np.int64)
    values: dict[str, Any] = {
        column: np.array([row[at] for row in rows], dtype=np.int32) for at, column in enumerate(columns, 1)
    }
    if old is not None:
        owner = np.repeat(signals.account_ids, np.diff(old.offsets))
        account = np.concatenate([owner, account])
        for column in columns:
            before = old.columns[column]
            if column in {"until", "kept"}:
                before = np.where(before == UNKNOWN_DAY, AS_OF + 5, before).astype(np.int32)
            values[column] = np.concatenate([before, values[column]])
    changed: dict[str, Any] = {name: records_of(signals.account_ids, account, **values)}
    return replace(signals, **changed)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(LATER)),
    st.lists(st.tuples(st.integers(1, 200), st.integers(1, 90), st.integers(0, 60)), min_size=1, max_size=12),
)
def test_nothing_recorded_later_changes_what_was_known(name: str, later: list[tuple[int, int, int]]) -> None:
    history, signals, model = fitted()
    columns = LATER[name].split()[1:]
    rows = [
        (
            account,
            AS_OF + day,
            *(AS_OF + day + end if c in {"until", "due", "kept"} else 1 + end % 3 for c in columns),
        )
        for account, day, end in later
    ]
    more = with_later(signals, name, rows)
    purchases = purchases_of(history.until(AS_OF))
    everyone = purchases.customers(AS_OF)
    before = signal_facts(signals.until(AS_OF), purchases, AS_OF, everyone, HORIZON)
    after = signal_facts(more, purchases, AS_OF, everyone, HORIZON)
    np.testing.assert_array_equal(after.values, before.values)
    same(score(history, more, model), score(history, signals, model))


def test_nothing_recorded_later_changes_the_fit() -> None:
    history, signals, model = fitted()
    more = with_later(signals, "issues", [(5, AS_OF + 1, AS_OF + 3, 3), (9, AS_OF + 20, int(UNKNOWN_DAY), 1)])
    more = with_later(more, "handbacks", [(5, AS_OF + 1, AS_OF + 30, 1)])
    assert fit_book(history, more, AS_OF, HORIZON).version == model.version


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-5, 5), min_size=len(FACTS), max_size=len(FACTS)), st.integers(0, 2 ** len(FACTS) - 1)
)
def test_what_is_unknown_is_exactly_nothing(values: list[float], mask: int) -> None:
    row = np.array([abs(v) for v in values])
    hidden = np.array([bool(mask >> at & 1) for at in range(len(FACTS))])
    random = np.random.default_rng(1)
    count = len(TERMS)
    stage = Adjustment(random.random(count), random.random(count), np.zeros(count), np.full(count, 9.0))
    facts = Facts(np.where(hidden, np.nan, row)[None, :])
    parts = stage.parts(facts)
    assert not parts.added[0, hidden].any()
    assert np.isfinite(parts.added).all()
    assert abs(parts.added.sum() - stage.logit(facts)[0]) < 1e-9
    assert set(parts.factors.values()) == set(SIGNAL_FACTORS)


# ── in words ───────────────────────────────────────────────────────────
USUAL = Book(60, {"late_share": 0.05, "silence": 30.0})


@pytest.mark.parametrize(
    ("fact", "values", "words"),
    [
        ("issue_weight", {"open_issues": 2, "oldest_open": 34}, "2 issues open, the oldest for 34 days"),
        ("issue_days", {"open_issues": 0, "recent_issues": 1}, "1 issue in the last 180 days, all settled"),
        ("broken_fresh", {"broken": 1, "promises": 3}, "1 of 3 promises was broken"),
        ("silence", {"silence": 74}, "Nobody has spoken with them for 74 days"),
        ("pulse", {"pulse": 2, "pulse_day": day_of(2026, 11, 3)}, "Last pulse 2 of 6, on 3 November 2026"),
        ("late_share", {"late_share": 0.4, "deliveries": 5}, "2 of its last 5 deliveries came late"),
        ("late_share", {"late_share": 1.0, "deliveries": 1}, "Its last delivery came late"),
        ("late_share", {}, "No delivery fell due lately"),
        ("active_contacts", {"active_contacts": 1}, "We know only one person there"),
        ("left_fresh", {"contacts_left": 2}, "2 people there left within a year"),
        ("changes_fresh", {"owner_changes": 1}, "Who looks after it changed once within a year"),
        ("vacant", {"vacant": 20}, "One of its owners has been missing for 20 days"),
        ("treated", {"treated": 0.2, "under_handback": 1}, "Handed back at present"),
        ("lost_fresh", {"lost_fresh": 0.8}, "A handback was closed as lost"),
    ],
)
def test_facts_in_words(fact: str, values: dict[str, float], words: str) -> None:
    row = np.array([[values.get(name, np.nan) for name in FACTS]])
    parts = Parts(FACTS, row, np.zeros(row.shape))
    telling = SIGNAL_TELLINGS[fact]
    key = [int(column[0]) for column in telling.facts(parts, np.array([0]))]
    assert telling.say(USUAL, *key).text == words


def test_every_fact_can_be_told() -> None:
    assert SIGNAL_TELLINGS.keys() == FACTS.keys()
