"""The care loop as tables to take away: what was planned, asked, promised back and agreed, for a spreadsheet or a warehouse.

Rows come from a cursor of the database, so memory does not grow with the table; who sees what is decided by the
queryset. Accounts are named by their external id, people by their e-mail, as in the files of records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.aggregates import StringAgg
from django.db.models import QuerySet, Value

from accounts.exports import cells_of
from accounts.models import Absence, Disclosure, Handoff, Role, User
from accounts.permissions import CARERS, has_role
from pulsecheck.models import (
    Action,
    AuditPick,
    Handback,
    HandbackAttempt,
    Insight,
    PulseCheck,
    Reference,
    Survey,
    SurveyAnswer,
    Touchpoint,
)

ALL_ROLES = tuple(Role.values)
OF_ACCOUNT = ("account__external_id", "account__name")


@dataclass(frozen=True)
class Table:
    """One file: what its columns are called and where their values are, seen from a row; `roles`: who may have it."""

    name: str
    label: str
    rows: Callable[[User], QuerySet[Any]]
    paths: tuple[str, ...]
    roles: tuple[str, ...] = ALL_ROLES

    @property
    def header(self) -> list[str]:
        """Column names: "account", "account_name", "salesperson"; a person is told by e-mail, a record by its id."""
        return [_column_name(path) for path in self.paths]

    def is_for(self, user: User) -> bool:
        return has_role(user, *self.roles)

    def lines(self, user: User) -> Iterator[list[Any]]:
        """The cells of every row `user` may see, in the order they were written down."""
        return cells_of(self.rows(user).order_by("pk"), self.paths)


def _column_name(path: str) -> str:
    for ending in ("__external_id", "__email", "__code", "__pk"):
        path = path.removesuffix(ending)
    return "id" if path == "pk" else path.replace("__", "_")


def _pulse_checks(user: User) -> QuerySet[PulseCheck]:
    return PulseCheck.objects.visible_to(user).annotate(
        theme_codes=StringAgg("themes__code", " ", order_by="themes__position", default=Value(""))
    )


def _attempts(user: User) -> QuerySet[HandbackAttempt]:
    return HandbackAttempt.objects.filter(handback__in=Handback.objects.visible_to(user).order_by())


def _insights(user: User) -> QuerySet[Insight]:
    return Insight.objects.all()


TABLES = {
    table.name: table
    for table in (
        Table(
            "handbacks", "Handbacks", Handback.objects.visible_to,
            ("pk", *OF_ACCOUNT, "salesperson__email", "assigned_because", "trigger", "state", "revenue_at_risk", "currency",
             "opened_at", "opened_by__email", "due_on", "accepted_at", "escalated_at", "closed_at", "closed_by__email",
             "outcome", "churn_reason__code", "closing_note", "counter_signer__email", "counter_signed_at",
             "counter_agrees", "counter_note"),
        ),
        Table(
            "handback_attempts", "Attempts to reach them", _attempts,
            ("handback__pk", "handback__account__external_id", "handback__account__name", "user__email", "happened_at",
             "kind", "has_reached", "note"),
        ),
        Table(
            "touchpoints", "Planned contacts", Touchpoint.objects.visible_to,
            ("pk", *OF_ACCOUNT, "assignee__email", "due_on", "kind", "reason", "wanted_on", "moved_because", "state",
             "snoozed_from", "finished_on", "note"),
        ),
        Table(
            "pulse_checks", "Pulse checks", _pulse_checks,
            ("pk", *OF_ACCOUNT, "taken_by__email", "taken_at", "contact__external_id", "score", "theme_codes", "note",
             "insight__title", "insight_shared", "insight_reaction", "opportunity", "next_step", "next_step_owner__email",
             "next_step_due_on", "next_step_done_at"),
        ),
        Table(
            "surveys", "Surveys sent", Survey.objects.visible_to,
            ("pk", *OF_ACCOUNT, "contact__external_id", "sent_by__email", "sent_at", "expires_at", "cancelled_at",
             "opened_at", "about", "asks_nps", "asks_csat", "asks_ces"),
        ),
        Table(
            "survey_answers", "Survey answers", SurveyAnswer.objects.visible_to,
            ("survey__pk", *OF_ACCOUNT, "answered_at", "nps", "csat", "ces", "comment", "is_bad", "loop_closed_at",
             "loop_closed_by__email", "loop_note"),
        ),
        Table(
            "audit_picks", "Random audit", AuditPick.objects.visible_to,
            ("pk", "week__week_of", *OF_ACCOUNT, "assignee__email", "due_on", "closes_on", "tier", "churn_probability",
             "pulse__score"),
        ),
        Table(
            "handoffs", "Handoffs", Handoff.objects.visible_to,
            ("pk", *OF_ACCOUNT, "won_on", "handed_by__email", "handed_to__email", "bought", "why_us", "expects", "people",
             "watch_out", "received_at", "question"),
            CARERS,
        ),
        Table(
            "disclosures", "Fine print explained", Disclosure.objects.visible_to,
            ("contract__external_id", "contract__account__external_id", "contract__account__name", "term__name",
             "explained_on", "explained_by__email", "acknowledged_on", "acknowledged_how"),
            CARERS,
        ),
        Table(
            "actions", "Actions agreed", Action.objects.visible_to,
            ("pk", *OF_ACCOUNT, "text", "owner__email", "due_on", "asked_by__email", "meeting__pk", "done_at",
             "done_by__email", "cause", "follow_up_on", "follow_up", "follow_up_note"),
            CARERS,
        ),
        Table(
            "references", "References", Reference.objects.visible_to,
            ("pk", *OF_ACCOUNT, "agreed_by", "agreed_on", "until", "shows_name", "shows_since", "shows_on_time",
             "takes_calls", "quote", "noted_by__email", "revoked_at", "revoke_reason"),
        ),
        Table(
            "insights", "Insights", _insights,
            ("pk", "title", "text", "source", "link", "valid_from", "valid_until", "withdrawn_at", "written_by__email"),
        ),
        Table(
            "absences", "Absences", Absence.objects.visible_to,
            ("person__email", "starts_on", "ends_on", "substitute__email"),
            CARERS,
        ),
    )
}  # fmt: skip
