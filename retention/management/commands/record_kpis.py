"""manage.py record_kpis: work out and keep the KPIs of a day."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.selectors import company_today
from retention.models import ScoreRun
from retention.models.scores import RunState
from retention.services.kpis import record_kpis


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--as-of is '{text}'; use a date such as 2026-03-31.") from None


class Command(BaseCommand):
    help = (
        "Work out every KPI for the company, its teams, segments and regions, and keep it for the KPI page."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--as-of",
            default="",
            help="The last day to take into account (default: that of the newest score run, else today).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        as_of = _day(options["as_of"]) if options["as_of"] else _newest_day()
        if as_of > company_today():
            raise CommandError(f"--as-of {as_of} lies in the future; use today or an earlier day.")
        done = record_kpis(as_of)
        self.stdout.write(
            f"KPIs as of {done.as_of}: {done.values:,} figures of {done.accounts:,} accounts on {done.days} days, "
            f"{done.changed:,} new or changed."
        )


def _newest_day() -> dt.date:
    run = ScoreRun.objects.filter(state=RunState.PUBLISHED).order_by("-as_of").first()
    return run.as_of if run else company_today()
