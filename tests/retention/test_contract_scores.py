"""Contracts in a scoring run, on a real PostgreSQL."""

import datetime as dt
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db.models import F
from django.test import Client

from accounts.models import Account, Contract, ExchangeRate
from pulsecheck.models import Handback
from retention.datasets import date_of, day_number
from retention.datasets.contracts import load_renewals
from retention.models import Definition, FittedModel, Score, ScoreRun, TierPolicy
from retention.models.scores import Clock, Stage
from retention.scoring.contracts import contract_model_from_bytes
from retention.scoring.renewals import NEVER
from retention.selectors.thresholds import ScoredBook
from retention.services import scoring
from retention.services.actions import act_on_run
from tests.factories import AccountFactory, make_cast
from tests.retention.book import AS_OF, fill_book, scores_by_account
from tests.retention.scoring.contract_books import contract_book

pytestmark = pytest.mark.django_db

GRACE = {"": 30}
DAY = dt.timedelta(days=1)


def contract(account: Account, starts: dt.date, ends: dt.date, value: int = 1200, **more: object) -> Contract:
    number = f"K{Contract.objects.count():05d}"
    return Contract.objects.create(
        account=account, external_id=number, starts_on=starts, ends_on=ends, annual_value=Decimal(value),
        currency=account.currency, **more,
    )  # fmt: skip


def fill_contracts(count: int, billing_mode: str = "contract") -> list[Account]:
    """Accounts with yearly contracts, the last of them around `AS_OF`; those of one segment mostly leave."""
    made = contract_book(count, years=4)
    shift = day_number(AS_OF) - int(made.terms.starts.max()) + 60
    accounts = Account.objects.bulk_create(
        Account(
            external_id=f"C{n:04d}", name=f"Contract customer {n}", currency="EUR", billing_mode=billing_mode,
            segment=str(made.words["segment"][n]) + ' "é"\\',
        )
        for n in range(count)
    )  # fmt: skip
    terms = made.terms
    Contract.objects.bulk_create(
        Contract(
            account=accounts[row], external_id=f"F{n}", starts_on=date_of(terms.starts[n] + shift),
            ends_on=date_of(terms.ends[n] + shift), annual_value=Decimal(str(terms.value[n])), currency="EUR",
            cancelled_on=None if terms.cancelled[n] == NEVER else date_of(terms.cancelled[n] + shift),
            terms_acknowledged_on=None if terms.acknowledged[n] == NEVER else date_of(terms.acknowledged[n] + shift),
        )
        for n, row in enumerate(made.row)
    )  # fmt: skip
    return accounts


class TestDataset:
    def test_contracts_become_arrays(self) -> None:
        ExchangeRate.objects.create(currency="GBP", rate=Decimal("1.25"))
        account = AccountFactory(
            currency="GBP", segment="Hotels", billing_mode="contract", became_customer_on=AS_OF - 400 * DAY
        )
        contract(
            account, AS_OF - 100 * DAY, AS_OF + 100 * DAY, 100, notice_days=30, auto_renews=True,
            cancelled_on=AS_OF + DAY, terms_disclosed_on=AS_OF,
        )  # fmt: skip
        found = load_renewals(AS_OF, GRACE | {"Hotels": 7})
        terms = found.terms
        assert found.account_ids.tolist() == [account.pk]
        assert (terms.ends - terms.starts).tolist() == [200]
        assert terms.value.tolist() == [125.0]
        assert terms.cancelled.tolist() == [NEVER], "that comes tomorrow"
        assert terms.disclosed.tolist() == [day_number(AS_OF)]
        assert (terms.notice.tolist(), terms.renews.tolist(), found.grace.tolist()) == ([30], [True], [7])
        assert found.words["segment"].tolist() == ["Hotels"]
        assert found.orders_count.tolist() == [False]

    def test_a_contract_counts_from_the_day_it_was_on_record(self) -> None:
        """One that begins later is known early when it was written down early."""
        ahead = contract(AccountFactory(), AS_OF + 20 * DAY, AS_OF + 300 * DAY)
        assert len(load_renewals(AS_OF, GRACE).row) == 0
        Contract.objects.filter(pk=ahead.pk).update(created_at=F("created_at") - dt.timedelta(days=30))
        assert len(load_renewals(AS_OF, GRACE).row) == 1


class TestRun:
    def test_contracts_alone(self) -> None:
        accounts = fill_contracts(140)
        run = scoring.score_book(AS_OF, 60, takes_action=False)
        assert run.model is None
        assert run.contract_model is not None
        assert run.contract_model.clock == Clock.CONTRACT
        assert run.summary["stage"] == Stage.CONTRACT
        begun = Contract.objects.filter(starts_on__lte=AS_OF).values("account").distinct().count()
        assert 0 < begun == Score.objects.count() <= len(accounts)
        for score in Score.objects.all():
            assert score.stage == Stage.CONTRACT
            assert score.days_since_last_order is None
            points = sum(reason["points"] for reason in score.reasons)
            assert points == pytest.approx(100 * (score.churn_probability - score.base_probability), abs=0.02)
            assert score.revenue_at_risk == pytest.approx(
                Decimal(score.churn_probability) * score.expected_value_12m, abs=Decimal("0.02")
            )
        gone = Score.objects.filter(tier="lost")
        assert set(gone.values_list("account", flat=True)) == {
            pk for pk, last in _last_covered().items() if last < AS_OF - 30 * DAY
        }
        told = contract_model_from_bytes(bytes(run.contract_model.payload))
        assert told.horizon == 60
        before = scores_by_account()
        scoring.score_book(AS_OF, 60, takes_action=False)
        assert scores_by_account() == before

    def test_beside_orders(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Parts of a book change nothing; every customer has one score; tiers can be worked out again."""
        buyers = fill_book(70)
        Account.objects.filter(pk__in=[a.pk for a in buyers[:40]]).update(billing_mode="both")
        for number, account in enumerate(buyers[:40]):
            contract(account, AS_OF - 330 * DAY, AS_OF + (number - 20) * 9 * DAY, 500 + 40 * number)
        alone = fill_contracts(40)
        run = scoring.score_book(AS_OF, 60, takes_action=False)
        before = scores_by_account()
        stages = dict(Score.objects.values_list("account", "stage"))
        assert {stages.get(a.pk) for a in buyers[40:]} - {None} == {run.model.stage if run.model else ""}
        assert {stages[a.pk] for a in alone if a.pk in stages} == {"contract"}
        one = Score.objects.get(account=buyers[30])
        assert one.stage == Stage.CONTRACT
        assert one.expected_value_12m >= 500 + 40 * 30
        assert one.days_since_last_order is not None
        for score in Score.objects.filter(stage=Stage.CONTRACT):
            points = sum(reason["points"] for reason in score.reasons)
            assert points == pytest.approx(100 * (score.churn_probability - score.base_probability), abs=0.03)
        book = ScoredBook(run)
        assert book.tiers(TierPolicy()).tolist() == book.tier.tolist()
        Score.objects.all().delete()
        monkeypatch.setattr(scoring, "CHUNK_ACCOUNTS", 11)
        again = scoring.fit_run(scoring.prepare_run(AS_OF, 60, takes_action=False))
        while (chunk := scoring.claim_chunk()) is not None:
            scoring.score_chunk(chunk)
        assert scoring.publish_run(again.pk) is not None
        assert scores_by_account() == before

    def test_probability_of_both_is_the_share_of_money_that_goes(self) -> None:
        buyers = fill_book(70)
        scoring.score_book(AS_OF, 60, takes_action=False)
        by_orders = Score.objects.get(account=buyers[3])
        contract(buyers[3], AS_OF - 100 * DAY, AS_OF + 500 * DAY, 10_000)
        scoring.score_book(AS_OF, 60, takes_action=False)
        both = Score.objects.get(account=buyers[3])
        model = FittedModel.objects.get(clock=Clock.CONTRACT)
        rate = contract_model_from_bytes(bytes(model.payload)).rates[0]
        at_risk = 10_000 * rate + by_orders.churn_probability * float(by_orders.expected_value_12m)
        assert float(both.expected_value_12m) == pytest.approx(
            10_000 + float(by_orders.expected_value_12m), abs=0.02
        )
        assert float(both.revenue_at_risk) == pytest.approx(at_risk, rel=1e-4)
        assert both.churn_probability == pytest.approx(at_risk / float(both.expected_value_12m), rel=1e-4)

    def test_a_contract_that_is_over_leaves_the_orders_to_tell(self) -> None:
        buyers = fill_book(70)
        contract(buyers[3], AS_OF - 500 * DAY, AS_OF - 100 * DAY)
        run = scoring.score_book(AS_OF, 60, takes_action=False)
        assert run.model is not None
        assert Score.objects.get(account=buyers[3]).stage == run.model.stage

    def test_what_comes_later_changes_nothing(self) -> None:
        accounts = fill_contracts(60)
        scoring.score_book(AS_OF, 60, takes_action=False)
        before = scores_by_account()
        open_ones = Contract.objects.filter(cancelled_on=None, starts_on__lte=AS_OF, ends_on__gt=AS_OF)
        open_ones.update(cancelled_on=AS_OF + DAY)
        contract(accounts[0], AS_OF + DAY, AS_OF + 365 * DAY, 9_999_999)
        scoring.score_book(AS_OF, 60, takes_action=False)
        assert scores_by_account() == before

    def test_the_grace_period_of_a_segment(self) -> None:
        account = AccountFactory(segment="Hotels", billing_mode="contract", currency="EUR")
        contract(account, AS_OF - 400 * DAY, AS_OF - 40 * DAY)
        scoring.score_book(AS_OF, 60, takes_action=False)
        assert Score.objects.get().tier == "lost"
        Definition.objects.create(segment="Hotels", billing_mode="contract", grace_days=50)
        scoring.score_book(AS_OF, 60, takes_action=False)
        score = Score.objects.get()
        assert score.tier == "watch"
        assert score.reasons[0]["sentence"] == "Contract ended 40 days ago and is not renewed yet."

    def test_a_risky_renewal_is_handed_back_as_one(self) -> None:
        cache.clear()
        account = AccountFactory(billing_mode="contract", currency="EUR")
        contract(account, AS_OF - 300 * DAY, AS_OF + 65 * DAY, cancelled_on=AS_OF - DAY)
        run = scoring.score_book(AS_OF, 60)
        score = Score.objects.get()
        assert score.tier == "at_risk"
        assert "the contract runs until" in score.reasons[0]["sentence"]
        act_on_run(run)
        assert Handback.objects.get().trigger == "renewal"

    def test_the_command_and_the_export(self, capsys: pytest.CaptureFixture[str], tmp_path) -> None:
        fill_contracts(20)
        call_command("score", "--as-of", AS_OF.isoformat(), "--no-actions")
        assert "contract model" in capsys.readouterr().out
        call_command("export_scores", "--output", str(tmp_path / "scores.csv"))
        lines = (tmp_path / "scores.csv").read_text().splitlines()
        assert len(lines) == 1 + ScoreRun.objects.get().accounts
        assert ",contract," in lines[1]


def _last_covered() -> dict[int, dt.date]:
    """Last day under contract of everybody as known on `AS_OF`."""
    found: dict[int, dt.date] = {}
    for row in Contract.objects.filter(starts_on__lte=AS_OF):
        cancelled = row.cancelled_on if row.cancelled_on and row.cancelled_on <= AS_OF else None
        last = row.ends_on if cancelled is None or row.ends_on > AS_OF else min(row.ends_on, cancelled - DAY)
        found[row.account_id] = max(found.get(row.account_id, last), last)
    return found


class TestPages:
    def test_a_book_without_orders_can_be_looked_at(self, client: Client) -> None:
        """Accounts, lists and the model: nothing there needs an order."""
        cache.clear()
        accounts = fill_contracts(60)
        run = scoring.score_book(AS_OF, 60, takes_action=False)
        client.force_login(make_cast().administrator)
        current = Score.objects.filter(as_of=run.as_of).exclude(tier="lost").order_by("-churn_probability")[0]
        page = client.get(f"/accounts/{current.account_id}/").content.decode()
        assert "may not renew within 60 days" in page
        for path in ("/", "/at-risk/", "/accounts/", "/model/", "/settings/", f"/accounts/{accounts[0].pk}/"):
            assert client.get(path).status_code == 200, path
