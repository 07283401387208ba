"""Forms about staff and customers."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import validate_password
from holidays.registry import COUNTRIES

from accounts.ingest.schema import KINDS, Kind
from accounts.models import ChurnReason, Company, ExchangeRate, Team, Term, User
from accounts.models.api import READ_ONLY, Area
from accounts.selectors import company_today, get_company, successors


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


def scope_choices() -> list[tuple[str, str]]:
    """What a token may be made for, in words."""
    parts = [
        (f"{area}:{deed}", f"{verb} {Area(area).label[0].lower()}{Area(area).label[1:]}")
        for area in Area.values
        for deed, verb in (("read", "Read"), ("write", "Write"))
        if (area, deed) not in READ_ONLY
    ]
    return [("read", "Read everything"), ("write", "Write everything"), *parts]


class ApiTokenForm(forms.Form):
    """A token for a program."""

    name = forms.CharField(
        label="Which program is it for?",
        max_length=80,
        widget=forms.TextInput(attrs={"placeholder": "Our web shop"}),
    )
    scopes = forms.MultipleChoiceField(
        label="What may it do?",
        choices=scope_choices,
        initial=["read"],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Tick at least one thing it may do."},
    )
    expires_on = forms.DateField(
        label="Last day",
        required=False,
        help_text="Leave it empty for a token without an end.",
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def clean_expires_on(self) -> dt.date | None:
        day: dt.date | None = self.cleaned_data["expires_on"]
        if day is not None and day < company_today():
            raise forms.ValidationError("This day is over. Choose today or later.")
        return day


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
                widget=forms.Select(attrs={"class": "form-select"}),
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


# -- settings ---------------------------------------------------------------
def _zone_choices(empty: str = "") -> list[tuple[str, str]]:
    zones = sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))
    choices = [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in zones)]
    return [("", empty), *choices] if empty else choices


def _country_choices() -> list[tuple[str, str]]:
    """Countries whose public holidays are known."""
    named = (
        (row[1], re.sub(r"(?<=[a-z])(?=[A-Z])", " ", row[0]))
        for row in COUNTRIES.values()
        if len(row[1]) == 2
    )
    return [("", "None: only weekends are free"), *sorted(named, key=lambda choice: choice[1])]


def _currency_code(code: str) -> str:
    code = code.strip().upper()
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise forms.ValidationError("Use the three-letter code of the currency, such as EUR.")
    return code


class PersonForm(forms.ModelForm):
    """One of ours."""

    time_zone = forms.ChoiceField(label="Time zone", required=False)
    country = forms.ChoiceField(
        label="Public holidays",
        required=False,
        help_text="Contacts are planned on business days of this country.",
    )

    class Meta:
        model = User
        fields = ["name", "email", "role", "team", "calls_per_day", "time_zone", "country"]
        labels = {"email": "E-mail", "calls_per_day": "Calls a day"}
        help_texts = {"calls_per_day": "So many calls this person can make; Today shows no more than that."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].empty_label = "No team"  # type: ignore[attr-defined]
        zone = get_company().time_zone
        self.fields["time_zone"].choices = _zone_choices(f"The company's ({zone})")  # type: ignore[attr-defined]
        self.fields["country"].choices = [("", "The company's"), *_country_choices()[1:]]  # type: ignore[attr-defined]

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("Somebody with this e-mail is here already.")
        return email


class NewPersonForm(PersonForm):
    """One of ours who is not here yet."""

    password = forms.CharField(
        label="First password",
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Leave it empty to get a link with which they choose one themselves.",
    )

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if password:
            validate_password(password)
        return password


class DepartureForm(forms.Form):
    """Somebody has left the company."""

    left_on = forms.DateField(label="Last day", widget=forms.DateInput(attrs={"type": "date"}))
    heir = forms.ModelChoiceField(
        User.objects.none(),
        label="Who takes over",
        required=False,
        empty_label="Nobody yet",
        help_text="Looks after the accounts from now on, and gets the open issues and enquiries.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["heir"].queryset = successors(user)  # type: ignore[attr-defined]
        self.fields["left_on"].initial = company_today()

    def clean_left_on(self) -> dt.date:
        day: dt.date = self.cleaned_data["left_on"]
        if day > company_today():
            raise forms.ValidationError("This day is still to come. Record it when they have left.")
        return day


class TeamForm(forms.ModelForm):
    """People who share a manager."""

    class Meta:
        model = Team
        fields = ["name", "manager"]
        help_texts = {"manager": "Sees the accounts of the team, and gets handbacks nobody else can take."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        manager = self.fields["manager"]
        manager.queryset = User.objects.filter(is_active=True, role="manager")  # type: ignore[attr-defined]
        manager.empty_label = "Nobody"  # type: ignore[attr-defined]


class CompanyForm(forms.ModelForm):
    """The company that uses Mainstay."""

    time_zone = forms.ChoiceField(label="Time zone", help_text="Decides when a day ends.")
    country = forms.ChoiceField(
        label="Public holidays", required=False, help_text="Due days fall on business days of this country."
    )

    class Meta:
        model = Company
        fields = ["name", "currency", "time_zone", "country", "answer_hours"]
        labels = {"answer_hours": "Answer enquiries within"}
        help_texts = {
            "currency": "All totals are in it. Changing it turns the exchange rates round.",
            "answer_hours": "Office hours, as set with the handbacks. What waits longer is late.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"].choices = _zone_choices()  # type: ignore[attr-defined]
        self.fields["country"].choices = _country_choices()  # type: ignore[attr-defined]

    def clean_currency(self) -> str:
        return _currency_code(self.cleaned_data["currency"])

    def clean_answer_hours(self) -> int:
        hours: int = self.cleaned_data["answer_hours"]
        if hours < 1:
            raise forms.ValidationError("Give yourselves an hour at least.")
        return hours


class ExchangeRateForm(forms.Form):
    """What one unit of a currency is worth in the company's."""

    currency = forms.CharField(label="Currency", max_length=10)
    rate = forms.DecimalField(label="Rate", max_digits=18, decimal_places=8)

    def __init__(self, *args: Any, row: ExchangeRate | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own = get_company().currency
        self.fields["rate"].label = f"Worth in {self.own}"
        self.fields["currency"].widget.attrs |= {"placeholder": "USD", "autocapitalize": "characters"}
        if row is not None:
            self.fields["currency"].disabled = True
            self.initial["currency"], self.initial["rate"] = row.currency, row.rate.normalize()

    def clean_currency(self) -> str:
        code = _currency_code(self.cleaned_data["currency"])
        if code == self.own:
            raise forms.ValidationError(f"{code} is the company's own currency; its rate is 1.")
        return code

    def clean_rate(self) -> Decimal:
        rate: Decimal = self.cleaned_data["rate"]
        if rate <= 0:
            raise forms.ValidationError("A rate is above 0.")
        return rate


class ChurnReasonForm(forms.ModelForm):
    """Why customers leave."""

    class Meta:
        model = ChurnReason
        fields = ["name", "side", "is_controllable", "position", "is_active"]
        labels = {
            "side": "On whose side it lies",
            "is_controllable": "We could have done something about it",
            "position": "Place in the list",
            "is_active": "Can be chosen",
        }


class TermForm(forms.ModelForm):
    """A term that has to be explained with every contract."""

    class Meta:
        model = Term
        fields = ["name", "in_plain_words", "position", "is_active"]
        labels = {
            "in_plain_words": "In plain words",
            "position": "Place in the list",
            "is_active": "Has to be explained",
        }
        help_texts = {"in_plain_words": "What the customer has to know about it, in one or two sentences."}
