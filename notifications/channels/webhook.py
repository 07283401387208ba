"""Calls to other programs over HTTPS: guarded like connections to other systems, signed, never following a redirect."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx
from django.conf import settings

from accounts.crm.errors import AddressRefused, TryLater
from accounts.crm.guard import check_url
from accounts.crm.link import GuardedTransport, retry_after

TIMEOUT = 10.0
SIGNATURE = "Mainstay-Signature"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: its status, 0 where there was none; why it failed, in a sentence; seconds to wait where asked to."""

    status: int
    error: str = ""
    wait: float | None = None

    @property
    def has_arrived(self) -> bool:
        return 200 <= self.status < 300


def sign(body: bytes, secrets: Sequence[str], timestamp: int) -> str:
    """`t=SECONDS,v1=HEX`, a `v1` for each secret: HMAC-SHA256 over "SECONDS.body", so that an old call cannot be sent again
    as a new one."""
    signed = str(timestamp).encode() + b"." + body
    parts = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={part}" for part in parts)])


def call_webhook(url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
    """One call; what it answers beside its status is of no interest and not read."""
    try:
        check_url(url, settings.CRM_PRIVATE_HOSTS)
        with (
            httpx.Client(transport=GuardedTransport(), timeout=TIMEOUT, trust_env=False) as client,
            client.stream("POST", url, content=body, headers=dict(headers)) as answer,
        ):
            status, wait = answer.status_code, retry_after(answer.headers)
    except (AddressRefused, TryLater) as refusal:
        return Outcome(0, str(refusal))
    except (httpx.HTTPError, httpx.InvalidURL) as problem:
        return Outcome(0, f"{type(problem).__name__}: the call did not get through.")
    error = "" if 200 <= status < 300 else f"It answered {status}."
    return Outcome(status, error, wait)
