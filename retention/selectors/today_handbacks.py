"""Rows of Today about handbacks: to answer, to try, to settle; and accounts at risk that nobody has handed back."""

from __future__ import annotations

import datetime as dt

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, Max, OuterRef, Q
from django.db.models.functions import JSONObject
from django.utils.functional import lazy

from accounts.models import Interaction
from accounts.selectors import day_begins, get_company
from pulsecheck.models import Handback, HandbackReason, Touchpoint
from pulsecheck.models.handbacks import HandbackState, HandbackTrigger
from pulsecheck.models.touchpoints import TouchpointState
from retention.models import Score, Tier
from retention.selectors.book import why
from retention.selectors.today_rows import (
    MOST_OF_A_KIND,
    Act,
    Asker,
    Field,
    Kind,
    Task,
    log_call,
    put_off,
)
from retention.selectors.today_team import of_mine

SPOKEN_DAYS = 5
ACCEPTED_REST_DAYS = 3
DISMISSED_DAYS = 30


def _to_answer(asker: Asker) -> list[Task]:
    rows = Handback.objects.filter(salesperson=asker.user, state=HandbackState.OPEN)
    reasons = HandbackReason.objects.filter(handback=OuterRef("pk"))
    said = reasons.values(reason=JSONObject(sentence="sentence", trigger="trigger"))
    return [
        Task(
            "handback",
            h.account_id,
            _sentence(h),
            "Answer the handback",
            h.due_on,
            h.pk,
            [
                Act("Accept", "pulsecheck:accept", h.pk, "check", is_post=True),
                Act("Briefing", "pulsecheck:handback", h.pk),
                Act("Decline", "pulsecheck:decline", h.pk, is_post=True, fields=[NOT_ME]),
            ],
        )
        for h in rows.annotate(said=ArraySubquery(said))
        .only("account", "trigger", "due_on")
        .order_by("due_at", "due_on")[:MOST_OF_A_KIND]
    ]


NOT_ME = Field("reason", "Why not you?", placeholder="It goes to the next in line, with your reason")


def _sentence(handback: Handback) -> str:
    """What spoke for it first, and how much joined since."""
    said: list[dict[str, str]] = getattr(handback, "said", [])
    if not said:
        return handback.get_trigger_display()
    more = len(said) - 1
    first = said[0]["sentence"] or HandbackTrigger(said[0]["trigger"]).label
    return first + (f" And {more} more reason{'s' if more > 1 else ''}." if more else "")


def _to_try(asker: Asker) -> list[Task]:
    rows = (
        Handback.objects.filter(salesperson=asker.user, state=HandbackState.ACCEPTED)
        .annotate(tried_at=Max("attempts__happened_at"))
        .only("account")
        .order_by("due_on")[:MOST_OF_A_KIND]
    )
    return [task for handback in rows if (task := _try_again(handback, asker.today))]


def _try_again(handback: Handback, today: dt.date) -> Task | None:
    """None while the last try is fresh."""
    tried_at: dt.datetime | None = getattr(handback, "tried_at", None)
    tried = get_company().local_date(tried_at) if tried_at else None
    if tried and (today - tried).days < ACCEPTED_REST_DAYS:
        return None
    ago = f"Last try {(today - tried).days} days ago." if tried else "You accepted it and have not tried yet."
    act = Act("Log a try or close it", "pulsecheck:handback", handback.pk, "phone")
    return Task("accepted", handback.account_id, ago, "Call them", None, handback.pk, [act])


def _risks(asker: Asker) -> list[Task]:
    """At-risk and quiet accounts of one's own without a handback under way, not spoken with lately, not put off and
    not dismissed; most money first."""
    if asker.run is None:
        return []
    today = asker.today
    since = day_begins(today - dt.timedelta(days=SPOKEN_DAYS))
    spoken = Interaction.objects.filter(account=OuterRef("account"), happened_at__gte=since)
    handled = Handback.objects.filter(account=OuterRef("account")).filter(
        Q(state__in=[HandbackState.OPEN, HandbackState.ACCEPTED])
        | Q(closed_at__gte=day_begins(today - dt.timedelta(days=DISMISSED_DAYS)))
    )
    later = Touchpoint.objects.filter(
        account=OuterRef("account"),
        state=TouchpointState.PLANNED,
        snoozed_from__isnull=False,
        due_on__gt=today,
    )
    scores = (
        Score.objects.filter(
            of_mine(asker.user, "account__"), as_of=asker.run.as_of, tier__in=[Tier.AT_RISK, Tier.QUIET]
        )
        .filter(~Exists(spoken), ~Exists(handled), ~Exists(later))
        .order_by("-revenue_at_risk_company", "account_id")[:MOST_OF_A_KIND]
    )
    return [_risk(score) for score in scores]


NO_RISK = Field("reason", "What do you know that the numbers do not?", longest=500)
_told_later = lazy(why, str)


def _risk(score: Score) -> Task:
    acts = [
        log_call(score.account_id),
        put_off(score.account_id),
        Act("Not a risk", "retention:dismiss", score.account_id, is_post=True, fields=[NO_RISK]),
    ]
    return Task(
        "risk",
        score.account_id,
        _told_later(score, 1),
        "Call them",
        None,
        score.account_id,
        acts,
    )


KINDS = (
    Kind("handback", 10, _to_answer),
    Kind("accepted", 60, _to_try),
    Kind("risk", 70, _risks, may_wait=True),
)
