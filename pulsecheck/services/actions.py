"""Agreeing on actions, doing them, and looking afterwards whether an improvement has helped."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import Account, User
from accounts.permissions import LEADERS, has_role
from accounts.services.audit import write_audit
from notifications.models import Topic
from notifications.services import notify
from pulsecheck.cadence import day_words
from pulsecheck.errors import CareError
from pulsecheck.models import Action, RetentionMeeting
from pulsecheck.models.actions import FollowUp


@transaction.atomic
def agree_action(
    user: User,
    *,
    text: str,
    owner: User,
    due_on: dt.date,
    meeting: RetentionMeeting | None = None,
    account: Account | None = None,
    cause: str = "",
    finding: Mapping[str, Any] | None = None,
    follow_up_on: dt.date | None = None,
    submission: uuid.UUID | None = None,
) -> Action:
    """`owner` does `text` by `due_on`, and hears of it. With a `cause` it improves our own company and needs a day on
    which somebody looks whether it helped. The same `submission` counts once."""
    if not owner.is_active or owner.left_on is not None:
        raise CareError(f"{owner.name} has left. Choose somebody who works here.")
    if cause and follow_up_on is None:
        raise CareError("Say when somebody looks whether it helped.")
    if follow_up_on is not None and follow_up_on < due_on:
        raise CareError("Look whether it helped after it is done, not before.")
    columns = {
        "text": text,
        "owner": owner,
        "due_on": due_on,
        "asked_by": user,
        "meeting": meeting,
        "account": account or (meeting.account if meeting else None),
        "cause": cause,
        "finding": dict(finding or {}),
        "follow_up_on": follow_up_on,
        "is_sample": account.is_sample if account else (meeting.is_sample if meeting else owner.is_sample),
    }
    if submission is None:
        action = Action.objects.create(**columns)
    else:  # of two at the same moment one writes it, and the other finds it
        action, is_new = Action.objects.get_or_create(submission=submission, defaults=columns)
        if not is_new:
            return action
    write_audit(user, "agree_action", action, owner=owner.pk, due_on=due_on)
    if owner.pk != user.pk:
        _tell(action, user)
    return action


def may_change(action: Action, user: User) -> bool:
    """Whoever does it, asked for it or leads."""
    return user.pk in {action.owner_id, action.asked_by_id} or has_role(user, *LEADERS)


@transaction.atomic
def change_action(action: Action, user: User, *, text: str, owner: User, due_on: dt.date) -> Action:
    """Say it otherwise, give it to somebody else, or to another day; what it was before stands in the audit log, and a
    new owner hears of it. What is done stays as it was agreed."""
    action = Action.objects.select_for_update(of=("self",)).select_related("account").get(pk=action.pk)
    if action.done_at is not None:
        raise CareError("This is done. Open it again first, or agree something new.")
    if action.owner_id != owner.pk and (not owner.is_active or owner.left_on is not None):
        raise CareError(f"{owner.name} has left. Choose somebody who works here.")
    if action.follow_up_on is not None and action.follow_up_on < due_on:
        later = day_words(action.follow_up_on)
        raise CareError(f"On {later} somebody looks whether it helped: it has to be done by then.")
    before = {"text": action.text, "owner": action.owner_id, "due_on": action.due_on}
    after = {"text": text, "owner": owner.pk, "due_on": due_on}
    if before == after:
        return action
    action.text, action.owner, action.due_on = text, owner, due_on
    action.save(update_fields=["text", "owner", "due_on", "updated_at"])
    write_audit(user, "change_action", action, before=before, after=after)
    if before["owner"] != owner.pk and owner.pk != user.pk:
        _tell(action, user)
    return action


def _tell(action: Action, user: User) -> None:
    about = f"{action.account}: " if action.account else ""
    notify(
        action.owner,
        Topic.ACTION,
        f"{about}an action is yours",
        account=action.account,
        body=f"{action.text}, by {day_words(action.due_on)}. {user.name} asked for it.",
        path=f"/actions/#a{action.pk}",
        dedupe_key=f"action:{action.pk}:{action.owner_id}",
    )


@transaction.atomic
def complete_action(action: Action, user: User) -> Action:
    """It is done. A second time changes nothing."""
    action = Action.objects.select_for_update().get(pk=action.pk)
    if action.done_at is None:
        action.done_at, action.done_by = timezone.now(), user
        action.save(update_fields=["done_at", "done_by", "updated_at"])
        write_audit(user, "complete_action", action)
    return action


@transaction.atomic
def reopen_action(action: Action, user: User) -> Action:
    """It was not done after all."""
    action = Action.objects.select_for_update().get(pk=action.pk)
    if action.done_at is not None:
        action.done_at = action.done_by = None
        action.save(update_fields=["done_at", "done_by", "updated_at"])
        write_audit(user, "reopen_action", action)
    return action


@transaction.atomic
def follow_up_action(action: Action, user: User, outcome: str, note: str = "") -> Action:
    """Whether the improvement has helped, as somebody judges it from the figures."""
    action = Action.objects.select_for_update().get(pk=action.pk)
    if not action.is_improvement:
        raise CareError("Only an improvement is followed up.")
    if action.done_at is None and outcome != FollowUp.CANNOT_TELL:
        raise CareError("It is not done yet, so nobody can tell whether it helps.")
    action.follow_up, action.follow_up_note = outcome, note
    action.followed_up_at = timezone.now()
    action.save(update_fields=["follow_up", "follow_up_note", "followed_up_at", "updated_at"])
    write_audit(user, "follow_up_action", action, outcome=outcome)
    return action
