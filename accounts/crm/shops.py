"""What connectors of shops and payment systems share: purchases of people who never registered, and signatures.

A guest is known by the e-mail of the bill. Who bought as a guest and is a customer as well is one account.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from accounts.crm.errors import WebhookRefused
from accounts.models import RawRecord

GUEST = "guest-"
CUSTOMERS = "customers"


def guest_id(email: str) -> str:
    """The id of somebody who bought without registering; the same for every spelling of an e-mail."""
    return GUEST + hashlib.sha256(_plain(email).encode()).hexdigest()[:24]


def _plain(email: str) -> str:
    return email.strip().lower()


class Buyers:
    """Whose purchase it is that names only an e-mail: the customer who has it, where one alone does; else a guest.

    Customers are those landed in the stream "customers", with their e-mail at `email`; they are read once.
    """

    def __init__(self, connection_id: int) -> None:
        self.connection_id = connection_id
        self.known: dict[str, str] | None = None

    def of(self, email: str) -> str:
        """The source id of the account."""
        if self.known is None:
            self.known = self._read()
        return self.known.get(_plain(email)) or guest_id(email)

    def is_guest(self, email: str) -> bool:
        return self.of(email).startswith(GUEST)

    def _read(self) -> dict[str, str]:
        landed = RawRecord.objects.filter(
            connection_id=self.connection_id, stream=CUSTOMERS, deleted_at=None
        ).exclude(source_id__startswith=GUEST)
        found: dict[str, str] = {}
        for source_id, email in landed.values_list("source_id", "payload__email").iterator(chunk_size=5_000):
            if email:
                found[_plain(email)] = "" if _plain(email) in found else source_id
        return found


def check_signature(secret: str, body: bytes, given: str) -> None:
    """WebhookRefused unless `given` is the base64 of HMAC-SHA256 over the body, as Shopify and WooCommerce sign."""
    expected = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())
    if not secret or not hmac.compare_digest(expected, given.encode()):
        raise WebhookRefused("The signature does not fit.")
