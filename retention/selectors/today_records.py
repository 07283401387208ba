"""Rows of Today about what comes after a record: telling the customer, next steps of answers, handing over, missing owners."""

from __future__ import annotations

import datetime as dt

from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, Contract, Enquiry, Handoff, Issue, OnboardingStep
from accounts.models.account import LifecycleStage
from accounts.permissions import LEADERS
from accounts.selectors import get_company
from pulsecheck.selectors.issues import UNTOLD, untold_since
from retention.selectors.today_care import OF_AN_ISSUE
from retention.selectors.today_rows import MOST_OF_A_KIND, Act, Asker, Field, Kind, Task, log_call
from retention.selectors.today_team import of_mine

# More vacancies than these are one row with a way to the list.
ONE_BY_ONE = 3

NEW_CONTRACT_DAYS = 30


def _untold(asker: Asker) -> list[Task]:
    """Issues of one's own that are solved, and the customer does not know."""
    rows = Issue.objects.filter(UNTOLD, owner=asker.user, resolved_at__gte=untold_since(timezone.now()))
    return [
        Task(
            "untold",
            i.account_id,
            f"Solved, and they do not know yet: {i}",
            "Tell them what was done",
            get_company().local_date(i.resolved_at) if i.resolved_at else None,
            i.pk,
            [
                Act(
                    "I told them",
                    "pulsecheck:tell_customer",
                    i.pk,
                    "check",
                    is_post=True,
                    fields=[Field("reaction", "What they said to it", is_required=False)],
                ),
                log_call(i.account_id),
            ],
            due_word="solved",
        )
        for i in rows.only(*OF_AN_ISSUE, "resolved_at").order_by("resolved_at")[:MOST_OF_A_KIND]
    ]


def _enquiry_steps(asker: Asker) -> list[Task]:
    """What was to follow an answer."""
    rows = Enquiry.objects.filter(
        next_step_owner=asker.user, next_step_done_at=None, next_step_due_on__lte=asker.today
    )
    return [
        Task(
            "enquiry_step",
            e.account_id,
            f"Agreed with the answer: {e.next_step}",
            "Do the next step",
            e.next_step_due_on,
            e.pk,
            [
                Act("Done", "pulsecheck:finish_enquiry_step", e.pk, "check", is_post=True),
                log_call(e.account_id),
            ],
        )
        for e in rows.only("account", "next_step", "next_step_due_on").order_by("next_step_due_on")[
            :MOST_OF_A_KIND
        ]
    ]


def _handoffs(asker: Asker) -> list[Task]:
    """Won deals that were handed over to one and not read yet."""
    rows = Handoff.objects.filter(handed_to=asker.user, received_at=None)
    return [
        Task(
            "handoff",
            h.account_id,
            f"{h.handed_by} won them and handed them over to you.",
            "Read the handoff",
            h.won_on,
            h.pk,
            [Act("Read it", "pulsecheck:handoff", h.pk, "transfer")],
            due_word="won",
        )
        for h in rows.select_related("handed_by")
        .only("account", "won_on", "handed_by__name")
        .order_by("won_on")[:MOST_OF_A_KIND]
    ]


def _onboarding(asker: Asker) -> list[Task]:
    """Steps of the onboarding of new customers."""
    rows = OnboardingStep.objects.filter(owner=asker.user, done_at=None, due_on__lte=asker.today)
    return [
        Task(
            "onboarding",
            s.handoff.account_id,
            f"New customer: {s.title}",
            "Do the onboarding step",
            s.due_on,
            s.pk,
            [Act("Done", "pulsecheck:finish_onboarding_step", s.pk, "check", is_post=True)],
        )
        for s in rows.select_related("handoff")
        .only("title", "due_on", "handoff__account")
        .order_by("due_on")[:MOST_OF_A_KIND]
    ]


def _unexplained(asker: Asker) -> list[Task]:
    """New contracts of one's own whose fine print nobody explained."""
    since = asker.today - dt.timedelta(days=NEW_CONTRACT_DAYS)
    rows = Contract.objects.filter(of_mine(asker.user, "account__")).filter(
        starts_on__gte=since, cancelled_on=None, terms_disclosed_on=None, ends_on__gte=asker.today
    )
    return [
        Task(
            "terms",
            c.account_id,
            "Nobody has told them what the fine print of the new contract says.",
            "Explain the fine print",
            c.starts_on,
            c.pk,
            [Act("Go through it", "pulsecheck:contract_terms", c.pk, "file-text")],
            due_word="begins",
        )
        for c in rows.only("account", "starts_on").order_by("starts_on")[:MOST_OF_A_KIND]
    ]


def _vacancies(asker: Asker) -> list[Task]:
    """Customers that a leader sees and nobody manages."""
    without = Q(account_manager=None) | Q(account_manager__is_active=False)
    rows = Account.objects.visible_to(asker.user).filter(lifecycle_stage=LifecycleStage.CUSTOMER)
    found = list(rows.filter(without).order_by("pk")[:MOST_OF_A_KIND])
    if len(found) > ONE_BY_ONE:
        return [_many_vacancies(len(found))]
    return [
        Task(
            "vacancy",
            account.pk,
            "They have no account manager: only one of the two owners is here.",
            "Name an account manager",
            None,
            account.pk,
            [Act("Choose", "pulsecheck:team", account.pk, "users")],
        )
        for account in found
    ]


def _many_vacancies(count: int) -> Task:
    words = f"{count} or more" if count == MOST_OF_A_KIND else str(count)
    return Task(
        "vacancy",
        None,
        "Only one of the two owners is here, and a customer needs both.",
        "Name account managers",
        None,
        0,
        [Act("See them", "pulsecheck:owners", icon="users")],
        title=f"{words} customers have no account manager",
        page="pulsecheck:owners",
    )


KINDS = (
    Kind("handoff", 25, _handoffs),
    Kind("untold", 45, _untold),
    Kind("enquiry_step", 50, _enquiry_steps),
    Kind("onboarding", 52, _onboarding),
    Kind("vacancy", 75, _vacancies, roles=LEADERS, may_wait=True),
    Kind("terms", 85, _unexplained, may_wait=True),
)
