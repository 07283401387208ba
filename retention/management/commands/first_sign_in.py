from typing import Any

from django.core.management.base import BaseCommand

from retention.services.sign_in import ensure_administrator, find_first_sign_ins, trial_password


class Command(BaseCommand):
    help = "Make sure that somebody can sign in, and print how."

    def handle(self, *args: Any, **options: Any) -> None:
        ensure_administrator()
        people = find_first_sign_ins()
        if not people:
            self.stdout.write("Sign in with your own address and password.")
            return
        width = max(len(user.email) for user in people)
        for user in people:
            self.stdout.write(f"{user.email:{width}}  {user.get_role_display()}")
        self.stdout.write(f"Password for each: {trial_password()}")
