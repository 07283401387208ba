"""Rows that people write in Mainstay, as opposed to those of a file or a CRM."""

from __future__ import annotations

import uuid

OWN_SOURCE = "mainstay"


def own_ids() -> dict[str, str]:
    """Where such a row is from, and an id of its own."""
    return {"record_source": OWN_SOURCE, "external_id": uuid.uuid4().hex}
