"""Rows of Today that come from listening: accounts drawn for the random audit, bad answers nobody came back on."""

from __future__ import annotations

import datetime as dt

from django.db.models import Q

from pulsecheck.models import AuditPick, SurveyAnswer
from retention.selectors.today_rows import MOST_OF_A_KIND, Act, Asker, Field, Kind, Task

# Weeks of silence do not get better by a reminder each morning; the Surveys page keeps them.
LOOP_DAYS = 60


def _drawn(asker: Asker) -> list[Task]:
    mine = AuditPick.objects.open_on(asker.today).filter(assignee=asker.user)
    return [
        Task(
            "drawn",
            pick.account,
            "Drawn by lot: all looks well there. Is it?",
            "Ask them",
            pick.due_on,
            pick.pk,
            [Act("Log a pulse", "pulsecheck:log_pulse", pick.account_id, "heartbeat")],
            due_word="ask by",
        )
        for pick in mine.select_related("account").order_by("due_on", "pk")[:MOST_OF_A_KIND]
    ]


def _loops(asker: Asker) -> list[Task]:
    """Whose issue is solved (or never was one) and who has not heard of it; until then the issue is the duty."""
    mine = Q(issue__owner=asker.user) | Q(issue=None, account__account_manager=asker.user)
    settled = Q(issue=None) | Q(issue__resolved_at__isnull=False)
    recent = asker.today - dt.timedelta(days=LOOP_DAYS)
    rows = SurveyAnswer.objects.with_open_loop().filter(mine, settled, answered_at__date__gte=recent)
    told = Field("note", "What you told them", longest=500)
    return [
        Task(
            "loop",
            answer.account,
            "They answered badly, it is settled, and nobody has told them.",
            "Tell them",
            (
                answer.issue.resolved_at if answer.issue and answer.issue.resolved_at else answer.answered_at
            ).date(),
            answer.pk,
            [
                Act(
                    "They know",
                    "pulsecheck:close_loop",
                    answer.survey_id,
                    "check",
                    is_post=True,
                    fields=[told],
                    fixed=[("kind", "call")],
                ),
                Act("What they said", "pulsecheck:survey", answer.survey_id),
            ],
            due_word="settled",
        )
        for answer in rows.select_related("account", "issue").order_by("answered_at", "pk")[:MOST_OF_A_KIND]
    ]


KINDS = (Kind("loop", 45, _loops), Kind("drawn", 75, _drawn))
