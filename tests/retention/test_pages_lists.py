"""At risk and Accounts: who sees what, filters, order, paging, totals, exports, acting on several."""

import datetime as dt
import io
import re
from decimal import Decimal

import openpyxl
import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import AuditEntry
from pulsecheck.models import Handback, Touchpoint
from retention.models import Tier
from tests.factories import (
    AccountFactory,
    ContractFactory,
    HandbackFactory,
    OrderFactory,
    ScoreFactory,
    ScoreRunFactory,
    TouchpointFactory,
    date_ago,
    days_ago,
    make_cast,
    reason,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_kept():
    cache.clear()


@pytest.fixture
def cast():
    return make_cast()


def book(cast, n, tier=Tier.AT_RISK, **score):
    """`n` accounts of the cast's owner with scores, orders, a handback and a touchpoint each."""
    for number in range(n):
        account = AccountFactory(
            name=f"Account {number:03d}", original_salesperson=cast.owner, account_manager=cast.teammate
        )
        money = Decimal(1000 + number)
        ScoreFactory(
            account=account, tier=tier, revenue_at_risk=money, revenue_at_risk_company=money, **score
        )
        OrderFactory(account=account, ordered_at=days_ago(40 + number % 5))
        TouchpointFactory(account=account)
        HandbackFactory(account=account)


def names(response):
    return [row.account.name for row in response.context["page"].rows]


def test_a_stranger_sees_none_of_it(client, cast):
    ScoreFactory(account=cast.account)
    for user, seen in [
        (cast.owner, 1),
        (cast.manager, 1),
        (cast.administrator, 1),
        (cast.stranger, 0),
        (cast.other_manager, 0),
    ]:
        client.force_login(user)
        assert len(names(client.get("/at-risk/"))) == seen, user
    client.force_login(cast.marketing)
    assert client.get("/at-risk/").status_code == 404


def test_rows_come_by_money_and_say_why(client, cast):
    small, large = (AccountFactory(name=n, original_salesperson=cast.owner) for n in ("Small", "Large"))
    ScoreFactory(account=small, revenue_at_risk=Decimal(10), previous_probability=0.5)
    ScoreFactory(
        account=large,
        revenue_at_risk=Decimal(99),
        reasons=[reason("Fewer orders.", 3), reason("Silence.", 20)],
    )
    client.force_login(cast.owner)
    response = client.get("/at-risk/")
    assert names(response) == ["Large", "Small"]
    assert [row.why for row in response.context["page"].rows] == [
        "Silence. Fewer orders.",
        "Last order 74 days ago; usually every 21.",
    ]
    assert "▲" in response.content.decode()


def test_totals_are_those_of_what_is_shown(client, cast):
    for money, tier in ((100, Tier.AT_RISK), (50, Tier.WATCH), (7, Tier.STEADY)):
        account = AccountFactory(original_salesperson=cast.owner)
        ScoreFactory(account=account, tier=tier, revenue_at_risk=Decimal(money), churn_probability=0.5)
    client.force_login(cast.owner)
    found = client.get("/at-risk/").context["totals"]
    assert (found.accounts, found.revenue_at_risk, found.value) == (2, Decimal(150), Decimal(300))
    found = client.get("/at-risk/?tier=watch").context["totals"]
    assert (found.accounts, found.revenue_at_risk) == (1, Decimal(50))


def test_each_filter_narrows_and_stands_in_the_url(client, cast):
    plain = AccountFactory(name="Plain", original_salesperson=cast.owner, account_manager=cast.teammate)
    odd = AccountFactory(name="Odd", segment="Cafés", original_salesperson=cast.owner)
    ContractFactory(account=odd, starts_on=date_ago(300), ends_on=date_ago(-30))
    ScoreFactory(account=plain)
    ScoreFactory(account=odd, tier=Tier.QUIET, main_factor="spend")
    client.force_login(cast.owner)
    for query in ("tier=quiet", "segment=Cafés", "reason=spend", "renewal=90", "owner=missing", "q=od"):
        assert names(client.get(f"/at-risk/?{query}")) == ["Odd"], query
    assert names(client.get("/at-risk/?whose=won&sort=name")) == ["Odd", "Plain"]
    assert names(client.get("/at-risk/?whose=care")) == []
    assert "No account matches" in client.get("/at-risk/?whose=care").content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "tier=x",
        "sort=x",
        "after=x~y",
        "after=~",
        "whose=1%00",
        "q=%00",
        "after=nan~1",
        "after=-inf~1",
        "after=1e400~1",
        "after=1~99999999999999999999",
        "segment=%25",
    ],
)
def test_a_url_that_makes_no_sense_is_no_error(client, cast, query):
    ScoreFactory(account=cast.account)
    client.force_login(cast.owner)
    assert client.get(f"/at-risk/?{query}").status_code == 200


@pytest.mark.parametrize("sort", ["money", "risk", "name"])
@pytest.mark.parametrize("path", ["/at-risk/", "/accounts/"])
def test_pages_together_show_every_account_once(client, cast, path, sort):
    book(cast, 120)
    client.force_login(cast.manager)
    url, seen = f"{path}?sort={sort}", []
    while url:
        page = client.get(url).context["page"]
        seen += [row.account.pk for row in page.rows]
        url = f"{path}{page.next_url}" if page.next_url else ""
    expected = (
        121 if (path, sort) == ("/accounts/", "name") else 120
    )  # the unscored one has no place among scores
    assert len(seen) == len(set(seen)) == expected


@pytest.mark.parametrize("path", ["/at-risk/", "/accounts/"])
def test_the_number_of_queries_does_not_grow_with_the_book(client, cast, path):
    book(cast, 3)
    client.force_login(cast.owner)
    client.get(path)
    counts = []
    for _ in range(2):
        cache.clear()
        with CaptureQueriesContext(connection) as queries:
            client.get(path)
        counts.append(len(queries))
        book(cast, 45)
    assert counts[0] == counts[1] <= 21


def test_the_strip_shows_orders_of_the_last_year_up_to_the_run(client, cast):
    run = ScoreRunFactory(as_of=date_ago(10))
    ScoreFactory(account=cast.account, run=run)
    for ago in (5, 12, 40, 40, 500):
        OrderFactory(account=cast.account, ordered_at=days_ago(ago))
    OrderFactory(account=cast.account, ordered_at=days_ago(20), status="cancelled")
    OrderFactory(account=cast.account, ordered_at=days_ago(22), amount=Decimal(-5))
    client.force_login(cast.owner)
    assert client.get("/at-risk/").context["page"].rows[0].order_days == [30, 2]


def test_without_scores_the_page_says_what_comes(client, cast):
    client.force_login(cast.owner)
    assert "No scores yet" in client.get("/at-risk/").content.decode()
    ScoreFactory(account=cast.account, tier=Tier.STEADY)
    assert "Nobody is about to leave" in client.get("/at-risk/").content.decode()


def test_accounts_without_a_score_stand_in_the_list(client, cast):
    client.force_login(cast.owner)
    response = client.get("/accounts/")
    assert names(response) == [cast.account.name]
    assert "Not scored" in response.content.decode()


def test_a_csv_holds_everything_shown_and_no_formulas(client, cast):
    book(cast, 60)
    evil = AccountFactory(name='=HYPERLINK("http://x")', original_salesperson=cast.owner)
    ScoreFactory(account=evil, revenue_at_risk=Decimal(99999))
    client.force_login(cast.owner)
    response = client.get("/at-risk/export.csv")
    lines = b"".join(response.streaming_content).decode("utf-8-sig").splitlines()
    assert len(lines) == 62
    assert lines[0].startswith("account,name,segment,tier,churn_probability")
    assert "'=HYPERLINK" in lines[1]
    only = client.get("/at-risk/export.csv?q=Account 00")
    assert len(b"".join(only.streaming_content).splitlines()) == 11


def test_an_xlsx_holds_the_same(client, cast):
    evil = AccountFactory(name="=1+1", original_salesperson=cast.owner)
    ScoreFactory(account=evil, revenue_at_risk=Decimal("12.50"))
    client.force_login(cast.owner)
    body = b"".join(client.get("/accounts/export.xlsx").streaming_content)
    sheet = openpyxl.load_workbook(io.BytesIO(body)).active
    row = dict(zip([c.value for c in sheet[1]], sheet[2], strict=True))
    assert (row["name"].value, row["name"].data_type) == ("=1+1", "s")
    assert row["revenue_at_risk"].value == 12.5


def test_an_export_leaks_nothing_to_a_stranger(client, cast):
    ScoreFactory(account=cast.account)
    client.force_login(cast.stranger)
    assert cast.account.name.encode() not in b"".join(client.get("/accounts/export.csv").streaming_content)


def act(client, action, *accounts, **more):
    return client.post(
        reverse("retention:at_risk_bulk"),
        {"action": action, "pick": [a.pk for a in accounts], **more},
        follow=True,
    )


def test_ticked_accounts_are_handed_back_once(client, cast):
    ScoreFactory(account=cast.account)
    client.force_login(cast.manager)
    for _ in range(2):
        assert (
            "1 account handed back to Olga Owner" in act(client, "hand_back", cast.account).content.decode()
        )
    handback = Handback.objects.get()
    assert (handback.salesperson, handback.revenue_at_risk) == (cast.owner, Decimal(6200))


def test_accounts_one_does_not_see_are_left_alone(client, cast):
    client.force_login(cast.stranger)
    assert "Tick at least one account first" in act(client, "hand_back", cast.account).content.decode()
    assert not Handback.objects.exists()


def test_pulse_checks_are_planned_where_none_is(client, cast):
    other = AccountFactory(original_salesperson=cast.owner, account_manager=cast.teammate)
    TouchpointFactory(account=other)
    client.force_login(cast.owner)
    page = act(client, "plan_pulse", cast.account, other).content.decode()
    assert "planned for 1 account. 1 account had one already" in page
    assert Touchpoint.objects.filter(account=cast.account).count() == 1


def test_only_leaders_assign_and_it_is_written_down(client, cast):
    client.force_login(cast.owner)
    act(client, "assign", cast.account, user=cast.owner.pk)
    cast.account.refresh_from_db()
    assert cast.account.account_manager == cast.teammate
    client.force_login(cast.manager)
    act(client, "assign", cast.account, user=cast.owner.pk)
    cast.account.refresh_from_db()
    assert cast.account.account_manager == cast.owner
    assert AuditEntry.objects.get(action="assign_account_manager").detail["after"] == cast.owner.pk


def test_the_way_back_stays_on_the_site(client, cast):
    client.force_login(cast.owner)
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        response = client.post(reverse("retention:at_risk_bulk"), {"back": back})
        assert response.url == "/at-risk/", back
    assert (
        client.post(reverse("retention:at_risk_bulk"), {"back": "/at-risk/?tier=quiet"}).url
        == "/at-risk/?tier=quiet"
    )


def test_filters_keep_the_rest_of_the_url(client, cast):
    ScoreFactory(account=cast.account)
    client.force_login(cast.owner)
    page = client.get("/at-risk/?tier=at_risk&sort=risk").content.decode()
    assert re.search(r'href="\?tier=at_risk&amp;sort=risk&amp;renewal=90"', page)


def test_a_renewal_is_near_for_ninety_days(client, cast):
    ScoreFactory(account=cast.account, run=ScoreRunFactory(as_of=dt.date(2026, 1, 1)))
    contract = ContractFactory(
        account=cast.account, starts_on=dt.date(2025, 4, 1), ends_on=dt.date(2026, 4, 1)
    )
    client.force_login(cast.owner)
    assert len(names(client.get("/at-risk/?renewal=90"))) == 1
    contract.cancelled_on = dt.date(2025, 12, 1)
    contract.save()
    assert len(names(client.get("/at-risk/?renewal=90"))) == 0
