"""Definitions, tiers and cadence: versions, previews that equal what saving does, errors at their field."""

import datetime as dt
from decimal import Decimal

import pytest

from accounts.models import Account, AuditEntry
from pulsecheck.models import CadencePolicy, ContactOccasion, Touchpoint
from retention.models import Definition, Score, ScoreRun, Tier, TierPolicy
from retention.selectors.thresholds import preview_definition, preview_tiers
from retention.services.tiers import save_tier_policy
from tests.factories import AccountFactory, AdministratorFactory, OrderFactory, ScoreFactory, ScoreRunFactory

pytestmark = pytest.mark.django_db
AS_OF = dt.date(2026, 6, 30)
TIER_FIELDS = {
    "at_risk_from": "50",
    "watch_from": "30",
    "thriving_below": "10",
    "lost_from": "90",
    "quiet_after_gaps": "2",
    "minimum_value": "0",
}


@pytest.fixture
def admin(client):
    user = AdministratorFactory()
    client.force_login(user)
    return user


@pytest.fixture
def book():
    """Four customers who bought every 20 days, the last time 10 days ago, with 5, 20, 40 and 60 %."""
    run = ScoreRunFactory(as_of=AS_OF, horizon_days=60)
    tiers = [Tier.THRIVING, Tier.STEADY, Tier.WATCH, Tier.AT_RISK]
    for probability, tier in zip((0.05, 0.2, 0.4, 0.6), tiers, strict=True):
        account = AccountFactory()
        for back in (10, 30, 50, 70):
            at = dt.datetime.combine(AS_OF - dt.timedelta(days=back), dt.time(12), dt.UTC)
            OrderFactory(account=account, ordered_at=at)
        ScoreFactory(
            account=account,
            run=run,
            churn_probability=probability,
            tier=tier,
            days_since_last_order=10,
            usual_gap_days=20,
            expected_value_12m=1000,
            revenue_at_risk=Decimal(1000) * Decimal(str(probability)),
        )
    return run


def counts(changes, side: str) -> dict[str, int]:
    return {row.key: getattr(row, side) for row in changes if getattr(row, side)}


def test_the_thresholds_in_force_give_the_tiers_that_stand(book):
    assert all(row.before == row.after for row in preview_tiers(TierPolicy()))


def test_a_preview_changes_nothing_and_says_what_saving_does(client, admin, book):
    response = client.post("/settings/tiers/", TIER_FIELDS | {"watch_from": "15", "action": "preview"})
    assert "1\xa0account changes its tier" in response.content.decode()
    assert TierPolicy.objects.count() == 1
    assert counts(response.context["changes"], "after") == {"at_risk": 1, "watch": 2, "thriving": 1}
    client.post("/settings/tiers/", TIER_FIELDS | {"watch_from": "15", "action": "save"})
    stored = Score.objects.filter(as_of=AS_OF).values_list("tier", flat=True)
    assert sorted(stored) == ["at_risk", "thriving", "watch", "watch"]
    assert ScoreRun.objects.get().summary["tiers"] == {"at_risk": 1, "watch": 2, "thriving": 1}


def test_a_smallest_value_keeps_small_accounts_at_watch(admin, book):
    assert save_tier_policy(admin, TierPolicy(minimum_value=5000)) == 1
    assert not Score.objects.filter(tier=Tier.AT_RISK).exists()
    entry = AuditEntry.objects.get(action="save_tier_policy")
    assert (entry.user, entry.detail["changed"]) == (admin, 1)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("watch_from", "60", "This has to be below 50 %, where at risk begins."),
        ("thriving_below", "30", "This has to be below 30 %, where watching begins."),
        ("at_risk_from", "95", "This has to be below 90 %, where lost begins."),
        ("thriving_below", "0", "This has to be above 0 %."),
        ("lost_from", "100", "This has to be below 100 %"),
        ("quiet_after_gaps", "0.5", "Use 1 to 20 usual gaps."),
        ("minimum_value", "-1", "A value is not negative."),
    ],
)
def test_thresholds_that_contradict_are_refused_at_their_field(client, admin, field, value, words):
    response = client.post("/settings/tiers/", TIER_FIELDS | {field: value, "action": "save"})
    assert response.status_code == 422
    assert any(words in error for error in response.context["form"].errors[field])
    assert TierPolicy.objects.count() == 1


def test_a_definition_is_a_new_version_and_the_old_one_stays(client, admin):
    fields = {"horizon_days": "45", "inactive_floor_days": "20", "inactive_ceiling_days": "200"}
    for horizon in ("45", "60"):
        client.post(
            "/settings/definitions/new/?mode=repeat", fields | {"horizon_days": horizon, "action": "save"}
        )
    rows = Definition.objects.order_by("version").values_list("version", "horizon_days", "created_by")
    assert list(rows) == [(1, 45, admin.pk), (2, 60, admin.pk)]
    assert AuditEntry.objects.filter(action="save_definition").count() == 2
    assert "60 days without a purchase" in client.get("/settings/definitions/").content.decode()


def test_a_definition_says_how_many_customers_would_count_as_gone(book):
    strict = Definition(inactive_floor_days=5, inactive_ceiling_days=8)
    assert counts(preview_definition(strict), "before") == {"active": 4}
    assert counts(preview_definition(strict), "after") == {"inactive": 4}


def test_a_definition_of_a_segment_speaks_of_that_segment_alone(book):
    AccountFactory(segment="Bars")
    assert (
        preview_definition(Definition(segment="Bars", inactive_floor_days=1, inactive_ceiling_days=1)) != []
    )
    assert counts(preview_definition(Definition(segment="Bars")), "before") == {}


def test_a_floor_above_the_ceiling_is_refused_at_its_field(client, admin):
    fields = {"horizon_days": "3", "inactive_floor_days": "50", "inactive_ceiling_days": "20"}
    response = client.post("/settings/definitions/new/?mode=repeat", fields | {"action": "save"})
    errors = response.context["form"].errors
    assert errors["inactive_ceiling_days"] == ["This has to be at least the 50 days above."]
    assert errors["horizon_days"] == ["Use 7 to 730 days, or leave it empty."]
    assert not Definition.objects.exists()


def cadence_fields(client) -> dict[str, str]:
    form = client.get("/settings/cadence/").context["form"]
    return {name: form.fields[name].initial for name in (*form.keys, "onboarding", "renewal")}


def test_cadence_shows_the_load_before_it_is_saved(client, admin, book):
    fields = cadence_fields(client)
    at_risk = next(name for name, value in fields.items() if value == 14)
    response = client.post("/settings/cadence/", fields | {at_risk: "7", "action": "preview"})
    load = {row.label: (row.accounts, row.before, row.after) for row in response.context["load"]}
    assert load["At risk"] == (1, 0.5, 1.0)
    assert CadencePolicy.objects.get(tier="at_risk").every_days == 14
    client.post("/settings/cadence/", fields | {at_risk: "7", "action": "save"})
    assert CadencePolicy.objects.get(tier="at_risk").every_days == 7
    assert AuditEntry.objects.get(action="save_cadence").detail == {"at_risk": [14, 7]}


def test_a_segment_can_have_its_own_cadence_and_lose_it_again(client, admin, book):
    fields = cadence_fields(client)
    new = {"new_tier": "at_risk", "new_segment": "Hotels", "new_days": "3"}
    client.post("/settings/cadence/", fields | new | {"action": "save"})
    assert CadencePolicy.objects.get(segment="Hotels").every_days == 3
    fields = cadence_fields(client)
    own = next(name for name, value in fields.items() if value == 3)
    client.post("/settings/cadence/", fields | {own: "", "action": "save"})
    assert not CadencePolicy.objects.filter(segment="Hotels").exists()


def test_a_group_can_be_set_apart_by_billing_and_worth(client, admin, book):
    fields = cadence_fields(client)
    new = {"new_tier": "at_risk", "new_mode": "contract", "new_value": "50000", "new_days": "5"}
    client.post("/settings/cadence/", fields | new | {"action": "save"})
    policy = CadencePolicy.objects.get(every_days=5)
    assert (policy.tier, policy.billing_mode, policy.value_from) == ("at_risk", "contract", 50_000)
    response = client.post(
        "/settings/cadence/", fields | {"new_tier": "watch", "new_days": "5", "action": "save"}
    )
    assert response.status_code == 422
    assert "what sets the group apart" in response.context["form"].errors["new_days"][0]


def test_onboarding_and_renewal_days_are_numbers(client, admin, book):
    fields = cadence_fields(client)
    assert (fields["onboarding"], fields["renewal"]) == ("7, 30, 60, 90", "180, 90, 60, 30")
    client.post("/settings/cadence/", fields | {"onboarding": "14 5;45", "renewal": "", "action": "save"})
    occasions = ContactOccasion.objects.values_list("kind", "days")
    assert list(occasions) == [("onboarding", 5), ("onboarding", 14), ("onboarding", 45)]
    response = client.post("/settings/cadence/", fields | {"onboarding": "soon", "action": "save"})
    assert response.context["form"].errors["onboarding"] == ["Use whole numbers, such as 7, 30, 60."]


def test_the_preview_plans_the_book_and_writes_nothing(client, admin, book):
    at_risk = next(name for name, value in cadence_fields(client).items() if value == 14)
    response = client.post("/settings/cadence/", cadence_fields(client) | {at_risk: "1", "action": "preview"})
    preview = response.context["preview"]
    assert (preview.planned, preview.moved) == (Account.objects.filter(lifecycle_stage="customer").count(), 0)
    assert not Touchpoint.objects.exists()


def test_no_cadence_is_longer_than_a_year(client, admin):
    fields = cadence_fields(client)
    response = client.post("/settings/cadence/", fields | {next(iter(fields)): "400", "action": "save"})
    assert response.status_code == 422
    assert "At least once a year" in response.content.decode()


def test_settings_pages_are_there_without_any_data(client, admin):
    for path in ("", "tiers/", "definitions/", "definitions/new/?mode=contract", "cadence/"):
        assert client.get(f"/settings/{path}").status_code == 200, path
    assert client.get("/settings/definitions/new/?segment=Nowhere").status_code == 404
