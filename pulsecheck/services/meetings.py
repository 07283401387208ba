"""Setting retention meetings, writing their minutes, closing them and setting the next one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, AccountMember, Team, User
from accounts.selectors import get_company
from accounts.services.audit import write_audit
from notifications.models import Topic
from notifications.services import Message, notify_all
from pulsecheck.business_days import business_calendar
from pulsecheck.cadence import day_words
from pulsecheck.errors import CareError
from pulsecheck.models import Action, RetentionMeeting
from pulsecheck.models.meetings import MeetingState, Recurrence
from pulsecheck.recurrence import next_day

MONTH = dt.timedelta(days=31)
MOST_BEFORE = 100


class MinutesConflict(CareError):
    """Somebody else has saved the minutes since they were read."""


@transaction.atomic
def set_meeting(
    user: User,
    held_on: dt.date,
    *,
    account: Account | None = None,
    team: Team | None = None,
    repeats: str = Recurrence.MONTHLY,
) -> RetentionMeeting:
    """Plan a meeting about an account or a team, led by `user`; whoever should be there hears of it. It looks back to the
    last one held, else a month."""
    last = RetentionMeeting.objects.filter(account=account, team=team, state=MeetingState.HELD).first()
    covers_from = last.held_on if last else held_on - MONTH
    meeting = RetentionMeeting(
        account=account,
        team=team,
        chair=user,
        held_on=held_on,
        covers_from=min(covers_from, held_on),
        repeats=repeats,
        is_sample=bool(account.is_sample if account else team and team.is_sample),
    )
    _insert(meeting)
    write_audit(user, "set_meeting", meeting, held_on=held_on, account=account and account.pk)
    _invite(meeting, user)
    return meeting


def _insert(meeting: RetentionMeeting) -> None:
    """Save a new meeting; two people who set one at once get one, and the second is told."""
    try:
        with transaction.atomic():
            meeting.save()
    except IntegrityError as clash:
        raise CareError(
            f"A retention meeting of {meeting.subject} is planned already. Change its day instead."
        ) from clash


def people_of(meeting: RetentionMeeting) -> list[User]:
    """Who belongs at the meeting: both owners and the retention team of the account, or the team and its manager."""
    if meeting.account is not None:
        account = meeting.account
        wanted = Q(pk__in=[pk for pk in (account.original_salesperson_id, account.account_manager_id) if pk])
        wanted |= Q(pk__in=AccountMember.objects.filter(account=account).values("user"))
    else:
        wanted = Q(team=meeting.team_id)
        wanted |= Q(
            pk__in=Team.objects.filter(pk=meeting.team_id or 0, manager__isnull=False).values("manager")
        )
    wanted |= Q(pk=meeting.chair_id)
    return list(User.objects.filter(wanted, is_active=True, left_on=None))


def _invite(meeting: RetentionMeeting, user: User) -> None:
    title = f"Retention meeting of {meeting.subject} on {day_words(meeting.held_on)}"
    notify_all(
        Message(
            person,
            Topic.ACTION,
            title,
            account=meeting.account,
            body=f"{user.name} leads it. The agenda makes itself from what happened; look at it before you come.",
            path=f"/meetings/{meeting.pk}/",
            dedupe_key=f"meeting:{meeting.pk}:{meeting.held_on}",
        )
        for person in people_of(meeting)
        if person.pk != user.pk
    )


def _locked(meeting: RetentionMeeting) -> RetentionMeeting:
    """The row as it is now; what is over cannot be changed."""
    found = RetentionMeeting.objects.select_for_update(of=("self",)).select_related(
        "account", "team", "chair"
    )
    current = found.get(pk=meeting.pk)
    if not current.is_open:
        raise CareError(f"This meeting is {current.get_state_display().lower()} already.")
    return current


@transaction.atomic
def move_meeting(meeting: RetentionMeeting, user: User, held_on: dt.date, repeats: str) -> RetentionMeeting:
    """Another day, or another rhythm. Who should be there hears of a new day."""
    meeting = _locked(meeting)
    before = meeting.held_on
    meeting.held_on, meeting.repeats = held_on, repeats
    meeting.covers_from = min(meeting.covers_from, held_on)
    meeting.save()
    write_audit(user, "move_meeting", meeting, before=before, after=held_on, repeats=repeats)
    if before != held_on:
        _invite(meeting, user)
    return meeting


@transaction.atomic
def write_minutes(
    meeting: RetentionMeeting, user: User, minutes: str, version: int | None = None
) -> RetentionMeeting:
    """Save the minutes, also after the meeting. `version` is the one that was read: raises MinutesConflict when somebody
    has saved others since, so nothing is written over unseen."""
    current = RetentionMeeting.objects.select_for_update().get(pk=meeting.pk)
    if current.minutes == minutes:
        return current
    if version is not None and version != current.minutes_version:
        raise MinutesConflict(
            "Somebody has saved the minutes in the meantime. Both texts are below: join them."
        )
    current.minutes, current.minutes_version = minutes, current.minutes_version + 1
    current.save(update_fields=["minutes", "minutes_version", "updated_at"])
    write_audit(user, "write_minutes", current, version=current.minutes_version)
    return current


@transaction.atomic
def hold_meeting(
    meeting: RetentionMeeting,
    user: User,
    *,
    agenda: Mapping[str, Any],
    attended: Iterable[User] = (),
    next_on: dt.date | None = None,
) -> RetentionMeeting | None:
    """The meeting is over: `agenda` is kept as it stood, and the next one is set on `next_on`. Answers with that one.

    A second time changes nothing and answers with the next meeting there is. CareError where it was cancelled."""
    try:
        meeting = _locked(meeting)
    except CareError:
        if RetentionMeeting.objects.filter(pk=meeting.pk, state=MeetingState.CANCELLED).exists():
            raise
        return RetentionMeeting.objects.filter(follows=meeting.pk).first()
    meeting.state, meeting.closed_at, meeting.agenda = MeetingState.HELD, timezone.now(), dict(agenda)
    meeting.save()
    meeting.attended.set(attended)
    write_audit(user, "hold_meeting", meeting, next_on=next_on)
    if next_on is None:
        return None
    following = RetentionMeeting(
        account=meeting.account,
        team=meeting.team,
        chair=meeting.chair,
        held_on=next_on,
        covers_from=min(meeting.held_on, next_on),
        repeats=meeting.repeats,
        follows=meeting,
        is_sample=meeting.is_sample,
    )
    _insert(following)
    _invite(following, user)
    return following


@transaction.atomic
def cancel_meeting(meeting: RetentionMeeting, user: User) -> RetentionMeeting:
    """It does not take place. Its actions stay; a new one can be set at any time."""
    meeting = _locked(meeting)
    meeting.state, meeting.closed_at = MeetingState.CANCELLED, timezone.now()
    meeting.save(update_fields=["state", "closed_at", "updated_at"])
    write_audit(user, "cancel_meeting", meeting)
    return meeting


def proposed_next_day(meeting: RetentionMeeting) -> dt.date | None:
    """When it comes round again; None when it does not repeat."""
    return next_day(meeting.held_on, meeting.repeats, business_calendar(get_company().country))


def open_actions_before(meeting: RetentionMeeting) -> list[Action]:
    """What earlier meetings about the same account or team agreed and nobody has done yet, the earliest due first; as
    many as a meeting can talk about."""
    earlier = (
        Q(meeting__account=meeting.account_id) if meeting.account_id else Q(meeting__team=meeting.team_id)
    )
    return list(
        Action.objects.unfinished()
        .filter(earlier)
        .exclude(meeting=meeting)
        .select_related("owner", "account", "meeting")[:MOST_BEFORE]
    )
