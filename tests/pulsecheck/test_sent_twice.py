"""A double click, a second try, two people at the same moment: everything counts once, and nothing is lost."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, connections, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import Absence, Enquiry, Handoff, Interaction, Issue, Promise
from accounts.selectors import company_today
from accounts.services.promises import make_promise
from pulsecheck.models import Action, Handback, PulseCheck, Touchpoint
from pulsecheck.models.handbacks import HandbackTrigger
from pulsecheck.services import close_handback, open_handback, skip_touchpoint
from pulsecheck.services.absences import end_absence
from pulsecheck.services.actions import agree_action
from pulsecheck.services.pulses import PulseEntry, log_pulse_check
from pulsecheck.services.touchpoints import _apply, _changes, move_touchpoint
from tests.factories import (
    AbsenceFactory,
    Cast,
    HandbackFactory,
    PromiseFactory,
    TouchpointFactory,
    date_ago,
    make_cast,
)
from tests.pulsecheck.test_handbacks import risk

AT_ONCE = 8


@pytest.fixture
def cast(db: None) -> Cast:
    cache.clear()
    return make_cast()


def soon() -> str:
    return (company_today() + dt.timedelta(days=3)).isoformat()


RECORDS = [
    ("log_interaction", Interaction, {"subject": "Rang them", "kind": "call"}),
    ("make_promise", Promise, {"text": "A price list"}),
    ("open_issue", Issue, {"description": "Late again", "severity": "low"}),
    ("log_enquiry", Enquiry, {"subject": "On Saturdays?"}),
]


@pytest.mark.parametrize("number", ["of the form", "none"])
@pytest.mark.parametrize(("name", "model", "words"), RECORDS)
def test_what_is_written_down_counts_once(
    cast: Cast, client: Client, name: str, model: Any, words: dict[str, str], number: str
) -> None:
    address = reverse(f"retention:{name}", args=[cast.account.pk])
    client.force_login(cast.owner)
    sent = words | {"due_on": soon()} | ({"submission": str(uuid.uuid4())} if number == "of the form" else {})
    for _ in range(2):
        assert client.post(address, sent).status_code == 302
    assert model.objects.count() == 1
    again = sent | {key: f"{value} indeed" for key, value in words.items() if key not in {"kind", "severity"}}
    client.post(address, again | {"submission": str(uuid.uuid4())})
    assert model.objects.count() == 2


def test_every_form_of_the_account_page_carries_a_number_without_any_script(
    cast: Cast, client: Client
) -> None:
    client.force_login(cast.owner)
    for kind in ("interaction", "promise", "issue", "enquiry"):
        page = client.get(reverse("retention:account", args=[cast.account.pk]), {"write": kind})
        assert page.content.decode().count('name="submission"') == 1


def test_a_pulse_sent_without_a_number_counts_once_a_day_for_the_same_words(
    cast: Cast, client: Client
) -> None:
    client.force_login(cast.teammate)
    address = reverse("pulsecheck:log_pulse", args=[cast.account.pk])
    data = {"score": "5", "next_step": "Send the list", "next_step_due_on": soon()}
    for _ in range(2):
        client.post(address, data)
    assert PulseCheck.objects.count() == 1
    client.post(address, data | {"score": "4"})
    assert PulseCheck.objects.count() == 2


def test_a_deal_handed_over_twice_is_one(cast: Cast, client: Client) -> None:
    client.force_login(cast.owner)
    deal = {
        "won_on": company_today().isoformat(),
        "handed_to": cast.teammate.pk,
        "bought": "Coffee",
        "why_us": "Early",
        "expects": "A person to ring",
        "promise_0": "A visit in May",
        "promise_due_0": soon(),
    }
    answers = [client.post(reverse("pulsecheck:hand_over", args=[cast.account.pk]), deal) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert (Handoff.objects.count(), Promise.objects.count()) == (1, 1)


def test_news_noted_twice_are_one(cast: Cast, client: Client) -> None:
    client.force_login(cast.owner)
    address = reverse("pulsecheck:note_event", args=[cast.account.pk])
    news = {
        "kind": "new_management",
        "happened_on": date_ago(3).isoformat(),
        "note": "Frau Berg leads it now",
    }
    for _ in range(2):
        client.post(address, news)
    assert cast.account.events.count() == 1
    client.post(address, news | {"note": "And Herr Tal the kitchen"})
    assert cast.account.events.count() == 2


def test_a_promise_shown_twice_stays_shown(cast: Cast, client: Client) -> None:
    promise = PromiseFactory(account=cast.account, made_by=cast.owner)
    client.force_login(cast.owner)
    address = reverse("pulsecheck:share_promise", args=[promise.pk])
    for sent, shown in (({"is_shared": "on"}, True), ({"is_shared": "on"}, True), ({}, False), ({}, False)):
        client.post(address, sent)
        promise.refresh_from_db()
        assert promise.is_shared is shown


def test_an_absence_that_is_over_stays_as_it_was(cast: Cast) -> None:
    over = AbsenceFactory(person=cast.teammate, starts_on=date_ago(20), ends_on=date_ago(10))
    end_absence(over, cast.teammate)
    over.refresh_from_db()
    assert over.ends_on == date_ago(10)
    coming = AbsenceFactory(person=cast.teammate)
    for _ in range(2):
        end_absence(coming, cast.teammate)
    assert not Absence.objects.filter(pk=coming.pk).exists()


# ── at the same moment ─────────────────────────────────────────────────
def all_at_once(act: Callable[[], Any]) -> list[Any]:
    gate = Barrier(AT_ONCE)

    def one(_: int) -> Any:
        try:
            gate.wait(30)
            return act()
        finally:
            connections["default"].close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_writes_and_all_get_the_same() -> None:
    cast, number = make_cast(), uuid.uuid4()
    due = company_today() + dt.timedelta(days=3)
    promised = all_at_once(
        lambda: make_promise(cast.account, cast.owner, text="A list", due_on=due, submission=number).pk
    )
    agreed = all_at_once(
        lambda: agree_action(cast.owner, text="Visit", owner=cast.teammate, due_on=due, submission=number).pk
    )
    assert (len(set(promised)), len(set(agreed))) == (1, 1)
    assert (Promise.objects.count(), Action.objects.count()) == (1, 1)


def while_it_is_held(hold: Callable[[], Any], act: Callable[[], Any]) -> Any:
    """What `act` gives when it begins after `hold` and before that is committed."""
    found: list[Any] = []

    def other() -> None:
        try:
            found.append(act())
        finally:
            connections["default"].close()

    thread = Thread(target=other)
    with transaction.atomic():
        hold()
        thread.start()
        for _ in range(200):  # until it waits for us, or has not waited at all
            with connection.cursor() as cursor:
                # pg_stat_activity would say the same all through this transaction.
                cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
                is_waiting = cursor.fetchone()[0]
            if is_waiting or not thread.is_alive():
                break
            time.sleep(0.05)
    thread.join(30)
    return found[0]


@pytest.mark.django_db(transaction=True)
def test_a_reason_never_joins_an_episode_that_is_being_closed() -> None:
    cast = make_cast()
    closing = HandbackFactory(account=cast.account)
    opened = while_it_is_held(
        lambda: close_handback(closing, cast.owner, "saved"),
        lambda: open_handback(cast.account, risk(), HandbackTrigger.PULSE),
    )
    assert opened.pk != closing.pk
    assert Handback.objects.unfinished().get() == opened


@pytest.mark.django_db(transaction=True)
def test_a_contact_left_out_at_this_moment_is_not_done_by_a_pulse() -> None:
    cast = make_cast()
    planned = TouchpointFactory(account=cast.account)
    entry = PulseEntry(5, "Ring again", cast.teammate, company_today() + dt.timedelta(days=3))
    while_it_is_held(
        lambda: skip_touchpoint(planned, cast.teammate, "We met at the fair"),
        lambda: log_pulse_check(cast.account, cast.teammate, entry),
    )
    planned.refresh_from_db()
    assert (planned.state, planned.note) == ("skipped", "We met at the fair")
    assert Touchpoint.objects.filter(account=cast.account, state="planned").count() == 1


def test_what_somebody_moved_while_a_plan_was_made_stays_where_they_put_it(cast: Cast) -> None:
    today = company_today()
    planned = TouchpointFactory(
        account=cast.account, due_on=today + dt.timedelta(days=60), reason="An old reason."
    )
    accounts = type(cast.account).objects.filter(pk=cast.account.pk)
    changes = _changes({cast.account.pk: "at_risk"}, {}, today, accounts)
    assert [change.was_on for change in changes] == [planned.due_on]
    day = today + dt.timedelta(days=21 - today.weekday())  # a Monday
    move_touchpoint(planned, cast.teammate, day, "They asked")
    assert _apply(changes) == (0, 0)
    planned.refresh_from_db()
    assert (planned.due_on, planned.note) == (day, "They asked")
