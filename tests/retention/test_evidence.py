"""What follows a published run: the look back, matured scores, flags, late records; and a model that is pinned."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import AuditEntry, Order
from notifications.models import Notification, Topic
from retention import tasks
from retention.models import (
    BacktestCutoff,
    MaturedRun,
    ModelFlag,
    ModelPin,
    RunEvidence,
    Score,
    ScoreRun,
)
from retention.models.scores import RunState
from retention.scoring.errors import ScoringError
from retention.services import evidence, scoring
from retention.services.evidence import find_unproven, gather_evidence
from retention.services.rollback import pin_model, release_model
from tests.conftest import WorkerProcess, wait_until
from tests.factories import (
    AdministratorFactory,
    IssueFactory,
    ManagerFactory,
    OrderFactory,
    SalesRepFactory,
    ScoreRunFactory,
)
from tests.retention.book import AS_OF, fill_book, scores_by_account

pytestmark = pytest.mark.django_db
HORIZON = 60


def score(days_back: int = 0, **kwargs: Any) -> ScoreRun:
    return scoring.score_book(AS_OF - dt.timedelta(days=days_back), HORIZON, takes_action=False, **kwargs)


class TestLookingBack:
    def test_it_follows_the_newest_run_once(self) -> None:
        SalesRepFactory(calls_per_day=1)
        fill_book(120)
        run = score()
        assert find_unproven() == run.pk
        assert gather_evidence(run.pk)
        assert find_unproven() is None
        assert not gather_evidence(run.pk), "done"
        newest = run.cutoffs.first()
        assert newest is not None
        assert newest.cutoff_on == AS_OF - dt.timedelta(days=HORIZON)
        assert set(newest.figures) == {"model", "bgnbd", "recency"}
        assert newest.customers == sum(group["customers"] for group in newest.calibration)
        assert newest.at_capacity["calls"] == 5
        proof = run.evidence
        assert proof.facts["customers"] == run.accounts
        assert sum(proof.factors.values()) == pytest.approx(1, abs=0.001)
        assert proof.inputs_since == AS_OF - dt.timedelta(days=30)

    def test_a_run_published_anew_is_looked_at_anew(self) -> None:
        fill_book(60)
        run = score()
        gather_evidence(run.pk)
        again = score()
        assert find_unproven() == again.pk == run.pk
        assert gather_evidence(run.pk)
        assert BacktestCutoff.objects.filter(run=run).count() == len(
            set(run.cutoffs.values_list("cutoff_on"))
        )

    def test_a_look_back_that_kills_its_worker_is_not_tried_for_ever(self) -> None:
        fill_book(20)
        run = score()
        RunEvidence.objects.create(run=run, publication=run.published_at, attempts=evidence.MOST_ATTEMPTS)
        assert find_unproven() is None
        assert not gather_evidence(run.pk)

    def test_an_older_run_is_left_alone(self) -> None:
        fill_book(20)
        old = score(30)
        score()
        assert not gather_evidence(old.pk)

    def test_too_little_history_is_said(self) -> None:
        fill_book(30, days=40)
        run = score()
        assert gather_evidence(run.pk)
        assert "nothing can be checked yet" in run.evidence.message
        assert not run.cutoffs.exists()

    def test_the_run_before_is_compared(self) -> None:
        fill_book(120)
        score(70)
        score(30)
        run = score()
        gather_evidence(run.pk)
        newest = run.cutoffs.first()
        assert newest is not None
        assert newest.previous_is == "stored", "the model of 70 days ago knew nothing of the last 60"
        assert newest.previous_as_of == AS_OF - dt.timedelta(days=70)
        assert "previous" in newest.figures


def test_a_killed_worker_leaves_it_to_the_next(committed_db: None, celery_worker: WorkerProcess) -> None:
    """Nobody rings for it but the reaper, and whoever begins dies."""
    fill_book(120)
    run = score()
    tasks.reap.delay()
    wait_until(lambda: RunEvidence.objects.filter(attempts=1).exists(), 90, celery_worker.log.read_text)
    celery_worker.kill()
    assert find_unproven() == run.pk
    celery_worker.start()
    tasks.reap.delay()
    finished = RunEvidence.objects.exclude(finished_at=None)
    wait_until(finished.exists, 120, celery_worker.log.read_text)
    assert finished.get().attempts == 2
    assert run.cutoffs.exists()


class TestMatured:
    def test_stored_scores_are_held_against_what_came(self) -> None:
        fill_book(120)
        old, run = score(HORIZON), score()
        ScoreRun.objects.filter(pk=old.pk).update(published_at=timezone.now() - dt.timedelta(days=50))
        gather_evidence(run.pk)
        row = MaturedRun.objects.get()
        assert (row.run, row.is_afterwards) == (old, False)
        scores = dict(Score.objects.filter(as_of=old.as_of).values_list("account", "churn_probability"))
        assert row.customers == len(scores)
        said = sum(group["said"] * group["customers"] for group in row.calibration) / row.customers
        assert said == pytest.approx(sum(scores.values()) / len(scores), abs=0.001)
        buyers = Order.objects.filter(ordered_at__date__gt=old.as_of, ordered_at__date__lte=AS_OF)
        stayed = set(buyers.values_list("account", flat=True)) & set(scores)
        assert row.churn_rate == pytest.approx(1 - len(stayed) / len(scores))

    def test_scores_of_a_day_long_gone_are_no_predictions(self) -> None:
        fill_book(30)
        score(HORIZON + 30)
        gather_evidence(score().pk)
        assert MaturedRun.objects.get().is_afterwards

    def test_a_run_whose_horizon_lasts_waits(self) -> None:
        fill_book(30)
        score(HORIZON - 1)
        gather_evidence(score().pk)
        assert not MaturedRun.objects.exists()


class TestFlags:
    def raised(self, value: float, by_chance: float = 0.0, day: int = 0) -> list[str]:
        run = ScoreRunFactory(as_of=AS_OF + dt.timedelta(days=day))
        evidence._raise_flags(run, [("input", "tenure", value, by_chance)])
        return list(ModelFlag.objects.raised().values_list("subject", flat=True))

    def test_told_once_until_it_is_gone_and_comes_back(self) -> None:
        manager, administrator = ManagerFactory(), AdministratorFactory()
        SalesRepFactory()
        told = Notification.objects.filter(topic=Topic.MODEL)
        assert self.raised(0.2, day=0) == []
        assert self.raised(0.3, day=1) == ["tenure"]
        assert set(told.values_list("user", flat=True)) == {manager.pk, administrator.pk}
        assert self.raised(0.4, day=2) == ["tenure"]
        assert self.raised(0.21, day=3) == ["tenure"], "it does not flutter"
        assert told.count() == 2
        assert self.raised(0.1, day=4) == []
        assert self.raised(0.3, day=5) == ["tenure"]
        assert told.count() == 4

    def test_what_may_be_chance_is_shown_and_told_nobody(self) -> None:
        AdministratorFactory()
        assert self.raised(0.3, by_chance=0.35) == ["tenure"]
        assert not Notification.objects.exists()


class TestLateRecords:
    def test_records_of_before_that_came_after_are_counted_per_run(self) -> None:
        accounts = fill_book(30)
        old = score(10)
        gather_evidence(old.pk)
        run = score()
        for days in (20, 5):
            OrderFactory(account=accounts[0], ordered_at=timezone.now() - dt.timedelta(days=days))
        IssueFactory(account=accounts[0], opened_at=timezone.now() - dt.timedelta(days=20))
        ScoreRun.objects.update(published_at=timezone.now() - dt.timedelta(hours=1))
        Order.objects.filter(external_id__startswith="O0").update(
            created_at=timezone.now() - dt.timedelta(days=1)
        )
        gather_evidence(run.pk)
        late = dict(RunEvidence.objects.values_list("run__as_of", "late_records"))
        assert late == {old.as_of: 2, run.as_of: 3}


class TestPin:
    def test_the_pinned_model_makes_the_scores_until_released(self) -> None:
        administrator = AdministratorFactory()
        fill_book(60)
        first = score(30)
        assert first.model is not None
        pin_model(administrator, first.model, "The new one shouts too much.")
        pinned = score()
        assert pinned.model == first.model
        assert pinned.horizon_days == first.horizon_days
        assert set(Score.objects.filter(as_of=AS_OF).values_list("model_version", flat=True)) == {
            first.model.version
        }
        gather_evidence(pinned.pk)
        assert release_model(administrator)
        assert not release_model(administrator)
        assert score().model != first.model
        assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
            "pin_model",
            "release_model",
        ]

    def test_pinning_another_releases_the_first(self) -> None:
        administrator = AdministratorFactory()
        fill_book(30)
        models = [score(days).model for days in (30, 0)]
        for model in models:
            assert model is not None
            pin_model(administrator, model, "Try.")
        assert ModelPin.objects.in_force().get().model == models[1]
        assert ModelPin.objects.count() == 2

    def test_a_day_before_the_pinned_model_is_refused_in_a_sentence(self) -> None:
        fill_book(30)
        model = score().model
        assert model is not None
        pin_model(AdministratorFactory(), model, "It was good.")
        with pytest.raises(ScoringError, match="release it on the Model page"):
            score(30)
        assert ScoreRun.objects.get(as_of=AS_OF - dt.timedelta(days=30)).state == RunState.FAILED
        with pytest.raises(ScoringError, match="60 days ahead, not 30"):
            scoring.score_book(AS_OF, 30, takes_action=False)

    def test_a_model_that_cannot_be_read_is_not_pinned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fill_book(30)
        model = score().model
        assert model is not None
        monkeypatch.setattr("retention.scoring.models.FORMAT", 99)
        with pytest.raises(ScoringError, match="another version"):
            pin_model(AdministratorFactory(), model, "Once more.")
        assert not ModelPin.objects.exists()


def test_a_past_day_reproduces_itself_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice, from another split into parts, and after newer runs exist."""
    accounts = fill_book(120)
    day = AS_OF - dt.timedelta(days=40)

    def export(name: str) -> bytes:
        call_command("score", "--as-of", day.isoformat(), "--horizon", "60", "--no-actions")
        call_command("export_scores", "--as-of", day.isoformat(), "--output", str(tmp_path / name))
        return (tmp_path / name).read_bytes()

    first = export("first.csv")
    score()
    gather_evidence(ScoreRun.objects.latest("as_of").pk)
    OrderFactory(account=accounts[0], ordered_at=timezone.now() - dt.timedelta(days=1))
    assert export("again.csv") == first
    monkeypatch.setattr(scoring, "CHUNK_ACCOUNTS", 7)
    Score.objects.filter(as_of=day).delete()
    assert export("parts.csv") == first
    assert scores_by_account(day)
