"""Reasons: they add up exactly, name what moved them, and never say the opposite of what they mean."""

import json
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from retention.scoring.bgnbd import BgNbd
from retention.scoring.explain import factors_of, moved, points_of, tell, wording_of
from retention.scoring.features import NAMES, Basis, features_at, rhythm_state
from retention.scoring.history import History, purchases_of
from retention.scoring.ladder import fit_model
from retention.scoring.models import COLUMNS, FittedModel
from retention.scoring.money import GammaGamma
from retention.scoring.parts import Parts, Standing
from retention.scoring.scores import score_accounts
from retention.scoring.sentences import TELLINGS
from retention.scoring.telling import Book, Said, Teller, sentence
from retention.scoring.told import FORGOTTEN, TOLD, Reason, Wording
from retention.scoring.trees import BINS, AdditiveTrees
from tests.retention.scoring.books import START, book

AS_OF, HORIZON = START + 600, 60


def parts_at(history: History, model: FittedModel, as_of: int) -> tuple[Parts, np.ndarray]:
    """Parts of all accounts that had bought, and the log odds they were scored with."""
    purchases = purchases_of(history.until(as_of))
    rows = purchases.customers(as_of)
    state = rhythm_state(purchases, as_of, rows)
    features = features_at(purchases, as_of, rows, model.basis)
    p_silent = model.basis.bgnbd.p_silent(state.x, state.t_x, state.age, model.basis.horizon)
    return model.parts(features, state), model.logit(features, p_silent)


def told_by(model: FittedModel, parts: Parts, logit: np.ndarray) -> list[list[Reason]]:
    """The reasons of each account in words, by way of what is stored."""
    wording = wording_of(model, parts.factors)
    stored = tell(model, wording, parts, logit, expit(logit)).tobytes()
    kept = Wording.from_json(json.loads(json.dumps(wording.to_json())), TELLINGS)
    return [kept.reasons(one) for one in np.frombuffer(stored, dtype=TOLD)]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    customers=st.sampled_from([1, 8, 40, 90, 250, 400]),
    seed=st.integers(0, 10_000),
    stays=st.sampled_from([5.0, 100.0, 5_000.0]),
    horizon=st.sampled_from([14, 60, 180]),
)
def test_contributions_sum_to_the_score(customers: int, seed: int, stays: float, horizon: int) -> None:
    history = book(customers, seed=seed, stays=stays)
    as_of = START + 719
    model = fit_model(history, as_of, horizon)
    parts, logit = parts_at(history, model, as_of)
    compared = moved(parts, model)
    assert model.full_intercept + compared.added.sum(axis=1) == pytest.approx(logit, abs=1e-9)
    shares = compared.by_factor(factors_of(parts))
    assert model.full_intercept + shares.sum(axis=1) == pytest.approx(logit, abs=1e-9)
    points = points_of(shares, logit, expit(logit), model)
    assert points.sum(axis=1) == pytest.approx(100 * (expit(logit) - model.base_probability), abs=1e-9)
    for reasons, p in zip(
        *(lambda s: (s.reasons, s.probability))(score_accounts(history, as_of, model)), strict=True
    ):
        assert sum(r["points"] for r in reasons) == pytest.approx(
            100 * (p - model.base_probability), abs=0.006
        )


# ── wording ────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("said", "way", "against_usual", "words"),
    [
        (Said("Last order 74 days ago", 1), 1, 1, "Last order 74 days ago."),
        (Said("Last order 9 days ago", -1, "usual: 5"), 1, 1, "Last order 9 days ago; usual: 5."),
        (Said("2 orders", None, "usual: 5"), 1, 1, "2 orders; usual: 5."),
        (Said("Its orders are 2.2 times as large", -1), 1, -1, "Against expectation a sign of leaving in your book: its orders are 2.2 times as large."),
        (Said("Its orders are 2.2 times as large", None), 1, -1, "Against expectation a sign of leaving in your book: its orders are 2.2 times as large."),
        (Said("3 returns", 1), -1, 1, "Against expectation a sign of staying in your book: 3 returns."),
        (Said("Its gaps vary", 0), -1, 0, "A sign of staying in your book: its gaps vary."),
        (Said("Its gaps vary", 0), 1, 0, "A sign of leaving in your book: its gaps vary."),
    ],
)  # fmt: skip
def test_a_sentence_never_contradicts_its_direction(
    said: Said, way: int, against_usual: int, words: str
) -> None:
    assert sentence(said, way, against_usual) == words


USUAL = {
    "recency": 12, "gap_median": 13, "gap_mean": 13, "purchases": 9, "count_1": 3, "spend_mean": 100.0,
    "spend_last": 100.0, "spend_1": 300.0, "spend_sum": 900.0, "p_silent": -1.4, "share_gaps_longer": 0.5,
}  # fmt: skip


def told(column: str, way: int, facts: dict[str, float], usual: dict[str, float] | None = None) -> str:
    """The sentence of one column about an account with these numbers."""
    values = np.full((1, len(COLUMNS)), np.nan)
    for name, value in facts.items():
        values[0, list(COLUMNS).index(name)] = value
    parts = Parts(COLUMNS, values, np.zeros((1, len(COLUMNS))))
    teller = Teller(TELLINGS, Book(90, USUAL | (usual or {})))
    facts_told = teller.facts(column, parts, np.array([0]), np.array([way]))
    return teller.say(column, way, *(int(fact[0]) for fact in facts_told))


@pytest.mark.parametrize(
    ("column", "way", "facts", "words"),
    [
        ("waiting", 1, {"recency": 74, "gap_median": 21}, "Last order 74 days ago; usually every 21 days."),
        ("waiting", -1, {"recency": 0, "gap_median": 1}, "Last order today; usually every day."),
        ("waiting", 1, {"recency": 1200}, "First and only order 1,200 days ago."),
        ("p_silent", -1, {"recency": 30, "gap_median": 21, "p_silent": -3.0}, "Last order 30 days ago; usually every 21 days; of such customers 5 in 100 stay silent for 90 days, of customers in good standing 20."),
        ("recency", 1, {"recency": 74}, "Silent for 74 days; customers in good standing for 12 days."),
        ("recency", -1, {"recency": 0}, "Ordered today."),
        ("recency_over_median", 1, {"recency_over_median": 3.52}, "Silent for 3.5 times its usual gap."),
        ("recency_over_max", -1, {"recency_over_max": 0.4}, "40 % of its longest gap has passed since its last order."),
        ("recency_over_max", 1, {}, "No second order yet, so no rhythm of its own."),
        ("share_gaps_longer", 1, {"purchases": 13, "share_gaps_longer": 1 / 12}, "Only 1 of its last 12 gaps was longer than the present silence."),
        ("share_gaps_longer", 1, {"purchases": 5, "share_gaps_longer": 0}, "None of its last 4 gaps was longer than the present silence."),
        ("share_gaps_longer", -1, {"purchases": 5, "share_gaps_longer": 0.75}, "3 of its last 4 gaps were longer than the present silence."),
        ("share_gaps_longer", 1, {"purchases": 2, "share_gaps_longer": 0}, "Its only gap so far was shorter than the present silence."),
        ("gap_sd", 1, {"gap_sd": 12}, "A sign of leaving in your book: its gaps between orders vary by 12 days."),
        ("gap_trend", 1, {"gap_trend": 1.8}, "Its last gap was 180 % of its average one."),
        ("pace", 1, {"purchases": 2, "tenure": 100, "active_share": 0.4}, "2 orders so far, 40 days apart on average."),
        ("pace", 1, {"purchases": 1, "tenure": 100, "active_share": 0.0}, "Only one order so far."),
        ("activity_change", 1, {"count_1": 1, "count_2": 5}, "1 order in the last 90 days, 4 in the 90 days before."),
        ("activity_ewma", 1, {"count_1": 0, "count_2": 0, "purchases": 5, "tenure": 400}, "5 orders in 400 days, none in the last 180."),
        ("spend_mean", 1, {"spend_mean": 40}, "Its orders are 40 % of the size usual for customers in good standing."),
        ("spend_mean", -1, {"spend_mean": 300}, "Its orders are 3 times the size usual for customers in good standing."),
        ("spend_mean", 1, {"spend_mean": 220}, "Against expectation a sign of leaving in your book: its orders are 2.2 times the size usual for customers in good standing."),
        ("spend_mean", 1, {"spend_mean": 101}, "A sign of leaving in your book: its orders are the size usual for customers in good standing."),
        ("spend_change", 1, {"count_1": 1, "count_2": 5, "spend_change": np.log(0.4)}, "Spend of the last 90 days is 60 % below that of the 90 days before."),
        ("returns_4", 1, {"returns_4": 1}, "1 return in the last 360 days."),
        ("returns_4", 1, {"returns_4": 0}, "Against expectation a sign of leaving in your book: nothing returned in the last 360 days."),
        ("returns_4", -1, {"returns_4": 0}, "Nothing returned in the last 360 days."),
        ("same_window_last_year", -1, {"same_window_last_year": 2}, "Ordered 2 times in the same 90 days last year."),
        ("same_window_last_year", 1, {"same_window_last_year": 0}, "Bought nothing in the same 90 days last year."),
        ("same_window_last_year", 1, {}, "A sign of leaving in your book: it was not yet a customer at this time last year."),
    ],
)  # fmt: skip
def test_sentences_tell_the_facts(column: str, way: int, facts: dict[str, float], words: str) -> None:
    usual = (
        {column: facts[column] - way * TELLINGS[column].natural}
        if facts.get(column) and column not in USUAL
        else {}
    )
    assert told(column, way, facts, usual) == words


ALWAYS_KNOWN = {"p_silent", "recency", "spend_mean", "spend_last", "spend_sum", "spend_1", "spend_change", "pace"} | {
    name for name, factor in COLUMNS.items() if factor == "frequency"
}  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_has_words_for_every_value(column: str) -> None:
    unknown = [] if column in ALWAYS_KNOWN else [np.nan]
    for value in [0.0, 0.5, 1.0, 3.0, 1e12, *unknown]:
        for usual in (dict.fromkeys(COLUMNS, np.nan), dict.fromkeys(COLUMNS, 1.0)):
            for way in (1, -1):
                words = told(column, way, dict.fromkeys(COLUMNS, 1.0) | {column: value}, usual)
                assert words.endswith(".")
                assert not {"nan", "None", "inf", "-1,000,000,000"} & set(words.replace(".", "").split())


def test_every_column_of_the_model_can_be_told() -> None:
    assert COLUMNS.keys() <= TELLINGS.keys()


# How a sentence that stands alone (without comparison, without "a sign of") must point.
LEAVING = r"^(Silent for [\d.,]+ times [^;]+|None of its .*|.* % of the size usual .*|Bought nothing in the same .*|.*none in the last \d+|\d+ returns? in [^;]+|Only one order so far|Spend .* below .*)\.$"
STAYING = r"^(Ordered today|Its (last )?orders? (was|are) [\d.,]+ times .*|Nothing returned .*|Ordered (once|[\d,]+ times) in the same [^;]+|Spend .* above .*|\d+ % of its \w+ gap has passed [^;]+)\.$"


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_no_sentence_of_any_model_contradicts_its_points(seed: int) -> None:
    """Models of arbitrary steps have contributions against all intuition; the sentences must still hold."""
    random = np.random.default_rng(seed)
    edges = np.sort(random.lognormal(3, 2, (len(NAMES), BINS - 1)), axis=1).astype(np.float32)
    steps = random.normal(0, 0.4, (len(NAMES), BINS + 1)).astype(np.float32)
    basis = Basis(BgNbd(0.6, 30.0, 0.8, 2.5), 30.0, HORIZON)
    model = FittedModel(
        "learned", True, AS_OF, basis, GammaGamma(1.0, 2.0, 1.0), 0.0, 0.3, 1.0, AdditiveTrees(edges, steps, 0.0)
    )  # fmt: skip
    purchases = purchases_of(book(120, seed=seed).until(AS_OF))
    rows = purchases.customers(AS_OF)
    model = model.centred(features_at(purchases, AS_OF, rows, basis), rhythm_state(purchases, AS_OF, rows))
    parts, logit = parts_at(book(120, seed=seed), model, AS_OF)
    told = [r for reasons in told_by(model, parts, logit) for r in reasons]
    assert any("Against expectation" in r["sentence"] for r in told)
    plain = [r for r in told if " in your book: " not in r["sentence"]]
    assert any(re.match(LEAVING, r["sentence"]) for r in plain)
    assert any(re.match(STAYING, r["sentence"]) for r in plain)
    for one in plain:
        assert not (re.match(LEAVING, one["sentence"]) and one["points"] <= -0.05), one
        assert not (re.match(STAYING, one["sentence"]) and one["points"] >= 0.05), one


# ── choosing what to tell ──────────────────────────────────────────────
KNOWN = {
    "recency": 74, "gap_median": 21, "purchases": 13, "share_gaps_longer": 1 / 12, "count_1": 1, "count_2": 5,
    "spend_change": np.log(0.4), "spend_mean": 50.0, "tenure": 300, "returns_4": 2, "same_window_last_year": 0,
}  # fmt: skip


def reasons(points: dict[str, float], *, has_signal: bool = True) -> list[dict]:
    """Reasons of an account that these columns move by about so many points from a base of 50 %."""
    values = np.array([[KNOWN.get(name, np.nan) for name in COLUMNS]])
    added = np.array([[points.get(name, 0.0) / 25 for name in COLUMNS]])
    usual = np.array([USUAL.get(name, np.nan) for name in COLUMNS])
    model = FittedModel(
        "learned", has_signal, AS_OF, Basis(BgNbd(0.5, 30.0, 0.8, 2.5), 30.0, 90), GammaGamma(1.0, 2.0, 1.0), 0.0, 1.0,
        standing=Standing(np.zeros(len(COLUMNS)), usual),
    )  # fmt: skip
    logit = added.sum(axis=1)
    return told_by(model, Parts(COLUMNS, values, added), logit)[0]


def test_the_number_that_moved_a_factor_most_is_the_one_told() -> None:
    by_size = reasons({"spend_mean": 3.0, "spend_change": 1.0})[0]
    by_change = reasons({"spend_mean": 1.0, "spend_change": 3.0})[0]
    assert by_size["sentence"] == "Its orders are 50 % of the size usual for customers in good standing."
    assert by_change["sentence"] == "Spend of the last 90 days is 60 % below that of the 90 days before."
    # A factor that lowers the risk is told by what lowers it, even where something in it raises it.
    mixed = reasons({"waiting": -20.0, "count_1": 2.0, "activity_change": -3.0})
    assert "Against expectation" in next(r for r in mixed if r["factor"] == "frequency")["sentence"]


def test_what_leads_there_comes_first() -> None:
    assert [r["factor"] for r in reasons({"waiting": 4.0, "count_1": -30.0})] == ["frequency", "pattern"]


def test_small_factors_are_summed_up() -> None:
    said = reasons(
        {
            "waiting": 5,
            "recency": 4,
            "count_1": 3,
            "spend_mean": 2,
            "same_window_last_year": 1,
            "returns_4": 0.5,
        }
    )
    assert said[-1]["factor"] == "other"
    assert said[-1]["sentence"] == "Everything else together."
    assert len(said) == 5


def test_without_signal_that_is_what_is_said() -> None:
    said = reasons({}, has_signal=False)
    assert [(r["factor"], r["points"]) for r in said] == [("no_signal", 0.0), ("pattern", 0.0)]
    assert said[1]["sentence"] == "Last order 74 days ago; usually every 21 days."


def test_a_column_whose_words_are_gone_says_so_and_keeps_its_points() -> None:
    history = book(70)
    model = fit_model(history, AS_OF, HORIZON)
    scores = score_accounts(history, AS_OF, model)
    fewer = {name: telling for name, telling in TELLINGS.items() if name != "waiting"}
    kept = Wording.from_json(scores.wording.to_json(), fewer)
    pairs = [
        (now, then)
        for told, reasons in zip(scores.told, scores.reasons, strict=True)
        for now, then in zip(kept.reasons(told), reasons, strict=True)
    ]
    assert any(now["sentence"] == FORGOTTEN for now, _ in pairs)
    for now, then in pairs:
        assert (now["factor"], now["points"]) == (then["factor"], then["points"])
        assert now["sentence"] in (then["sentence"], FORGOTTEN)


def test_parts_of_a_book_are_scored_and_explained_like_the_whole() -> None:
    """To the last digit, one account by itself as well."""
    history = book(70)
    model = fit_model(history, AS_OF, HORIZON)
    whole = score_accounts(history, AS_OF, model)
    parts = [
        score_accounts(history.between(a, b), AS_OF, model)
        for a, b in [*((n, n) for n in range(1, 21)), (21, 70)]
    ]
    assert [p for part in parts for p in part.probability.tolist()] == whole.probability.tolist()
    assert [reason for part in parts for reason in part.reasons] == whole.reasons
