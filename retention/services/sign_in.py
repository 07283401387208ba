"""The first way in: a trial has to be entered before anybody could have been invited."""

import os
import secrets
from pathlib import Path

from django.conf import settings

from accounts.models import Role, User

ADMINISTRATOR = "administrator@example.com"


def trial_password() -> str:
    """The password of the sample staff and of the first administrator: made once per installation, kept in the
    data directory where only its owner reads it."""
    path = Path(settings.DATA_DIR) / "trial-password"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as out:
            out.write("-".join(secrets.token_hex(2) for _ in range(4)))
    return path.read_text()


def ensure_administrator() -> User | None:
    """Create an administrator when nobody can sign in yet; returns the new user, or None."""
    if User.objects.filter(is_active=True).exists():
        return None
    return User.objects.create_superuser(ADMINISTRATOR, trial_password(), name="Administrator")


def find_first_sign_ins() -> list[User]:
    """One active person per role, in the order of the roles, who still has the trial password."""
    people = User.objects.filter(is_active=True, left_on=None).order_by("pk")
    first: dict[str, User] = {}
    for user in people.iterator():
        if user.role not in first and user.check_password(trial_password()):
            first[user.role] = user
        if len(first) == len(Role):
            break
    return [first[role] for role in Role.values if role in first]
