"""Proof that whoever brings a sign-in's code is who began it (PKCE, RFC 7636), where a system checks it."""

from __future__ import annotations

import base64
import hashlib
import secrets


def new_verifier() -> str:
    """256 random bits, in the 43 letters that section 4.1 asks for. It stays on our side until the code has come."""
    return secrets.token_urlsafe(32)


def challenge_of(verifier: str) -> str:
    """What the sign-in begins with: the S256 challenge of section 4.2, from which nobody finds the verifier."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
