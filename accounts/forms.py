"""Forms about staff and customers."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from accounts.ingest.schema import KINDS, Kind
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


class ApiTokenForm(forms.Form):
    """A token for a program."""

    name = forms.CharField(
        label="Which program is it for?",
        max_length=80,
        widget=forms.TextInput(attrs={"placeholder": "Our web shop"}),
    )


class UploadForm(forms.Form):
    """A file to import."""

    file = forms.FileField(
        label="File",
        help_text="CSV in any common form, also compressed (.gz), or an Excel workbook (.xlsx).",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,.tsv,.gz,.xlsx"}),
        error_messages={"required": "Choose a file first.", "empty": "This file is empty."},
    )


class ImportColumnsForm(forms.Form):
    """Which column of the file is which of ours, and what else has to be known to read it."""

    source = forms.RegexField(
        r"^[^\x00-\x1f]{1,60}$",
        label="Comes from",
        initial="file",
        strip=True,
        help_text="A name for the system or file. Ids are compared within it, so keep to one name per system.",
        error_messages={"invalid": "Use a name of 1 to 60 characters."},
    )
    dates = forms.ChoiceField(
        label="Dates such as 03/04/2024",
        required=False,
        choices=[
            ("", "Find out from the file"),
            ("day-first", "The day comes first"),
            ("month-first", "The month comes first"),
        ],
    )
    numbers = forms.ChoiceField(
        label="Amounts such as 1.234",
        required=False,
        choices=[
            ("", "Find out from the file"),
            ("point", "Decimals follow a point"),
            ("comma", "Decimals follow a comma"),
        ],
    )
    create_accounts = forms.BooleanField(
        label="Make an account for every customer nobody knows yet", required=False
    )

    def __init__(
        self, *args: Any, header: list[str], record_kind: Kind, suggested: dict[str, str], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.header = header
        self.record_kind = record_kind
        options = [
            ("", "Leave out"),
            *((column.name, column_label(record_kind, column.name)) for column in record_kind.columns),
        ]
        for index, theirs in enumerate(header):
            self.fields[f"column_{index}"] = forms.ChoiceField(
                label=theirs or f"Column {index + 1}",
                choices=options,
                required=False,
                initial=suggested.get(theirs, ""),
                disabled=not theirs,
            )
        if "account" not in record_kind.names:
            del self.fields["create_accounts"]

    def clean(self) -> dict[str, Any]:
        """Each of our columns is filled by one column of the file."""
        data = super().clean() or {}
        taken: dict[str, str] = {}
        for index, theirs in enumerate(self.header):
            ours = data.get(f"column_{index}", "")
            if ours and ours in taken:
                self.add_error(
                    f"column_{index}",
                    f"Already filled by \u201c{taken[ours]}\u201d. Leave one of the two out.",
                )
            elif ours:
                taken[ours] = theirs
        return data

    @property
    def mapping(self) -> dict[str, str]:
        """{their column: our column}, as chosen."""
        chosen = (
            (theirs, self.cleaned_data.get(f"column_{index}", "")) for index, theirs in enumerate(self.header)
        )
        return {theirs: ours for theirs, ours in chosen if ours}


KIND_CHOICES = [(kind.name, kind.name.replace("_", " ").capitalize()) for kind in KINDS.values()]


def column_label(kind: Kind, name: str) -> str:
    """One of our columns as people read it: "ordered at *", the star for needed."""
    return name.replace("_", " ").capitalize() + (" *" if name in kind.required else "")
