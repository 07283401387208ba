"""Connections as people handle them: made, given credentials, mapped, told by webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.crm.engine import open_connector
from accounts.crm.errors import CrmError
from accounts.crm.protocol import WebhookCall
from accounts.ingest.errors import IngestError
from accounts.ingest.schema import find_kind
from accounts.models import Connection, FieldMap, RawRecord, User
from accounts.services.audit import write_audit

HINT = """
INSERT INTO accounts_readhint AS h (connection_id, stream, source_id, asked_at)
SELECT %s, stream, source_id, clock_timestamp() FROM unnest(%s::text[], %s::text[]) AS c(stream, source_id)
ON CONFLICT (connection_id, stream, source_id) DO UPDATE SET asked_at = excluded.asked_at
"""


def check_connection(connection: Connection) -> str:
    """Try a connection; one sentence on what was found. CrmError says what is wrong."""
    connector = open_connector(connection)
    try:
        return connector.check()
    finally:
        connector.link.close()


@transaction.atomic
def save_map(
    connection: Connection,
    stream: str,
    columns: Mapping[str, Any],
    only_if: Mapping[str, Any] | None = None,
    user: User | None = None,
) -> FieldMap:
    """Keep how a stream fills our columns, and have its landed records taken in anew. A field that was not asked for
    before comes with the next full sync."""
    saved = FieldMap.objects.select_for_update().get(connection=connection, stream=stream)
    try:
        kind = find_kind(saved.kind)
    except IngestError as problem:
        raise CrmError(str(problem)) from problem
    missing = [name for name in kind.required if name not in columns and name not in {kind.key, *kind.one_of}]
    if missing:
        raise CrmError(f"{kind.label} need {', '.join(missing)}; say where they come from.")
    if (saved.columns, saved.only_if) == (dict(columns), dict(only_if or {})):
        return saved
    saved.columns, saved.only_if = dict(columns), dict(only_if or {})
    saved.save()
    RawRecord.objects.filter(connection=connection, stream=stream).update(is_pending=True)
    write_audit(user, "save_map", connection, stream=stream)
    return saved


def webhook_address(connection: Connection) -> str:
    """Where a system calls when something changed. Whoever knows it can call, and be refused; nobody can guess it."""
    path = reverse("accounts:webhook", kwargs={"key": connection.hook_key})
    return f"{settings.BASE_URL.rstrip('/')}{path}"


def take_webhook(connection: Connection, call: WebhookCall) -> int:
    """Note what a genuine webhook call names, to be read again; how many records. WebhookRefused when it is not
    genuine. A call is only a hint: what it says about a record is not believed, so a repeated, late or shuffled one
    does no harm."""
    connector = open_connector(connection)
    try:
        hints = connector.verify_webhook(call, timezone.now())
    finally:
        connector.link.close()
    Connection.objects.filter(pk=connection.pk).update(hook_at=timezone.now())
    wanted = set(connection.streams.filter(is_wanted=True).values_list("stream", flat=True))
    pairs = sorted({(hint.stream, hint.source_id) for hint in hints if hint.stream in wanted})
    if pairs:
        with database.cursor() as cursor:
            cursor.execute(HINT, [connection.pk, [pair[0] for pair in pairs], [pair[1] for pair in pairs]])
    return len(pairs)
