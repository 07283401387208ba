"""What the company is called, counts in, and gives as reasons when customers leave."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.utils.text import slugify

from accounts.models import ChurnReason, Company, ExchangeRate, User
from accounts.selectors import COMPANY_KEY, currencies_in_use, stored_company
from accounts.services.audit import write_audit

RATE_PLACES = Decimal("0.00000001")


class CompanyError(ValueError):
    """A setting that the stored records do not allow; one sentence for the person who asked."""


def change_company(by: User, changed: dict[str, Any]) -> Company:
    """Name, currency, time zone, country. With another currency the exchange rates are turned round to it, so every
    known currency must have one."""
    with transaction.atomic():
        company = Company.objects.select_for_update().get(pk=stored_company().pk)
        before = {name: getattr(company, name) for name in changed}
        if changed.get("currency", company.currency) != company.currency:
            _turn_rates(company.currency, changed["currency"])
        for name, value in changed.items():
            setattr(company, name, value)
        company.save()
        differs = {name: [before[name], changed[name]] for name in changed if before[name] != changed[name]}
        if differs:
            write_audit(by, "change_company", company, **differs)
    cache.delete(COMPANY_KEY)
    return company


def _turn_rates(old: str, new: str) -> None:
    """Rates say what one unit is worth in the company's currency: divide all by the rate of the new one."""
    rates = {row.currency: row.rate for row in ExchangeRate.objects.select_for_update()}
    if new not in rates:
        if rates or currencies_in_use() - {new}:
            raise CompanyError(
                f"Enter an exchange rate for {new} first, so that what is in {old} can be converted."
            )
        return
    divisor = rates.pop(new)
    rates[old] = Decimal(1)
    ExchangeRate.objects.all().delete()
    ExchangeRate.objects.bulk_create(
        ExchangeRate(currency=currency, rate=(rate / divisor).quantize(RATE_PLACES))
        for currency, rate in rates.items()
    )


def save_exchange_rate(by: User, currency: str, rate: Decimal) -> ExchangeRate:
    """A rate, new or instead of the one there was. Every figure in that currency changes with the next run."""
    with transaction.atomic():
        before = ExchangeRate.objects.filter(currency=currency).values_list("rate", flat=True).first()
        row, _ = ExchangeRate.objects.update_or_create(currency=currency, defaults={"rate": rate})
        write_audit(by, "save_exchange_rate", row, currency=currency, before=before, after=rate)
    return row


def delete_exchange_rate(by: User, row: ExchangeRate) -> None:
    """Only a currency that no record is in."""
    if row.currency in currencies_in_use():
        raise CompanyError(f"Orders, contracts or accounts are in {row.currency}; change its rate instead.")
    with transaction.atomic():
        write_audit(by, "delete_exchange_rate", row, currency=row.currency, rate=row.rate)
        row.delete()


def save_churn_reason(by: User, reason: ChurnReason) -> ChurnReason:
    """A reason of the company's own, or another name, side or place of one. Its code never changes."""
    is_new = reason.pk is None
    with transaction.atomic():
        if is_new:
            reason.code = _free_code(reason.name)
        reason.save()
        action = "create_churn_reason" if is_new else "change_churn_reason"
        write_audit(
            by,
            action,
            reason,
            name=reason.name,
            side=reason.side,
            is_controllable=reason.is_controllable,
            is_active=reason.is_active,
        )
    return reason


def _free_code(name: str) -> str:
    stem = slugify(name)[:50] or "reason"
    taken = set(ChurnReason.objects.filter(code__startswith=stem).values_list("code", flat=True))
    return next(code for code in (stem, *(f"{stem}-{n}" for n in range(2, 1000))) if code not in taken)
