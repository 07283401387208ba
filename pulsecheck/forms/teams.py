"""Who looks after an account together, and handing it over when it is won."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms

from accounts.models import Account, Contact, Department, OnboardingItem, User
from accounts.models.account import MemberRole
from accounts.models.team import EventKind
from accounts.selectors import carers, company_today
from accounts.services.handoffs import Won
from pulsecheck.forms.fields import date_input, not_over
from pulsecheck.forms.records import DeedForm, Menus, past_day

MOST_MEMBERS, MOST_PROMISES = 4, 3


def _person(label: str, empty: str = "Choose", *, is_required: bool = True) -> forms.ModelChoiceField:
    return forms.ModelChoiceField(User.objects.none(), label=label, empty_label=empty, required=is_required)


class MemberForm(DeedForm):
    """Somebody for the retention team, from any department."""

    member = _person("Who")
    role = forms.ChoiceField(label="Stands for", choices=MemberRole.choices)


class ManagerForm(DeedForm):
    """Another account manager."""

    manager = _person("Account manager")

    def __init__(self, *args: Any, row: Account, **kwargs: Any) -> None:
        super().__init__(*args, row=row, initial={"manager": row.account_manager_id}, **kwargs)


class SwapForm(DeedForm):
    """The two owners swap roles for some time."""

    until = forms.DateField(label="Until", widget=date_input())
    reason = forms.CharField(
        label="What for",
        max_length=300,
        widget=forms.TextInput(attrs={"placeholder": "So that the customer knows both of us"}),
    )

    def clean_until(self) -> dt.date:
        return not_over(self.cleaned_data["until"])


class EventForm(DeedForm):
    """Something that changed at the customer."""

    kind = forms.ChoiceField(label="What changed", choices=EventKind.choices)
    happened_on = forms.DateField(label="When", widget=date_input())
    left = forms.ModelChoiceField(
        Contact.objects.none(), label="Who left there", required=False, empty_label="Nobody we know"
    )
    note = forms.CharField(label="In one sentence", max_length=300, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["happened_on"].initial = company_today()

    def clean_happened_on(self) -> dt.date | None:
        return past_day(self.cleaned_data["happened_on"])


class ReceiveForm(DeedForm):
    """Service has read the handoff."""

    question = forms.CharField(
        label="What you still want to know",
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


def _paragraph(label: str, *, is_required: bool = True, missing: str = "", hint: str = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=2000,
        required=is_required,
        help_text=hint,
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": missing} if missing else None,
    )


class HandoffForm(forms.Form):
    """What service has to know, who joins the retention team, and what was promised on the way to the deal."""

    won_on = forms.DateField(label="Won on", widget=date_input())
    handed_to = _person("Who looks after them")
    bought = _paragraph("What they bought", missing="Say what they bought.")
    why_us = _paragraph(
        "Why they chose us", missing="Say why they chose us.", hint="And what was wrong before."
    )
    expects = _paragraph("What they expect", missing="Say what they expect.", hint="And by when.")
    people = _paragraph("Who decides, who uses it, who was against it", is_required=False)
    watch_out = _paragraph("What could go wrong", is_required=False)
    contact = forms.ModelChoiceField(
        Contact.objects.none(),
        label="First person to call there",
        required=False,
        empty_label="Nobody on record",
    )

    def __init__(self, *args: Any, account: Account, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["won_on"].initial = account.became_customer_on or company_today()
        self.fields["handed_to"].initial = account.account_manager_id
        for number in range(MOST_MEMBERS):
            self.fields[f"member_{number}"] = _person("Who", "Nobody", is_required=False)
            self.fields[f"role_{number}"] = forms.ChoiceField(
                label="Stands for",
                choices=MemberRole.choices,
                required=False,
                initial=list(MemberRole.values)[(number + 1) % len(MemberRole.values)],
            )
        for number in range(MOST_PROMISES):
            self.fields[f"promise_{number}"] = forms.CharField(
                label="We promised", max_length=500, required=False
            )
            self.fields[f"promise_due_{number}"] = forms.DateField(
                label="By", required=False, widget=date_input()
            )
        Menus(account).fill(self)

    @property
    def members(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """Rows of the retention team."""
        return [(self[f"member_{n}"], self[f"role_{n}"]) for n in range(MOST_MEMBERS)]

    @property
    def promises(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """Rows of what was promised."""
        return [(self[f"promise_{n}"], self[f"promise_due_{n}"]) for n in range(MOST_PROMISES)]

    def clean_won_on(self) -> dt.date | None:
        return past_day(self.cleaned_data["won_on"])

    def clean(self) -> dict[str, Any]:
        """Every promise has a day that is not over."""
        data = super().clean() or {}
        for number in range(MOST_PROMISES):
            day = data.get(f"promise_due_{number}")
            if data.get(f"promise_{number}") and not day:
                self.add_error(f"promise_due_{number}", "By when? A promise without a day cannot be kept.")
            elif day and day < company_today():
                self.add_error(f"promise_due_{number}", "This day is over.")
        return data

    def won(self) -> Won:
        """What was filled in, as the service wants it."""
        data = self.cleaned_data
        team = [
            (data[f"member_{n}"], MemberRole(data[f"role_{n}"] or MemberRole.OTHER))
            for n in range(MOST_MEMBERS)
            if data[f"member_{n}"]
        ]
        promised = [
            (data[f"promise_{n}"], data[f"promise_due_{n}"])
            for n in range(MOST_PROMISES)
            if data[f"promise_{n}"]
        ]
        plain = ("won_on", "handed_to", "bought", "why_us", "expects", "people", "watch_out", "contact")
        return Won(**{name: data[name] for name in plain}, team=team, promised=promised)


class OnboardingItemForm(forms.ModelForm):
    """A step that every new customer goes through."""

    class Meta:
        model = OnboardingItem
        fields = ["title", "role", "days_after", "position", "is_active"]
        labels = {
            "title": "Step",
            "role": "Department",
            "days_after": "Days after the deal",
            "position": "Place in the list",
            "is_active": "Every new customer goes through it",
        }
        help_texts = {"days_after": ""}  # the label says it


class DepartmentForm(forms.ModelForm):
    """What a department does for customers."""

    does = _paragraph("What it does for a customer")
    call_when = _paragraph("When others call it")
    may_promise = _paragraph("What it may promise", is_required=False)

    class Meta:
        model = Department
        fields = ["does", "call_when", "may_promise", "speaker"]
        labels = {"speaker": "Whom to ask"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["speaker"].queryset = carers()  # type: ignore[attr-defined]
        self.fields["speaker"].empty_label = "Nobody in particular"  # type: ignore[attr-defined]
