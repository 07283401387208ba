"""How often accounts are looked in on, changed by an administrator."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db import transaction

from accounts.models import User
from accounts.services.audit import write_audit
from pulsecheck.cadence import Occasions, Policy
from pulsecheck.models import CadencePolicy, ContactOccasion
from pulsecheck.selectors.plan import stored_occasions, stored_policies

Key = tuple[str, str, str, Decimal]


@transaction.atomic
def save_cadence(by: User, policies: Iterable[Policy], occasions: Occasions) -> None:
    """Days between pulse checks by condition, and days of onboarding and renewal contacts; a policy with conditions
    that is not named any more ends."""
    list(CadencePolicy.objects.select_for_update().values_list("pk"))
    before = {_key(policy): policy.every_days for policy in stored_policies()}
    after = {_key(policy): policy.every_days for policy in policies}
    for key, every in after.items():
        CadencePolicy.objects.update_or_create(
            **_conditions(key), defaults={"every_days": every, "is_active": True}
        )
    for key in before.keys() - after.keys():
        if any(key[1:]):
            CadencePolicy.objects.filter(**_conditions(key)).delete()
    changed: dict[str, Any] = {
        _name(key): [before.get(key), after.get(key)]
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }
    changed |= _save_occasions(occasions)
    if changed:
        write_audit(by, "save_cadence", CadencePolicy(), **changed)


def _key(policy: Policy) -> Key:
    return policy.tier, policy.segment, policy.billing_mode, Decimal(policy.value_from)


def _conditions(key: Key) -> dict[str, Any]:
    return dict(zip(("tier", "segment", "billing_mode", "value_from"), key, strict=True))


def _name(key: Key) -> str:
    return " ".join(filter(None, (*key[:3], f"from {key[3]:.0f}" if key[3] else "")))


def _save_occasions(occasions: Occasions) -> dict[str, Any]:
    before = stored_occasions()
    if before == occasions:
        return {}
    ContactOccasion.objects.all().delete()
    ContactOccasion.objects.bulk_create(
        ContactOccasion(kind=kind, days=days)
        for kind, numbers in (("onboarding", occasions.onboarding), ("renewal", occasions.renewal))
        for days in numbers
    )
    pairs = (
        ("onboarding", before.onboarding, occasions.onboarding),
        ("renewal", before.renewal, occasions.renewal),
    )
    return {kind: [list(old), list(new)] for kind, old, new in pairs if old != new}
