from typing import Any

from django.core.management.base import BaseCommand

from retention.services.sample_removal import remove_sample


class Command(BaseCommand):
    help = "Remove the sample company with everything that was recorded about it."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(str(remove_sample()))
