"""Customers who vouch for us: what they agreed to is shown and nothing else, and a link that is off leads nowhere."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from accounts.links import sign_key
from accounts.selectors import company_today
from pulsecheck.errors import CareError
from pulsecheck.models import ProofPage, Reference
from pulsecheck.services.references import make_proof_page, note_consent, revoke_consent
from retention.models import KpiValue
from retention.templatetags.mainstay import percent
from tests.factories import (
    AccountFactory,
    Cast,
    ContactFactory,
    EnquiryFactory,
    IssueFactory,
    OrderFactory,
    ReferenceFactory,
    date_ago,
    days_ago,
    make_cast,
)

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def cast() -> Cast:
    cache.clear()
    return make_cast()


@pytest.fixture
def link(cast: Cast) -> ProofPage:
    return make_proof_page(cast.marketing, "Autumn fair", ["on_time", "answers"])


def public(page: ProofPage, status: int = 200) -> str:
    """What somebody without any sign-in gets."""
    answer = Client().get(reverse("retention:proof_page", args=[page.link]))
    assert answer.status_code == status
    return answer.content.decode()


# ── consent ────────────────────────────────────────────────────────────
def test_only_what_was_agreed_is_shown(cast: Cast, link: ProofPage) -> None:
    ReferenceFactory(account=cast.account, shows_name=False, quote="They ring first.", agreed_by="Petra Wirt")
    ContactFactory(account=cast.account, name="Karl Koch")
    AccountFactory(name="Never Asked Inn")
    text = public(link)
    assert "They ring first." in text
    assert "Hotels" in text
    for secret in (
        "Hotel Seeblick",
        "Petra Wirt",
        "Karl Koch",
        "Never Asked Inn",
        "Customer since",
        "Autumn fair",
    ):
        assert secret not in text
    Reference.objects.update(shows_name=True, shows_since=True)
    text = public(link)
    assert "Hotel Seeblick" in text
    assert f"Customer since {date_ago(400).year}" in text


def test_consent_ends_with_its_day_and_when_it_is_taken_back(cast: Cast, link: ProofPage) -> None:
    consent = ReferenceFactory(account=cast.account)
    assert "Hotel Seeblick" in public(link)
    Reference.objects.update(until=date_ago(1))
    assert "Hotel Seeblick" not in public(link)
    Reference.objects.update(until=date_ago(-1))
    revoke_consent(consent, cast.owner, "They asked us to.")
    assert "Hotel Seeblick" not in public(link)


def test_a_customer_with_a_complaint_is_not_held_up_as_happy(cast: Cast, link: ProofPage) -> None:
    ReferenceFactory(account=cast.account)
    issue = IssueFactory(account=cast.account, resolved_at=None)
    assert "Hotel Seeblick" not in public(link)
    issue.delete()
    assert "Hotel Seeblick" in public(link)


def test_calls_alone_put_nobody_on_the_page(cast: Cast, link: ProofPage) -> None:
    ReferenceFactory(account=cast.account, shows_name=False, takes_calls=True)
    assert "vouch for us" not in public(link)


def test_newer_consent_replaces_the_older(cast: Cast) -> None:
    today = company_today()
    days: dict[str, Any] = {"agreed_on": today, "until": today + dt.timedelta(days=90)}
    old = note_consent(cast.account, cast.owner, agreed_by="Petra", shows_name=True, **days)
    new = note_consent(cast.account, cast.owner, agreed_by="Karl", takes_calls=True, **days)
    old.refresh_from_db()
    assert old.revoked_at is not None
    assert list(Reference.objects.in_force(today)) == [new]
    with pytest.raises(CareError, match="what they agreed to"):
        note_consent(cast.account, cast.owner, agreed_by="Karl", **days)
    with pytest.raises(IntegrityError), transaction.atomic():
        ReferenceFactory(account=cast.account)


def test_noting_it_on_the_page(cast: Cast, client: Client) -> None:
    contact = ContactFactory(account=cast.account, name="Petra Wirt")
    client.force_login(cast.owner)
    form = {
        "agreed_by": "petra wirt",
        "agreed_on": company_today().isoformat(),
        "until": (company_today() + dt.timedelta(days=100)).isoformat(),
    }
    refused = client.post(reverse("retention:consent", args=[cast.account.pk]), form)
    assert refused.status_code == 422
    client.post(
        reverse("retention:consent", args=[cast.account.pk]), form | {"quote": HOSTILE, "shows_name": "on"}
    )
    consent = Reference.objects.get()
    assert (consent.contact, consent.noted_by, consent.shows_since) == (contact, cast.owner, False)
    page = client.get(reverse("retention:references")).content.decode()
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page


def without_token(text: str) -> str:
    """A page without its form token, which is another one each time."""
    return re.sub(r'"X-CSRFToken": "\w+"', "", text)


# ── the public page ────────────────────────────────────────────────────
def test_off_run_out_and_never_there_look_the_same(cast: Cast, link: ProofPage, client: Client) -> None:
    client.force_login(cast.marketing)
    client.post(reverse("retention:turn_proof_page", args=[link.pk]), {"to": "off"})
    client.post(reverse("retention:turn_proof_page", args=[link.pk]), {"to": "off"})  # a double click
    off = public(link, 404)
    never = Client().get(reverse("retention:proof_page", args=["never-there"]))
    assert never.status_code == 404
    assert without_token(never.content.decode()) == without_token(off)
    client.post(reverse("retention:turn_proof_page", args=[link.pk]), {"to": "on"})
    public(link, 404)  # on again it has another link
    link.refresh_from_db()
    public(link)
    ProofPage.objects.update(expires_on=date_ago(1))
    public(link, 404)


def test_nothing_runs_on_it_and_nobody_keeps_it(link: ProofPage) -> None:
    answer = Client().get(reverse("retention:proof_page", args=[link.link]))
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    assert "unsafe" not in policy
    assert "no-store" in answer["Cache-Control"]
    assert "noindex" in answer["X-Robots-Tag"]
    assert answer["Referrer-Policy"] == "no-referrer"
    assert not answer.cookies
    assert "<script" not in answer.content.decode()
    assert Client().post(reverse("retention:proof_page", args=[link.link])).status_code in (403, 405)


def test_figures_come_from_records_and_small_numbers_stay_away(cast: Cast, link: ProofPage) -> None:
    on_time = KpiValue.objects.create(
        name="on_time_delivery_rate",
        period_start=date_ago(366),
        period_end=date_ago(1),
        value=0.947,
        accounts=29,
    )
    for _ in range(30):
        EnquiryFactory(
            account=cast.account, received_at=days_ago(3), responded_at=days_ago(3) + dt.timedelta(hours=5)
        )
    text = public(link)
    assert "5 hours" in text
    assert "30 questions answered" in text
    assert percent(0.947) not in text
    on_time.accounts = 30
    on_time.save()
    cache.clear()
    assert percent(0.947) in public(link)


def test_punctuality_of_one_customer_counts_its_own_orders(cast: Cast, link: ProofPage) -> None:
    ReferenceFactory(account=cast.account, shows_on_time=True)
    late = AccountFactory()
    for number in range(12):
        OrderFactory(
            account=cast.account, promised_on=date_ago(20), delivered_on=date_ago(20 if number else 18)
        )
        OrderFactory(account=late, promised_on=date_ago(20), delivered_on=date_ago(10))
    assert f"{percent(11 / 12)} of their deliveries" in public(link)


def test_it_costs_the_same_for_many_customers(
    cast: Cast, link: ProofPage, django_assert_max_num_queries: Any
) -> None:
    public(link)
    for _ in range(25):
        ReferenceFactory(shows_on_time=True)
    with django_assert_max_num_queries(14):
        assert public(link).count("Customer ") >= 25


def test_the_key_alone_opens_nothing(link: ProofPage) -> None:
    """Whoever reads the database does not have the link."""
    for token in (link.token, f"{link.token}:", sign_key("pulsecheck.survey", link.token)):
        assert Client().get(reverse("retention:proof_page", args=[token])).status_code == 404


def test_too_many_calls_from_one_address_are_put_off(link: ProofPage, settings: Any) -> None:
    settings.PUBLIC_CALLS_PER_MINUTE = 3
    client, address = Client(), reverse("retention:proof_page", args=[link.link])
    for _ in range(3):
        client.get(reverse("retention:proof_page", args=["made-up"]))
    answer = client.get(address)
    assert (answer.status_code, 1 <= int(answer["Retry-After"]) <= 61) == (429, True)
    assert client.get(address, REMOTE_ADDR="10.9.8.7").status_code == 200


def test_a_reason_that_cannot_be_kept_keeps_nobody_on_the_page(cast: Cast, client: Client) -> None:
    reference = ReferenceFactory(account=cast.account)
    client.force_login(cast.owner)
    answer = client.post(
        reverse("retention:revoke_consent", args=[reference.pk]), {"reason": "x" * 301}, follow=True
    )
    assert "at most 300 characters" in answer.content.decode()
    reference.refresh_from_db()
    assert reference.revoked_at is not None


def test_a_long_list_comes_in_pages(client: Client, cast: Cast) -> None:
    for number in range(53):
        ReferenceFactory(until=company_today() + dt.timedelta(days=number))
    client.force_login(cast.administrator)

    first = client.get(reverse("retention:references")).context["page"]
    second = client.get(reverse("retention:references") + first.next_url).context

    assert (len(first.rows), len(second["page"].rows)) == (50, 3)
    assert not {row.pk for row in first.rows} & {row.pk for row in second["page"].rows}
    assert [row.pk for row, _ in second["rows"]] == [row.pk for row in second["page"].rows]
