"""Signing in and out, the frame, errors, and what every page must not hold."""

import re

import pytest
from django.template import Context, Template
from django.test import Client
from django.urls import NoReverseMatch, reverse, set_script_prefix

from accounts.models import Account
from accounts.paths import path_to
from tests.factories import (
    PASSWORD,
    AccountFactory,
    AccountMemberFactory,
    NotificationFactory,
    SalesRepFactory,
    make_cast,
)

pytestmark = pytest.mark.django_db
SIGN_IN = "/sign-in/"


def sign_in(client: Client, email: str, password: str, **more: str):
    return client.post(SIGN_IN, {"username": email, "password": password, **more})


def test_a_stranger_is_sent_to_the_sign_in_page(client):
    response = client.get("/")
    assert response.status_code == 302
    assert response.url == "/sign-in/?next=/"


def test_signing_in_leads_to_today_with_a_new_session(client):
    rep = SalesRepFactory()
    client.get(SIGN_IN)
    before = client.session.session_key
    response = sign_in(client, rep.email.upper(), PASSWORD)
    assert response.status_code == 302
    assert response.url == "/"
    assert client.session.session_key != before


def test_unknown_disabled_and_mistyped_get_the_same_answer(client):
    known, disabled = SalesRepFactory(), SalesRepFactory(is_active=False)
    tries = [(known.email, "wrong"), (disabled.email, PASSWORD), ("nobody@ours.example", PASSWORD)]
    said = {
        re.search(r'role="alert">.*?<div>(.*?)</div>', sign_in(client, *each).content.decode(), re.DOTALL)[1]
        for each in tries
    }
    assert said == {"That e-mail and password do not match. Check both and try again."}


def test_the_tenth_try_is_locked_out_even_with_the_right_password(client):
    rep = SalesRepFactory()
    for _ in range(9):
        sign_in(client, rep.email, "wrong")
    response = sign_in(client, rep.email, PASSWORD)
    assert response.status_code == 429
    assert "Too many tries" in response.content.decode()


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_never_leads_off_the_site(client, elsewhere):
    assert sign_in(client, SalesRepFactory().email, PASSWORD, next=elsewhere).url == "/"


def test_signing_out_takes_a_post_and_ends_the_session(client):
    client.force_login(SalesRepFactory())
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/").status_code == 302
    assert client.get("/").url.startswith(SIGN_IN)


def test_the_menu_shows_each_role_its_own_pages(client):
    cast = make_cast()
    menus = {}
    for name in ("owner", "manager", "marketing", "administrator"):
        client.force_login(getattr(cast, name))
        page = client.get(reverse("retention:accounts")).content.decode()
        menus[name] = set(re.findall(r'<li><a href="([^"]+)"', page))
    assert "/at-risk/" in menus["owner"]
    assert "/kpis/" not in menus["owner"]
    assert "/kpis/" in menus["manager"]
    assert "/at-risk/" not in menus["marketing"]
    assert {"/settings/", "/status/"} <= menus["administrator"]


def test_unread_messages_are_counted_at_the_bell(client):
    rep = SalesRepFactory()
    NotificationFactory.create_batch(3, user=rep)
    client.force_login(rep)
    assert "Inbox, 3 unread" in client.get(reverse("retention:accounts")).content.decode()


def test_an_address_that_is_not_there_says_so_in_the_frame(client):
    client.force_login(SalesRepFactory())
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()
    assert 'aria-label="Main"' in response.content.decode()


def test_pages_hold_nothing_the_security_policy_forbids(client):
    cast = make_cast()
    client.force_login(cast.owner)
    for path in ("/", "/at-risk/", "/accounts/", f"/accounts/{cast.account.pk}/", "/search/?q=Hotel"):
        response = client.get(path)
        page = response.content.decode()
        assert not re.search(r"<[^>]+\sstyle=", page), path
        assert not re.search(r"<[^>]+\son[a-z]+=", page), path
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
        assert "unsafe" not in response["Content-Security-Policy"]


# ── what every page pays for ───────────────────────────────────────────
@pytest.mark.parametrize("name", ["retention:account", "pulsecheck:log_pulse", "pulsecheck:touchpoint"])
def test_paths_of_records_are_those_of_django(name):
    expected = reverse(name, args=[1234])
    assert path_to(name, 1234) == expected
    for pk in (1234, "1234"):
        assert Template("{% url name pk %}").render(Context({"name": name, "pk": pk})) == expected
    with pytest.raises(NoReverseMatch):
        Template("{% url name -1 %}").render(Context({"name": name}))
    with pytest.raises(NoReverseMatch):
        Template("{% url name %}").render(Context({"name": name}))


def test_paths_follow_where_the_application_is_mounted():
    path_to("retention:account", 1)
    set_script_prefix("/below/")
    try:
        assert path_to("retention:account", 1) == reverse("retention:account", args=[1])
        assert path_to("retention:today") == "/below/"
    finally:
        set_script_prefix("/")


def test_a_person_on_many_teams_sees_them_all_by_a_short_query():
    rep = SalesRepFactory()
    own, others = AccountFactory(original_salesperson=rep), AccountFactory.create_batch(30)
    for account in others[:20]:
        AccountMemberFactory(account=account, user=rep)
    seen = Account.objects.visible_to(rep)
    assert set(seen) == {own, *others[:20]}
    assert len(seen.query.sql_with_params()[1]) == 3
