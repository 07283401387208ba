"""The scorecard: known answers of each rule, what unknown means, and nothing later moves anything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retention.scoring import health, stances
from retention.scoring.health import FACTORS, SHIPPED, Scorecard, scorecard, weight_array
from retention.scoring.health_weights import PastDay, ranking, suggest_weights
from retention.scoring.health_words import MISSING, RULES, arguments, lines_of
from retention.scoring.history import UNKNOWN_DAY, History, history_from_rows, purchases_of
from retention.scoring.signals import FACTS, Facts, Signals, records_of, signal_facts
from tests.retention.scoring.books import START, book_rows, of_account

H = 60


def days(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32) + START


def signals_of(**kinds: dict[str, np.ndarray]) -> Signals:
    """Records of account 1; the columns of each kind by name."""
    one = np.array([1])
    grouped = {
        name: records_of(one, np.ones(len(columns["day"]), dtype=int), **columns)
        for name, columns in kinds.items()
    }
    return Signals(one, **grouped)


def card_of(history: History, as_of: int, signals: Signals | None = None) -> Scorecard:
    purchases, rows = purchases_of(history), np.arange(history.accounts)
    facts = None if signals is None else signal_facts(signals, purchases, START + as_of, rows, H)
    return scorecard(purchases, START + as_of, rows, H, 30.0, facts)


def value(card: Scorecard, factor: str) -> float:
    return float(card.value[0, FACTORS.index(factor)])


EVERY_20 = of_account(*[(day, 100.0) for day in range(0, 401, 20)])


@pytest.mark.parametrize(("silent", "expected"), [(0, 100.0), (20, 100.0), (40, 50.0), (80, 0.0), (300, 0.0)])
def test_rhythm_is_full_within_the_own_gap_and_nothing_after_four(silent: int, expected: float) -> None:
    assert value(card_of(EVERY_20, 400 + silent), "rhythm") == pytest.approx(expected)


def test_before_the_third_purchase_the_gap_of_the_book_is_the_yardstick() -> None:
    card = card_of(of_account((0, 50.0), (2, 50.0)), 62)  # 60 days silent, the book's gap is 30
    assert value(card, "rhythm") == pytest.approx(50.0)
    assert "customers here usually come back every 30 days" in lines_of(card, 0)[0].sentence


def test_buying_is_held_against_what_was_usual() -> None:
    # Every 10 days for 300 days, then every 20 and half as much each time.
    early = [(day, 100.0) for day in range(0, 301, 10)]
    late = [(day, 50.0) for day in range(320, 361, 20)]
    card = card_of(of_account(*early, *late), 360)
    assert value(card, "frequency") == pytest.approx(50.0)
    assert value(card, "spend") == pytest.approx(25.0)
    assert lines_of(card, 0)[1].sentence == "3 orders in the last 60 days; usually 6.0."


def test_returns_are_taken_off_the_spend() -> None:
    orders = [(day, 100.0) for day in range(0, 361, 20)]
    card = card_of(of_account(*orders, (350, -150.0)), 360)
    assert value(card, "spend") == pytest.approx(50.0)
    assert value(card, "frequency") == pytest.approx(100.0)


def test_a_new_customer_is_not_yet_compared_with_itself() -> None:
    card = card_of(of_account((0, 50.0), (30, 50.0)), 2 * H - 1)
    assert np.isnan(value(card, "frequency"))
    assert np.isnan(value(card, "spend"))
    assert value(card_of(of_account((0, 50.0), (30, 50.0)), 2 * H), "frequency") == 0.0


def test_without_purchases_nothing_is_said_of_buying() -> None:
    card = card_of(history_from_rows(days(), days(), np.empty(0), account_ids=np.array([1])), 100)
    assert np.isnan(card.value).all()
    assert np.isnan(card.health(weight_array(SHIPPED))).all()
    assert card.known_share(weight_array(SHIPPED)).tolist() == [0.0]


def test_care_has_known_answers() -> None:
    unknown = np.array([UNKNOWN_DAY], dtype=np.int32)
    signals = signals_of(
        issues={"day": days(340, 395), "until": days(0, 0) * 0 + UNKNOWN_DAY, "weight": np.array([1, 2])},
        promises={"day": days(300, 310), "due": days(350, 360), "kept": np.append(days(349), unknown)},
        touches={"day": days(200, 263)},
        people={"day": days(0, 0), "until": np.append(unknown, days(380))},
        departures={"day": days(380), "weight": np.array([2])},
        pulses={"day": days(355), "score": np.array([5])},
        owners={"day": days(390), "weight": np.array([1])},
    )
    card = card_of(EVERY_20, 400, signals)
    # Two open issues, low and medium, the older one two months old: 10 * 3 * 2, and 5 for each of them.
    assert value(card, "service") == pytest.approx(30.0)
    assert value(card, "promises") == pytest.approx(50.0)
    # 137 days after the last contact, and one person left there.
    assert value(card, "relationship") == pytest.approx(100 * (1 - 47 / 275) - 25)
    assert value(card, "pulse") == pytest.approx(80.0)
    assert value(card, "stability") == pytest.approx(100 - 25 - 20)
    assert np.isnan(value(card, "delivery"))


def test_a_pulse_fades_to_unknown() -> None:
    signals = signals_of(pulses={"day": days(10), "score": np.array([1])})
    known = [card_of(EVERY_20, day, signals).known[0, FACTORS.index("pulse")] for day in (100, 237, 380)]
    assert known == pytest.approx([1.0, 0.5, 0.5 * 0.0], abs=0.01)
    assert np.isnan(value(card_of(EVERY_20, 380, signals), "pulse"))


def test_unknown_factors_lower_what_is_known_and_never_the_health() -> None:
    weights = weight_array(SHIPPED)
    orders_only = card_of(EVERY_20, 400)
    with_pulse = card_of(EVERY_20, 400, signals_of(pulses={"day": days(399), "score": np.array([6])}))
    assert orders_only.health(weights)[0] == with_pulse.health(weights)[0] == 100.0
    assert orders_only.known_share(weights)[0] == pytest.approx(0.45)
    assert with_pulse.known_share(weights)[0] == pytest.approx(0.60)


def test_more_trouble_is_never_more_health() -> None:
    """Each rule is monotone: a fact that gets worse does not raise its factor."""
    worse = {"late_share": 1.0, "issue_weight": 3.0, "oldest_open": 90.0, "recent_issues": 4.0, "silence": 300.0,
             "pulse": -3.0, "broken": 1.0, "owner_changes": 1.0, "contacts_left": 1.0, "vacant": 9.0}  # fmt: skip
    usual = dict.fromkeys(FACTS, 0.0) | {
        "promises": 4.0,
        "pulse": 4.0,
        "deliveries": 5.0,
        "active_contacts": 3.0,
    }

    def care(facts: dict[str, float]) -> dict[str, float]:
        values = np.array([[facts[name] for name in FACTS]])
        return {name: float(column[0]) for name, column in health._care(Facts(values)).items()}

    before = care(usual)
    for fact, more in worse.items():
        after = care(usual | {fact: usual[fact] + more})
        assert all(after[name] <= before[name] for name in before), fact
        unmoved = fact == "oldest_open"  # of no issue
        assert unmoved or any(after[name] < before[name] for name in before), fact


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 400), st.floats(-500, 500)), max_size=30),
    st.integers(200, 700),
)
def test_nothing_later_moves_anything(later: list[tuple[int, int, float]], as_of: int) -> None:
    account, day, amount = book_rows(12, seed=3)
    more = [(who, START + as_of + after, money) for who, after, money in later]
    extra = np.array(more, dtype=float).reshape(-1, 3)
    ids = np.arange(1, 13)
    known = day <= START + as_of
    before = history_from_rows(account[known], day[known], amount[known], account_ids=ids)
    after = history_from_rows(
        np.append(account[known], extra[:, 0].astype(int)),
        np.append(day[known], extra[:, 1].astype(int)),
        np.append(amount[known], extra[:, 2]),
        account_ids=ids,
    )
    one, two = card_of(before, as_of), card_of(after, as_of)
    np.testing.assert_array_equal(one.value, two.value)
    np.testing.assert_array_equal(one.known, two.known)


def test_every_factor_has_its_words() -> None:
    assert set(RULES) == set(MISSING) == set(FACTORS)
    said = [line.sentence for line in lines_of(card_of(EVERY_20, 480), 0)]
    assert said[0] == "Last order 80 days ago; usually every 20 days."
    assert said[2] == "Spent nothing in the last 60 days."
    assert said[6] == MISSING["pulse"]
    assert not any("nan" in sentence.lower() for sentence in said)


def test_the_strongest_arguments_of_each_side() -> None:
    signals = signals_of(pulses={"day": days(470), "score": np.array([6])})
    lines = lines_of(card_of(EVERY_20, 480, signals), 0)
    assert arguments(lines, SHIPPED, good=True) == "Pulse 6 of 6, 10 days ago."
    against = arguments(lines, SHIPPED, good=False)
    assert against == "Last order 80 days ago; usually every 20 days. Spent nothing in the last 60 days."


# ── weights that outcomes suggest ──────────────────────────────────────
def past_day(accounts: int, tells: str, as_of: int = 0, seed: int = 1) -> PastDay:
    """A day on which only one factor told who left."""
    random = np.random.default_rng(seed)
    values = random.uniform(0, 100, (accounts, len(FACTORS)))
    values[:, FACTORS.index("promises")] = np.nan
    left = random.uniform(0, 100, accounts) > values[:, FACTORS.index(tells)]
    known = (~np.isnan(values)).astype(float)
    ids = np.arange(accounts) + 1000 * as_of
    return PastDay(as_of, ids, Scorecard(values, known, {}, H), left)


def test_outcomes_move_weights_towards_what_told_them() -> None:
    day = past_day(600, "service")
    found = suggest_weights([day])
    assert found is not None
    assert sum(found.weights.values()) == 100
    assert found.weights["service"] == max(found.weights.values()) > 3 * SHIPPED["service"]
    assert found.weights["promises"] == SHIPPED["promises"]  # nobody knows anything of it
    newer = past_day(600, "service", as_of=1, seed=2)
    assert ranking(newer, weight_array(found.weights)) > ranking(newer, weight_array(SHIPPED)) + 0.05


def test_few_leavers_move_weights_little_and_fewer_not_at_all() -> None:
    few = past_day(60, "service")
    some = suggest_weights([few])
    many = suggest_weights([past_day(3000, "service")])
    assert some is not None
    assert many is not None
    assert some.believed < 0.5 < 0.9 < many.believed
    assert SHIPPED["service"] < some.weights["service"] < many.weights["service"]
    nobody = PastDay(0, few.account_ids, few.card, np.zeros(60, dtype=bool))
    assert suggest_weights([nobody]) is None
    assert suggest_weights([]) is None


# ── sides ──────────────────────────────────────────────────────────────
def test_sides_are_taken_well_off_the_middle() -> None:
    said = [stances.model_stance(p, 0.3, 0.5) for p in (0.1, 0.29, 0.3, 0.49, 0.5)]
    assert said == ["staying", "staying", "", "", "leaving"]
    assert [stances.scorecard_stance(h, 0.8) for h in (39, 40, 69, 70, None)] == [
        "leaving",
        "",
        "",
        "staying",
        "",
    ]
    assert stances.scorecard_stance(90, 0.45) == ""
    assert [stances.pulse_stance(p, 10) for p in (2, 3, 4, 5, None)] == ["leaving", "", "", "staying", ""]
    assert stances.pulse_stance(1, 91) == ""
    assert stances.disagree("leaving", "", "staying")
    assert not stances.disagree("leaving", "leaving", "")
    assert stances.was_right("leaving", True) is stances.was_right("staying", False) is True
    assert stances.was_right("", True) is None
