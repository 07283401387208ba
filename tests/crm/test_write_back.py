"""What a night's scores put into the outbox of a connection."""

from decimal import Decimal

import pytest

from accounts.models import Connection, RecordAlias, WriteBack
from retention.services.write_back import queue_scores
from tests.factories import AccountFactory, ScoreFactory, ScoreRunFactory, TouchpointFactory, reason

pytestmark = pytest.mark.django_db


def test_scores_are_queued_for_the_accounts_of_a_connection_and_only_when_they_change() -> None:
    crm = Connection.objects.create(name="crm", system="hubspot", record_source="crm", writes_back=True)
    Connection.objects.create(name="silent", system="hubspot", record_source="silent")
    run = ScoreRunFactory()
    own, linked = AccountFactory(record_source="crm"), AccountFactory(record_source="file")
    RecordAlias.objects.create(record_source="crm", external_id="77", account=linked)
    for account in (own, linked, AccountFactory(record_source="file")):
        ScoreFactory(account=account, run=run, reasons=[reason("Quiet.")], revenue_at_risk=Decimal("6200"))
    planned = TouchpointFactory(account=own)

    assert queue_scores(run) == 2
    assert queue_scores(run) == 0

    assert set(WriteBack.objects.values_list("account", flat=True)) == {own.pk, linked.pk}
    row = WriteBack.objects.get(account=own, connection=crm)
    assert row.fields == {
        "churn_probability": 0.62,
        "tier": "At risk",
        "reasons": "Quiet.",
        "revenue_at_risk": "6200.00",
        "revenue_currency": "EUR",
        "next_touchpoint_on": planned.due_on.isoformat(),
    }
    planned.delete()
    assert queue_scores(run) == 1
    WriteBack.objects.update(state="sent")
    row.refresh_from_db()
    assert row.version == 2
