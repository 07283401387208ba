"""Fields and forms that the others are built from."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

from django import forms
from django.forms.models import ModelChoiceIterator

from accounts.selectors import company_today, get_company
from pulsecheck.business_days import business_calendar


def date_input() -> forms.DateInput:
    """The browser's own calendar; always written as it wants it."""
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


def in_a_week() -> dt.date:
    """The working day a week from now, or the next one."""
    return business_calendar(get_company().country).on_or_after(company_today() + dt.timedelta(days=7))


FARTHEST = dt.timedelta(days=3653)
OF_WORDS = uuid.UUID("6c1f35b1-6a0e-4ac4-9d8f-1f2f3a0f6d52")  # of numbers made of words; means nothing


class Names(ModelChoiceIterator):
    """A menu of people: of each only the name is read."""

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        if self.field.empty_label is not None:
            yield "", self.field.empty_label
        yield from self.queryset.values_list("pk", "name")


class PersonField(forms.ModelChoiceField):
    """One of ours, chosen by name."""

    iterator = Names


class SubmissionField(forms.UUIDField):
    """Nobody types it, so nobody could mend it: what is no number counts as none."""

    def to_python(self, value: Any) -> uuid.UUID | None:  # type: ignore[override]
        try:
            return super().to_python(value)
        except forms.ValidationError:
            return None


class SubmittedOnce(forms.Form):
    """Carries a number of its own, so that a form sent twice counts once. Where somebody sends it without one, the same
    words about the same thing (`whose`: by whom, about what) on the same day are the same form."""

    whose: tuple[int | None, ...] = ()

    submission = SubmissionField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["submission"].initial = uuid.uuid4()

    def clean_submission(self) -> uuid.UUID | None:
        sent: uuid.UUID | None = self.cleaned_data["submission"]
        if sent is not None or not self.whose:
            return sent
        words = sorted((name, self[name].data or "") for name in self.fields if name != "submission")
        return uuid.uuid5(OF_WORDS, f"{type(self).__name__} {self.whose} {company_today()} {words}")


class ReasonForm(forms.Form):
    """A sentence that says why."""

    reason = forms.CharField(
        max_length=300,
        label="Why",
        error_messages={"required": "Say why, in one sentence."},
        widget=forms.TextInput(),
    )
    for_example = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.for_example:
            self.fields["reason"].widget.attrs["placeholder"] = self.for_example


def not_over(day: dt.date) -> dt.date:
    """A day from today on, and one that somebody of us may live to see."""
    today = company_today()
    if day < today:
        raise forms.ValidationError("This day is over. Choose today or later.")
    if day - today > FARTHEST:
        raise forms.ValidationError("Choose a day of the next ten years.")
    return day
