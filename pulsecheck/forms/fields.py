"""Fields and forms that the others are built from."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django import forms

from accounts.selectors import company_today, get_company
from pulsecheck.business_days import business_calendar


def date_input() -> forms.DateInput:
    """The browser's own calendar; always written as it wants it."""
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


def in_a_week() -> dt.date:
    """The working day a week from now, or the next one."""
    return business_calendar(get_company().country).on_or_after(company_today() + dt.timedelta(days=7))


class SubmissionField(forms.UUIDField):
    """Nobody types it, so nobody could mend it: what is no number counts as none."""

    def to_python(self, value: Any) -> uuid.UUID | None:  # type: ignore[override]
        try:
            return super().to_python(value)
        except forms.ValidationError:
            return None


class SubmittedOnce(forms.Form):
    """Carries a number of its own, so that a form sent twice counts once."""

    submission = SubmissionField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["submission"].initial = uuid.uuid4()


class ReasonForm(forms.Form):
    """A sentence that says why."""

    reason = forms.CharField(
        max_length=300,
        label="Why",
        error_messages={"required": "Say why, in one sentence."},
        widget=forms.TextInput(attrs={"placeholder": "On holiday until the 3rd"}),
    )


def not_over(day: dt.date) -> dt.date:
    if day < company_today():
        raise forms.ValidationError("This day is over. Choose today or later.")
    return day
