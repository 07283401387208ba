"""Settings of which every version stays on record."""

from __future__ import annotations

from accounts.models import User
from retention.models import Definition, HealthWeights


def add_version(row: Definition | HealthWeights, by: User, **like: str) -> None:
    """Save `row` as the next version of those that agree with it in `like`; a transaction must be open."""
    before = type(row)._default_manager.select_for_update().filter(**like)
    row.pk = None
    row._state.adding = True
    row.version, row.created_by = max((other.version for other in before), default=0) + 1, by
    row.save()
