"""Where the tiers begin."""

from __future__ import annotations

from django.db import connection, transaction

from accounts.models import User
from accounts.services.audit import write_audit
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
