"""Rows of Today about retention meetings and what was agreed at them."""

from __future__ import annotations

import datetime as dt

from pulsecheck.models import Action, RetentionMeeting
from retention.selectors.today_rows import MOST_OF_A_KIND, Act, Asker, Kind, Task

AHEAD = dt.timedelta(days=2)


def _actions(asker: Asker) -> list[Task]:
    """What the person agreed to do and is due."""
    rows = Action.objects.unfinished().filter(owner=asker.user, due_on__lte=asker.today + AHEAD)
    return [
        Task(
            "action",
            action.account_id,
            f"Agreed: {action.text}",
            "Do the action",
            action.due_on,
            action.pk,
            [Act("It is done", "retention:complete_action", action.pk, "check", is_post=True)],
            title="Improvement of our own" if action.is_improvement else "Action of a meeting",
            page="retention:actions",
        )
        for action in rows.only("account", "text", "due_on", "cause").order_by("due_on", "pk")[
            :MOST_OF_A_KIND
        ]
    ]


def _follow_ups(asker: Asker) -> list[Task]:
    """Improvements that the person asked for and whose day to look back has come."""
    rows = Action.objects.filter(asked_by=asker.user, follow_up="", follow_up_on__lte=asker.today)
    return [
        Task(
            "follow_up",
            None,
            f"{action.finding.get('says', '')} Then: {action.text}".strip(),
            "See whether it helped",
            action.follow_up_on,
            action.pk,
            [Act("Look at it", "retention:actions", None, "eye")],
            title="Has the improvement helped?",
            page="retention:actions",
        )
        for action in rows.only("text", "finding", "follow_up_on").order_by("follow_up_on", "pk")[
            :MOST_OF_A_KIND
        ]
    ]


def _meetings(asker: Asker) -> list[Task]:
    """Meetings the person leads: soon, today, or whose day is over and nobody has said that they were held."""
    rows = RetentionMeeting.objects.planned().filter(chair=asker.user, held_on__lte=asker.today + AHEAD)
    return [
        Task(
            "meeting",
            meeting.account_id,
            f"The retention meeting {'was' if meeting.held_on < asker.today else 'is'} due. The agenda is made.",
            "Hold the meeting",
            meeting.held_on,
            meeting.pk,
            [Act("Open the agenda", "retention:meeting", meeting.pk, "users-group")],
            title=str(meeting),
            page="retention:meeting",
            of=meeting.pk,
            due_word="on",
        )
        for meeting in rows.select_related("team", "account")
        .only("held_on", "account__name", "team__name")
        .order_by("held_on", "pk")[:MOST_OF_A_KIND]
    ]


KINDS = (
    Kind("action", 52, _actions),
    Kind("meeting", 55, _meetings),
    Kind("follow_up", 85, _follow_ups),
)
