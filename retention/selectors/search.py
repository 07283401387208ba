"""Finding accounts and the people there by name; only what the person sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Upper

from accounts.models import Account, Contact, User

MOST = 20
SHORT = 3  # below this many letters only beginnings are looked up: the trigram index needs three


@dataclass(frozen=True)
class Found:
    """What a search found; `is_guess`: nothing matched, these are spelled alike."""

    accounts: Sequence[Account]
    contacts: Sequence[Contact]
    is_guess: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.accounts and not self.contacts


def search(user: User, text: str, most: int = MOST) -> Found:
    """Accounts and contacts whose name (or a contact's e-mail) matches `text`, beginnings first."""
    text = " ".join(text.replace("\0", "").split())[:100]
    if not text:
        return Found([], [])
    accounts = Account.objects.visible_to(user)
    contacts = Contact.objects.visible_to(user).select_related("account")
    found = Found(
        list(_ranked(accounts, text)[:most]),
        list(_ranked(contacts, text, Q(email__iexact=text) if "@" in text else Q())[:most]),
    )
    if not found.is_empty or len(text) < SHORT:
        return found
    return Found(list(_alike(accounts, text)[:most]), list(_alike(contacts, text)[:most]), is_guess=True)


def _ranked(rows: QuerySet[Any], text: str, also: Q | None = None) -> QuerySet[Any]:
    matches = Q(name__istartswith=text) if len(text) < SHORT else Q(name__icontains=text)
    begins = Case(When(name__istartswith=text, then=Value(0)), default=Value(1), output_field=IntegerField())
    return rows.filter(matches | also if also else matches).order_by(begins, "name", "pk")


def _alike(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Names spelled alike, or with a word that is, by trigrams."""
    shouted = text.upper()
    alike = Q(shouted__trigram_similar=shouted) | Q(shouted__trigram_word_similar=shouted)
    return rows.alias(shouted=Upper("name")).filter(alike).order_by("name", "pk")
