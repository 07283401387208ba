"""Reads for the list of all accounts."""

from __future__ import annotations

from django.core.cache import cache

from accounts.models import Account, User
from accounts.models.account import visible_accounts

COUNT_SECONDS = 60


def count_accounts(user: User) -> int:
    """How many accounts `user` sees; counting a large book is dear, so the company's figure is kept for a minute."""
    if visible_accounts(user) is not None:
        return Account.objects.visible_to(user).count()
    found = cache.get("accounts")
    if found is None:
        found = Account.objects.count()
        cache.set("accounts", found, COUNT_SECONDS if found > 1000 else 1)
    return int(found)
