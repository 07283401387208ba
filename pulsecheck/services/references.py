"""Consent to vouch for us, and the links to pages that show it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from accounts.models import Account, Contact, User
from accounts.services.audit import write_audit
from pulsecheck.errors import CareError
from pulsecheck.models import ProofPage, Reference
from pulsecheck.models.references import new_token


@transaction.atomic
def note_consent(
    account: Account,
    user: User,
    *,
    agreed_by: str,
    agreed_on: dt.date,
    until: dt.date,
    contact: Contact | None = None,
    shows_name: bool = False,
    shows_since: bool = False,
    shows_on_time: bool = False,
    takes_calls: bool = False,
    quote: str = "",
) -> Reference:
    """The customer agreed to these things, and to nothing else. Consent given before is replaced by it."""
    if not (shows_name or shows_since or shows_on_time or takes_calls or quote):
        raise CareError("Say what they agreed to: tick at least one thing, or write down their words.")
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    for earlier in Reference.objects.filter(account=account, revoked_at=None):
        _revoke(earlier, user, "Replaced by a newer consent.")
    consent = Reference.objects.create(
        account=account,
        contact=contact,
        agreed_by=agreed_by,
        agreed_on=agreed_on,
        until=until,
        shows_name=shows_name,
        shows_since=shows_since,
        shows_on_time=shows_on_time,
        takes_calls=takes_calls,
        quote=quote,
        noted_by=user,
        is_sample=account.is_sample,
    )
    write_audit(user, "note_consent", consent, account=account.pk, agreed_by=agreed_by, until=until)
    return consent


@transaction.atomic
def revoke_consent(reference: Reference, user: User, reason: str = "") -> Reference:
    """They took it back, or we do not ask them any more: it is gone from every page at once. A second time changes
    nothing."""
    reference = (
        Reference.objects.select_for_update(of=("self",)).select_related("account").get(pk=reference.pk)
    )
    if reference.revoked_at is None:
        _revoke(reference, user, reason)
    return reference


def _revoke(reference: Reference, user: User, reason: str) -> None:
    reference.revoked_at, reference.revoked_by, reference.revoke_reason = timezone.now(), user, reason[:300]
    reference.save(update_fields=["revoked_at", "revoked_by", "revoke_reason", "updated_at"])
    write_audit(user, "revoke_consent", reference, reason=reason)


@transaction.atomic
def make_proof_page(
    user: User,
    title: str,
    facts: Sequence[str],
    *,
    shows_references: bool = True,
    expires_on: dt.date | None = None,
) -> ProofPage:
    """A new link."""
    if not facts and not shows_references:
        raise CareError("Choose what the page shows.")
    page = ProofPage.objects.create(
        title=title,
        facts=list(facts),
        shows_references=shows_references,
        expires_on=expires_on,
        created_by=user,
        is_sample=user.is_sample,
    )
    write_audit(user, "make_proof_page", page, title=title, facts=list(facts))
    return page


@transaction.atomic
def turn_proof_page(page: ProofPage, user: User, *, on: bool) -> ProofPage:
    """Turn the link off; turned on again it is a new link, so that whoever had the old one stays out."""
    page = ProofPage.objects.select_for_update().get(pk=page.pk)
    if page.is_on != on:
        page.is_on = on
        if on:
            page.token = new_token()
        page.save(update_fields=["is_on", "token", "updated_at"])
        write_audit(user, "turn_proof_page", page, on=on)
    return page
