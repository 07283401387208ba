"""The calendar: what stands where, moving, absences, the feed."""

import datetime as dt

import pytest
from django.db import connection
from django.urls import reverse

from accounts.models import Absence, Account
from accounts.selectors import company_today
from pulsecheck.business_days import business_calendar
from pulsecheck.errors import CareError
from pulsecheck.icalendar import Event, calendar_file
from pulsecheck.models import CadencePolicy, Touchpoint
from pulsecheck.services import move_touchpoint, plan_people, plan_touchpoints
from pulsecheck.services.absences import end_absence, note_absence
from pulsecheck.services.feeds import make_feed, revoke_feed
from pulsecheck.services.touchpoints import array_literal, plan_next
from tests.factories import (
    AbsenceFactory,
    AccountFactory,
    ContractFactory,
    PulseCheckFactory,
    TouchpointFactory,
    date_ago,
    make_cast,
)

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script> {{ 7|add:7 }}"
WORKING = business_calendar("")


@pytest.fixture
def cast():
    return make_cast()


def url(name, *args):
    return reverse(f"pulsecheck:{name}", args=args)


def working_day(days):
    """An open day about so many days from now."""
    return WORKING.on_or_after(company_today() + dt.timedelta(days=days))


# ── the page ───────────────────────────────────────────────────────────
@pytest.mark.parametrize("view", ["month", "week"])
def test_contacts_stand_on_their_day(client, cast, view):
    due = working_day(1)
    mine = TouchpointFactory(account=cast.account, assignee=cast.teammate, due_on=due)
    TouchpointFactory(account=AccountFactory(account_manager=cast.stranger), due_on=due)
    client.force_login(cast.teammate)

    shown = client.get(url("calendar") + f"?view={view}&on={due}").context["shown"]

    [day] = [day for week in shown.weeks for day in week if day.date == due]
    assert (day.count, day.shown, day.capacity) == (1, [mine], cast.teammate.calls_per_day)
    assert len(shown.weeks) == (1 if view == "week" else len(shown.weeks))


def test_what_is_overdue_stands_above(client, cast):
    late = TouchpointFactory(account=cast.account, assignee=cast.teammate, due_on=date_ago(9))
    client.force_login(cast.teammate)

    answer = client.get(url("calendar"))

    assert (answer.context["shown"].overdue, answer.context["shown"].overdue_count) == ([late], 1)


def test_leaders_look_at_the_calendar_of_their_people_only(client, cast):
    TouchpointFactory(account=cast.account, assignee=cast.teammate, due_on=working_day(1))
    client.force_login(cast.manager)

    theirs = client.get(url("calendar") + f"?person={cast.teammate.pk}").context
    assert theirs["filters"].person == cast.teammate
    assert {person.name for person in theirs["people"]} == {"Mona Manager", "Olga Owner", "Tim Teammate"}
    assert client.get(url("calendar") + f"?person={cast.stranger.pk}").context["filters"].person is None


@pytest.mark.parametrize(
    "query", ["?on=x", "?on=9999-12-31", "?view=%00&whose=x", "?person=1e9", "?person=99999999999"]
)
def test_odd_addresses_show_this_month(client, cast, query):
    client.force_login(cast.manager)

    assert client.get(url("calendar") + query).context["filters"].on == company_today()


def test_the_pages_cost_the_same_queries_for_any_number_of_rows(client, cast, django_assert_max_num_queries):
    for number in range(40):
        account = AccountFactory(original_salesperson=cast.owner, account_manager=cast.teammate)
        TouchpointFactory(account=account, due_on=working_day(number % 9))
    AbsenceFactory(person=cast.teammate, substitute=cast.owner)
    client.force_login(cast.manager)

    for name, most in (("calendar", 17), ("coverage", 14), ("absences", 17)):
        with django_assert_max_num_queries(most):
            client.get(url(name))


def test_coverage_says_who_is_behind(client, cast):
    TouchpointFactory(account=cast.account, assignee=cast.teammate, due_on=date_ago(2))
    PulseCheckFactory(account=cast.account)
    other = AccountFactory(account_manager=cast.owner)
    TouchpointFactory(account=other, assignee=cast.owner, due_on=working_day(1))
    client.force_login(cast.manager)

    rows = client.get(url("coverage")).context["rows"]

    found = [(row.person, row.customers, row.covered, row.overdue, row.due) for row in rows]
    assert found == [(cast.teammate, 1, 1, 1, 0), (cast.owner, 1, 0, 0, 1)]


def test_coverage_names_who_has_more_than_they_can_do(client, cast):
    """Also to a leader who sees but one of the accounts."""
    cast.teammate.calls_per_day = 1
    cast.teammate.save()
    for day in (1, 1, 1, 2, 3, 3):
        TouchpointFactory(
            account=AccountFactory(account_manager=cast.teammate),
            assignee=cast.teammate,
            due_on=working_day(day),
        )
    client.force_login(cast.manager)

    answer = client.get(url("coverage"))

    [row] = answer.context["rows"]
    assert (row.full_days, row.beyond) == (2, 3)
    assert answer.context["too_full"] == ["Tim Teammate"]
    assert "More than they can do" in answer.content.decode()


def test_the_next_contact_of_one_account_keeps_to_what_its_person_can_do(cast):
    cast.teammate.calls_per_day = 1
    cast.teammate.save()
    accounts = [AccountFactory(account_manager=cast.teammate) for _ in range(3)]
    for account in accounts:
        PulseCheckFactory(account=account)

    days = [plan_next(account, company_today()).due_on for account in accounts]

    assert len(set(days)) == 3


def test_typed_words_are_shown_as_words(client, cast):
    account = AccountFactory(name=HOSTILE, account_manager=cast.teammate)
    touchpoint = TouchpointFactory(account=account, due_on=working_day(1), reason=HOSTILE)
    move_touchpoint(touchpoint, cast.teammate, working_day(4), HOSTILE)
    client.force_login(cast.teammate)

    pages = [
        url("calendar"),
        url("calendar") + f"?view=week&on={working_day(4)}",
        url("touchpoint", touchpoint.pk),
    ]
    for page in pages:
        text = client.get(page).content.decode()
        assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ 7|add:7 }}" in text


# ── moving ─────────────────────────────────────────────────────────────
def test_a_contact_is_moved_and_put_back(client, cast):
    due, to = working_day(1), working_day(6)
    touchpoint = TouchpointFactory(account=cast.account, due_on=due)
    client.force_login(cast.teammate)

    answer = client.post(url("move", touchpoint.pk) + "?view=week", {"to": to.isoformat()})

    assert answer["Location"] == url("calendar") + "?view=week&whose=mine"
    touchpoint.refresh_from_db()
    assert (touchpoint.due_on, touchpoint.snoozed_from) == (to, due)
    why = client.get(url("touchpoint", touchpoint.pk)).context["why"]
    assert why[-1].startswith(f"It was planned for {due:%A}")
    client.post(url("unsnooze", touchpoint.pk))
    touchpoint.refresh_from_db()
    assert (touchpoint.due_on, touchpoint.snoozed_from) == (due, None)


def test_the_night_leaves_a_moved_contact_where_it_was_put(cast):
    plan_touchpoints()
    touchpoint = Touchpoint.objects.get(account=cast.account)
    to = WORKING.on_or_after(touchpoint.due_on + dt.timedelta(days=5))
    to = to if to != touchpoint.due_on else WORKING.after(to, 1)
    move_touchpoint(touchpoint, cast.teammate, to)

    assert plan_touchpoints().moved == 0

    touchpoint.refresh_from_db()
    assert touchpoint.due_on == to


@pytest.mark.parametrize(("days", "said"), [(-1, "This day is over"), (500, "so that a year is kept")])
def test_days_that_will_not_do_are_refused_in_words(cast, days, said):
    touchpoint = TouchpointFactory(account=cast.account, due_on=working_day(1))

    with pytest.raises(CareError, match=said):
        move_touchpoint(touchpoint, cast.teammate, company_today() + dt.timedelta(days=days))


def test_weekends_and_days_away_are_refused(client, cast):
    touchpoint = TouchpointFactory(account=cast.account, assignee=cast.teammate, due_on=working_day(1))
    saturday = company_today() + dt.timedelta(days=(5 - company_today().weekday()) % 7 + 7)
    with pytest.raises(CareError, match=r"Saturday, .* is no working day"):
        move_touchpoint(touchpoint, cast.teammate, saturday)
    away = working_day(20)
    AbsenceFactory(person=cast.teammate, starts_on=away, ends_on=away)
    with pytest.raises(CareError, match="Tim Teammate is away on"):
        move_touchpoint(touchpoint, cast.teammate, away)
    client.force_login(cast.teammate)
    answer = client.post(url("move", touchpoint.pk), {"to": saturday.isoformat()})
    assert (answer.status_code, "is no working day" in answer.content.decode()) == (422, True)


# ── planning with contracts, new customers and tiers ───────────────────
def test_a_contract_and_a_new_customer_are_planned_for(cast):
    today = company_today()
    PulseCheckFactory(account=cast.account)
    ContractFactory(
        account=cast.account, starts_on=date_ago(300), ends_on=today + dt.timedelta(days=100), notice_days=0
    )
    new = AccountFactory(account_manager=cast.teammate, became_customer_on=today)

    plan_touchpoints()

    kinds = dict(Touchpoint.objects.values_list("account", "kind"))
    assert kinds == {cast.account.pk: "renewal", new.pk: "onboarding"}
    assert "90 days before the contract ends" in Touchpoint.objects.get(account=cast.account).reason


def test_policies_of_billing_modes_reach_the_plan(cast):
    CadencePolicy.objects.create(tier="steady", billing_mode="contract", every_days=10)
    assert plan_touchpoints().planned == Account.objects.count()


# ── absences ───────────────────────────────────────────────────────────
def test_who_stands_in_gets_the_contacts_sees_the_accounts_and_gives_both_back(client, cast):
    day = working_day(1)
    PulseCheckFactory(account=cast.account, taken_at=dt.datetime.now(dt.UTC) - dt.timedelta(days=340))
    assert not Account.objects.visible_to(cast.stranger).filter(pk=cast.account.pk).exists()

    absence = note_absence(
        cast.manager, cast.teammate, company_today(), day + dt.timedelta(days=40), cast.stranger
    )

    touchpoint = Touchpoint.objects.get(account=cast.account)
    assert touchpoint.assignee == cast.stranger
    stand_in = type(cast.stranger).objects.get(pk=cast.stranger.pk)
    assert Account.objects.visible_to(stand_in).filter(pk=cast.account.pk).exists()
    client.force_login(stand_in)
    text = client.get(url("touchpoint", touchpoint.pk)).content.decode()
    assert "Sam Stranger stands in for Tim Teammate, who is away until" in text
    end_absence(absence, cast.manager)
    touchpoint.refresh_from_db()
    assert touchpoint.assignee == cast.teammate
    again = type(cast.stranger).objects.get(pk=cast.stranger.pk)
    assert not Account.objects.visible_to(again).filter(pk=cast.account.pk).exists()


def test_an_absence_is_noted_once_and_does_not_overlap_another(cast):
    first, last = working_day(5), working_day(9)
    note_absence(cast.manager, cast.teammate, first, last)
    note_absence(cast.manager, cast.teammate, first, last)

    with pytest.raises(CareError, match="Tim Teammate is already away from"):
        note_absence(cast.manager, cast.teammate, last, last + dt.timedelta(days=3))
    assert Absence.objects.count() == 1


def test_people_note_their_own_absence_and_leaders_that_of_their_people(client, cast):
    fields = {"starts_on": working_day(3).isoformat(), "ends_on": working_day(6).isoformat()}
    client.force_login(cast.owner)
    assert client.post(url("absences"), fields | {"person": cast.teammate.pk}).status_code == 422
    assert client.post(url("absences"), fields | {"person": cast.owner.pk}).status_code == 302
    client.force_login(cast.manager)
    assert client.post(url("absences"), fields | {"person": cast.teammate.pk}).status_code == 302
    bad = fields | {"person": cast.manager.pk, "ends_on": working_day(1).isoformat()}
    answer = client.post(url("absences"), bad)
    assert answer.context["form"].errors["ends_on"] == ["The last day away is not before the first."]
    assert {absence.person for absence in Absence.objects.all()} == {cast.owner, cast.teammate}


def test_planning_for_some_people_leaves_the_others_alone(cast):
    other = AccountFactory(account_manager=cast.stranger)

    plan_people([cast.teammate.pk])

    assert set(Touchpoint.objects.values_list("account", flat=True)) == {cast.account.pk}
    assert other.touchpoints.count() == 0


# ── the feed ───────────────────────────────────────────────────────────
def test_the_feed_shows_ones_own_contacts_until_it_is_revoked(client, cast):
    due = working_day(2)
    account = AccountFactory(name="Crêperie; Zum, Löwen\nBEGIN:VEVENT", account_manager=cast.teammate)
    TouchpointFactory(account=account, assignee=cast.teammate, due_on=due)
    TouchpointFactory(account=cast.account, assignee=cast.owner, due_on=due)
    secret = make_feed(cast.teammate)

    answer = client.get(url("feed", secret))

    text = answer.content.decode()
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    assert text.count("\r\nBEGIN:VEVENT\r\n") == 1
    assert f"DTSTART;VALUE=DATE:{due:%Y%m%d}\r\n" in text
    assert "SUMMARY:Pulse check: Crêperie\\; Zum\\, Löwen\\nBEGIN:VEVENT\r\n" in text
    assert secret not in str(list(type(cast.teammate.calendar_feed).objects.values()))
    newer = make_feed(cast.teammate)
    assert client.get(url("feed", secret)).status_code == 404
    assert client.get(url("feed", newer)).status_code == 200
    revoke_feed(cast.teammate)
    assert client.get(url("feed", newer)).status_code == 404


def test_nobody_who_left_has_a_feed(client, cast):
    secret = make_feed(cast.teammate)
    cast.teammate.is_active = False
    cast.teammate.save()

    assert client.get(url("feed", secret)).status_code == 404


def test_the_address_is_shown_once(client, cast):
    client.force_login(cast.teammate)

    address = client.post(url("new_feed")).context["address"]

    assert client.get(address).status_code == 200
    assert address not in client.get(url("feed_settings")).content.decode()


def test_lines_of_the_feed_are_folded_at_75_octets_without_cutting_a_character():
    moment = dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC)
    event = Event("1@x", dt.date(2026, 12, 31), "ü" * 100, "a" * 74, "https://x/", moment)

    lines = calendar_file("Tidewell", [event]).encode().split(b"\r\n")

    assert max(map(len, lines)) <= 75
    assert b"".join(lines).replace(b" ", b"").count("ü".encode()) == 100
    assert b"DTEND;VALUE=DATE:20270101" in lines


@pytest.mark.parametrize(
    "text",
    ['"', "\\", '\\"', "{a,b}", "NULL", "", "a,b", "  ", "\t\n\r", "'; DROP TABLE x; --", "%s", "\x1f", "é𝄞"],
)
def test_whatever_is_said_of_a_contact_is_written_as_it_is(text):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text[]", [array_literal([text, None, text])])
        assert cursor.fetchone()[0] == [text, None, text]
