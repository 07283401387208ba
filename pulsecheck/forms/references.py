"""Forms about customers who vouch for us."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms

from accounts.models import Account, Contact
from accounts.selectors import company_today
from pulsecheck.forms.fields import date_input, not_over
from pulsecheck.forms.records import past_day


class ConsentForm(forms.Form):
    """Who agreed, to what, until when."""

    agreed_by = forms.CharField(
        label="Who there agreed",
        max_length=200,
        error_messages={"required": "Say who there agreed."},
        widget=forms.TextInput(attrs={"placeholder": "Name of the person", "list": "people"}),
    )
    agreed_on = forms.DateField(label="When", widget=date_input())
    until = forms.DateField(label="Until when we may use it", widget=date_input())
    shows_name = forms.BooleanField(required=False, label="We may show their name")
    shows_since = forms.BooleanField(required=False, label="… since when they are a customer")
    shows_on_time = forms.BooleanField(required=False, label="… how many of their deliveries came on time")
    takes_calls = forms.BooleanField(required=False, label="Prospects may call them")
    quote = forms.CharField(
        label="Their words, exactly as agreed",
        required=False,
        max_length=600,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Empty: no words of theirs are shown.",
    )

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        today = company_today()
        self.account = account
        self.fields["agreed_on"].initial = today
        self.fields["until"].initial = today + dt.timedelta(days=365)

    def clean_agreed_on(self) -> dt.date | None:
        return past_day(self.cleaned_data["agreed_on"])

    def clean_until(self) -> dt.date:
        return not_over(self.cleaned_data["until"])

    def consent(self) -> dict[str, Any]:
        """What was filled in; the contact whose name it is, where we know one."""
        name = self.cleaned_data["agreed_by"]
        contact = Contact.objects.filter(account=self.account, name__iexact=name).first()
        return self.cleaned_data | {"contact": contact}


class RevokeForm(forms.Form):
    """Why consent is no longer used."""

    reason = forms.CharField(max_length=300, required=False, label="Why")


class ProofPageForm(forms.Form):
    """What a public page shows."""

    title = forms.CharField(
        label="For whom",
        max_length=120,
        help_text="For yourselves; not shown on the page.",
        widget=forms.TextInput(attrs={"placeholder": "Prospects of the North team"}),
    )
    facts = forms.MultipleChoiceField(label="Figures", required=False, widget=forms.CheckboxSelectMultiple)
    shows_references = forms.BooleanField(
        label="Customers who agreed to be shown", required=False, initial=True
    )
    expires_on = forms.DateField(
        label="Works until", required=False, widget=date_input(), help_text="Empty: until you turn it off."
    )

    def __init__(self, *args: Any, facts: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["facts"].choices = facts  # type: ignore[attr-defined]
        self.fields["facts"].initial = [name for name, _ in facts]

    def clean_expires_on(self) -> dt.date | None:
        day: dt.date | None = self.cleaned_data["expires_on"]
        return not_over(day) if day else None
