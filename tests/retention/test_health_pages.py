"""Weights that are previewed before they are saved; what an account's health rests on; disagreements, and who was right."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from retention.datasets import load_records
from retention.models import Disagreement, HealthWeights, Score, Tier
from retention.scoring.health import FACTORS, SHIPPED
from retention.selectors.disagreements import who_was_right
from retention.selectors.health import health_of_account, weights_for, weights_in_force
from retention.selectors.health_preview import preview_weights
from retention.services import scoring
from retention.services.disagreements import note_disagreements, settle_disagreement
from retention.services.health import rescore_health, save_health_weights
from tests.factories import (
    AccountFactory,
    AdministratorFactory,
    ContractFactory,
    DisagreementFactory,
    InteractionFactory,
    IssueFactory,
    ManagerFactory,
    OrderFactory,
    PulseCheckFactory,
    ScoreFactory,
    ScoreRunFactory,
)
from tests.retention.book import AS_OF, fill_book

pytestmark = pytest.mark.django_db
DAY = dt.date(2026, 6, 30)
WEIGHTS = {name: str(weight) for name, weight in SHIPPED.items()}
ONLY_PULSE = {name: "100" if name == "pulse" else "0" for name in FACTORS}


def at(back: int) -> dt.datetime:
    return dt.datetime.combine(DAY - dt.timedelta(days=back), dt.time(12), dt.UTC)


def customer(pulse: int | None = None, *, last: int = 10, **fields):
    """Bought every 20 days for a year, the last time `last` days before DAY; scored at 62 % unless told otherwise."""
    account = AccountFactory(**{name: fields.pop(name) for name in ("name", "segment") if name in fields})
    for back in range(last, last + 361, 20):
        OrderFactory(account=account, ordered_at=at(back))
    if pulse:
        PulseCheckFactory(account=account, taken_at=at(5), score=pulse, note="They said so.")
    ScoreFactory(account=account, run=ScoreRunFactory(as_of=DAY, horizon_days=60), **fields)
    return account


@pytest.fixture
def admin(client):
    user = AdministratorFactory()
    client.force_login(user)
    return user


# ── scores and weights ─────────────────────────────────────────────────
def test_a_run_writes_the_health_the_account_page_explains():
    accounts = fill_book(90)
    InteractionFactory(account=accounts[0], happened_at=timezone.now() - dt.timedelta(days=30))
    IssueFactory(account=accounts[1], opened_at=timezone.now() - dt.timedelta(days=30))
    run = scoring.score_book(AS_OF, 60, takes_action=False)
    stored = dict(Score.objects.filter(as_of=AS_OF).values_list("account_id", "health_score"))
    assert all(points is None or 0 <= points <= 100 for points in stored.values())
    assert len({points for points in stored.values() if points is not None}) > 5
    for account in accounts[:4]:
        records = load_records(run.as_of, only=np.array([account.pk]))
        explained = health_of_account(account, run, records)
        assert explained.score == stored[account.pk]
        assert sum(line.weight for line in (*explained.known, *explained.unknown)) == pytest.approx(
            100, abs=3
        )
    assert rescore_health() == 0


def test_the_newest_weights_of_a_segment_are_in_force(admin):
    save_health_weights(admin, HealthWeights(**SHIPPED | {"spend": 40}))
    save_health_weights(admin, HealthWeights(segment="Hotels", **SHIPPED | {"pulse": 90}))
    assert weights_for(weights_in_force(), "Hotels").pulse == 90
    assert weights_for(weights_in_force(), "Bars").spend == 40
    save_health_weights(admin, HealthWeights(segment="Hotels", follows_all=True))
    assert weights_for(weights_in_force(), "Hotels").spend == 40
    assert list(HealthWeights.objects.values_list("segment", "version")) == [
        ("", 1),
        ("Hotels", 2),
        ("Hotels", 1),
    ]
    assert AuditEntry.objects.filter(action="save_health_weights", user=admin).count() == 3


def test_a_preview_changes_nothing_and_says_what_saving_does(client, admin, no_worker):
    unhappy = customer(pulse=1, name="Gasthof Linde", segment="Inns")
    happy = customer(pulse=6)
    quiet = customer()
    rescore_health()
    now = health_by_account(unhappy, happy, quiet)
    assert now == [79, 100, 100]  # buying 45 and the contact 10 at 100, the pulse 15 at 0: 55 of 70
    response = client.post("/settings/health/", ONLY_PULSE | {"action": "preview"})
    assert response.status_code == 200
    assert "1\xa0account moves by more than 10 points" in response.content.decode()
    assert "Gasthof Linde" in response.content.decode()
    assert [(band.before, band.after) for band in response.context["preview"].bands][-1] == (0, 1)
    assert health_by_account(unhappy, happy, quiet) == now
    assert not HealthWeights.objects.exists()
    assert client.post("/settings/health/", ONLY_PULSE | {"action": "save"}).status_code == 302
    assert rescore_health() == 2
    assert health_by_account(unhappy, happy, quiet) == [0, 100, None]
    assert "version 1" in client.get("/settings/health/").content.decode()
    said = client.post("/settings/health/", ONLY_PULSE | {"action": "save"}).content.decode()
    assert "Nothing to save" in said
    assert HealthWeights.objects.count() == 1


def health_by_account(*accounts) -> list[int | None]:
    scores = dict(Score.objects.values_list("account_id", "health_score"))
    return [scores[account.pk] for account in accounts]


@pytest.fixture
def no_worker(monkeypatch):
    """The doorbell is there, nobody answers it: what it would do is called by the test."""
    monkeypatch.setattr("retention.tasks.rescore_health.delay", lambda: None)


def test_weights_of_a_segment_move_that_segment_alone(admin):
    inn, other = customer(pulse=1, segment="Inns"), customer(pulse=1, segment="Bars")
    draft = HealthWeights(segment="Inns", **{name: int(weight) for name, weight in ONLY_PULSE.items()})
    previews = [preview_weights(segment, draft) for segment in ("Inns", "Bars", "")]
    assert [(found.accounts, found.moved) for found in previews if found] == [(1, 1), (1, 0), (2, 1)]
    save_health_weights(admin, draft)
    rescore_health()
    assert health_by_account(inn, other) == [0, 79]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pulse": "101"}, "100 is the most."),
        ({"pulse": "-1"}, "0 is the least"),
        ({"pulse": "much"}, "Give a whole number"),
        ({"pulse": ""}, "Give a number from 0 to 100."),
        (dict.fromkeys(FACTORS, "0"), "At least one factor has to count"),
    ],
)
def test_weights_that_mean_nothing_are_refused_at_their_field(client, admin, fields, words):
    response = client.post("/settings/health/", WEIGHTS | fields | {"action": "save"})
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not HealthWeights.objects.exists()


def test_outcomes_suggest_weights_in_one_click(client, admin):
    fill_book(150, days=500)
    for back in (60, 0):
        scoring.score_book(AS_OF - dt.timedelta(days=back), 60, takes_action=False)
    response = client.post("/settings/health/", {"action": "suggest"})
    suggestion = response.context["suggestion"]
    assert sum(suggestion.weights.values()) == 100
    assert {name: response.context["form"][name].value() for name in FACTORS} == suggestion.weights
    assert [label for label, _ in suggestion.judged.ranked] == [
        "Suggested weights", "Weights in force", "Weights as shipped", "The model, as it said then",
    ]  # fmt: skip
    assert all(50 < percent <= 100 for _, percent in suggestion.judged.ranked)
    assert suggestion.judged.on == AS_OF - dt.timedelta(days=60)
    assert not HealthWeights.objects.exists()


def test_without_outcomes_nothing_is_suggested(client, admin):
    assert (
        "There are no scores yet" in client.post("/settings/health/", {"action": "suggest"}).content.decode()
    )
    customer()
    words = "Too few have left"
    assert words in client.post("/settings/health/", {"action": "suggest"}).content.decode()


def test_the_account_page_says_what_is_known_and_what_is_not(client, admin):
    account = customer(pulse=3)
    page = client.get(f"/accounts/{account.pk}/").content.decode()
    assert "Pulse 3 of 6, 5 days ago." in page
    assert "Nobody has written down an issue yet." in page
    assert "Who is right?" not in page
    DisagreementFactory(account=account)
    assert "Who is right?" in client.get(f"/accounts/{account.pk}/").content.decode()


# ── disagreements ──────────────────────────────────────────────────────
def test_opposite_words_of_model_and_pulse_are_listed_once():
    fears = customer(pulse=6, churn_probability=0.62)
    calm = customer(pulse=1, churn_probability=0.05, tier=Tier.THRIVING)
    customer(pulse=1, churn_probability=0.62, last=150)  # they agree
    customer(pulse=6, churn_probability=0.4)  # the model is undecided
    run = ScoreRunFactory(as_of=DAY)
    rescore_health()
    assert note_disagreements(run) == 2
    assert note_disagreements(run) == 0
    rows = {row.account_id: row for row in Disagreement.objects.all()}
    assert (rows[fears.pk].model_stance, rows[fears.pk].pulse_stance) == ("leaving", "staying")
    assert rows[fears.pk].scorecard_stance == "staying"
    assert (rows[calm.pk].model_stance, rows[calm.pk].pulse_stance) == ("staying", "leaving")
    assert "They said so." in rows[calm.pk].pulse_says
    assert rows[fears.pk].model_says.startswith("Last order 74 days ago")
    assert rows[fears.pk].value == Decimal("10000.00")
    Score.objects.filter(account=fears).update(churn_probability=0.4)
    note_disagreements(run)
    assert list(Disagreement.objects.to_settle().values_list("account", flat=True)) == [calm.pk]


def test_an_old_pulse_and_a_thin_scorecard_take_no_side():
    thin = customer(churn_probability=0.62)  # orders alone are less than half of the weight
    old = customer(churn_probability=0.62)
    PulseCheckFactory(account=old, taken_at=at(200), score=6)
    rescore_health()
    assert Score.objects.get(account=thin).health_score == 100
    assert note_disagreements(ScoreRunFactory(as_of=DAY)) == 1
    row = Disagreement.objects.get()
    assert (row.account, row.scorecard_stance, row.pulse_stance) == (old, "staying", "")


def test_a_person_settles_and_what_happened_is_remembered(client):
    manager = ManagerFactory()
    client.force_login(manager)
    left = DisagreementFactory(as_of=DAY - dt.timedelta(days=60), horizon_days=60)
    stayed = DisagreementFactory(as_of=DAY - dt.timedelta(days=60), horizon_days=60)
    renewed = DisagreementFactory(as_of=DAY - dt.timedelta(days=60), horizon_days=60)
    early = DisagreementFactory(as_of=DAY - dt.timedelta(days=59), horizon_days=60)
    OrderFactory(account=left.account, ordered_at=at(60))  # before the horizon began
    OrderFactory(account=stayed.account, ordered_at=at(0))
    ContractFactory(account=renewed.account, starts_on=DAY - dt.timedelta(days=300), ends_on=DAY)
    page = client.get("/disagreements/").content.decode()
    assert "62\xa0% may leave" in page
    assert "health 81 of 100" in page
    answer = client.post(f"/disagreements/{left.pk}/settle/", {"verdict": "scorecard", "note": "Holidays."})
    assert answer.status_code == 302
    assert client.post(f"/disagreements/{stayed.pk}/settle/", {}).status_code == 422
    assert client.post(f"/disagreements/{stayed.pk}/settle/", {"verdict": "pulse"}).status_code == 422
    settle_disagreement(stayed, manager, "scorecard", "")
    note_disagreements(ScoreRunFactory(as_of=DAY))
    known = dict(Disagreement.objects.values_list("pk", "has_left"))
    assert known == {left.pk: True, stayed.pk: False, renewed.pk: False, early.pk: None}
    counted = {tally.who: (tally.right, tally.of) for tally in who_was_right(manager)}
    assert counted == {"The model": (1, 3), "The scorecard": (2, 3), "Whoever of us judged": (1, 2)}
    page = client.get("/disagreements/").content.decode()
    assert "Holidays." in page
    assert "It left." in page


def test_what_is_settled_stays_settled(client, admin):
    row = DisagreementFactory()
    address = f"/disagreements/{row.pk}/settle/"
    client.post(address, {"verdict": "model"})
    said = client.post(address, {"verdict": "scorecard"}, follow=True).content.decode()
    assert "settled already" in said
    row.refresh_from_db()
    assert (row.verdict, row.settled_by) == ("model", admin)


def test_today_tells_leaders_how_many_wait(client, admin):
    DisagreementFactory()
    ScoreFactory()
    assert "1\xa0account" in client.get("/").content.decode()
