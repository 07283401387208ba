"""What the people of the sample company do together, written through the same services as everybody's."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone

from accounts.models import Account, Team, User
from pulsecheck.models import Action, Handback, RetentionMeeting
from pulsecheck.selectors.collective import Choice, point_of, themes_by_code
from pulsecheck.selectors.products import held_back
from pulsecheck.services.actions import agree_action
from pulsecheck.services.meetings import hold_meeting, set_meeting
from pulsecheck.services.references import make_proof_page, note_consent
from retention.models import ScoreRun
from retention.models.scores import RunState
from retention.sample.staff import NORTH, email_of
from retention.sample.together import ACCOUNT_ACTION, ACCOUNT_MINUTES, IMPROVEMENT, MEETINGS, QUOTES, Held
from retention.sample.world import working_day
from retention.selectors.agenda import make_agenda


@transaction.atomic
def act_together(today: dt.date) -> None:
    """Retention meetings held a month ago with what came of them, and the next ones."""
    people = {user.email: user for user in User.objects.filter(is_sample=True)}
    teams = {team.name.removesuffix(" (sample)"): team for team in Team.objects.filter(is_sample=True)}
    for position, held in enumerate(MEETINGS):
        if (team := teams.get(held.team)) is not None and team.manager is not None:
            _hold_team_meeting(held, team, team.manager, people, today, position)
    _hold_account_meeting(today)
    _improve(people, today)
    _vouch(people, today)


def _improve(people: dict[str, User], today: dt.date) -> None:
    """Late deliveries stand out in the North; its manager has agreed on something."""
    themes = themes_by_code()
    seen = point_of(Choice("delivery", "region", NORTH), today, themes)
    path = f"/collective/{seen.query}"
    agree_action(
        people[email_of("Henrik Solberg")],
        text=IMPROVEMENT,
        owner=people[email_of("Freya Holm")],
        due_on=working_day(today + dt.timedelta(days=12)),
        cause=seen.cause,
        finding={"says": seen.says, "share": seen.point.share, "size": seen.point.group.size, "path": path},
        follow_up_on=working_day(today + dt.timedelta(days=90)),
    )


def _vouch(people: dict[str, User], today: dt.date) -> None:
    """A few long-standing customers who are well agreed to be shown; one page shows them."""
    customers = Account.objects.filter(
        is_sample=True, lifecycle_stage="customer", account_manager__isnull=False
    )
    eldest = list(customers.order_by("became_customer_on", "external_id")[:60])
    unwell = held_back([account.pk for account in eldest], today)
    well = [account for account in eldest if account.pk not in unwell]
    for position, (account, quote) in enumerate(zip(well, QUOTES, strict=False)):
        contact = account.contacts.filter(is_active=True).order_by("external_id").first()
        note_consent(
            account,
            account.account_manager or people[email_of("Ada Lindqvist")],
            agreed_by=contact.name if contact else "The owner",
            contact=contact,
            agreed_on=today - dt.timedelta(days=40 + position),
            until=today + dt.timedelta(days=325 - 100 * position),
            shows_name=position != 1,
            shows_since=True,
            shows_on_time=position % 2 == 0,
            takes_calls=position == 0,
            quote=quote,
        )
    author = people[email_of("Marta Kowalczyk")]
    make_proof_page(
        author, "Prospects at the autumn fair", ["tenure", "on_time", "promises", "asked", "answers"]
    )


def _hold_team_meeting(
    held: Held, team: Team, chair: User, people: dict[str, User], today: dt.date, position: int
) -> None:
    day = working_day(today - dt.timedelta(days=held.days_ago))
    meeting = set_meeting(chair, day, team=team)
    meeting.minutes = held.minutes
    meeting.save(update_fields=["minutes", "updated_at"])
    for agreed in held.agreed:
        owner = people[email_of(agreed.who)]
        due_on = working_day(day + dt.timedelta(days=agreed.days))
        action = agree_action(chair, text=agreed.text, owner=owner, due_on=due_on, meeting=meeting)
        if agreed.is_done:
            _finish(action, owner, due_on)
    agenda = make_agenda(meeting, day, _run_of(day))
    crew = User.objects.filter(team=team, is_active=True)
    hold_meeting(
        meeting,
        chair,
        agenda=agenda,
        attended=crew,
        next_on=working_day(today + dt.timedelta(days=1 + position)),
    )


def _run_of(day: dt.date) -> ScoreRun | None:
    """The scores people had on that day."""
    return ScoreRun.objects.filter(state=RunState.PUBLISHED, as_of__lte=day).order_by("-as_of").first()


def _finish(action: Action, owner: User, on: dt.date) -> None:
    """Done two days before it was due, never later than now."""
    done_at = dt.datetime.combine(on - dt.timedelta(days=2), dt.time(15), dt.UTC)
    action.done_at, action.done_by = min(done_at, timezone.now()), owner
    action.save(update_fields=["done_at", "done_by"])


def _hold_account_meeting(today: dt.date) -> None:
    """The account under handback with most money at risk has a meeting of its own people."""
    handback = Handback.objects.unfinished().filter(is_sample=True, salesperson__isnull=False).first()
    if handback is None or handback.salesperson is None:
        return
    account = Account.objects.get(pk=handback.account_id)
    day = working_day(today - dt.timedelta(days=16))
    meeting = set_meeting(handback.salesperson, day, account=account, repeats="fortnightly")
    RetentionMeeting.objects.filter(pk=meeting.pk).update(minutes=ACCOUNT_MINUTES)
    owner = account.account_manager or handback.salesperson
    due_on = working_day(today + dt.timedelta(days=3))
    agree_action(handback.salesperson, text=ACCOUNT_ACTION, owner=owner, due_on=due_on, meeting=meeting)
    next_on = working_day(today + dt.timedelta(days=2))
    hold_meeting(
        meeting, handback.salesperson, agenda=make_agenda(meeting, day, _run_of(day)), next_on=next_on
    )
