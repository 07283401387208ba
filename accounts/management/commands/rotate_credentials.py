"""rotate_credentials: encrypt the credentials of all connections anew under the first key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.crm.errors import CrmError
from accounts.crm.vault import rotate_all


class Command(BaseCommand):
    help = "Encrypt stored credentials under the first of MAINSTAY_CREDENTIAL_KEYS; older keys may go after."

    def handle(self, *args: Any, **chosen: Any) -> None:
        try:
            count = rotate_all()
        except CrmError as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(f"{count} connections are encrypted under the first key.")
