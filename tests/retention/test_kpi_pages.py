"""KPI pages: who sees which slice, figures that open their accounts, lists that add up, exports."""

import csv
import datetime as dt
import io
from decimal import Decimal

import pytest
from django.urls import reverse

from accounts.models.staff import Role
from retention.kpis.catalogue import KPIS
from retention.models import KpiValue
from retention.selectors.kpis import COMPANY, KpiAccounts, Slice
from retention.services.kpis import record_kpis
from tests.factories import (
    AccountFactory,
    ClosedHandbackFactory,
    HandbackAttemptFactory,
    OrderFactory,
    ScoreFactory,
    ScoreRunFactory,
    TeamFactory,
    UserFactory,
    churn_reason,
    make_cast,
)

pytestmark = pytest.mark.django_db
AS_OF = dt.date(2026, 6, 30)


def order(account, day: str, amount: int):
    OrderFactory(account=account, ordered_at=f"{day}T12:00:00Z", amount=Decimal(amount))


@pytest.fixture
def cast():
    """Two teams with a customer each: the first shrank 200 -> 120, the second left (100 -> 0)."""
    people = make_cast()
    order(people.account, "2025-01-10", 200)
    order(people.account, "2026-01-10", 120)
    left = AccountFactory(
        name="Gasthof Rose", segment="Inns", region="South", original_salesperson=people.stranger
    )
    order(left, "2024-08-10", 100)
    run = ScoreRunFactory(as_of=AS_OF)
    ScoreFactory(account=people.account, run=run)
    handback = ClosedHandbackFactory(
        account=left,
        opened_at="2026-01-01T09:00:00Z",
        accepted_at="2026-01-02T09:00:00Z",
        closed_at="2026-01-20T09:00:00Z",
        outcome="lost",
        churn_reason=churn_reason("undercut"),
    )
    HandbackAttemptFactory(handback=handback, user=people.stranger)
    record_kpis(AS_OF)
    return people


def page(client, user, path: str, **query):
    client.force_login(user)
    return client.get(path, query)


def test_the_board_shows_every_recorded_figure_with_its_definition(client, cast):
    response = page(client, cast.administrator, reverse("retention:kpis"))
    text = response.content.decode()
    assert response.status_code == 200
    for name in ("gross_revenue_retention", "erosion_rate", "save_rate", "churn_reasons", "cohort_retention"):
        assert f"/kpis/{name}/" in text
    assert "40.0" in text  # gross: 120 of 300
    assert "Undercut on price" in text


def test_every_kpi_has_a_page_for_every_reader(client, cast):
    for user in (cast.administrator, cast.marketing, cast.manager):
        for kpi in KPIS:
            assert page(client, user, reverse("retention:kpi", args=[kpi.name])).status_code == 200, kpi.name


def test_reps_and_account_managers_get_nothing(client, cast):
    for user in (cast.owner, cast.teammate):
        for path in ("/kpis/", "/kpis/save_rate/", "/kpis/export.csv", "/kpis/save_rate/accounts.csv"):
            assert page(client, user, path).status_code == 404, path


def test_a_team_manager_sees_the_own_team_and_no_other(client, cast):
    response = page(client, cast.manager, "/kpis/gross_revenue_retention/")
    text = response.content.decode()
    assert "Hotel Seeblick" in text
    assert "Gasthof Rose" not in text
    assert "60.0" in text  # 120 of 200
    for query in ({"team": cast.other_team.pk}, {"segment": "Inns"}, {"region": "South"}):
        assert page(client, cast.manager, "/kpis/", **query).status_code == 404
        assert page(client, cast.manager, "/kpis/erosion_rate/accounts.csv", **query).status_code == 404


def test_a_manager_whose_team_has_no_accounts_is_told_so(client, cast):
    manager = UserFactory(role=Role.MANAGER)
    TeamFactory(manager=manager)
    answer = page(client, manager, "/kpis/")
    assert answer.status_code == 200
    assert "Your team has no accounts yet" in answer.content.decode()
    assert page(client, manager, "/kpis/save_rate/").status_code == 404


def test_no_such_slice_or_kpi_is_not_found(client, cast):
    assert page(client, cast.administrator, "/kpis/", segment="Nowhere").status_code == 404
    assert page(client, cast.administrator, "/kpis/nonsense/").status_code == 404


@pytest.mark.parametrize("kpi", KPIS, ids=lambda kpi: kpi.name)
def test_the_accounts_of_every_slice_add_up_to_the_figure_shown(cast, kpi):
    for row in KpiValue.objects.filter(name=kpi.name, period_end=AS_OF):
        part = COMPANY if row.slice_kind == "company" else Slice(row.slice_kind, row.slice_key, "")
        totals = KpiAccounts(kpi, part).totals
        assert totals.accounts == row.accounts
        assert totals.value == (None if row.value is None else pytest.approx(row.value))


def test_a_slice_filter_narrows_figure_and_list(client, cast):
    text = page(client, cast.administrator, "/kpis/erosion_rate/", segment="Inns").content.decode()
    assert "Gasthof Rose" in text
    assert "Hotel Seeblick" not in text
    assert "100.0" in text


def test_the_split_of_erosion_filters_its_accounts(client, cast):
    text = page(client, cast.administrator, "/kpis/erosion_rate/", part="Full loss").content.decode()
    assert "Gasthof Rose" in text
    assert "Hotel Seeblick" not in text


def test_the_list_is_paged_without_losing_anybody(client, cast):
    for number in range(60):
        order(AccountFactory(name=f"Customer {number:02}"), "2025-01-05", 10 + number)
    record_kpis(AS_OF)
    first = page(client, cast.administrator, "/kpis/gross_revenue_retention/").content.decode()
    second = page(client, cast.administrator, "/kpis/gross_revenue_retention/", after="50").content.decode()
    assert "after=50" in first
    assert "1 to 50 of 62 accounts" in first
    assert "51 to 62 of 62 accounts" in second


def test_exports_hold_the_figures_and_the_accounts(client, cast):
    response = page(client, cast.administrator, "/kpis/export.csv")
    board = list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"))))
    gross = next(row for row in board if row[1] == "gross_revenue_retention")
    assert float(gross[5]) == pytest.approx(0.4)
    response = page(client, cast.administrator, "/kpis/gross_revenue_retention/accounts.csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"))))
    assert sum(float(row["Kept"]) for row in rows) / sum(float(row["Before"]) for row in rows) == 0.4
    assert page(client, cast.administrator, "/kpis/save_rate/accounts.xlsx").status_code == 200


def test_an_empty_installation_names_the_next_step(client, django_user_model):
    admin = django_user_model.objects.create_user("a@ours.example", "x", name="A", role="administrator")
    assert "Import orders" in page(client, admin, "/kpis/").content.decode()
    assert page(client, admin, "/kpis/save_rate/").status_code == 200
    assert page(client, admin, "/kpis/export.csv").status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_book(client, cast, django_assert_max_num_queries):
    for _ in range(30):
        order(AccountFactory(original_salesperson=cast.owner), "2025-01-05", 10)
    record_kpis(AS_OF)
    client.force_login(cast.administrator)
    with django_assert_max_num_queries(20):
        client.get("/kpis/")
    with django_assert_max_num_queries(22):
        client.get("/kpis/gross_revenue_retention/")
