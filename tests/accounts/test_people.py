"""People, teams, company, rates and churn reasons: what an administrator may do, and what nobody may."""

import datetime as dt
from decimal import Decimal

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.urls import reverse

from accounts.models import ApiToken, AuditEntry, ChurnReason, Company, ExchangeRate, Role, Team, User
from accounts.selectors import get_company
from accounts.services.people import PeopleError, disable_user, record_departure, set_password_path
from tests.factories import (
    AccountFactory,
    AccountManagerFactory,
    AdministratorFactory,
    IssueFactory,
    ManagerFactory,
    OrderFactory,
    SalesRepFactory,
    TeamFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_company_of_another_test():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def admin(client):
    user = AdministratorFactory()
    client.force_login(user)
    return user


def person_fields(**changed) -> dict[str, object]:
    fields = {
        "name": "Nora New",
        "email": "Nora@Ours.example",
        "role": Role.SALES_REP,
        "team": "",
        "calls_per_day": 8,
        "time_zone": "",
    }
    return fields | changed


def test_a_new_person_gets_a_link_that_works_once(client, admin):
    response = client.post(reverse("accounts:new_person"), person_fields())
    nora = User.objects.get(email="nora@ours.example")
    assert not nora.has_usable_password()
    link = response.context["link"]
    assert response["Cache-Control"] == "no-store"
    client.logout()
    form = client.get(link, follow=True)
    chosen = {"new_password1": "a longer secret of mine", "new_password2": "a longer secret of mine"}
    client.post(form.redirect_chain[-1][0], chosen)
    nora.refresh_from_db()
    assert nora.check_password("a longer secret of mine")
    client.session.flush()
    assert "no longer works" in client.get(link, follow=True).content.decode()


def test_a_new_person_may_get_a_first_password_instead(client, admin):
    client.post(reverse("accounts:new_person"), person_fields(password="a first secret to change"))
    assert User.objects.get(email="nora@ours.example").check_password("a first secret to change")
    assert AuditEntry.objects.get(action="create_user").user == admin


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"email": "taken@ours.example"}, "email"),
        ({"email": "TAKEN@ours.example"}, "email"),
        ({"password": "short"}, "password"),
        ({"role": "emperor"}, "role"),
        ({"time_zone": "Moon/Crater"}, "time_zone"),
        ({"name": ""}, "name"),
    ],
)
def test_a_person_who_cannot_be_added_is_refused_at_the_field(client, admin, changed, field):
    SalesRepFactory(email="taken@ours.example")
    response = client.post(reverse("accounts:new_person"), person_fields(**changed))
    assert response.status_code == 422
    assert field in response.context["form"].errors
    assert User.objects.count() == 2


def test_a_change_of_role_and_team_is_on_record(client, admin):
    rep, team = SalesRepFactory(name="Rita"), TeamFactory()
    fields = person_fields(name="Rita", email=rep.email, role=Role.MANAGER, team=team.pk)
    client.post(reverse("accounts:person", args=[rep.pk]), fields)
    rep.refresh_from_db()
    assert (rep.role, rep.team) == (Role.MANAGER, team)
    assert AuditEntry.objects.get(action="change_user").detail["role"] == ["sales_rep", "manager"]


def test_the_last_administrator_stays_one(client, admin):
    fields = person_fields(name=admin.name, email=admin.email, role=Role.MANAGER)
    response = client.post(reverse("accounts:person", args=[admin.pk]), fields)
    assert "last administrator" in response.content.decode()
    admin.refresh_from_db()
    assert admin.role == Role.ADMINISTRATOR


def test_nobody_disables_themselves(client, admin):
    AdministratorFactory()
    client.post(reverse("accounts:disable_person", args=[admin.pk]))
    admin.refresh_from_db()
    assert admin.is_active


def test_disabling_ends_sessions_and_tokens_at_once(client, admin):
    rep = SalesRepFactory()
    ApiToken.objects.issue(rep, "shop")
    other = type(client)()
    other.force_login(rep)
    assert other.get("/").status_code == 200
    client.post(reverse("accounts:disable_person", args=[rep.pk]))
    assert other.get("/").status_code == 302
    assert not ApiToken.objects.exists()
    assert Session.objects.count() == 1  # the administrator's own
    client.post(reverse("accounts:enable_person", args=[rep.pk]))
    assert other.get("/").status_code == 302, "an old session does not come back to life"
    rep.refresh_from_db()
    assert rep.is_active


def test_who_leaves_hands_over_and_stays_on_record(admin):
    gone, heir = AccountManagerFactory(), AccountManagerFactory()
    kept = AccountFactory(original_salesperson=gone, account_manager=gone)
    IssueFactory(account=kept, owner=gone)
    handed = record_departure(admin, gone, dt.date(2026, 1, 31), heir)
    kept.refresh_from_db()
    gone.refresh_from_db()
    assert (kept.account_manager, kept.original_salesperson) == (heir, gone)
    assert (handed.accounts, handed.issues) == (1, 1)
    assert (gone.is_active, gone.left_on) == (False, dt.date(2026, 1, 31))


def test_nothing_goes_to_somebody_who_has_left(admin):
    gone, heir = SalesRepFactory(), SalesRepFactory(is_active=False)
    with pytest.raises(PeopleError, match="still here"):
        record_departure(admin, gone, dt.date(2026, 1, 31), heir)
    gone.refresh_from_db()
    assert gone.is_active


def test_a_departure_in_the_future_is_refused_at_its_field(client, admin):
    rep = SalesRepFactory()
    response = client.post(reverse("accounts:person_left", args=[rep.pk]), {"left_on": "2999-01-01"})
    assert "still to come" in response.content.decode()


def test_the_last_administrator_cannot_be_disabled():
    admin, manager = AdministratorFactory(), ManagerFactory()
    with pytest.raises(PeopleError, match="last administrator"):
        disable_user(manager, admin)


def test_a_link_of_a_disabled_person_does_not_let_anybody_in(client):
    rep = SalesRepFactory(is_active=False)
    client.get(set_password_path(rep), follow=True)
    rep.refresh_from_db()
    assert not rep.is_active


def test_teams_come_and_go_their_people_stay(client, admin):
    boss = ManagerFactory()
    client.post(reverse("accounts:new_team"), {"name": "West", "manager": boss.pk})
    team = Team.objects.get(name="West")
    rep = SalesRepFactory(team=team)
    client.post(reverse("accounts:delete_team", args=[team.pk]))
    rep.refresh_from_db()
    assert rep.team is None
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"create_team", "delete_team"} <= actions


OFFICE = {"answer_hours": "4"}


def test_the_company_is_changed_and_seen_at_once(client, admin):
    get_company()
    fields = {"name": "Tidewell", "currency": "eur", "time_zone": "Europe/Berlin", "country": "DE", **OFFICE}
    client.post(reverse("accounts:company"), fields)
    company = get_company()
    assert (company.name, company.currency, company.country) == ("Tidewell", "EUR", "DE")
    assert company.answer_hours == 4


def test_another_currency_turns_the_rates_round(client, admin):
    get_company()
    ExchangeRate.objects.create(currency="USD", rate=Decimal("0.8"))
    ExchangeRate.objects.create(currency="GBP", rate=Decimal("1.2"))
    fields = {"name": "T", "currency": "USD", "time_zone": "UTC", "country": "", **OFFICE}
    client.post(reverse("accounts:company"), fields)
    assert Company.objects.get().currency == "USD"
    rates = {row.currency: row.rate for row in ExchangeRate.objects.all()}
    assert rates == {"EUR": Decimal("1.25"), "GBP": Decimal("1.5")}


def test_a_currency_without_a_rate_is_refused_while_records_are_in_another(client, admin):
    get_company()
    OrderFactory(currency="EUR")
    ExchangeRate.objects.create(currency="GBP", rate=Decimal("1.2"))
    fields = {"name": "T", "currency": "USD", "time_zone": "UTC", "country": "", **OFFICE}
    response = client.post(reverse("accounts:company"), fields)
    assert "Enter an exchange rate for USD first" in response.content.decode()
    assert Company.objects.get().currency == "EUR"


def test_currencies_without_a_rate_are_named_and_used_ones_stay(client, admin):
    OrderFactory(currency="CHF")
    assert "CHF" in client.get(reverse("accounts:rates")).context["unknown"]
    client.post(reverse("accounts:rates"), {"currency": "chf", "rate": "1.05"})
    row = ExchangeRate.objects.get(currency="CHF")
    assert client.get(reverse("accounts:rates")).context["unknown"] == []
    client.post(reverse("accounts:delete_rate", args=[row.pk]))
    assert ExchangeRate.objects.filter(currency="CHF").exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"currency": "EUR", "rate": "1"}, "currency"),
        ({"currency": "USD", "rate": "0"}, "rate"),
        ({"currency": "$", "rate": "1"}, "currency"),
    ],
)
def test_rates_that_make_no_sense_are_refused_at_their_field(client, admin, fields, field):
    response = client.post(reverse("accounts:rates"), fields)
    assert response.status_code == 422
    assert field in response.context["form"].errors


def test_a_reason_of_ones_own_keeps_its_code_when_renamed(client, admin):
    fields = {"name": "Moved away", "side": "neither", "position": "200", "is_active": "on"}
    client.post(reverse("accounts:new_churn_reason"), fields)
    client.post(reverse("accounts:new_churn_reason"), fields)
    assert set(ChurnReason.objects.filter(name="Moved away").values_list("code", flat=True)) == {
        "moved-away",
        "moved-away-2",
    }
    reason = ChurnReason.objects.get(code="moved-away")
    client.post(reverse("accounts:churn_reason", args=[reason.pk]), fields | {"name": "Relocated"})
    reason.refresh_from_db()
    assert (reason.code, reason.name, reason.is_controllable) == ("moved-away", "Relocated", False)


PAGES = [
    "people",
    "new_person",
    "teams",
    "new_team",
    "company",
    "rates",
    "churn_reasons",
    "new_churn_reason",
    "terms",
    "new_term",
]


@pytest.mark.parametrize("name", PAGES)
def test_settings_are_for_administrators(client, name):
    for user in (SalesRepFactory(), AccountManagerFactory(), ManagerFactory()):
        client.force_login(user)
        assert client.get(reverse(f"accounts:{name}")).status_code == 404
    client.force_login(AdministratorFactory())
    assert client.get(reverse(f"accounts:{name}")).status_code == 200
