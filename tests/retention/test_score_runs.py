"""Runs, chunks and commands on a real PostgreSQL."""

import csv
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Account, Company, ExchangeRate, Order
from accounts.selectors import company_today
from retention.datasets import copy_to_array, date_of, day_number, load_account_ids, load_history
from retention.datasets.wire import copy_groups, packed
from retention.models import Definition, FittedModel, JobRun, Score, ScoreChunk, ScoreRun
from retention.models.scores import ChunkState, RunState
from retention.scoring.errors import ScoringError
from retention.scoring.history import UNKNOWN_DAY
from retention.services import jobs, scoring
from tests.factories import AccountFactory, OrderFactory
from tests.retention.book import AS_OF, fill_book, scores_by_account

pytestmark = pytest.mark.django_db


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


class TestDatasets:
    def test_orders_become_arrays(self) -> None:
        late, early = AccountFactory(), AccountFactory()
        OrderFactory(account=late, ordered_at=utc("2026-01-05 10:00"), amount=Decimal("12.34"))
        OrderFactory(
            account=early, ordered_at=utc("2026-01-03 10:00"), amount=Decimal("-5"),
            promised_on=dt.date(2026, 1, 4), delivered_on=dt.date(2026, 1, 6),
        )  # fmt: skip
        history = load_history(dt.date(2026, 1, 5))
        assert history.account_ids.tolist() == [late.pk, early.pk]
        assert history.cents.tolist() == [1234.0, -500.0]
        assert [date_of(day).isoformat() for day in history.day] == ["2026-01-05", "2026-01-03"]
        assert history.promised is not None
        assert history.promised.tolist() == [UNKNOWN_DAY, day_number(dt.date(2026, 1, 4))]
        known = history.until(day_number(dt.date(2026, 1, 5)))
        assert known.delivered is not None
        assert known.delivered.tolist() == [UNKNOWN_DAY, UNKNOWN_DAY], "it came a day later"

    def test_days_end_in_the_companys_time_zone(self) -> None:
        Company.objects.update_or_create(pk=1, defaults={"time_zone": "Pacific/Apia"})
        cache.clear()
        OrderFactory(ordered_at=utc("2026-01-05 11:30"))  # half past midnight on the 6th in Apia
        assert load_history(dt.date(2026, 1, 5)).orders == 0
        history = load_history(dt.date(2026, 1, 6))
        assert date_of(history.day[0]) == dt.date(2026, 1, 6)
        assert ZoneInfo("Pacific/Apia").utcoffset(utc("2026-01-05 11:30")) == dt.timedelta(hours=13)
        cache.clear()

    def test_cancelled_orders_are_left_out(self) -> None:
        OrderFactory(ordered_at=utc("2026-01-05 10:00"), status="cancelled")
        assert load_history(dt.date(2026, 1, 9)).orders == 0

    def test_money_is_in_the_companys_currency(self) -> None:
        ExchangeRate.objects.create(currency="GBP", rate=Decimal("1.25"))
        OrderFactory(ordered_at=utc("2026-01-05 10:00"), amount=Decimal(100), currency="GBP")
        assert load_history(dt.date(2026, 1, 9)).cents.tolist() == [12_500.0]

    def test_a_range_and_a_choice_of_accounts(self) -> None:
        orders = [OrderFactory(ordered_at=utc("2026-01-05 10:00")) for _ in range(4)]
        ids = [order.account_id for order in orders]
        day = dt.date(2026, 1, 9)
        assert load_history(day, ids[1], ids[2]).account_ids.tolist() == ids[1:3]
        assert load_history(day, only=np.array(ids[2:])).orders == 2
        assert load_account_ids(ids[1]).tolist() == ids[1:]

    def test_a_null_is_an_error_and_not_a_wrong_number(self) -> None:
        with pytest.raises(ValueError, match="NULL"):
            copy_to_array("SELECT NULL::int4", {"a": ">i4"})

    def test_rows_come_packed_by_key(self) -> None:
        query = f"SELECT k, {packed('int4send(v)', 'float8send(v / 2.0)')} FROM (VALUES {{}}) t (k, v) GROUP BY k ORDER BY k"  # noqa: S608
        groups = copy_groups(
            query.format("(7::bigint, 1), (3::bigint, 2), (7::bigint, 5)"), {"v": ">i4", "half": ">f8"}
        )
        assert groups.keys.tolist() == [3, 7]
        assert groups.counts.tolist() == [1, 2]
        assert groups.key_of_rows().tolist() == [3, 7, 7]
        assert groups.rows["v"].tolist()[0] == 2
        assert sorted(groups.rows["half"].tolist()[1:]) == [0.5, 2.5]

    def test_no_rows_are_no_groups(self) -> None:
        query = (
            f"SELECT k, {packed('int4send(k::int)')} FROM (SELECT 1::bigint AS k WHERE false) t GROUP BY k"  # noqa: S608
        )
        groups = copy_groups(query, {"v": ">i4"})
        assert (len(groups.keys), len(groups.rows)) == (0, 0)

    def test_packed_rows_of_another_width_are_an_error(self) -> None:
        with pytest.raises(ValueError, match="width"):
            copy_groups(f"SELECT 1::bigint, {packed('int4send(1)')}", {"v": ">f8"})


class TestRun:
    def test_scores_every_customer_once(self) -> None:
        fill_book(120)
        run = scoring.score_book(AS_OF, 60, takes_action=False)
        assert run.state == RunState.PUBLISHED
        scores = Score.objects.filter(as_of=AS_OF)
        customers = Order.objects.filter(ordered_at__date__lte=AS_OF, amount__gt=0).values("account")
        assert scores.count() == customers.distinct().count() == run.accounts
        assert run.summary["accounts"] == sum(run.summary["tiers"].values()) == run.accounts
        one = scores.first()
        assert one is not None
        assert one.run == run
        assert one.main_factor == one.reasons[0]["factor"]
        points = sum(reason["points"] for reason in one.reasons)
        assert points == pytest.approx(100 * (one.churn_probability - one.base_probability), abs=0.02)
        assert one.revenue_at_risk == pytest.approx(
            Decimal(one.churn_probability) * one.expected_value_12m, abs=Decimal("0.02")
        )

    def test_again_gives_the_same_numbers(self) -> None:
        fill_book(120)
        scoring.score_book(AS_OF, 60, takes_action=False)
        before = scores_by_account()
        scoring.score_book(AS_OF, 60, takes_action=False)
        assert scores_by_account() == before
        assert ScoreRun.objects.count() == 1

    def test_small_chunks_read_one_by_one_give_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fill_book(120)
        scoring.score_book(AS_OF, 60, takes_action=False)
        before = scores_by_account()
        Score.objects.all().delete()
        monkeypatch.setattr(scoring, "CHUNK_ACCOUNTS", 7)
        run = scoring.fit_run(scoring.prepare_run(AS_OF, 60, takes_action=False))
        assert run.chunks.count() == 18
        while (chunk := scoring.claim_chunk()) is not None:
            scoring.score_chunk(chunk)
        assert scoring.publish_run(run.pk) is not None
        assert scores_by_account() == before

    def test_orders_after_as_of_change_nothing(self) -> None:
        accounts = fill_book(120)
        scoring.score_book(AS_OF, 60, takes_action=False)
        before = scores_by_account()
        for account in accounts[:40]:
            OrderFactory(account=account, ordered_at=timezone.now() - dt.timedelta(days=1))
        scoring.score_book(AS_OF, 60, takes_action=False)
        assert scores_by_account() == before

    def test_an_account_that_is_no_customer_any_more_loses_its_score(self) -> None:
        accounts = fill_book(30)
        scoring.score_book(AS_OF, 60, takes_action=False)
        Order.objects.filter(account=accounts[0]).update(status="cancelled")
        scoring.score_book(AS_OF, 60, takes_action=False)
        assert not Score.objects.filter(account=accounts[0]).exists()

    def test_money_in_the_accounts_currency_and_the_companys(self) -> None:
        ExchangeRate.objects.create(currency="GBP", rate=Decimal("1.25"))
        accounts = fill_book(30)
        Account.objects.filter(pk=accounts[0].pk).update(currency="GBP")
        scoring.score_book(AS_OF, 60, takes_action=False)
        score = Score.objects.get(account=accounts[0])
        assert score.currency == "GBP"
        assert score.revenue_at_risk == pytest.approx(
            score.revenue_at_risk_company / Decimal("1.25"), abs=Decimal("0.02")
        )

    def test_the_score_of_a_month_before_stands_beside(self) -> None:
        fill_book(30)
        scoring.score_book(AS_OF - dt.timedelta(days=30), 60, takes_action=False)
        scoring.score_book(AS_OF, 60, takes_action=False)
        score = Score.objects.filter(as_of=AS_OF, previous_probability__isnull=False).first()
        assert score is not None
        earlier = Score.objects.get(account=score.account_id, as_of=AS_OF - dt.timedelta(days=30))
        assert score.previous_probability == earlier.churn_probability

    def test_horizon_comes_from_the_definition_then_from_the_book(self) -> None:
        fill_book(60)
        by_book = scoring.score_book(AS_OF, takes_action=False).horizon_days
        assert by_book in {14, 30, 60, 90, 120, 180, 270, 365}
        Definition.objects.create(billing_mode="repeat", version=1, horizon_days=77)
        assert scoring.score_book(AS_OF, takes_action=False).horizon_days == 77


class TestChunks:
    def prepared(self) -> ScoreRun:
        fill_book(40)
        return scoring.fit_run(scoring.prepare_run(AS_OF, 60, takes_action=False))

    def test_a_chunk_is_claimed_once_until_its_lease_is_over(self) -> None:
        self.prepared()
        first = scoring.claim_chunk()
        assert first is not None
        assert scoring.claim_chunk() is None
        ScoreChunk.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
        second = scoring.claim_chunk()
        assert second is not None
        assert (second.pk, second.attempts) == (first.pk, 2)

    def test_a_lost_claim_writes_nothing(self) -> None:
        self.prepared()
        first = scoring.claim_chunk()
        assert first is not None
        ScoreChunk.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
        scoring.claim_chunk()
        assert scoring.score_chunk(first) == 0
        assert not Score.objects.exists()

    def test_a_chunk_that_fails_again_and_again_fails_its_run(self) -> None:
        run = self.prepared()
        ScoreChunk.objects.update(attempts=scoring.MOST_ATTEMPTS)
        assert scoring.claim_chunk() is None
        run.refresh_from_db()
        assert run.state == RunState.FAILED
        assert "5 attempts" in run.message

    def test_a_run_is_published_once_and_only_when_done(self) -> None:
        run = self.prepared()
        assert scoring.publish_run(run.pk) is None
        chunk = scoring.claim_chunk()
        assert chunk is not None
        scoring.score_chunk(chunk)
        assert scoring.publish_run(run.pk) is not None
        assert scoring.publish_run(run.pk) is None

    def test_unfinished_work_is_found(self) -> None:
        run = self.prepared()
        assert scoring.find_unfinished().to_score == [run.pk]
        scoring.claim_chunk()
        held = scoring.find_unfinished()
        assert held.to_score == []
        assert held.next_lease is not None
        assert 0 < held.next_lease <= scoring.LEASE.total_seconds()
        ScoreChunk.objects.update(state=ChunkState.DONE)
        assert scoring.find_unfinished().to_publish == [run.pk]
        ScoreRun.objects.update(state=RunState.PREPARING, started_at=None)
        assert scoring.find_unfinished().to_fit == [run.pk]
        ScoreRun.objects.update(state=RunState.PUBLISHED, takes_action=True)
        assert scoring.find_unfinished().to_act_on == [run.pk]


class TestRefusals:
    """Bad input gives one sentence and changes nothing."""

    @pytest.mark.parametrize("horizon", [0, -1, 9999])
    def test_horizon(self, horizon: int) -> None:
        fill_book(5)
        with pytest.raises(CommandError, match=f"A horizon of {horizon} days cannot be used"):
            call_command("score", "--horizon", str(horizon))
        assert not ScoreRun.objects.exists()

    def test_before_the_first_order(self) -> None:
        fill_book(5)
        with pytest.raises(CommandError, match=r"The first order is of \d{4}-\d\d-\d\d: choose that day"):
            call_command("score", "--as-of", "1999-01-01")
        assert not ScoreRun.objects.exists()

    def test_the_future(self) -> None:
        fill_book(5)
        tomorrow = company_today() + dt.timedelta(days=1)
        with pytest.raises(CommandError, match="has not come yet"):
            call_command("score", "--as-of", tomorrow.isoformat())

    @pytest.mark.parametrize("command", ["score", "backtest"])
    def test_an_empty_installation(self, command: str) -> None:
        with pytest.raises(CommandError, match="There are no orders yet: import an orders file first"):
            call_command(command)

    def test_a_word_that_is_no_date(self) -> None:
        with pytest.raises(CommandError, match="'soon' is not a date"):
            call_command("score", "--as-of", "soon")

    def test_only_returns(self) -> None:
        OrderFactory(ordered_at=utc("2025-01-05 10:00"), amount=Decimal(-5))
        with pytest.raises(CommandError, match="No account had bought anything"):
            call_command("score", "--as-of", "2025-02-01")
        assert ScoreRun.objects.get().state == RunState.FAILED

    def test_nothing_to_export(self) -> None:
        with pytest.raises(CommandError, match="There are no scores yet"):
            call_command("export_scores")
        with pytest.raises(CommandError, match="There are no scores as of 2025-01-01"):
            call_command("export_scores", "--as-of", "2025-01-01")

    def test_a_file_that_cannot_be_written(self, tmp_path: Path) -> None:
        fill_book(5)
        scoring.score_book(AS_OF, 60, takes_action=False)
        with pytest.raises(CommandError, match="Cannot write"):
            call_command("export_scores", "--output", str(tmp_path / "none" / "scores.csv"))


class TestCommands:
    def test_score_says_what_it_did(self, capsys: pytest.CaptureFixture[str]) -> None:
        fill_book(120)
        call_command("score", "--as-of", AS_OF.isoformat(), "--horizon", "60", "--no-actions")
        said = capsys.readouterr().out.strip().splitlines()[-1]
        assert said.startswith(f"Scored {Score.objects.count()} accounts as of {AS_OF}, horizon 60 days")
        assert "a year at risk" in said
        assert ScoreRun.objects.get().acted_at is None

    def test_a_book_without_signal_says_so_in_its_export(self, tmp_path: Path) -> None:
        fill_book(120)
        run = scoring.score_book(AS_OF, 60, takes_action=False)
        FittedModel.objects.filter(pk=run.model_id).update(has_signal=False)
        file = tmp_path / "scores.csv"
        call_command("export_scores", "--output", str(file))
        assert {row["stage"] for row in csv.DictReader(file.open())} == {"no usable signal"}

    def test_export_has_the_columns_and_the_order(self, tmp_path: Path) -> None:
        fill_book(120)
        Account.objects.filter(pk=Account.objects.earliest("pk").pk).update(name="=1+1")
        scoring.score_book(AS_OF, 60, takes_action=False)
        file = tmp_path / "scores.csv"
        call_command("export_scores", "--output", str(file))
        rows = list(csv.DictReader(file.open()))
        assert list(rows[0]) == [
            "account", "name", "as_of", "horizon_days", "churn_probability", "tier", "revenue_at_risk", "currency",
            "expected_value_12m", "days_since_last_order", "stage", "model_version", "reason_1", "reason_2", "reason_3",
            "expected_value_low", "expected_value_high", "lifetime_value", "health_score", "known_share",
        ]  # fmt: skip
        for row in rows:
            low, middle, high = (float(row[f"expected_value_{name}"]) for name in ("low", "12m", "high"))
            assert 0 <= low <= high
            assert middle <= high or high == 0
        assert len(rows) == Score.objects.count()
        money = [Decimal(row["revenue_at_risk"]) for row in rows]
        assert money == sorted(money, reverse=True)
        assert "'=1+1" in {row["name"] for row in rows}
        assert all(row["reason_1"].endswith(".") for row in rows)
        assert list(tmp_path.iterdir()) == [file]

    def test_backtest_prints_the_three_side_by_side(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        fill_book(150)
        file = tmp_path / "figures.json"
        call_command("backtest", "--horizon", "60", "--cutoffs", "2", "--json", str(file))
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines if line][:5] == ["As", "AUC", "score", "BG/NBD", "recency"]
        figures = json.loads(file.read_text())
        assert len(figures) == 2
        assert 0.5 < figures[0]["model"]["auc"] <= 1

    def test_backtest_refuses_a_senseless_number(self) -> None:
        with pytest.raises(CommandError, match="0 cutoffs"):
            call_command("backtest", "--cutoffs", "0")


class TestNights:
    NOON = dt.datetime(2026, 3, 10, 12, 0, tzinfo=dt.UTC)

    def dates(self) -> list[str]:
        return [str(job.local_date) for job in JobRun.objects.order_by("local_date")]

    def test_two_clocks_add_one_job(self) -> None:
        jobs.add_due_jobs(self.NOON)
        jobs.add_due_jobs(self.NOON)
        assert self.dates() == ["2026-03-10"]

    def test_before_the_night_begins_it_is_still_yesterdays(self) -> None:
        jobs.add_due_jobs(self.NOON.replace(hour=1))
        assert self.dates() == ["2026-03-09"]

    def test_missed_nights_are_caught_up_a_few_days_back(self) -> None:
        jobs.add_due_jobs(self.NOON)
        jobs.add_due_jobs(self.NOON + dt.timedelta(days=2))
        assert self.dates() == ["2026-03-10", "2026-03-11", "2026-03-12"]
        jobs.add_due_jobs(self.NOON + dt.timedelta(days=30))
        assert self.dates()[3:] == ["2026-04-06", "2026-04-07", "2026-04-08", "2026-04-09"]

    @pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Asia/Kolkata", "Pacific/Apia"])
    def test_no_night_is_skipped_or_doubled_when_clocks_change(self, zone: str) -> None:
        Company.objects.update_or_create(pk=1, defaults={"time_zone": zone})
        cache.clear()
        for begins, days in ((dt.date(2026, 3, 6), 25), (dt.date(2026, 10, 23), 12)):
            JobRun.objects.all().delete()
            start = dt.datetime.combine(begins, dt.time(), dt.UTC)
            for half_hours in range(days * 48):
                jobs.add_due_jobs(start + dt.timedelta(minutes=30 * half_hours))
            found = [job.local_date for job in JobRun.objects.order_by("local_date")]
            assert found == [found[0] + dt.timedelta(days=step) for step in range(len(found))]
            assert len(found) in {days, days + 1}
        cache.clear()

    def test_a_job_is_claimed_once_and_ends(self) -> None:
        jobs.add_due_jobs(self.NOON)
        (job_id,) = jobs.find_due_jobs()
        job = jobs.claim_job(job_id)
        assert job is not None
        assert jobs.claim_job(job_id) is None
        jobs.finish_job(job)
        assert jobs.find_due_jobs() == []

    def test_a_night_is_prepared_once(self) -> None:
        fill_book(30)
        run = scoring.start_night(AS_OF + dt.timedelta(days=1))
        assert (run.as_of, run.state) == (AS_OF, RunState.SCORING)
        assert scoring.start_night(AS_OF + dt.timedelta(days=1)).started_at == run.started_at

    def test_a_book_that_ended_long_ago_is_scored_as_of_its_last_day(self) -> None:
        OrderFactory(ordered_at=utc("2011-12-09 10:00"))
        assert scoring.default_as_of() == dt.date(2011, 12, 9)

    def test_the_first_day_of_a_book_can_be_scored(self) -> None:
        OrderFactory(ordered_at=timezone.now())
        assert scoring.default_as_of() == company_today()

    def test_nothing_to_score_is_a_sentence(self) -> None:
        with pytest.raises(ScoringError, match="import an orders file"):
            scoring.default_as_of()
