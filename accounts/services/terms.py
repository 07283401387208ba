"""The fine print of a contract: explained, by whom and to whom, and acknowledged.

The contract itself says since when all of it was explained and acknowledged; that is what factors, lists and the
API read. It follows from the disclosures, term by term, or comes with the contract from a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db import transaction

from accounts.models import Contact, Contract, Disclosure, Term, User
from accounts.services.audit import write_audit
from accounts.services.errors import RecordError


@transaction.atomic
def explain_terms(
    contract: Contract,
    user: User,
    terms: Iterable[Term],
    *,
    on: dt.date,
    to: Contact | None = None,
) -> Contract:
    """`user` explained these terms on a day; what was explained before stays as it was."""
    chosen = list(terms)
    Disclosure.objects.bulk_create(
        [
            Disclosure(contract=contract, term=term, explained_on=on, explained_by=user, explained_to=to)
            for term in chosen
        ],
        ignore_conflicts=True,
    )
    write_audit(user, "explain_terms", contract, terms=[term.name for term in chosen], on=on)
    return _sum_up(contract)


@transaction.atomic
def acknowledge_terms(contract: Contract, user: User, *, on: dt.date, how: str) -> Contract:
    """The customer said they know what was explained to them. RecordError where nothing was, or was only later."""
    open_ones = Disclosure.objects.filter(contract=contract, acknowledged_on=None)
    if not open_ones.exists():
        raise RecordError("Write down first which terms were explained.")
    if open_ones.filter(explained_on__gt=on).exists():
        raise RecordError("Terms are acknowledged after they were explained, not before.")
    open_ones.update(acknowledged_on=on, acknowledged_how=how)
    write_audit(user, "acknowledge_terms", contract, on=on, how=how)
    return _sum_up(contract)


def _sum_up(contract: Contract) -> Contract:
    """What the contract says of its fine print: the last day, once no term that counts is missing."""
    contract = Contract.objects.select_for_update().get(pk=contract.pk)
    rows = list(contract.disclosures.all())
    has_all = not Term.objects.filter(is_active=True).exclude(disclosures__contract=contract).exists()
    if rows and has_all:
        last = max(rows, key=lambda row: (row.explained_on, row.pk))
        contract.terms_disclosed_on, contract.terms_disclosed_by = last.explained_on, last.explained_by
        known = [row.acknowledged_on for row in rows if row.acknowledged_on]
        contract.terms_acknowledged_on = max(known) if len(known) == len(rows) else None
        contract.save(
            update_fields=["terms_disclosed_on", "terms_disclosed_by", "terms_acknowledged_on", "updated_at"]
        )
    return contract


@transaction.atomic
def save_term(by: User, term: Term) -> Term:
    """A new term, or other words for one. Contracts already explained stay explained."""
    is_new = term.pk is None
    term.save()
    write_audit(
        by, "create_term" if is_new else "change_term", term, name=term.name, is_active=term.is_active
    )
    return term
