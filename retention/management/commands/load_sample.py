import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Account, User
from accounts.selectors import company_today
from retention.sample.company import SEED
from retention.services.sample import SampleError, load_sample


class Command(BaseCommand):
    help = "Load the sample company: three years of a made-up wholesaler, marked and removable."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seed", type=int, default=SEED, help="another number makes another company")
        parser.add_argument(
            "--today", type=dt.date.fromisoformat, help="YYYY-MM-DD; the day after the last order"
        )
        parser.add_argument("--force", action="store_true", help="load it beside customers of your own")
        parser.add_argument(
            "--if-empty", action="store_true", help="do nothing when there are accounts or people already"
        )

    def handle(
        self, *args: Any, seed: int, today: dt.date | None, force: bool, if_empty: bool, **options: Any
    ) -> None:
        if if_empty and (Account.objects.exists() or User.objects.exists()):
            self.stdout.write("Not loaded: this installation is in use already.")
            return
        try:
            loaded = load_sample(today or company_today(), seed, beside_real=force)
        except SampleError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(str(loaded))
