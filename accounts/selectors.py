"""Reads that pages and jobs share."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from accounts.models import Company, ExchangeRate

COMPANY_KEY = "company"


def get_company() -> Company:
    """The one company; made from the settings on first use and cached for a minute in this process."""
    company = cache.get(COMPANY_KEY)
    if company is None:
        company, _ = Company.objects.get_or_create(pk=1, defaults={"time_zone": settings.TIME_ZONE})
        cache.set(COMPANY_KEY, company, 60)
    return company


def company_today() -> dt.date:
    """Today in the company's time zone."""
    return get_company().local_date(timezone.now())


def get_exchange_rates() -> dict[str, Decimal]:
    """Known currencies: code -> value of one unit in the company's currency (its own is 1)."""
    rates = {rate.currency: rate.rate for rate in ExchangeRate.objects.all()}
    return rates | {get_company().currency: Decimal(1)}
