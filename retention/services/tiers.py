"""Where the tiers begin, and how often accounts of each tier are looked in on."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import connection, transaction

from accounts.models import User
from accounts.services.audit import write_audit
from pulsecheck.models import CadencePolicy
from retention.models import ScoreRun, Tier, TierPolicy
from retention.selectors.thresholds import scored_book

SAVED = ("at_risk_from", "watch_from", "thriving_below", "lost_from", "quiet_after_gaps", "minimum_value")
CALLED_FOR = (Tier.AT_RISK, Tier.QUIET)


def save_tier_policy(by: User, policy: TierPolicy) -> int:
    """New thresholds from now on; the newest scores get their tiers anew. Returns how many accounts changed tier.

    Handbacks and touchpoints follow with the next run."""
    with transaction.atomic():
        policy.pk = None
        policy._state.adding = True
        policy.created_by = by
        policy.save()
        changed = _retier(policy)
        write_audit(
            by, "save_tier_policy", policy, changed=changed, **{name: getattr(policy, name) for name in SAVED}
        )
    return changed


def _retier(policy: TierPolicy) -> int:
    book = scored_book()
    if book is None:
        return 0
    after = book.tiers(policy)
    differs = after != book.tier
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE retention_score s SET tier = n.tier FROM unnest(%s::bigint[], %s::text[]) AS n (account_id, tier)"
            " WHERE s.as_of = %s AND s.account_id = n.account_id",
            [book.account_ids[differs].tolist(), after[differs].tolist(), book.run.as_of],
        )
    run = ScoreRun.objects.select_for_update().get(pk=book.run.pk)
    run.summary |= {
        "tiers": {tier: int((after == tier).sum()) for tier in Tier.values if (after == tier).any()},
        "revenue_at_risk": round(sum(float(book.at_risk[after == tier].sum()) for tier in CALLED_FOR), 2),
    }
    run.save(update_fields=["summary", "updated_at"])
    return int(differs.sum())


def save_cadence(by: User, days: Mapping[tuple[str, str], int]) -> None:
    """Days between pulse checks per (tier, segment); a segment's policy that is not named any more ends."""
    with transaction.atomic():
        rows = {(row.tier, row.segment): row for row in CadencePolicy.objects.select_for_update()}
        before = {key: row.every_days for key, row in rows.items() if row.is_active}
        for key, every in days.items():
            CadencePolicy.objects.update_or_create(
                tier=key[0], segment=key[1], defaults={"every_days": every, "is_active": True}
            )
        for key in before.keys() - days.keys():
            if key[1]:
                rows[key].delete()
        changed = {
            " ".join(key).strip(): [before.get(key), days.get(key)]
            for key in sorted(before.keys() | days.keys())
            if before.get(key) != days.get(key)
        }
        if changed:
            write_audit(by, "save_cadence", CadencePolicy(), **changed)
