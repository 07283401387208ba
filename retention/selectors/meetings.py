"""Lists of retention meetings and actions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import Count, OuterRef, Q, QuerySet

from accounts.models import Team, User
from accounts.paging import Page, make_page
from accounts.permissions import LEADERS, has_role
from accounts.selectors import count_of
from pulsecheck.models import Action, RetentionMeeting
from pulsecheck.models.meetings import MeetingState
from pulsecheck.selectors.lists import behind

PAGE_SIZE = 50
WHOSE = {"mine": "Mine", "all": "All I see"}
STATES = {"": "To do", "late": "Overdue", "improvements": "Improvements", "done": "Done"}


@dataclass(frozen=True)
class ActionFilters:
    """What the reader asked for, as it stands in the url."""

    whose: str = "mine"
    state: str = ""
    after: str = ""
    query: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: Mapping[str, str], user: User) -> ActionFilters:
        """Leaders look at everybody's unless they ask for their own."""
        keys = ("whose", "state", "after")
        kept = {k: query[k].strip() for k in keys if query.get(k, "").strip() and "\0" not in query[k]}
        standard = "all" if has_role(user, *LEADERS) else "mine"
        return cls(
            whose=kept["whose"] if kept.get("whose") in WHOSE else standard,
            state=kept["state"] if kept.get("state") in STATES else "",
            after=kept.get("after", ""),
            query=kept,
        )


def action_page(user: User, filters: ActionFilters, today: dt.date) -> Page:
    """Actions by the day they are due, done ones newest first; a fixed number of queries."""
    rows: QuerySet[Action] = Action.objects.visible_to(user)
    if filters.whose == "mine":
        rows = rows.filter(owner=user)
    is_done = filters.state == "done"
    if filters.state == "improvements":
        rows = rows.exclude(cause="")
    else:
        rows = rows.filter(done_at__isnull=not is_done)
    if filters.state == "late":
        rows = rows.filter(due_on__lt=today)
    rows = behind(rows, filters.after, "due_on", newest_first=is_done, parse=dt.date.fromisoformat)
    related = ("owner", "account", "meeting__account", "meeting__team", "done_by", "asked_by")
    # The agenda that a held meeting keeps is long, and not shown here.
    rows = rows.select_related(*related).defer("meeting__agenda", "meeting__minutes")
    found = list(rows[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    cursor = f"{shown[-1].due_on.isoformat()}~{shown[-1].pk}" if shown else ""
    words = f"{len(shown)} shown" + (", more follow" if len(found) > PAGE_SIZE else "")
    return make_page(found, PAGE_SIZE, filters.query, cursor, words)


def count_actions(user: User, today: dt.date) -> dict[str, int]:
    """One's own: to do, and of these overdue; one query."""
    return (
        Action.objects.unfinished()
        .filter(owner=user)
        .order_by()
        .aggregate(due=Count("pk"), late=Count("pk", filter=Q(due_on__lt=today)))
    )


def planned_meetings(user: User, most: int = 50) -> list[RetentionMeeting]:
    """Meetings to come, the next one first."""
    rows = RetentionMeeting.objects.visible_to(user).planned().select_related("account", "team", "chair")
    return list(rows.order_by("held_on", "pk")[:most])


def held_meetings(user: User, most: int = 30) -> list[RetentionMeeting]:
    """Meetings held, the newest first, with how many actions were agreed and are open."""
    rows = RetentionMeeting.objects.visible_to(user).filter(state=MeetingState.HELD)
    actions = Action.objects.filter(meeting=OuterRef("pk"))
    counted = rows.annotate(agreed=count_of(actions), undone=count_of(actions.filter(done_at=None)))
    related = counted.select_related("account", "team", "chair").defer("agenda", "minutes")
    return list(related.order_by("-held_on", "-pk")[:most])


def meetable_teams(user: User) -> list[Team]:
    """Teams this person may set a meeting of: a manager's own (managing none: all), everybody's for administrators."""
    teams = Team.objects.order_by("name")
    if not has_role(user, *LEADERS):
        return []
    if user.managed_team_ids and user.role == "manager":
        teams = teams.filter(pk__in=user.managed_team_ids)
    return list(teams)
