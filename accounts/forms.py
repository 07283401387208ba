"""Forms about staff and customers."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from accounts.models import Account, Contact
from accounts.models.care import InteractionKind, Severity
from accounts.selectors import company_today


class SignInForm(AuthenticationForm):
    """The same answer whether the person is unknown, disabled or mistyped the password."""

    error_messages = {
        "invalid_login": "That e-mail and password do not match. Check both and try again.",
        "inactive": "That e-mail and password do not match. Check both and try again.",
    }
    username = forms.EmailField(
        label="E-mail",
        widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"}),
    )


class InteractionForm(forms.Form):
    """A contact that happened."""

    kind = forms.ChoiceField(label="What", choices=InteractionKind.choices, initial=InteractionKind.CALL)
    contact = forms.ModelChoiceField(
        Contact.objects.none(), label="With", required=False, empty_label="Nobody in particular"
    )
    subject = forms.CharField(
        label="In one sentence", max_length=500, widget=forms.TextInput(attrs={"placeholder": "Asked for …"})
    )
    happened_on = forms.DateField(
        label="When",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Empty = today.",
    )

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["contact"].queryset = account.contacts.filter(is_active=True)  # type: ignore[attr-defined]

    def clean_happened_on(self) -> dt.date | None:
        day: dt.date | None = self.cleaned_data["happened_on"]
        if day is not None and day > company_today():
            raise forms.ValidationError("This is still to come. Write down what has happened.")
        return day


class PromiseForm(forms.Form):
    """Something promised to a customer."""

    text = forms.CharField(
        label="We promise",
        max_length=500,
        widget=forms.TextInput(attrs={"placeholder": "A fixed price list"}),
    )
    due_on = forms.DateField(label="By", widget=forms.DateInput(attrs={"type": "date"}))

    def clean_due_on(self) -> dt.date:
        day: dt.date = self.cleaned_data["due_on"]
        if day < company_today():
            raise forms.ValidationError("This day is over. Promise something for today or later.")
        return day


class IssueForm(forms.Form):
    """A grievance of a customer."""

    description = forms.CharField(
        label="What went wrong", max_length=2000, widget=forms.Textarea(attrs={"rows": 2})
    )
    severity = forms.ChoiceField(label="How bad", choices=Severity.choices, initial=Severity.MEDIUM)
    due_on = forms.DateField(
        label="Mend it by", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
