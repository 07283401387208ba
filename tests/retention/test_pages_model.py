"""The Model page: what everybody reads, whom it names to whom, and an administrator's way back."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from retention.models import BacktestCutoff, FittedModel, ModelFlag, ModelPin, RunEvidence, ScoreRun
from retention.selectors.model_page import next_steps
from retention.selectors.model_words import INPUTS, WORDS, words_for
from tests.factories import AccountFactory, Cast, FittedModelFactory, ScoreRunFactory, date_ago, make_cast

pytestmark = pytest.mark.django_db
PATH = "/model/"
FIGURES = {"auc": 0.8012, "ap": 0.5, "log_loss": 0.53, "brier": 0.17, "ece": 0.027, "lift": 2.0}
FACTS = {
    "customers": 400, "repeat_buyers": 300, "days": 700, "calls_per_day": 8, "callers": 5, "watch_from": 0.3,
}  # fmt: skip


def missed(*account_ids: int) -> dict[str, Any]:
    named = [
        {
            "account_id": pk,
            "probability": 0.08,
            "spent": 9000 - pk,
            "silence": 9,
            "gap": 21.0,
            "purchases": 12,
        }
        for pk in account_ids
    ]
    return {"customers": 7, "leavers": 90, "spent": 41_000.0, "as_usual": 5, "once": 1, "accounts": named}


def capacity(found: float = 31.0, leavers: int = 120) -> dict[str, Any]:
    counts = {"model": found, "bgnbd": 28.0, "recency": 22.0}
    return {
        "calls": 40, "window": "week", "customers": 530, "leavers": leavers, "found": counts, "at_random": 9.06,
        "lift": {name: count / 9.06 for name, count in counts.items()},
        "recall": {name: count / 120 for name, count in counts.items()},
    }  # fmt: skip


def looked_back(**changes: Any) -> ScoreRun:
    """A published run with a look back on it."""
    model = FittedModelFactory(stage="learned", summary=changes.pop("summary", {}))
    run = ScoreRunFactory(model=model, accounts=530)
    facts = FACTS | changes.pop("facts", {})
    RunEvidence.objects.create(
        run=run, publication=run.published_at, finished_at=timezone.now(), facts=facts,
        factors={"pattern": 0.6, "rhythm": 0.4}, inputs_since=date_ago(31),
        inputs=[{"name": "tenure", "index": 0.3, "by_chance": 0.05, "was": 200.0, "now": 260.0, "weight": 0.2}],
    )  # fmt: skip
    BacktestCutoff.objects.create(
        **{
            "run": run, "cutoff_on": run.as_of - dt.timedelta(days=90), "horizon_days": 90, "customers": 600,
            "churn_rate": 0.22, "stage": "learned", "figures": dict.fromkeys(("model", "bgnbd", "recency"), FIGURES),
            "calibration": [{"said": 0.31, "happened": 0.29, "customers": 60}, {"said": 0.8, "happened": 0.84, "customers": 60}],
            "at_capacity": capacity(), "missed": missed(), "ece_by_chance": 0.02,
        } | changes
    )  # fmt: skip
    return run


def text_of(client: Client, user: User, path: str = PATH) -> str:
    client.force_login(user)
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().replace("\xa0", " ").split())


@pytest.fixture
def cast() -> Cast:
    return make_cast()


def test_before_the_first_run_it_says_what_will_be_here(client: Client, cast: Cast) -> None:
    assert "No score yet" in text_of(client, cast.owner)
    assert "Import orders" in text_of(client, cast.administrator)


def test_the_two_sentences_that_matter(client: Client, cast: Cast) -> None:
    looked_back()
    text = text_of(client, cast.owner)
    assert "When it said 31 %, 29 % left" in text
    assert "the <b>40</b> customers the score puts first" in text
    assert "would have reached <b>31</b>" in text
    assert "the 40 longest silent, 22; drawn by lot, 9" in text


def test_every_number_opens_what_it_means(client: Client, cast: Cast) -> None:
    looked_back(lead_time={"leavers": 50, "warned": 40, "in_time": 30, "days": 12.0})
    text = text_of(client, cast.owner)
    for word in WORDS:
        assert f'id="word-{word.name}"' in text
    linked = {part.split('"')[0] for part in text.split('href="#word-')[1:]}
    assert linked <= {word.name for word in WORDS}
    assert {"ece", "auc", "lift", "recall", "capacity", "lead_time", "missed", "weight", "shift"} <= linked
    assert "at least <b>12 days before</b>" in text


def test_missed_leavers_are_named_to_those_who_see_them(client: Client, cast: Cast) -> None:
    theirs = AccountFactory(name="Gasthof Rose", original_salesperson=cast.stranger)
    looked_back(missed=missed(cast.account.pk, theirs.pk))
    mine = text_of(client, cast.owner)
    assert "Hotel Seeblick" in mine
    assert "Had ordered 9 days before, usually every 21: nothing showed it." in mine
    assert "Gasthof Rose" not in mine
    assert "1 account among the largest is looked after by others" in mine
    assert "Hotel Seeblick" not in text_of(client, cast.stranger)
    assert "looked after by others" not in text_of(client, cast.administrator)


def test_without_signal_it_says_so(client: Client, cast: Cast) -> None:
    run = looked_back()
    FittedModel.objects.filter(pk=run.model_id).update(has_signal=False, stage="rhythm")
    run.cutoffs.update(has_signal=False)
    text = text_of(client, cast.owner)
    assert "No usable signal" in text
    assert "past orders do not tell who will buy again" in text
    assert "40 calls reach as many as lots do" in text
    assert "nobody can be said to have been missed" in text


def test_too_little_history(client: Client, cast: Cast) -> None:
    run = ScoreRunFactory(model=FittedModelFactory(stage="rules"))
    assert "look back on the newest run is being made" in text_of(client, cast.owner)
    RunEvidence.objects.create(
        run=run, publication=run.published_at, finished_at=timezone.now(),
        message="The orders cover less than 90 days.", facts=FACTS | {"customers": 40, "repeat_buyers": 10},
    )  # fmt: skip
    text = text_of(client, cast.owner)
    assert "The orders cover less than 90 days." in text
    assert "20 more customers, and 20 more who buy again" in text


def test_while_the_newest_run_is_looked_at_the_one_before_is_shown(client: Client, cast: Cast) -> None:
    looked_back()
    ScoreRunFactory(as_of=date_ago(0), model=FittedModelFactory())
    text = text_of(client, cast.owner)
    assert "is being made" in text
    assert "When it said 31 %" in text


def test_flags_are_shown_here_and_on_the_status_page(client: Client, cast: Cast) -> None:
    looked_back()
    ModelFlag.objects.create(kind="input", subject="tenure", value=0.3, raised_on=date_ago(1))
    ModelFlag.objects.create(
        kind="calibration", subject="backtest", value=0.07, by_chance=0.09, raised_on=date_ago(1)
    )
    text = text_of(client, cast.owner)
    assert "2 flags are raised" in text
    assert "7 points apart on average" in text
    assert "may be chance" in text.lower()
    status = text_of(client, cast.administrator, reverse("retention:status"))
    assert "days since the first order" in status
    assert "7 points" not in status


def test_what_beyond_orders_helped(client: Client, cast: Cast) -> None:
    factors = {
        "delivery": {"gain": 0.0021, "known": 0.8, "kept": True},
        "pulse": {"gain": 0.0, "known": 0.0, "kept": False},
    }
    looked_back(summary={"signals": {"taken": True, "gain": 0.0031, "factors": factors}})
    text = text_of(client, cast.owner)
    assert "0.0031 lower" in text
    assert "No records yet" in text


def test_pages_take_few_queries(client: Client, cast: Cast, django_assert_max_num_queries: Any) -> None:
    looked_back(missed=missed(*(AccountFactory(original_salesperson=cast.owner).pk for _ in range(12))))
    for days in range(2, 12):
        ScoreRunFactory(as_of=date_ago(days), model=FittedModelFactory(as_of=date_ago(days)))
    client.force_login(cast.owner)
    client.get(PATH)
    with django_assert_max_num_queries(24):
        client.get(PATH)


class TestVersions:
    def test_two_versions_beside_each_other(self, client: Client, cast: Cast) -> None:
        old = FittedModelFactory(as_of=date_ago(40), stage="rhythm")
        run = looked_back()
        text = text_of(client, cast.owner, f"{PATH}{old.pk}/")
        assert "in use now" in text
        assert "Buying rhythm" in text
        assert "Learned" in text
        assert "Pin this model" not in text, "that is an administrator's"
        assert "Pin this model" in text_of(client, cast.administrator, f"{PATH}{old.pk}/")
        current = text_of(client, cast.owner, f"{PATH}{run.model_id}/?with={old.pk}")
        assert f"Beside the model of {old.as_of.day} " in current
        client.force_login(cast.owner)
        assert client.get(f"{PATH}{run.model_id}/?with=999999").status_code == 404
        assert client.get(f"{PATH}999999/").status_code == 404

    def test_a_pin_needs_its_reason(self, client: Client, cast: Cast) -> None:
        looked_back()
        old = FittedModelFactory(as_of=date_ago(40))
        client.force_login(cast.administrator)
        answer = client.post(f"{PATH}{old.pk}/pin/", {"reason": " "})
        assert answer.status_code == 422
        assert "Say why" in answer.content.decode()
        assert not ModelPin.objects.exists()

    def test_everybody_reads_who_pinned_and_why(self, client: Client, cast: Cast) -> None:
        looked_back()
        old = FittedModelFactory(as_of=date_ago(40))
        ModelPin.objects.create(model=old, reason="Shouts less.", pinned_by=cast.administrator)
        text = text_of(client, cast.owner)
        assert "A model is pinned" in text
        assert "Ada Administrator" in text
        assert "“Shouts less.”" in text
        assert "Release the pinned model" not in text
        client.force_login(cast.administrator)
        assert client.post("/model/release/").status_code == 302
        assert not ModelPin.objects.in_force().exists()


@pytest.mark.parametrize(
    ("stage", "facts", "steps"),
    [
        ("rules", {"customers": 59, "repeat_buyers": 30}, ["1 more customer"]),
        ("rhythm", {"days": 260}, ["10 more days of orders"]),
        ("rhythm", {}, []),
        ("learned", {}, ["600 more customers"]),
        ("learned", {"customers": 1000, "days": 500}, ["90 more days of orders"]),
        ("learned", {"customers": 1000}, []),
    ],
)
def test_what_would_lift_it(stage: str, facts: dict[str, int], steps: list[str]) -> None:
    assert next_steps(FittedModelFactory.build(stage=stage), FACTS | facts) == steps


def test_inputs_have_words() -> None:
    assert words_for(INPUTS, "gap_sd") == "How much the gaps vary"
    assert words_for(INPUTS, "brand_new_input") == "Brand new input"


def test_a_book_of_contracts_alone(client: Client, cast: Cast) -> None:
    summary = {
        "rates": {"over, in grace": 0.5333}, "rung": "ridge", "log_loss": {"base": 0.121, "ridge": 0.103}, "outcomes": 38,
    }  # fmt: skip
    model = FittedModelFactory(clock="contract", stage="contract", summary=summary)
    run = ScoreRunFactory(model=None, contract_model=model)
    RunEvidence.objects.create(
        run=run,
        publication=run.published_at,
        finished_at=timezone.now(),
        message="Only contracts are scored here.",
    )
    text = text_of(client, cast.owner)
    assert "not to be renewed" in text
    assert "Only contracts are scored here." in text
    assert "38 contracts that were not renewed" in text
    assert "its surprise was 0.103; the usual rates alone, 0.121" in text
