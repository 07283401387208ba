"""Rows of Today that come from listening: accounts drawn for the random audit. A bad answer of a survey is an issue, and
telling the customer what came of it the issue's last step (`today_records`)."""

from __future__ import annotations

from pulsecheck.models import AuditPick
from retention.selectors.today_rows import MOST_OF_A_KIND, Act, Asker, Kind, Task


def _drawn(asker: Asker) -> list[Task]:
    mine = AuditPick.objects.open_on(asker.today).filter(assignee=asker.user)
    return [
        Task(
            "drawn",
            pick.account_id,
            "Drawn by lot: all looks well there. Is it?",
            "Ask them",
            pick.due_on,
            pick.pk,
            [Act("Log a pulse", "pulsecheck:log_pulse", pick.account_id, "heartbeat")],
            due_word="ask by",
        )
        for pick in mine.only("account", "due_on").order_by("due_on", "pk")[:MOST_OF_A_KIND]
    ]


KINDS = (Kind("drawn", 75, _drawn),)
