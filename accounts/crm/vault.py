"""Credentials of connected systems: encrypted under keys that rotate, opened only to be used.

Fernet (AES-128-CBC with HMAC-SHA256) from the `cryptography` package. The first key of CREDENTIAL_KEYS encrypts, all
of them decrypt; without any, one is derived from the secret key of the installation.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.db import transaction

from accounts.crm.errors import CrmError

SHORTEST_SECRET = 6
SEALED = "sealed_credentials"  # the field of any model that keeps some


class Secrets(Mapping[str, str]):
    """Credentials that do not show themselves: not in a log, not on an error page, not in a message."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Secrets {', '.join(sorted(self._values))}>"

    __str__ = __repr__

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("credentials are not pickled")

    def scrub(self, text: str) -> str:
        """`text` without any of the credentials, should the other side have repeated one."""
        for value in sorted(self._values.values(), key=len, reverse=True):
            if len(value) >= SHORTEST_SECRET:
                text = text.replace(value, "***")
        return text


def _keys() -> MultiFernet:
    keys = list(settings.CREDENTIAL_KEYS) or [_derived_key()]
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise CrmError(
            "MAINSTAY_CREDENTIAL_KEYS holds a key that is not 32 bytes in url-safe base64."
        ) from None


def _derived_key() -> str:
    digest = hashlib.sha256(b"mainstay credentials\0" + settings.SECRET_KEY.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()


def seal(credentials: Mapping[str, str]) -> str:
    """The credentials as they are stored."""
    return _keys().encrypt(json.dumps(dict(credentials)).encode()).decode()


def unseal(sealed: str) -> Secrets:
    """The credentials behind a stored text. CrmError when no key opens them any more."""
    if not sealed:
        return Secrets({})
    try:
        return Secrets(json.loads(_keys().decrypt(sealed.encode())))
    except InvalidToken:
        raise CrmError(
            "The stored credentials cannot be opened with the keys of this installation; enter them again."
        ) from None


@transaction.atomic
def rotate_all() -> int:
    """Encrypt all stored credentials anew under the first key; how many. CrmError, and nothing changed, when one cannot
    be opened."""
    count = 0
    for model in apps.get_models():
        if any(field.name == SEALED for field in model._meta.get_fields()):
            for row in model._default_manager.select_for_update().exclude(**{SEALED: ""}):
                setattr(row, SEALED, seal(unseal(getattr(row, SEALED))))
                row.save(update_fields=[SEALED, "updated_at"])
                count += 1
    return count
