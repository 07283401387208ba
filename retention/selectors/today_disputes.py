"""Rows of Today about losses that the two owners of a customer see differently and nobody has settled."""

from __future__ import annotations

from accounts.permissions import LEADERS
from pulsecheck.models import Handback
from retention.selectors.today_rows import MOST_OF_A_KIND, Act, Asker, Kind, Task


def _disputed(asker: Asker) -> list[Task]:
    """Those a leader sees, the oldest first."""
    rows = Handback.objects.visible_to(asker.user).filter(counter_agrees=False, settlements=None)
    return [
        Task(
            "dispute",
            h.account_id,
            f"{h.counter_signer or 'The other owner'} sees why they left differently: {h.counter_note}",
            "Settle why they left",
            None,
            h.pk,
            [Act("Look at it", "pulsecheck:handback", h.pk, "scale")],
        )
        for h in rows.select_related("counter_signer").order_by("counter_signed_at", "pk")[:MOST_OF_A_KIND]
    ]


KINDS = (Kind("dispute", 46, _disputed, LEADERS, may_wait=True),)
