"""Who may sign in, in which role and team; handing over what people leave behind."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accounts.models import Account, ApiToken, Enquiry, Issue, Role, Team, User
from accounts.services.audit import write_audit


class PeopleError(ValueError):
    """What was asked for would lock the company out; one sentence for the person who asked."""


def create_user(by: User, password: str = "", **fields: Any) -> User:
    """A new person. Without a password nobody can sign in as them until they follow `set_password_path`."""
    with transaction.atomic():
        user = User.objects.create_user(password=password or None, **fields)
        write_audit(by, "create_user", user, email=user.email, role=user.role)
    return user


def set_password_path(user: User) -> str:
    """The address where `user` chooses a password: works once, and for three days."""
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("accounts:set_password", args=[uid, default_token_generator.make_token(user)])


def change_user(by: User, user: User, changed: dict[str, Any]) -> User:
    """Other details, role or team of a person. The last administrator stays one."""
    with transaction.atomic():
        stored = User.objects.select_for_update().get(pk=user.pk)
        if stored.role == Role.ADMINISTRATOR and changed.get("role", stored.role) != Role.ADMINISTRATOR:
            _keep_an_administrator(stored)
        before = {name: getattr(stored, name) for name in changed}
        for name, value in changed.items():
            setattr(stored, name, value)
        stored.save(update_fields=list(changed))
        differs = {
            name: [str(before[name]), str(changed[name])] for name in changed if before[name] != changed[name]
        }
        if differs:
            write_audit(by, "change_user", stored, **differs)
    return stored


def disable_user(by: User, user: User) -> None:
    """Sessions and API tokens end at once; the person stays in the records they belong to."""
    if by.pk == user.pk:
        raise PeopleError("You cannot disable yourself; ask another administrator.")
    with transaction.atomic():
        stored = User.objects.select_for_update().get(pk=user.pk)
        _keep_an_administrator(stored)
        stored.is_active = False
        stored.save(update_fields=["is_active"])
        end_sessions(stored)
        write_audit(by, "disable_user", stored)


def enable_user(by: User, user: User) -> None:
    """May sign in again, and has not left."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_active=True, left_on=None)
        write_audit(by, "enable_user", user)


def end_sessions(user: User) -> None:
    """Signs a person out everywhere and takes their API tokens away."""
    running = Session.objects.filter(expire_date__gt=timezone.now())
    mine = [row.pk for row in running.iterator() if row.get_decoded().get("_auth_user_id") == str(user.pk)]
    Session.objects.filter(pk__in=mine).delete()
    ApiToken.objects.filter(user=user).delete()


@dataclass(frozen=True)
class HandedOver:
    """What passed to the successor."""

    accounts: int
    issues: int
    enquiries: int


def record_departure(by: User, user: User, left_on: dt.date, heir: User | None) -> HandedOver:
    """A person has left the company: disabled, and what they looked after goes to `heir`.

    Who won an account stays on record for ever, so handbacks of those go to the manager of that person's team.
    """
    if heir is not None and (heir.pk == user.pk or not heir.is_active):
        raise PeopleError("Choose somebody who is still here to take over.")
    with transaction.atomic():
        disable_user(by, user)
        User.objects.filter(pk=user.pk).update(left_on=left_on)
        handed = _hand_over(user, heir) if heir is not None else HandedOver(0, 0, 0)
        write_audit(
            by,
            "record_departure",
            user,
            left_on=left_on,
            heir=heir.pk if heir else None,
            accounts=handed.accounts,
            issues=handed.issues,
            enquiries=handed.enquiries,
        )
    return handed


def _hand_over(user: User, heir: User) -> HandedOver:
    accounts = Account.objects.filter(account_manager=user).update(account_manager=heir)
    issues = Issue.objects.filter(owner=user, resolved_at=None).update(owner=heir)
    enquiries = Enquiry.objects.filter(owner=user, responded_at=None).update(owner=heir)
    return HandedOver(accounts, issues, enquiries)


def _keep_an_administrator(user: User) -> None:
    others = User.objects.filter(role=Role.ADMINISTRATOR, is_active=True).exclude(pk=user.pk)
    if user.role == Role.ADMINISTRATOR and not others.select_for_update().exists():
        raise PeopleError("This is the last administrator; make somebody else one first.")


def save_team(by: User, team: Team) -> Team:
    """A new team, or another name or manager of one."""
    is_new = team.pk is None
    with transaction.atomic():
        team.save()
        manager = team.manager.email if team.manager else ""
        write_audit(by, "create_team" if is_new else "change_team", team, name=team.name, manager=manager)
    return team


def delete_team(by: User, team: Team) -> None:
    """Its people stay, in no team."""
    with transaction.atomic():
        write_audit(by, "delete_team", team, name=team.name)
        team.delete()
