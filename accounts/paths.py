"""Paths of pages that differ in one number alone, as lists link to hundreds of them: worked out once for each page."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.urls import get_script_prefix, get_urlconf, reverse

# Stands for the number of a record, and for no other part of a path.
NUMBER = 9_182_736_455


def path_to(name: str, pk: int | None = None) -> str:
    """What `reverse` says of a page without arguments, or of one of a record."""
    before, after = _around(name, pk is not None, get_script_prefix(), get_urlconf() or settings.ROOT_URLCONF)
    return before if pk is None else f"{before}{pk}{after}"


@lru_cache(maxsize=1024)
def _around(name: str, has_number: bool, prefix: str, urlconf: str) -> tuple[str, str]:
    """What stands before and behind the number; `prefix` and `urlconf` tell apart what is remembered."""
    before, _, after = reverse(name, args=[NUMBER] if has_number else []).partition(str(NUMBER))
    return before, after
