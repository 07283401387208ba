"""Setting what opens handbacks; and what happens when a trigger is wrong too often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import Role, User
from accounts.services.audit import write_audit
from notifications.models import Topic
from notifications.services import Message, notify_all
from pulsecheck.handback import Precision
from pulsecheck.models import AlertBudget, HandbackPolicy, HandbackReason, TriggerRule
from pulsecheck.selectors.triggers import get_rules, precision_of

RULES_PATH = "/handbacks/triggers/"


def silent_triggers() -> set[str]:
    """Triggers that are switched off or have muted themselves."""
    return {trigger for trigger, rule in get_rules().items() if not rule.may_speak}


@dataclass(frozen=True)
class RuleChange:
    """What a person sets about a trigger; precision is a share of 1."""

    is_on: bool
    threshold: int | None
    least_precision: Decimal
    least_judged: int


@transaction.atomic
def save_rule(rule: TriggerRule, change: RuleChange, user: User) -> TriggerRule:
    """Set a trigger; a stricter precision may mute it at once."""
    rule = TriggerRule.objects.select_for_update().get(pk=rule.pk)
    before = _values(rule)
    rule.is_on, rule.threshold = change.is_on, change.threshold
    rule.least_precision, rule.least_judged = change.least_precision, change.least_judged
    rule.save()
    if _values(rule) != before:
        write_audit(user, "save_trigger_rule", rule, trigger=rule.trigger, before=before, after=_values(rule))
    mute_if_wrong([rule.trigger])
    rule.refresh_from_db()
    return rule


def _values(rule: TriggerRule) -> dict[str, Any]:
    return {
        "is_on": rule.is_on,
        "threshold": rule.threshold,
        "least_precision": str(rule.least_precision),
        "least_judged": rule.least_judged,
    }


@transaction.atomic
def unmute(rule: TriggerRule, user: User) -> TriggerRule:
    """Let a trigger speak again; what it was wrong about before does not count any more. A second time changes nothing."""
    rule = TriggerRule.objects.select_for_update().get(pk=rule.pk)
    if rule.muted_at is not None:
        rule.muted_at, rule.muted_because, rule.measured_from = None, "", timezone.now()
        rule.save()
        write_audit(user, "unmute_trigger", rule, trigger=rule.trigger)
    return rule


@transaction.atomic
def mute_if_wrong(triggers: list[str]) -> list[TriggerRule]:
    """Mute those of `triggers` that were right less often than their rule asks for, and say so; which ones."""
    rules = TriggerRule.objects.select_for_update().filter(
        trigger__in=triggers, is_on=True, muted_at__isnull=True
    )
    return [rule for rule in rules.order_by("pk") if _mute(rule, precision_of(rule))]


def _mute(rule: TriggerRule, found: Precision) -> bool:
    if not found.is_below(float(rule.least_precision), rule.least_judged):
        return False
    rule.muted_at = timezone.now()
    rule.muted_because = (
        f"Right in {found.right} of {found.judged} handbacks, {found.share or 0:.0%}; "
        f"at least {rule.least_precision:.0%} is asked for."
    )
    rule.save()
    write_audit(None, "mute_trigger", rule, trigger=rule.trigger, right=found.right, judged=found.judged)
    title = f"The trigger “{rule.get_trigger_display()}” has muted itself"
    body = f"{rule.muted_because} It opens no handbacks until somebody lets it speak again."
    leaders = User.objects.filter(role__in=[Role.ADMINISTRATOR, Role.MANAGER], is_active=True)
    key = f"muted:{rule.trigger}:{rule.muted_at:%Y-%m-%dT%H:%M}"
    notify_all(
        Message(leader, Topic.SYSTEM, title, body=body, path=RULES_PATH, dedupe_key=key) for leader in leaders
    )
    return True


def judge_triggers_of(handback_id: int) -> None:
    """Look at the triggers of an episode that has just been closed as a false alarm."""
    spoke = HandbackReason.objects.filter(handback=handback_id).values_list("trigger", flat=True)
    mute_if_wrong(list(spoke))


@transaction.atomic
def save_handback_policy(policy: HandbackPolicy, user: User) -> HandbackPolicy:
    """Office hours and deadlines from now on; deadlines that run already stay."""
    policy.pk = 1
    policy.save()
    detail = {
        "opens_at": f"{policy.opens_at:%H:%M}",
        "closes_at": f"{policy.closes_at:%H:%M}",
        "answer_hours": policy.answer_hours,
        "pass_on_hours": policy.pass_on_hours,
        "days_waiting": policy.days_waiting,
    }
    write_audit(user, "save_handback_policy", policy, **detail)
    return policy


@transaction.atomic
def save_budgets(budgets: Mapping[int, int | None], user: User) -> int:
    """How many handbacks a day each person (by id) gets from runs; None = as many as their calls. How many changed."""
    known = dict(AlertBudget.objects.select_for_update().values_list("person", "per_day"))
    changed = {pk: n for pk, n in budgets.items() if known.get(pk) != n}
    for budget in AlertBudget.objects.filter(person__in=[pk for pk, n in changed.items() if n is None]):
        write_audit(user, "remove_alert_budget", budget, person=budget.person_id, per_day=budget.per_day)
        budget.delete()
    for person in User.objects.filter(pk__in=[pk for pk, n in changed.items() if n is not None]):
        budget, _ = AlertBudget.objects.update_or_create(
            person=person, defaults={"per_day": changed[person.pk] or 0}
        )
        write_audit(user, "save_alert_budget", budget, person=person.pk, per_day=budget.per_day)
    return len(changed)
