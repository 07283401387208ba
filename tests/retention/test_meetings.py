"""Retention meetings: the agenda comes from the records, minutes and actions stay, the next one is set."""

from __future__ import annotations

import datetime as dt
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.db import IntegrityError, connections, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AccountMember, AuditEntry, Company
from accounts.selectors import company_today
from notifications.models import Notification
from pulsecheck.business_days import BusinessCalendar
from pulsecheck.errors import CareError
from pulsecheck.models import Action, RetentionMeeting, TriggerRule
from pulsecheck.models.meetings import MeetingState
from pulsecheck.recurrence import next_day
from pulsecheck.services.actions import agree_action, complete_action, follow_up_action
from pulsecheck.services.meetings import (
    MinutesConflict,
    hold_meeting,
    people_of,
    set_meeting,
    write_minutes,
)
from retention.models import Tier
from retention.selectors.agenda import for_reader, make_agenda
from retention.selectors.frame import latest_run
from retention.selectors.today import today_of
from tests.factories import (
    AccountFactory,
    ActionFactory,
    Cast,
    ContractFactory,
    InteractionFactory,
    IssueFactory,
    MeetingFactory,
    PromiseFactory,
    PulseCheckFactory,
    SalesRepFactory,
    ScoreFactory,
    ScoreRunFactory,
    date_ago,
    days_ago,
    make_cast,
)

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script> '; DROP TABLE x; -- {{ 7|add:7 }}"


@pytest.fixture
def cast() -> Cast:
    return make_cast()


def as_(client: Client, user: Any) -> Client:
    client.force_login(user)
    return client


def url(name: str, *args: Any) -> str:
    return reverse(f"retention:{name}", args=args)


# ── when it comes round again ──────────────────────────────────────────
@pytest.mark.parametrize(
    ("held_on", "repeats", "expected"),
    [
        ("2026-11-10", "fortnightly", "2026-11-24"),
        ("2026-11-10", "monthly", "2026-12-08"),  # the second Tuesday
        ("2026-11-10", "quarterly", "2027-02-09"),
        ("2026-09-30", "monthly", "2026-10-28"),  # the fifth Wednesday of September: October's last
        ("2026-12-25", "monthly", "2027-01-22"),
        ("2026-11-25", "monthly", "2026-12-23"),
        ("2026-04-01", "monthly", "2026-05-06"),
        ("2026-04-03", "monthly", "2026-05-04"),  # Friday 1 May is a holiday in Germany
    ],
)
def test_the_same_weekday_of_the_same_week(held_on: str, repeats: str, expected: str) -> None:
    found = next_day(dt.date.fromisoformat(held_on), repeats, BusinessCalendar("DE"))
    assert found == dt.date.fromisoformat(expected)


def test_once_is_once() -> None:
    assert next_day(dt.date(2026, 11, 10), "once", BusinessCalendar()) is None


# ── the agenda ─────────────────────────────────────────────────────────
def a_month(cast: Cast) -> RetentionMeeting:
    """What happened at the account in a month: its tier fell, it complained, was promised something, has a contract."""
    before, now = ScoreRunFactory(as_of=date_ago(35)), ScoreRunFactory(as_of=date_ago(1))
    ScoreFactory(
        account=cast.account, run=before, as_of=before.as_of, tier=Tier.STEADY, churn_probability=0.1
    )
    ScoreFactory(account=cast.account, run=now, as_of=now.as_of, tier=Tier.AT_RISK, churn_probability=0.6)
    IssueFactory(account=cast.account, description="Eggs broken on arrival", resolved_at=None)
    PromiseFactory(account=cast.account, text="A new pallet", made_by=cast.owner, due_on=date_ago(2))
    ContractFactory(account=cast.account, ends_on=date_ago(-40), notice_days=30)
    PulseCheckFactory(account=cast.account, taken_by=cast.teammate, score=1)
    return MeetingFactory(account=cast.account, chair=cast.owner)


def test_the_agenda_holds_what_the_records_say(cast: Cast) -> None:
    agenda = make_agenda(a_month(cast), company_today(), latest_run())
    texts = {s["code"]: [row["text"] for row in s["rows"]] for s in agenda["sections"]}
    assert texts["movements"] == [
        "Steady → At risk: 10\N{NO-BREAK SPACE}% → 60\N{NO-BREAK SPACE}% may leave."
    ]
    assert texts["issues"] == ["Eggs broken on arrival"]
    assert texts["promises"] == ["Overdue: A new pallet"]
    assert "ends in 40 days, notice is possible for 10 more days" in texts["renewals"][0]
    assert texts["pulses"][0].startswith("Pulse check 1 of 6")
    assert texts["quiet"] == ["No conversation is on record."]
    assert agenda["empty"] == ["handbacks"]


def test_a_team_sees_its_accounts_and_nobody_elses(cast: Cast) -> None:
    a_month(cast)
    strange = AccountFactory(name="Gasthof Linde", original_salesperson=cast.stranger)
    IssueFactory(account=strange, description="Not ours", resolved_at=None)
    meeting = MeetingFactory(account=None, team=cast.team, chair=cast.manager)
    agenda = make_agenda(meeting, company_today(), latest_run())
    assert agenda["figures"]["accounts"] == 1
    assert {row["name"] for s in agenda["sections"] for row in s["rows"]} == {"Hotel Seeblick"}


def test_quiet_are_those_nobody_hears_from_and_all_of_them_are_counted(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ScoreRunFactory(as_of=date_ago(1))

    def customer(name: str, tier: Tier, money: int, *spoken: int) -> None:
        account = AccountFactory(name=name, original_salesperson=cast.owner)
        ScoreFactory(
            account=account, run=run, as_of=run.as_of, tier=tier, revenue_at_risk_company=money,
            days_since_last_order=50, usual_gap_days=14,
        )  # fmt: skip
        for days in spoken:
            InteractionFactory(account=account, happened_at=days_ago(days))

    customer("Silent by rhythm", Tier.QUIET, 50, 3)
    customer("Spoken with long ago", Tier.STEADY, 40, 100, 300)
    customer("Never spoken with", Tier.WATCH, 30)
    customer("Spoken with lately", Tier.AT_RISK, 90, 10, 400)
    customer("Gone", Tier.LOST, 99)
    monkeypatch.setattr("retention.selectors.agenda.MOST", 2)
    monkeypatch.setattr("accounts.selectors.LARGE", 4)
    meeting = MeetingFactory(account=None, team=cast.team, chair=cast.manager)
    for _again in range(2):  # the second time sums are those kept
        agenda = make_agenda(meeting, company_today(), latest_run())
        quiet = next(s for s in agenda["sections"] if s["code"] == "quiet")
        assert [row["text"] for row in quiet["rows"]] == [
            "Quiet: last order 50 days ago, usually every 14.",
            "Nobody has spoken with them for 100 days.",
        ]
        assert quiet["more"] == 1
        assert agenda["figures"] | {"money": None} == {
            "accounts": 6, "risky": 3, "money": None, "currency": "EUR",
        }  # fmt: skip
        assert agenda["figures"]["money"] == "309.00"
        customer("Next night's", Tier.STEADY, 1)


@pytest.mark.parametrize(("large", "later"), [(1, 3), (99, 4)])
def test_how_many_more_is_counted_anew_of_a_small_team_only(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, large: int, later: int
) -> None:
    monkeypatch.setattr("retention.selectors.agenda.MOST", 2)
    monkeypatch.setattr("accounts.selectors.LARGE", large)
    AccountFactory(name="Inn", original_salesperson=cast.owner)
    for number in range(5):
        IssueFactory(account=cast.account, resolved_at=None, opened_at=days_ago(20 - number))
    IssueFactory(resolved_at=None)  # somebody else's
    meeting = MeetingFactory(account=None, team=cast.team, chair=cast.manager)

    def issues() -> dict[str, Any]:
        sections = make_agenda(meeting, company_today(), None)["sections"]
        return next(section for section in sections if section["code"] == "issues")

    assert issues()["more"] == 3
    IssueFactory(account=cast.account, resolved_at=None, severity="high", description="Came since")
    assert issues()["more"] == later
    assert issues()["rows"][0]["text"] == "Came since"  # which the rows say at once, however large the team


def test_those_who_should_be_there_are_named_once(cast: Cast) -> None:
    member = SalesRepFactory(name="Mia Member")
    for account in (cast.account, AccountFactory()):
        AccountMember.objects.create(account=account, user=member)
    about_account = MeetingFactory(account=cast.account, chair=cast.owner)
    assert [str(person) for person in people_of(about_account)] == [
        "Mia Member",
        "Olga Owner",
        "Tim Teammate",
    ]
    of_team = MeetingFactory(account=None, team=cast.team, chair=cast.owner)
    assert [str(person) for person in people_of(of_team)] == ["Mona Manager", "Olga Owner", "Tim Teammate"]


def test_a_reader_meets_only_accounts_they_see(cast: Cast) -> None:
    other = AccountFactory(name="Secret Inn", original_salesperson=cast.owner)
    IssueFactory(account=other, resolved_at=None)
    IssueFactory(account=cast.account, resolved_at=None)
    meeting = MeetingFactory(account=None, team=cast.team, chair=cast.manager)
    agenda = make_agenda(meeting, company_today(), None)
    read = for_reader(agenda, cast.teammate)
    assert {row["name"] for s in read["sections"] for row in s["rows"]} == {"Hotel Seeblick"}
    assert read["hidden"] == 1
    assert for_reader(agenda, cast.manager)["hidden"] == 0


def test_the_agenda_costs_the_same_for_many_accounts(
    cast: Cast, client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        account = AccountFactory(name=f"Inn {number}", original_salesperson=cast.owner)
        IssueFactory(account=account, owner=cast.teammate, resolved_at=None)
        PromiseFactory(account=account, made_by=cast.owner, due_on=date_ago(1))
        ScoreFactory(account=account, tier=Tier.QUIET)
    meeting = MeetingFactory(account=None, team=cast.team, chair=cast.manager)
    signed_in = as_(client, cast.manager)
    with django_assert_max_num_queries(45):
        page = signed_in.get(url("meeting", meeting.pk))
    assert page.content.decode().count("Agree an action<") > 20


# ── setting, holding, the next one ─────────────────────────────────────
def test_whoever_belongs_there_is_told(cast: Cast) -> None:
    member = cast.marketing
    AccountMember.objects.create(account=cast.account, user=member)
    set_meeting(cast.manager, date_ago(-5), account=cast.account)
    told = set(Notification.objects.filter(topic="action").values_list("user__name", flat=True))
    assert told == {cast.owner.name, cast.teammate.name, member.name}


def test_one_planned_meeting_at_a_time(cast: Cast) -> None:
    set_meeting(cast.owner, date_ago(-5), account=cast.account)
    with pytest.raises(CareError, match="planned already"):
        set_meeting(cast.teammate, date_ago(-6), account=cast.account)
    with pytest.raises(IntegrityError), transaction.atomic():
        MeetingFactory(account=cast.account, team=cast.team)


def test_holding_keeps_the_agenda_and_sets_the_next(cast: Cast, client: Client) -> None:
    meeting = a_month(cast)
    page = as_(client, cast.owner)
    next_on = date_ago(-30)
    page.post(url("hold_meeting", meeting.pk), {"attended": [cast.owner.pk], "next_on": next_on.isoformat()})
    meeting.refresh_from_db()
    assert meeting.state == MeetingState.HELD
    assert list(meeting.attended.all()) == [cast.owner]
    following = RetentionMeeting.objects.get(follows=meeting)
    assert (following.held_on, following.covers_from) == (next_on, meeting.held_on)
    cast.account.issues.update(description="Changed since")
    assert "Eggs broken on arrival" in page.get(url("meeting", meeting.pk)).content.decode()
    # A second click changes nothing and sets no third meeting.
    assert hold_meeting(meeting, cast.owner, agenda={}, next_on=next_on) == following
    assert RetentionMeeting.objects.count() == 2


def test_two_who_close_it_at_once_set_one_next_meeting(committed_db: None) -> None:
    cast = make_cast()
    meeting = MeetingFactory(account=cast.account, chair=cast.owner)

    def close(_: int) -> None:
        try:
            hold_meeting(meeting, cast.owner, agenda={}, next_on=date_ago(-30))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(close, range(4)))
    assert RetentionMeeting.objects.filter(follows=meeting).count() == 1


def test_nobody_writes_over_minutes_unseen(cast: Cast, client: Client) -> None:
    meeting = MeetingFactory(account=cast.account, chair=cast.owner)
    write_minutes(meeting, cast.owner, "Visit in May", version=0)
    with pytest.raises(MinutesConflict):
        write_minutes(meeting, cast.teammate, "Price is the matter", version=0)
    answer = as_(client, cast.teammate).post(
        url("write_minutes", meeting.pk), {"minutes": "Price is the matter", "version": "0"}
    )
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "Visit in May" in text
    assert "Price is the matter" in text
    meeting.refresh_from_db()
    assert meeting.minutes == "Visit in May"


# ── actions ────────────────────────────────────────────────────────────
def test_an_action_is_agreed_in_place_and_stands_on_today(cast: Cast, client: Client) -> None:
    meeting = MeetingFactory(account=cast.account, chair=cast.owner)
    page = as_(client, cast.owner)
    form = {
        "text": "Visit with the depot manager",
        "owner": cast.teammate.pk,
        "due_on": company_today().isoformat(),
        "submission": "8b7b8f5e-7f32-4a39-9be7-0fdc4e1a9c11",
    }
    for _ in range(2):
        assert page.post(url("agree_action", meeting.pk), form).status_code == 302
    action = Action.objects.get()
    assert (action.account, action.owner, action.asked_by) == (cast.account, cast.teammate, cast.owner)
    assert Notification.objects.filter(user=cast.teammate, topic="action").count() == 1
    rows = today_of(cast.teammate, None, company_today()).tasks
    assert [(row.kind, row.next_step) for row in rows] == [("action", "Do the action")]
    complete_action(action, cast.teammate)
    assert today_of(cast.teammate, None, company_today()).tasks == []


# ── the menu of accounts ───────────────────────────────────────────────
def menu(text: str) -> dict[str, str]:
    """What the form offers an action to be about: number -> name; an account that is chosen ends with a star."""
    _, _, rest = text.partition('<select name="account"')
    options = re.findall(
        r'<option value="([^"]*)"( selected)?>([^<]*)</option>', rest.partition("</select>")[0]
    )
    return {value: name + ("*" if selected and value else "") for value, selected, name in options}


@pytest.fixture
def of_team(cast: Cast) -> RetentionMeeting:
    """A team's meeting whose agenda names one of its accounts."""
    IssueFactory(account=cast.account, resolved_at=None)
    return MeetingFactory(account=None, team=cast.team, chair=cast.manager)


def test_the_menu_holds_the_accounts_of_the_agenda(
    cast: Cast, client: Client, of_team: RetentionMeeting
) -> None:
    other = AccountFactory(name="Nothing to say", original_salesperson=cast.owner)
    page, seeblick = as_(client, cast.manager), str(cast.account.pk)
    on_agenda = {"": "No account in particular", seeblick: "Hotel Seeblick"}
    address = url("meeting", of_team.pk)
    assert menu(page.get(address).content.decode()) == on_agenda
    assert menu(page.get(f"{address}?about={seeblick}").content.decode())[seeblick] == "Hotel Seeblick*"
    # A link may lead to an account that has left the agenda since, or be typed.
    found = menu(page.get(f"{address}?about={other.pk}").content.decode())
    assert found == on_agenda | {str(other.pk): "Nothing to say*"}
    for typed in ("x", "%00", "9" * 30, str(AccountFactory(original_salesperson=cast.stranger).pk)):
        assert menu(page.get(f"{address}?about={typed}").content.decode()) == on_agenda


def test_an_account_that_is_not_on_the_agenda_may_be_chosen_if_it_is_seen(
    cast: Cast, client: Client, of_team: RetentionMeeting
) -> None:
    other = AccountFactory(name="Nothing to say", original_salesperson=cast.owner)
    strange = AccountFactory(name="Gasthof Linde", original_salesperson=cast.stranger)
    page, address = as_(client, cast.manager), url("agree_action", of_team.pk)
    form = {"text": "Visit", "owner": cast.owner.pk, "due_on": company_today().isoformat()}

    # The form comes back, and what was chosen with it.
    without_text = page.post(address, form | {"text": "", "account": other.pk})
    assert without_text.status_code == 422
    assert menu(without_text.content.decode()) == {
        "": "No account in particular",
        str(cast.account.pk): "Hotel Seeblick",
        str(other.pk): "Nothing to say*",
    }
    for hidden in (strange.pk, "x"):
        refused = page.post(address, form | {"account": hidden})
        assert refused.status_code == 422
        assert "Gasthof Linde" not in refused.content.decode()
    assert page.post(address, form | {"account": other.pk}).status_code == 302
    assert Action.objects.get().account == other
    assert as_(client, cast.stranger).post(address, form).status_code == 404


def test_people_are_offered_by_name_and_those_who_left_are_not(
    cast: Cast, client: Client, of_team: RetentionMeeting
) -> None:
    SalesRepFactory(name="Lars Left", team=cast.team, left_on=date_ago(3))
    text = as_(client, cast.manager).get(url("meeting", of_team.pk)).content.decode()
    for person in (cast.owner, cast.teammate, cast.stranger):
        assert f'<option value="{person.pk}">{person.name}</option>' in text
    # At the meeting is who belongs there, each with a tick.
    ticks = re.findall(r'<input type="checkbox"[^>]*name="attended"[^>]*value="(\d+)"[^>]*checked', text)
    assert {int(pk) for pk in ticks} == {cast.owner.pk, cast.teammate.pk, cast.manager.pk}
    assert "Lars Left" not in text
    refused = client.post(url("hold_meeting", of_team.pk), {"attended": [cast.stranger.pk]})
    assert refused.status_code == 422


def test_what_was_not_done_leads_the_next_agenda(cast: Cast, client: Client) -> None:
    held = MeetingFactory(account=cast.account, chair=cast.owner)
    ActionFactory(meeting=held, account=cast.account, owner=cast.teammate, text="Bring the samples")
    hold_meeting(held, cast.owner, agenda={}, next_on=date_ago(-30))
    following = RetentionMeeting.objects.get(follows=held)
    text = as_(client, cast.owner).get(url("meeting", following.pk)).content.decode()
    assert "Agreed last time, not done yet" in text
    assert "Bring the samples" in text


def test_an_improvement_has_a_day_to_look_back(cast: Cast) -> None:
    said = {"text": "Second driver", "owner": cast.owner, "due_on": date_ago(-3), "cause": "delivery"}
    with pytest.raises(CareError, match="when somebody looks"):
        agree_action(cast.manager, **said)
    with pytest.raises(CareError, match="after it is done"):
        agree_action(cast.manager, **said, follow_up_on=date_ago(-2))
    action = agree_action(cast.manager, **said, follow_up_on=date_ago(-30))
    with pytest.raises(CareError, match="not done yet"):
        follow_up_action(action, cast.manager, "better")
    complete_action(action, cast.owner)
    assert follow_up_action(action, cast.manager, "better", "Fewer complaints").follow_up == "better"


def test_somebody_elses_action_is_not_ticked_off(cast: Cast, client: Client) -> None:
    action = ActionFactory(account=cast.account, owner=cast.owner)
    as_(client, cast.teammate).post(url("complete_action", action.pk))
    action.refresh_from_db()
    assert action.done_at is None
    as_(client, cast.manager).post(url("complete_action", action.pk))
    action.refresh_from_db()
    assert action.done_by == cast.manager


def test_free_text_is_shown_as_it_was_typed(cast: Cast, client: Client) -> None:
    meeting = MeetingFactory(account=cast.account, chair=cast.owner, minutes=HOSTILE)
    ActionFactory(meeting=meeting, account=cast.account, owner=cast.owner, text=HOSTILE, due_on=date_ago(0))
    IssueFactory(account=cast.account, description=HOSTILE, resolved_at=None)
    page = as_(client, cast.owner)
    for path in (url("meeting", meeting.pk), url("actions"), "/"):
        text = page.get(path).content.decode()
        assert "&lt;script&gt;" in text
        assert "<script>alert(1)" not in text


def test_the_list_of_actions_costs_the_same_however_long(
    cast: Cast, client: Client, django_assert_max_num_queries: Any
) -> None:
    meeting = MeetingFactory(account=None, team=cast.team, chair=cast.manager)
    for _ in range(60):
        ActionFactory(meeting=meeting, account=AccountFactory(account_manager=cast.owner), owner=cast.owner)
    page = as_(client, cast.manager)
    with django_assert_max_num_queries(22):
        text = page.get(url("actions")).content.decode()
    assert text.count('id="a') == 50
    following = page.get(url("actions") + "?" + text.split('href="?')[-1].split('"')[0].replace("&amp;", "&"))
    assert following.status_code == 200


# ── read line by line ──────────────────────────────────────────────────
def test_a_meeting_that_was_cancelled_meanwhile_is_not_held(cast: Cast, client: Client) -> None:
    meeting = MeetingFactory(account=cast.account, chair=cast.owner)
    as_(client, cast.owner).post(url("cancel_meeting", meeting.pk))

    answer = client.post(url("hold_meeting", meeting.pk), {})

    assert answer.status_code == 409
    assert "is cancelled already" in answer.content.decode()
    meeting.refresh_from_db()
    assert meeting.state == MeetingState.CANCELLED


@pytest.mark.parametrize(("threshold", "found"), [(1, []), (2, ["2 of 6"]), (3, ["2 of 6", "3 of 6"])])
def test_the_agenda_holds_what_is_poor_by_the_rule(cast: Cast, threshold: int, found: list[str]) -> None:
    TriggerRule.objects.filter(trigger="pulse").update(threshold=threshold)
    for score in (2, 3, 4):
        PulseCheckFactory(account=cast.account, score=score, taken_at=days_ago(2))
    meeting = MeetingFactory(account=cast.account, chair=cast.owner)

    sections = {s["code"]: s["rows"] for s in make_agenda(meeting, company_today(), None)["sections"]}

    assert [row["text"][12:18] for row in sections.get("pulses", [])] == found


@time_machine.travel(dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC), tick=False)
def test_the_agenda_counts_days_as_the_company_does(cast: Cast) -> None:
    """In Auckland the 21st begins at 11:00 UTC of the 20th; a meeting that looks back to the 20th begins there."""
    Company.objects.update_or_create(pk=1, defaults={"time_zone": "Pacific/Auckland"})
    cache.clear()
    for hour in (10, 11):
        at = dt.datetime(2026, 11, 20, hour, 30, tzinfo=dt.UTC)
        PulseCheckFactory(account=cast.account, score=1, taken_at=at, note=f"At {hour}")
    IssueFactory(
        account=cast.account, opened_at=dt.datetime(2026, 11, 19, 10, tzinfo=dt.UTC), description="Late"
    )
    meeting = MeetingFactory(
        account=cast.account,
        chair=cast.owner,
        covers_from=dt.date(2026, 11, 20),
        held_on=dt.date(2026, 11, 21),
    )

    sections = {s["code"]: s["rows"] for s in make_agenda(meeting, dt.date(2026, 11, 21), None)["sections"]}

    assert [row["text"] for row in sections["pulses"]] == ["Pulse check 1 of 6: At 11"]
    assert "open for 2 days" in sections["issues"][0]["detail"]


def test_the_gravest_issue_is_named_first_however_many_are_older(cast: Cast) -> None:
    for day in range(201):
        IssueFactory(account=cast.account, severity="low", opened_at=days_ago(300 - day))
    IssueFactory(
        account=cast.account, severity="high", opened_at=days_ago(1), description="The cold chain broke"
    )
    meeting = MeetingFactory(account=cast.account, chair=cast.owner)

    sections = {s["code"]: s["rows"] for s in make_agenda(meeting, company_today(), None)["sections"]}

    assert sections["issues"][0]["text"] == "The cold chain broke"


# ── actions said otherwise ─────────────────────────────────────────────
def test_an_action_is_changed_by_whom_it_concerns(cast, client):
    action = ActionFactory(account=cast.account, owner=cast.owner, asked_by=cast.owner, due_on=date_ago(4))
    address = f"/actions/{action.pk}/change/"
    changed = {"text": "Send the list", "owner": cast.teammate.pk, "due_on": date_ago(-9).isoformat()}
    client.force_login(cast.teammate)
    assert client.post(address, changed).status_code == 404
    client.force_login(cast.owner)
    assert address in client.get("/actions/").content.decode()
    # A day that is over may stay, but none that is over may be chosen.
    assert client.post(address, changed | {"due_on": date_ago(4).isoformat()}).status_code == 302
    assert client.post(address, changed | {"due_on": date_ago(2).isoformat()}).status_code == 422
    assert client.post(address, changed | {"text": ""}).status_code == 422
    for _ in range(2):
        client.post(address, changed)
    action.refresh_from_db()
    assert (action.text, action.owner, action.due_on) == ("Send the list", cast.teammate, date_ago(-9))
    assert cast.teammate.notifications.filter(title__contains="an action is yours").count() == 1
    entry = AuditEntry.objects.filter(action="change_action").earliest("pk")
    assert entry.detail["before"]["owner"] == cast.owner.pk


def test_what_is_done_or_followed_up_sooner_is_not_moved(cast, client):
    done = ActionFactory(account=cast.account, owner=cast.owner, done_at=timezone.now())
    improvement = ActionFactory(
        owner=cast.owner, cause="price||", due_on=date_ago(-5), follow_up_on=date_ago(-30)
    )
    client.force_login(cast.owner)
    form = {"text": "Other", "owner": cast.owner.pk, "due_on": date_ago(-40).isoformat()}
    assert client.post(f"/actions/{done.pk}/change/", form).status_code == 422
    refused = client.post(f"/actions/{improvement.pk}/change/", form)
    assert "it has to be done by then" in refused.content.decode()
    improvement.refresh_from_db()
    assert improvement.due_on == date_ago(-5)
