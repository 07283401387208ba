"""sync NAME [--full]: pull from and push to a connected system, in this process."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.crm.engine import work_on_run
from accounts.crm.errors import CrmError
from accounts.crm.runs import OPEN, connection_named, start_sync
from accounts.models import SyncRun
from accounts.models.crm import SyncState


class Command(BaseCommand):
    help = "Pull what changed from a connected system, and write back what it shall know."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="name of the connection")
        parser.add_argument(
            "--full", action="store_true", help="read everything again, look for deleted records"
        )
        parser.add_argument(
            "--accept-deletions",
            action="store_true",
            help="with --full: go on although many records are not listed any more",
        )

    def handle(self, *args: Any, **chosen: Any) -> None:
        try:
            connection = connection_named(chosen["name"])
        except CrmError as problem:
            raise CommandError(str(problem)) from None
        if connection.is_paused:
            raise CommandError(f"{connection} is paused; resume it first.")
        run = start_sync(connection, is_full=chosen["full"], accepts_deletions=chosen["accept_deletions"])
        while run.state in OPEN and run.state != SyncState.PAUSED:
            work_on_run(run.pk)
            run.refresh_from_db()
            if run.state in OPEN:
                time.sleep(1)
        self._tell(run)

    def _tell(self, run: SyncRun) -> None:
        for line in run.log.values_list("text", flat=True):
            self.stdout.write(line)
        if run.state != SyncState.DONE:
            raise CommandError(run.message or f"The sync is {run.get_state_display().lower()}.")
        self.stdout.write(f"Sync {run.pk} of {run.connection} is done.")
