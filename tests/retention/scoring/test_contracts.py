"""The contract model: terms and spells, learning from the past alone, arrays that explain themselves exactly."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from retention.scoring.contract_facts import FACTOR_OF, Beside, contract_facts
from retention.scoring.contract_scores import (
    ContractScores,
    money_weighted,
    reasons_together,
    score_contracts,
)
from retention.scoring.contract_sentences import CONTRACT_TELLINGS
from retention.scoring.contracts import ContractModel, contract_model_from_bytes, fit_contract_model
from retention.scoring.errors import ScoringError
from retention.scoring.forest import Growth, grow
from retention.scoring.history import history_from_rows, purchases_of
from retention.scoring.learner import fit_table, model_of_arrays, plain_lesson
from retention.scoring.linear import Prior, fit_linear
from retention.scoring.metrics import auc
from retention.scoring.renewals import (
    CANCELLED,
    CURRENT,
    NEVER,
    OVER,
    Renewals,
    cover_at,
    lost_within,
    renewals_from_rows,
    rolled,
    spells,
)  # fmt: skip
from retention.scoring.sentences import TELLINGS
from retention.scoring.signals import Signals, records_of
from retention.scoring.tables import Table, fit_coding
from tests.retention.scoring.books import book
from tests.retention.scoring.contract_books import START, YEAR, contract_book, one_account, terms

AS_OF = START + 4 * YEAR - 120
HORIZON = 90


def day(text: str) -> int:
    return int(np.datetime64(text).astype("datetime64[D]").astype(np.int64))


class TestTerms:
    @pytest.mark.parametrize(
        ("starts", "ends", "after", "expected"),
        [
            ("2024-03-01", "2025-02-28", "2024-06-01", "2025-02-28"),
            ("2024-03-01", "2025-02-28", "2025-02-28", "2026-02-28"),
            ("2023-03-01", "2024-02-29", "2024-03-01", "2025-02-28"),
            ("2024-01-15", "2024-02-14", "2026-02-14", "2026-03-14"),
            ("2024-01-01", "2024-03-30", "2024-05-01", "2024-06-28"),  # 90 days, not whole months
        ],
    )
    def test_a_contract_that_renews_by_itself_turns(
        self, starts: str, ends: str, after: str, expected: str
    ) -> None:
        found = rolled(np.array([day(starts)]), np.array([day(ends)]), np.array([day(after)]))
        assert found.tolist() == [day(expected)]

    def test_renewed_within_the_grace_period_is_one_spell(self) -> None:
        found = spells(one_account((0, 364), (364 + 30, 800), (800 + 31, 1200), grace=30))
        assert found.first.tolist() == [START, START + 831]
        assert found.last.tolist() == [START + 800, START + 1200]

    def test_what_is_cancelled_ends_there_unless_another_took_over(self) -> None:
        alone = one_account((0, 364), cancelled=START + 100)
        assert spells(alone).last.tolist() == [START + 99]
        replaced = one_account((0, 364), (100, 500), cancelled=[START + 100, NEVER])
        assert spells(replaced).last.tolist() == [START + 500]

    def test_not_cancelled_and_renewing_by_itself_is_renewed(self) -> None:
        runs_on = one_account((0, 364), renews=True, notice=60)
        cover = cover_at(runs_on, START + 500)
        assert cover.state.tolist() == [CURRENT]
        assert cover.end.tolist() == [START + 2 * YEAR - 1]
        assert not lost_within(spells(runs_on), runs_on.grace, np.array([0]), START + 300, 90).any()

    @pytest.mark.parametrize(("at", "state"), [(100, CURRENT), (364, CURRENT), (394, CURRENT), (395, OVER)])
    def test_current_until_the_grace_period_is_over(self, at: int, state: int) -> None:
        assert cover_at(one_account((0, 364)), START + at).state.tolist() == [state]

    def test_cancelled_with_days_to_run(self) -> None:
        known = one_account((0, 364), cancelled=START + 100).until(START + 120)
        assert cover_at(known, START + 120).state.tolist() == [CANCELLED]
        assert cover_at(known, START + 364).state.tolist() == [OVER]
        before = one_account((0, 364), cancelled=START + 100).until(START + 99)
        assert cover_at(before, START + 99).state.tolist() == [CURRENT]

    def test_lost_means_over_within_the_horizon_and_nothing_in_time(self) -> None:
        ends = one_account((0, 364))
        found = [
            bool(lost_within(spells(ends), ends.grace, np.array([0]), START + at, 90)[0])
            for at in (200, 273, 274, 380)
        ]
        assert found == [False, False, True, True]
        late = one_account((0, 364), (394, 700))
        assert not lost_within(spells(late), late.grace, np.array([0]), START + 300, 90).any()

    def test_value_is_of_the_contracts_that_run(self) -> None:
        two = one_account((0, 364), (50, 500), value=[100.0, 40.0])
        assert cover_at(two, START + 60).value.tolist() == [140.0]
        assert cover_at(two, START + 400).value.tolist() == [40.0]
        assert cover_at(two, START + 510).value.tolist() == [40.0], "in grace: what would be lost"

    def test_refuses_what_cannot_be(self) -> None:
        with pytest.raises(ScoringError, match="ends before it starts"):
            one_account((10, 5))
        with pytest.raises(ScoringError, match="not a number"):
            one_account((0, 5), value=np.nan)


@pytest.fixture(scope="module")
def renewals() -> Renewals:
    return contract_book(200)


@pytest.fixture(scope="module")
def model(renewals: Renewals) -> ContractModel:
    fitted = fit_contract_model(renewals, None, AS_OF, HORIZON)
    assert fitted is not None
    return fitted


@pytest.fixture(scope="module")
def scores(renewals: Renewals, model: ContractModel) -> ContractScores:
    return score_contracts(renewals, None, AS_OF, model)


def with_later_events(renewals: Renewals) -> Renewals:
    """The same book with everything that could happen after `AS_OF`."""
    term = renewals.terms
    new = terms(*[(AS_OF - START + 1 + k, AS_OF - START + 400) for k in range(5)], value=9e6)
    columns = {
        name: np.concatenate([getattr(term, name), getattr(new, name)]) for name in term.__dataclass_fields__
    }
    columns["cancelled"] = np.where(columns["cancelled"] == NEVER, AS_OF + 1, columns["cancelled"])
    columns["acknowledged"] = np.where(columns["acknowledged"] == NEVER, AS_OF + 2, columns["acknowledged"])
    account = np.concatenate([renewals.account_ids[renewals.row], renewals.account_ids[:5]])
    return renewals_from_rows(
        renewals.account_ids, account, type(term)(**columns), renewals.grace, renewals.since, renewals.words
    )


class TestModel:
    def test_learns_who_leaves(
        self, renewals: Renewals, model: ContractModel, scores: ContractScores
    ) -> None:
        assert model.table.rung != "base"
        current = scores.state == CURRENT
        rows = np.searchsorted(renewals.account_ids, scores.account_ids[current])
        lost = lost_within(spells(renewals), renewals.grace, rows, AS_OF, HORIZON)
        assert auc(lost.astype(float), scores.probability[current]) > 0.75
        assert scores.probability[current].mean() == pytest.approx(lost.mean(), abs=0.06)

    def test_nothing_later_matters(
        self, renewals: Renewals, model: ContractModel, scores: ContractScores
    ) -> None:
        later = with_later_events(renewals)
        again = fit_contract_model(later, None, AS_OF, HORIZON)
        assert again is not None
        assert again.version == model.version
        assert score_contracts(later, None, AS_OF, model).reasons == scores.reasons

    def test_parts_of_a_book_change_no_digit(
        self, renewals: Renewals, model: ContractModel, scores: ContractScores
    ) -> None:
        cut = int(renewals.account_ids[100])
        halves = [
            score_contracts(renewals.between(first, last), None, AS_OF, model)
            for first, last in ((0, cut), (cut + 1, 2**40))
        ]
        alone = [
            score_contracts(renewals.between(pk, pk), None, AS_OF, model)
            for pk in scores.account_ids[:40].tolist()
        ]
        assert [float(one.probability[0]) for one in alone] == scores.probability[:40].tolist()
        assert np.concatenate([half.probability for half in halves]).tolist() == scores.probability.tolist()
        assert halves[0].reasons + halves[1].reasons == scores.reasons

    def test_reasons_add_up(self, model: ContractModel, scores: ContractScores) -> None:
        for probability, reasons in zip(scores.probability, scores.reasons, strict=True):
            points = sum(reason["points"] for reason in reasons)
            assert points == pytest.approx(100 * (probability - model.base_probability), abs=0.006)

    def test_stored_as_arrays(self, renewals: Renewals, model: ContractModel, scores: ContractScores) -> None:
        read = contract_model_from_bytes(model.to_bytes())
        assert read.version == model.version
        assert (
            score_contracts(renewals, None, AS_OF, read).probability.tolist() == scores.probability.tolist()
        )

    def test_refuses_to_look_back_with_a_later_model(self, renewals: Renewals, model: ContractModel) -> None:
        with pytest.raises(ScoringError, match="later than that day"):
            score_contracts(renewals, None, AS_OF - 1, model)

    def test_few_renewals_give_the_usual_rates(self) -> None:
        few = contract_book(12, years=2)
        fitted = fit_contract_model(few, None, START + 600, HORIZON)
        assert fitted is not None
        assert fitted.table.rung == "base"
        assert 0.02 < fitted.rates[1] < 0.5
        first = fit_contract_model(one_account((0, 364)), None, START + 10, HORIZON)
        assert first is not None
        assert first.rates.round(2).tolist() == [0.01, 0.15, 0.08, 0.4]

    def test_nobody_under_contract(self) -> None:
        assert fit_contract_model(one_account((100, 364)), None, START, HORIZON) is None

    def test_everybody_or_nobody_lost(self) -> None:
        for last in (364, 3000):
            rows = [(k, k + last) for k in range(40)]
            accounts = np.arange(1, 41)
            alike = renewals_from_rows(
                accounts, accounts, terms(*rows), np.full(40, 30), np.full(40, NEVER), {}
            )
            fitted = fit_contract_model(alike, None, START + 1500, HORIZON)
            assert fitted is not None
            assert np.isfinite(score_contracts(alike, None, START + 1500, fitted).probability).all()

    def test_orders_beside_contracts(self) -> None:
        """Orders of later days are not looked at, and accounts without orders do no harm."""
        renewals, history = contract_book(60), book(40, days=1600)
        ids = renewals.account_ids
        ordered = history.account_ids[np.repeat(np.arange(history.accounts), np.diff(history.offsets))]
        whole = history_from_rows(ordered, history.day, history.cents / 100, account_ids=ids)
        issues = records_of(
            ids,
            ids[:30],
            day=AS_OF - 500 + 20 * np.arange(30),
            until=np.full(30, AS_OF + 9),
            weight=np.ones(30),
        )
        beside = [
            Beside(purchases_of(part), signals, signals.since())
            for part, signals in (
                (whole, Signals(ids, issues)),
                (whole.until(AS_OF), Signals(ids, issues).until(AS_OF)),
            )
        ]
        fitted, again = (fit_contract_model(renewals, known, AS_OF, HORIZON) for known in beside)
        assert fitted is not None
        assert again is not None
        assert fitted.version == again.version
        assert not np.isnan(score_contracts(renewals, beside[0], AS_OF, fitted).probability).any()


class TestFacts:
    @given(st.integers(0, 10_000), st.integers(-200, 1400))
    @settings(max_examples=30, deadline=None)
    def test_nothing_later_is_known(self, seed: int, after: int) -> None:
        """Whatever begins, is cancelled, explained or acknowledged later: the facts of a day stay as they are."""
        random, day = np.random.default_rng(seed), START + after
        made = contract_book(6, seed=seed)
        term = made.terms
        moved = {
            name: np.where(
                getattr(term, name) > day,
                random.choice([NEVER, day + 1, day + 700], len(term)),
                getattr(term, name),
            )
            for name in ("cancelled", "disclosed", "acknowledged")
        }
        begun = (term.known <= day) | (random.random(len(term)) < 0.5)
        later = renewals_from_rows(
            made.account_ids, made.account_ids[made.row[begun]], replace(term, **moved).rows(begun), made.grace,
            np.where(random.random(6) < 0.5, day + 1, made.since), made.words,
        )  # fmt: skip
        found = []
        for book_ in (made, later):
            known = book_.until(day)
            cover = cover_at(known, day)
            table, due = contract_facts(known, cover.only(cover.state == CURRENT), HORIZON, None)
            found.append([cover.state, cover.end, cover.value, due, *table.numbers.values()])
        for one, other in zip(*found, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_every_fact_has_its_words(self) -> None:
        words = {"segment", "industry", "region", "source"}
        assert FACTOR_OF.keys() - words <= CONTRACT_TELLINGS.keys() | TELLINGS.keys()


class TestMoney:
    def test_weighted_by_money(self) -> None:
        p, share = money_weighted(
            np.array([0.2, 0.5]), np.array([3000.0, 0.0]), np.array([0.6, 0.1]), np.array([1000.0, 0.0])
        )
        assert p.tolist() == pytest.approx([0.3, 0.5])
        assert share.tolist() == [0.75, 1.0]

    def test_reasons_of_both_add_up(self) -> None:
        contract = [
            {"factor": "renewal", "sentence": "Ends soon.", "points": 20.0},
            {"factor": "spend", "sentence": "A.", "points": -4.0},
        ]
        orders = [
            {"factor": "pattern", "sentence": "Silent.", "points": 40.0},
            {"factor": "spend", "sentence": "B.", "points": -30.0},
        ]
        told = reasons_together(contract, orders, 0.75, 14.5)
        assert [(r["factor"], r["points"]) for r in told] == [
            ("renewal", 15.0),
            ("pattern", 10.0),
            ("spend", -10.5),
        ]
        assert told[2]["sentence"] == "B."


class TestTrees:
    @given(st.integers(0, 10_000))
    @settings(max_examples=4, deadline=None)
    def test_arrays_say_what_scikit_learn_says(self, seed: int) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        random = np.random.default_rng(seed)
        matrix = random.normal(size=(200, 4)).round(1)
        matrix[random.random((200, 4)) < 0.2] = np.nan
        outcome = random.random(200) < expit(np.nan_to_num(matrix[:, 0]) * np.nan_to_num(matrix[:, 1]))
        growth = Growth(rounds=8, leaves=6, depth=3)
        forest = grow(matrix, outcome, growth)
        stock = HistGradientBoostingClassifier(
            learning_rate=growth.rate, max_iter=8, max_leaf_nodes=6, max_depth=3,
            min_samples_leaf=growth.least_in_leaf, l2_regularization=growth.ridge, early_stopping=False, random_state=0,
        ).fit(matrix, outcome)  # fmt: skip
        assert np.abs(forest.logit(matrix) - stock.decision_function(matrix)).max() < 1e-12
        whole = forest.mean + forest.contributions(matrix).sum(axis=1)
        assert np.abs(whole - forest.logit(matrix)).max() < 1e-12

    def test_shapley_values_by_hand(self) -> None:
        """x and y: 1 where both are 1. Half of the rows each, so both share the distance from 1/4 alike."""
        x = np.repeat([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], 50, axis=0)
        outcome = (x[:, 0] * x[:, 1]) > 0
        forest = grow(x, outcome, Growth(rounds=1, leaves=4, depth=2, rate=1.0, ridge=0.0))
        both, one, none = forest.contributions(np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))
        low, high = (forest.logit(np.array([[0.0, 0.0], [1.0, 1.0]]))).tolist()
        step = high - low
        assert both.tolist() == pytest.approx([0.375 * step, 0.375 * step])
        assert one.tolist() == pytest.approx([0.125 * step, -0.375 * step])
        assert none.tolist() == pytest.approx([-0.125 * step, -0.125 * step])


class TestLearner:
    def test_the_prior_speaks_until_outcomes_do(self) -> None:
        matrix = np.array([[0.0], [1.0]] * 4)
        prior = Prior(np.array([0.7]), 0.3)
        nothing = fit_linear(matrix[:0], np.zeros(0), np.zeros(0), prior)
        assert nothing.coefficient.tolist() == pytest.approx([0.7])
        many = np.repeat(matrix, 400, axis=0)
        random = np.random.default_rng(1)
        outcome = random.random(len(many)) < expit(-1 - 1.5 * many[:, 0])
        learned = fit_linear(many, outcome.astype(float), np.zeros(len(many)), Prior(np.array([0.7]), 1.0))
        assert learned.coefficient[0] == pytest.approx(-1.5, abs=0.25)

    def test_no_more_complicated_than_the_outcomes_bear(self) -> None:
        random = np.random.default_rng(2)
        noise = Table({"a": random.normal(size=400), "b": random.normal(size=400)}, {})
        assert fit_table(plain_lesson(noise, random.random(400) < 0.3)).rung == "base"
        a, b = noise.numbers["a"], noise.numbers["b"]
        assert fit_table(plain_lesson(noise, random.random(400) < expit(2 * a))).rung == "ridge"
        crossed = fit_table(plain_lesson(noise, random.random(400) < expit(6 * np.sign(a * b))))
        assert crossed.rung == "together"

    def test_kept_as_arrays_and_explained_exactly(self) -> None:
        random = np.random.default_rng(3)
        number = random.normal(size=500)
        number[::9] = np.nan
        word = random.choice(np.array(["x", "y", "rare", ""], dtype=object), 500, p=[0.5, 0.38, 0.02, 0.1])
        table = Table({"number": number, "never known": np.full(500, np.nan)}, {"word": word})
        outcome = random.random(500) < expit(np.nan_to_num(number) * np.where(word == "x", 3, -3))
        lesson = plain_lesson(table, outcome)
        fitted = fit_table(lesson)
        read = model_of_arrays(fitted.to_arrays())
        assert read.logit(table, lesson.usual).tolist() == fitted.logit(table, lesson.usual).tolist()
        constant, usual, parts = read.contributions(table, lesson.usual)
        assert np.abs(constant + usual + parts.sum(axis=1) - fitted.logit(table, lesson.usual)).max() < 1e-9
        assert {name for name, _ in fit_coding(table).columns} == {"number", "word"}
