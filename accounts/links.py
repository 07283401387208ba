"""Links for people outside: a stored key, signed, so that whoever reads the key in the database cannot open what it is for."""

from __future__ import annotations

from django.core import signing


def sign_key(kind: str, key: str) -> str:
    """What the link ends with. `kind` names what it opens, so that a link to one thing opens no other."""
    return signing.Signer(salt=kind).sign(key)


def read_key(kind: str, token: str) -> str | None:
    """The key that a link ends with; None where it is no link of ours."""
    try:
        return signing.Signer(salt=kind).unsign(token)
    except signing.BadSignature:
        return None
