"""The API keeps to its own schema, whoever calls and whatever is sent: no server error, no answer it does not announce.

A short run here; a long one by `make conformance` (API_CASES: calls per operation and kind of data). docs/api.md has the figures of the last long run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from accounts.models import ApiToken, Role, User
from retention.kpis.catalogue import BY_NAME
from tests.api.conformance import walk
from tests.test_permissions import World, world  # noqa: F401 - a fixture

CASES = int(os.environ.get("API_CASES", "1"))
ROLES = ("sales rep", "account manager", "manager", "marketing", "administrator")
SEED = int(os.environ.get("API_SEED", "1"))
KINDS = {
    "handbacks": "handback", "pulse-checks": "pulse", "touchpoints": "touchpoint", "meetings": "meeting", "actions": "action",
    "accounts": "account", "contacts": "contact", "orders": "order", "contracts": "contract", "interactions": "interaction",
    "issues": "issue", "promises": "promise", "enquiries": "enquiry", "absences": "absence", "insights": "insight",
    "surveys": "survey", "audit-picks": "audit_pick", "references": "reference", "products": "product", "imports": "import",
    "users": "person", "teams": "team", "churn-reasons": "churn_reason", "order-lines": "order_line", "pulse-themes": "pulse_theme",
    "webhooks": "webhook", "webhook-calls": "webhook_call",
    "account_id": "account", "contact_id": "contact", "insight_id": "insight", "meeting_id": "meeting", "team_id": "team",
}  # fmt: skip


@pytest.fixture
def people(world: World) -> dict[str, User]:  # noqa: F811
    """One of each role, all of whom see the records of the world."""
    world.cast.teammate.role = Role.ACCOUNT_MANAGER
    world.cast.teammate.save()
    return {
        "sales rep": world.cast.owner,
        "account manager": world.cast.teammate,
        "manager": world.cast.manager,
        "marketing": world.cast.marketing,
        "administrator": world.cast.administrator,
    }


@pytest.mark.parametrize("role", ROLES)
def test_the_api_keeps_to_its_schema(
    world: World,  # noqa: F811
    people: dict[str, User],
    role: str,
    settings: Any,
) -> None:
    settings.API_CALLS_PER_MINUTE = 10**9  # no limit of calls
    ids: dict[str, Sequence[int | str]] = {name: [world.ids[record]] for name, record in KINDS.items()}
    ids["kpis"] = list(BY_NAME)
    _, secret = ApiToken.objects.issue(people[role], "conformance")
    # In the short run the roles share the operations, so that each is called by somebody.
    part, parts = (ROLES.index(role) % 3, 3) if CASES == 1 else (0, 1)
    tally = walk(secret, ids, cases=CASES, seed=SEED, part=part, parts=parts)
    print(f"{role}: {tally.cases} calls, {dict(tally.answers.most_common())}")
    assert tally.cases > 40
    assert not tally.faults, "\n\n".join(f"{where}\n{what}" for where, what in tally.faults.items())
