"""The sample company in the database: loaded once, marked, signed in to only where it is a trial, taken out again."""

import datetime as dt
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import models

from accounts.models import Account, Company, ExchangeRate, Interaction, Order, OrderLine, User
from accounts.selectors import company_today
from pulsecheck.models import Handback, PulseCheck, Touchpoint
from retention.models import KpiValue, Score, ScoreRun
from retention.sample.company import SEED
from retention.services.sample import SampleError, load_sample, write_sample
from retention.services.sample_removal import remove_sample
from retention.services.sign_in import trial_password
from tests.factories import AccountFactory, AdministratorFactory, InteractionFactory

DAY = dt.date(2026, 11, 21)
FEW = 40  # the whole company is loaded once, below
# Reference data of the migrations, answers and records of what happened: not part of the company.
KEPT = {
    "ChurnReason", "PulseTheme", "CadencePolicy", "Term", "TriggerRule", "TierPolicy", "Definition", "Company", "AuditEntry", "User",
    "ContactOccasion", "Department", "OnboardingItem",
}  # fmt: skip


def rows_left() -> dict[str, int]:
    """Rows by model of our own apps, leaving out what a fresh installation has."""
    ours = ("accounts", "notifications", "pulsecheck", "retention")
    found = {
        model.__name__: model._default_manager.count()
        for app in ours
        for model in apps.get_app_config(app).get_models()
    }
    return {name: count for name, count in found.items() if count and name not in KEPT}


@pytest.fixture
def written(db: None) -> None:
    write_sample(DAY, SEED, customers=FEW)


@pytest.mark.usefixtures("written")
class TestWritten:
    def test_everything_is_marked(self) -> None:
        marked = [
            model
            for model in apps.get_models()
            if any(field.name == "is_sample" for field in model._meta.get_fields())
            and model._default_manager.exists()
        ]
        assert len(marked) >= 13
        unmarked = [
            model.__name__ for model in marked if model._default_manager.filter(is_sample=False).exists()
        ]
        assert unmarked == []

    def test_everything_is_written(self) -> None:
        assert Account.objects.count() >= FEW
        assert Order.objects.count() > 30 * FEW
        assert OrderLine.objects.count() > Order.objects.count()

    def test_lines_still_add_up(self) -> None:
        line_sum = models.Sum(models.F("lines__quantity") * models.F("lines__unit_price"))
        purchases = Order.objects.filter(amount__gt=0).annotate(total=line_sum)
        assert not purchases.exclude(total=models.F("amount")).exists()

    def test_staff_sign_in_with_the_password_of_this_installation(self) -> None:
        staff = User.objects.filter(is_sample=True)
        assert all(user.check_password(trial_password()) for user in staff)
        gone = staff.filter(is_active=False).values_list("name", flat=True)
        assert list(gone) == ["Emil Hauser", "Pia Lund", "Tom Beckett"]

    def test_it_is_not_loaded_twice(self) -> None:
        with pytest.raises(SampleError, match="already loaded"):
            write_sample(DAY, SEED, customers=FEW)

    def test_nothing_of_it_stays_but_a_way_in(self) -> None:
        removal = remove_sample()
        assert removal.accounts >= FEW
        assert rows_left() == {}
        assert [user.email for user in User.objects.all()] == ["ada@tidewell.example"]
        assert not User.objects.get().is_sample
        assert Company.objects.get().name == "Your company"
        assert not ExchangeRate.objects.exists()

    def test_real_customers_stay_as_they_were(self) -> None:
        own, administrator = AccountFactory(currency="CHF"), AdministratorFactory()
        ingrid = User.objects.get(email="ingrid@tidewell.example")
        InteractionFactory(account=own, user=ingrid)
        removal = remove_sample(administrator)
        assert [user.email for user in removal.kept] == [ingrid.email]
        ingrid.refresh_from_db()
        assert (ingrid.is_active, ingrid.is_sample) == (False, False)
        assert Account.objects.get() == own
        assert Interaction.objects.get().user == ingrid
        assert ExchangeRate.objects.filter(currency="CHF").exists()
        assert set(User.objects.all()) == {administrator, ingrid}

    def test_whoever_asks_from_inside_the_sample_stays(self) -> None:
        AdministratorFactory()
        ada = User.objects.get(email="ada@tidewell.example")
        remove_sample(ada)
        ada.refresh_from_db()
        assert ada.is_active


def test_outside_a_trial_nobody_has_a_password(db: None, settings: object) -> None:
    settings.TRIAL = False  # type: ignore[attr-defined]
    write_sample(DAY, SEED, customers=FEW)
    assert not any(user.has_usable_password() for user in User.objects.all())


def test_real_customers_refuse_it_unless_forced(db: None) -> None:
    AccountFactory()
    with pytest.raises(CommandError, match="customers of your own"):
        call_command("load_sample")
    assert not User.objects.exists()
    write_sample(DAY, SEED, beside_real=True, customers=FEW)
    assert Account.objects.filter(is_sample=True).exists()


def test_an_installation_in_use_is_left_alone_by_if_empty(db: None) -> None:
    AdministratorFactory()
    said = StringIO()
    call_command("load_sample", "--if-empty", stdout=said)
    assert "Not loaded" in said.getvalue()
    assert not Account.objects.exists()


def test_removing_what_is_not_there_says_so(db: None) -> None:
    AdministratorFactory()
    assert str(remove_sample()) == "There is no sample company here."


def test_a_loaded_company_has_something_on_every_page(committed_db: None) -> None:
    today = company_today()
    loaded = load_sample(today, SEED)
    assert "Tidewell Provisions" in str(loaded)
    runs = ScoreRun.objects.order_by("as_of")
    assert [run.state for run in runs] == ["published"] * 3
    assert runs[2].as_of == today - dt.timedelta(days=1)
    risky = Score.objects.published().filter(tier__in=["at_risk", "quiet"])
    assert risky.count() >= 8
    assert risky.filter(previous_probability__isnull=False).exists()
    assert set(Handback.objects.values_list("state", flat=True)) == {"open", "accepted", "closed"}
    assert Touchpoint.objects.filter(state="planned", due_on__lt=today).exists()
    assert Touchpoint.objects.filter(state="planned", due_on__gte=today).exists()
    assert PulseCheck.objects.count() > 500
    assert KpiValue.objects.filter(name="save_rate", slice_kind="company", value__gt=0).exists()
    remove_sample()
    assert rows_left() == {}
