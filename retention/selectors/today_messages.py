"""Rows of Today about what customers hear from us: segments in which customers hear mostly promotion."""

from __future__ import annotations

from accounts.models import Role
from pulsecheck.selectors.messages import mix_by
from retention.selectors.today_rows import MOST_OF_A_KIND, Act, Asker, Kind, Task


def _salesy(asker: Asker) -> list[Task]:
    """Segments with customers who hear mostly promotion, those with most of them first."""
    parts = [part for part in mix_by(asker.user, "segment") if part.promotional]
    return [
        Task(
            "salesy",
            None,
            f"{part.promotional} of {part.accounts} customers hear mostly promotion from us.",
            "Inform them next",
            None,
            place,
            [Act("See the message mix", "pulsecheck:message_mix", icon="messages")],
            title=f"{part.label}: too much selling" if part.key else "No segment: too much selling",
            page="pulsecheck:message_mix",
        )
        for place, part in enumerate(sorted(parts, key=lambda p: -p.promotional)[:MOST_OF_A_KIND], 1)
    ]


KINDS = (Kind("salesy", 67, _salesy, (Role.MARKETING,)),)
