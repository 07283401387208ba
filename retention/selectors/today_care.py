"""Rows of Today about what was promised, asked, complained of and agreed, contacts planned and renewals near."""

from __future__ import annotations

import datetime as dt

from django.db.models import Exists, OuterRef, Q

from accounts.models import Contract, Enquiry, Interaction, Issue, Promise
from accounts.models.care import PromiseStatus, Validity
from accounts.selectors import day_begins, get_company
from pulsecheck.models import PulseCheck, Touchpoint
from pulsecheck.models.touchpoints import TouchpointState
from retention.selectors.today_rows import MOST_OF_A_KIND, Act, Asker, Field, Kind, Task, log_call, put_off
from retention.selectors.today_team import of_mine

RENEWAL_DAYS = 60
STEP_DAYS = 30


def _done(label: str, page: str, of: int) -> Act:
    return Act(label, page, of, "check", is_post=True)


def _promises(asker: Asker) -> list[Task]:
    rows = Promise.objects.filter(
        made_by=asker.user, status=PromiseStatus.OPEN, due_on__lte=asker.today + dt.timedelta(days=2)
    )
    return [
        Task(
            "promise",
            p.account_id,
            f"You promised: {p.text}",
            "Keep the promise",
            p.due_on,
            p.pk,
            [
                _done("It is kept", "pulsecheck:keep_promise", p.pk),
                Act(
                    "It will not be",
                    "pulsecheck:break_promise",
                    p.pk,
                    is_post=True,
                    fields=[Field("reason", "Why it will not be kept")],
                ),
                log_call(p.account_id),
            ],
        )
        for p in rows.only("account", "text", "due_on").order_by("due_on")[:MOST_OF_A_KIND]
    ]


def _enquiries(asker: Asker) -> list[Task]:
    mine = Q(owner=asker.user) | Q(owner=None, account__account_manager=asker.user)
    rows = Enquiry.objects.filter(mine, responded_at=None)
    return [
        Task(
            "enquiry",
            e.account_id,
            f"They ask: {e.subject or 'no subject'}",
            "Answer them",
            get_company().local_date(e.received_at),
            e.pk,
            [Act("Answer", "pulsecheck:enquiry", e.pk, "message"), log_call(e.account_id)],
            due_word="asked",
        )
        for e in rows.only("account", "subject", "received_at").order_by("received_at")[:MOST_OF_A_KIND]
    ]


RESOLUTION = (
    Field("resolution", "What was done about it", longest=2000),
    Field("validity", "Was the complaint justified?", options=Validity.choices),
)


OF_AN_ISSUE = ("account", "description", "theme", "external_id")  # and what it is called


def _issues(asker: Asker) -> list[Task]:
    rows = Issue.objects.filter(owner=asker.user, resolved_at=None, due_on__lte=asker.today)
    return [
        Task(
            "issue",
            i.account_id,
            str(i),
            "Solve the issue",
            i.due_on,
            i.pk,
            [
                Act(
                    "It is solved",
                    "pulsecheck:resolve_issue",
                    i.pk,
                    "check",
                    is_post=True,
                    fields=RESOLUTION,
                ),
                log_call(i.account_id),
            ],
        )
        for i in rows.only(*OF_AN_ISSUE, "due_on").order_by("due_on")[:MOST_OF_A_KIND]
    ]


def _steps(asker: Asker) -> list[Task]:
    """Steps agreed at a pulse check; those forgotten for longer than a month stay on the page of pulse checks."""
    oldest = asker.today - dt.timedelta(days=STEP_DAYS)
    rows = PulseCheck.objects.filter(
        next_step_owner=asker.user, next_step_done_at=None, next_step_due_on__range=(oldest, asker.today)
    )
    return [
        Task(
            "step",
            p.account_id,
            f"Agreed at the pulse check: {p.next_step}",
            "Do the next step",
            p.next_step_due_on,
            p.pk,
            [_done("Done", "pulsecheck:finish_step", p.pk), log_call(p.account_id)],
        )
        for p in rows.only("account", "next_step", "next_step_due_on").order_by("next_step_due_on")[
            :MOST_OF_A_KIND
        ]
    ]


def _pulses(asker: Asker) -> list[Task]:
    rows = Touchpoint.objects.filter(
        assignee=asker.user, state=TouchpointState.PLANNED, due_on__lte=asker.today
    )
    return [
        Task(
            "pulse",
            t.account_id,
            t.reason,
            "Take the pulse",
            t.due_on,
            t.pk,
            [
                Act("Log the pulse", "pulsecheck:log_pulse", t.account_id, "heartbeat"),
                put_off(t.account_id),
            ],
        )
        for t in rows.only("account", "reason", "due_on").order_by("due_on")[:MOST_OF_A_KIND]
    ]


def _renewals(asker: Asker) -> list[Task]:
    """Contracts that end soon and about which nobody has spoken for a month."""
    today = asker.today
    spoken = Interaction.objects.filter(
        account=OuterRef("account"), happened_at__gte=day_begins(today - dt.timedelta(days=30))
    )
    rows = (
        Contract.objects.filter(of_mine(asker.user, "account__"))
        .filter(ends_on__range=(today, today + dt.timedelta(days=RENEWAL_DAYS)), cancelled_on=None)
        .filter(~Exists(spoken))
    )
    return [
        Task(
            "renewal",
            c.account_id,
            f"The contract ends in {(c.ends_on - today).days} days.",
            "Talk about renewing",
            c.ends_on,
            c.pk,
            [log_call(c.account_id)],
            due_word="ends",
        )
        for c in rows.only("account", "ends_on").order_by("ends_on")[:MOST_OF_A_KIND]
    ]


KINDS = (
    Kind("promise", 20, _promises),
    Kind("enquiry", 30, _enquiries),
    Kind("issue", 40, _issues),
    Kind("step", 50, _steps),
    Kind("pulse", 80, _pulses, may_wait=True),
    Kind("renewal", 90, _renewals),
)
