"""Forms about planned contacts and absences."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms

from accounts.models import User
from pulsecheck.forms.fields import date_input, not_over


class MoveForm(forms.Form):
    """The day a contact is put on."""

    to = forms.DateField(label="New day", widget=date_input())
    reason = forms.CharField(
        max_length=300,
        required=False,
        label="Why",
        widget=forms.TextInput(attrs={"placeholder": "They asked for it"}),
    )


class AbsenceForm(forms.Form):
    """From when to when somebody is away, and who stands in."""

    person = forms.ModelChoiceField(User.objects.none(), label="Who", empty_label=None)
    starts_on = forms.DateField(label="First day away", widget=date_input())
    ends_on = forms.DateField(label="Last day away", widget=date_input())
    substitute = forms.ModelChoiceField(
        User.objects.none(),
        required=False,
        label="Who stands in",
        empty_label="Nobody",
        help_text="Sees their accounts and makes their contacts meanwhile. With nobody, contacts wait or come earlier.",
    )

    def __init__(self, *args: Any, people: Any, substitutes: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["person"].queryset = people  # type: ignore[attr-defined]
        self.fields["substitute"].queryset = substitutes  # type: ignore[attr-defined]

    def clean_ends_on(self) -> dt.date:
        return not_over(self.cleaned_data["ends_on"])

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        first, last = data.get("starts_on"), data.get("ends_on")
        if first and last and last < first:
            self.add_error("ends_on", "The last day away is not before the first.")
        if data.get("substitute") and data.get("substitute") == data.get("person"):
            self.add_error("substitute", "Somebody else has to stand in.")
        return data
