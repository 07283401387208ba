"""Rows that people write in Mainstay, as opposed to those of a file or a CRM."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from accounts.models.fields import Sourced

OWN_SOURCE = "mainstay"
Row = TypeVar("Row", bound=Sourced)


def write_own(model: type[Row], submission: uuid.UUID | None, **columns: Any) -> tuple[Row, bool]:
    """Such a row, and whether it is new: the same `submission` (of a form sent twice, be it at the same moment) counts once."""
    own = {"record_source": OWN_SOURCE, "external_id": (submission or uuid.uuid4()).hex}
    if submission is None:
        return model._default_manager.create(**own, **columns), True
    return model._default_manager.get_or_create(**own, defaults=columns)
