"""Counts what customers heard from us, and lets people say what a message was for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db import transaction

from accounts.models import Account, Interaction, User
from accounts.models.care import MessageClass
from accounts.selectors import company_today
from accounts.services.care import classify_message
from pulsecheck.message_mix import Mix
from pulsecheck.models import MessageMix
from pulsecheck.selectors.messages import count_messages, mix_of

BATCH = 5000
COLUMNS = ["information", "service", "promotion", "unsaid", "promotion_share", "leaning"]


@transaction.atomic
def recount_messages(account_ids: Iterable[int] | None = None) -> int:
    """Bring the counts of these accounts (default: all) up to the records; returns how many rows changed. Twice
    changes nothing."""
    ids = None if account_ids is None else list(account_ids)
    counted = count_messages(company_today(), ids)
    stored = MessageMix.objects.all() if ids is None else MessageMix.objects.filter(account__in=ids)
    known = {row.pk: row.mix for row in stored}
    changed = list(_changed(counted, known))
    MessageMix.objects.bulk_create(
        changed,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["account"],
        update_fields=COLUMNS,
    )
    gone = known.keys() - counted.keys()
    MessageMix.objects.filter(account__in=gone).delete()
    return len(changed) + len(gone)


def _changed(counted: dict[int, Mix], known: dict[int, Mix]) -> Iterator[MessageMix]:
    """Rows to write, by account, so that two at once wait for each other and do not lock each other out."""
    for account, mix in sorted(counted.items()):
        if known.get(account) != mix:
            yield MessageMix(
                account_id=account,
                information=mix.information,
                service=mix.service,
                promotion=mix.promotion,
                unsaid=mix.unsaid,
                promotion_share=mix.promotion_share or 0.0,
                leaning=mix.leaning,
            )


@transaction.atomic
def say_class(interaction: Interaction, user: User, message_class: str) -> Interaction:
    """What a message was for, from now on counted so."""
    interaction = classify_message(interaction, user, message_class)
    recount_messages([interaction.account_id])
    return interaction


def said_of(account: Account, logged: Interaction) -> str:
    """What to tell somebody who has just written down a message."""
    said = "Written down. It counts as contact from now on."
    if not logged.message_class:
        return f"{said} Nobody said what it was for; you can say so under Messages."
    mix = mix_of(account, company_today())
    if logged.message_class == MessageClass.PROMOTION and mix.is_mostly_promotion:
        return (
            f"{said} But {mix.promotion} of {mix.said} messages they had in a year sell something: "
            "bring information or help next."
        )
    return said
