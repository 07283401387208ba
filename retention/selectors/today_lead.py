"""Rows of Today for those who lead, who sign with another, and who bring customers in: what nobody has answered or has,
how a loss is judged, which trigger fell silent, which campaign brings customers who do not stay."""

from __future__ import annotations

import datetime as dt

from django.db.models import Count, Q

from accounts.models import Role
from accounts.permissions import ADMINISTRATORS, LEADERS, has_role
from pulsecheck.models import Handback, TriggerRule
from pulsecheck.models.handbacks import HandbackState
from retention.models import Score, Tier
from retention.selectors.today_rows import MOST_OF_A_KIND, Act, Asker, Kind, Task

CAMPAIGN_DAYS = 365
FEWEST_OF_A_CAMPAIGN = 8
LEAVING = (Tier.AT_RISK, Tier.QUIET, Tier.LOST)


def _unanswered(asker: Asker) -> list[Task]:
    """Handbacks of others whose time to answer is over."""
    rows = Handback.objects.visible_to(asker.user).filter(
        state=HandbackState.OPEN, escalated_at__isnull=False, salesperson__isnull=False
    )
    return [
        Task(
            "unanswered",
            h.account_id,
            f"{h.salesperson} has not answered the handback.",
            "Ask, or give it on",
            h.due_on,
            h.pk,
            [
                Act("Give it to somebody", "pulsecheck:handback", h.pk, "user-share"),
                Act("Take it over", "pulsecheck:accept", h.pk, is_post=True),
            ],
        )
        for h in rows.exclude(salesperson=asker.user)
        .select_related("salesperson")
        .order_by("due_on", "pk")[:MOST_OF_A_KIND]
    ]


def _nobodys(asker: Asker) -> list[Task]:
    """Handbacks that nobody could be found for."""
    rows = Handback.objects.visible_to(asker.user).filter(state=HandbackState.OPEN, salesperson=None)
    return [
        Task(
            "nobodys",
            h.account_id,
            h.assigned_because,
            "Find somebody",
            h.due_on,
            h.pk,
            [Act("Give it to somebody", "pulsecheck:handback", h.pk, "user-share")],
        )
        for h in rows.order_by("due_on", "pk")[:MOST_OF_A_KIND]
    ]


def _to_sign(asker: Asker) -> list[Task]:
    """Losses on both sides that the other owner has closed."""
    rows = Handback.objects.filter(counter_signer=asker.user, counter_signed_at=None)
    return [
        Task(
            "sign",
            h.account_id,
            f"{h.closed_by or 'Somebody'} says why they left: {h.churn_reason}, on both sides.",
            "Sign how it ended",
            None,
            h.pk,
            [
                Act(
                    "I see it the same way",
                    "pulsecheck:counter_sign",
                    h.pk,
                    "check",
                    is_post=True,
                    fixed=[("agrees", "yes")],
                ),
                Act("Look at it", "pulsecheck:handback", h.pk),
            ],
        )
        for h in rows.select_related("closed_by", "churn_reason")
        .only("account", "closed_by__name", "churn_reason__name")
        .order_by("closed_at")[:MOST_OF_A_KIND]
    ]


def _muted(asker: Asker) -> list[Task]:
    """Triggers that were wrong too often."""
    acts = [Act("How right it was", "pulsecheck:triggers")]
    may_set = has_role(asker.user, *ADMINISTRATORS)
    return [
        Task(
            "muted",
            None,
            rule.muted_because,
            "Set it right",
            None,
            rule.pk,
            [
                *acts,
                *(
                    [Act("Let it speak again", "pulsecheck:unmute", rule.pk, "volume", is_post=True)]
                    if may_set
                    else []
                ),
            ],
            title=f"The trigger “{rule}” has muted itself",
            page="pulsecheck:triggers",
        )
        for rule in TriggerRule.objects.filter(muted_at__isnull=False, is_on=True)
    ]


def _campaigns(asker: Asker) -> list[Task]:
    """Campaigns of the last year whose customers are leaving at least half as often again as the others'."""
    if asker.run is None:
        return []
    since = asker.today - dt.timedelta(days=CAMPAIGN_DAYS)
    counts = list(
        Score.objects.filter(as_of=asker.run.as_of, account__became_customer_on__gte=since)
        .order_by()
        .values_list("account__campaign")
        .annotate(n=Count("pk"), leaving=Count("pk", filter=Q(tier__in=LEAVING)))
    )
    everybody, all_leaving = sum(n for _, n, _ in counts), sum(left for _, _, left in counts)
    tasks = []
    for place, (campaign, n, leaving) in enumerate(sorted(counts, key=lambda row: (-row[2], row[0])), 1):
        others, others_leaving = everybody - n, all_leaving - leaving
        if not campaign or n < FEWEST_OF_A_CAMPAIGN or not others:
            continue
        if leaving / n > 1.5 * others_leaving / others:
            why = (
                f"{leaving} of {n} customers won by it in a year are at risk, quiet or lost; "
                f"of all others {others_leaving} of {others}."
            )
            acts = [Act("See the KPIs", "retention:kpis", icon="chart-line")]
            tasks.append(
                Task(
                    "campaign",
                    None,
                    why,
                    "Look at whom it wins",
                    None,
                    place,
                    acts,
                    title=f"Campaign {campaign}",
                    page="retention:accounts",
                )
            )
    return tasks[:MOST_OF_A_KIND]


KINDS = (
    Kind("unanswered", 5, _unanswered, LEADERS),
    Kind("nobodys", 6, _nobodys, LEADERS),
    Kind("sign", 45, _to_sign),
    Kind("muted", 65, _muted, LEADERS),
    Kind("campaign", 66, _campaigns, (Role.MARKETING,)),
)
