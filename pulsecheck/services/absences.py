"""Noting that somebody is away, and taking it back; the contacts of everybody concerned follow at once."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from accounts.models import Absence, User
from accounts.selectors import company_today
from accounts.services.audit import write_audit
from pulsecheck.cadence import day_words
from pulsecheck.errors import CareError
from pulsecheck.services.touchpoints import plan_people

LONGEST = dt.timedelta(days=730)


@transaction.atomic
def note_absence(
    by: User, person: User, starts_on: dt.date, ends_on: dt.date, substitute: User | None = None
) -> Absence:
    """Somebody is away from `starts_on` to `ends_on`, both included. What falls into these days goes to `substitute`,
    or to other days. The same absence twice counts once; one that overlaps another is refused, and so is one without an
    end, of the past, or beyond two years."""
    _refuse_impossible(person, starts_on, ends_on, substitute)
    User.objects.select_for_update(no_key=True).get(pk=person.pk)
    overlapping = Absence.objects.filter(
        person=person, starts_on__lte=ends_on, ends_on__gte=starts_on
    ).first()
    if overlapping is not None:
        if (overlapping.starts_on, overlapping.ends_on, overlapping.substitute) == (
            starts_on,
            ends_on,
            substitute,
        ):
            return overlapping
        span = f"{day_words(overlapping.starts_on)} to {day_words(overlapping.ends_on)}"
        raise CareError(f"{person.name} is already away from {span}. End that absence first.")
    absence = Absence.objects.create(
        person=person, starts_on=starts_on, ends_on=ends_on, substitute=substitute, is_sample=person.is_sample
    )
    write_audit(by, "note_absence", absence, person=person.pk, starts_on=starts_on, ends_on=ends_on)
    _plan_anew(absence)
    return absence


def _refuse_impossible(person: User, starts_on: dt.date, ends_on: dt.date, substitute: User | None) -> None:
    today = company_today()
    if ends_on < starts_on:
        raise CareError("The last day away is not before the first.")
    if ends_on < today:
        raise CareError("This absence is over. Note one that runs or comes.")
    if ends_on - starts_on > LONGEST or starts_on - today > LONGEST:
        raise CareError(
            "At most two years, and at most two years ahead. Somebody who stays away longer has left."
        )
    if substitute == person:
        raise CareError("Somebody else has to stand in.")


@transaction.atomic
def end_absence(absence: Absence, by: User) -> None:
    """They are back, from today on; an absence that has not begun is taken back altogether. One that is over stays as
    it was."""
    today = company_today()
    found = Absence.objects.select_for_update(of=("self",)).select_related("person__team")
    current = found.filter(pk=absence.pk).first()
    if current is None or current.ends_on < today:
        return
    absence = current
    write_audit(by, "end_absence", absence, person=absence.person_id, ends_on=absence.ends_on)
    if absence.starts_on >= today:
        absence.delete()
    else:
        absence.ends_on = today - dt.timedelta(days=1)
        absence.save(update_fields=["ends_on", "updated_at"])
    _plan_anew(absence)


def _plan_anew(absence: Absence) -> None:
    concerned = {absence.person_id, absence.substitute_id, *_backups(absence.person)}
    plan_people([pk for pk in concerned if pk])


def _backups(person: User) -> list[int | None]:
    return [person.team.manager_id] if person.team else []
