"""What people write down about handbacks and pulse checks."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django import forms

from accounts.models import Account, ChurnReason, Contact, User
from accounts.selectors import company_today, get_company
from pulsecheck.business_days import business_calendar
from pulsecheck.models import PulseTheme
from pulsecheck.models.handbacks import AttemptKind, HandbackOutcome
from pulsecheck.models.pulses import PulseScore
from pulsecheck.services.pulses import MOST_THEMES, Grievance, PulseEntry

ATTEMPT_CHOICES = [
    (kind.value, kind.label) for kind in (AttemptKind.CALL, AttemptKind.EMAIL, AttemptKind.MEETING)
]


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


class DeclineForm(ReasonForm):
    """Why somebody cannot take a handback."""


class SkipForm(ReasonForm):
    """Why a contact is left out."""

    reason = forms.CharField(
        max_length=300,
        label="Why leave it out",
        error_messages={"required": "Say why, in one sentence."},
        widget=forms.TextInput(attrs={"placeholder": "We met at the trade fair"}),
    )


class SnoozeForm(forms.Form):
    """Until when a contact is put off, and why."""

    until = forms.DateField(label="Put off until", widget=date_input())
    reason = forms.CharField(
        max_length=300,
        label="Why",
        error_messages={"required": "Say why, in one sentence."},
        widget=forms.TextInput(attrs={"placeholder": "Stocktaking there this week"}),
    )


class ReassignForm(forms.Form):
    """Who is to take a handback."""

    to = forms.ModelChoiceField(User.objects.none(), label="Give it to", empty_label="Choose a person")
    note = forms.CharField(max_length=300, label="Word to them", required=False)

    def __init__(self, *args: Any, staff: list[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to"].queryset = User.objects.filter(pk__in=[person.pk for person in staff])  # type: ignore[attr-defined]


class AttemptForm(SubmittedOnce):
    """A try to reach the customer."""

    kind = forms.ChoiceField(
        choices=ATTEMPT_CHOICES, initial=AttemptKind.CALL, label="What", widget=forms.RadioSelect
    )
    has_reached = forms.BooleanField(required=False, label="Spoke with somebody there")
    note = forms.CharField(
        max_length=500,
        required=False,
        label="What came of it",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "They wait for the new price list"}),
    )


class CloseForm(forms.Form):
    """How a handback ended."""

    outcome = forms.ChoiceField(
        choices=HandbackOutcome.choices,
        label="How it ended",
        widget=forms.RadioSelect,
        error_messages={"required": "Choose how it ended."},
    )
    churn_reason = forms.ModelChoiceField(
        ChurnReason.objects.none(),
        required=False,
        label="Why they left",
        empty_label="Choose when they left",
    )
    note = forms.CharField(
        max_length=2000,
        required=False,
        label="What others should know",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["churn_reason"].queryset = ChurnReason.objects.filter(is_active=True)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        outcome = data.get("outcome")
        if (
            outcome == HandbackOutcome.LOST
            and not data.get("churn_reason")
            and "churn_reason" not in self.errors
        ):
            self.add_error("churn_reason", "Choose why the customer left.")
        if outcome == HandbackOutcome.FALSE_ALARM and not data.get("note"):
            self.add_error("note", "Say what made it look like a risk: it teaches the rule.")
        return data


class NewHandbackForm(forms.Form):
    """Why a person hands an account back without waiting for the night."""

    reason = forms.CharField(
        max_length=300,
        label="Why now",
        error_messages={"required": "Say why, in one sentence."},
        widget=forms.TextInput(attrs={"placeholder": "Asked a competitor for an offer", "autofocus": True}),
    )


class PulseForm(SubmittedOnce):
    """One look at how a customer feels about us. Only the score and the next step are required."""

    score = forms.TypedChoiceField(
        coerce=int,
        choices=PulseScore.choices,
        label="How do they feel about us?",
        widget=forms.RadioSelect,
        error_messages={"required": "Choose one of the six."},
    )
    themes = forms.ModelMultipleChoiceField(
        PulseTheme.objects.none(),
        required=False,
        label=f"What it is about, up to {MOST_THEMES}",
        widget=forms.CheckboxSelectMultiple,
    )
    note = forms.CharField(
        required=False, max_length=4000, label="In their words", widget=forms.Textarea(attrs={"rows": 2})
    )
    contact = forms.ModelChoiceField(
        Contact.objects.none(), required=False, label="Spoke with", empty_label="Nobody in particular"
    )
    grievance = forms.CharField(
        required=False,
        max_length=2000,
        label="What are they unhappy with?",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Opens an issue with an owner and a day.",
    )
    grievance_owner = forms.ModelChoiceField(
        User.objects.none(), required=False, label="Who settles it", empty_label="I do"
    )
    grievance_due_on = forms.DateField(required=False, label="Settled by", widget=date_input())
    insight_shared = forms.CharField(
        required=False,
        max_length=300,
        label="News from their industry that you brought, and what they said to it",
    )
    opportunity = forms.CharField(required=False, max_length=300, label="Something they could use")
    next_step = forms.CharField(
        max_length=300,
        label="What happens next",
        error_messages={"required": "Every pulse check ends with a next step. What happens next?"},
        widget=forms.TextInput(attrs={"placeholder": "Send the new price list"}),
    )
    next_step_owner = forms.ModelChoiceField(
        User.objects.none(), required=False, label="Who", empty_label="I do"
    )
    next_step_due_on = forms.DateField(label="By", widget=date_input())

    def __init__(self, *args: Any, account: Account, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        staff = User.objects.filter(is_active=True, left_on=None)
        self.fields["themes"].queryset = PulseTheme.objects.filter(is_active=True)  # type: ignore[attr-defined]
        self.fields["contact"].queryset = account.contacts.filter(is_active=True)  # type: ignore[attr-defined]
        self.fields["grievance_owner"].queryset = staff  # type: ignore[attr-defined]
        self.fields["next_step_owner"].queryset = staff  # type: ignore[attr-defined]
        in_a_week = company_today() + dt.timedelta(days=7)
        self.fields["next_step_due_on"].initial = business_calendar(get_company().country).on_or_after(
            in_a_week
        )

    def clean_themes(self) -> list[PulseTheme]:
        themes = list(self.cleaned_data["themes"])
        if len(themes) > MOST_THEMES:
            raise forms.ValidationError(f"Choose at most {MOST_THEMES}: what mattered most.")
        return themes

    def clean_next_step_due_on(self) -> dt.date:
        return _not_over(self.cleaned_data["next_step_due_on"])

    def clean_grievance_due_on(self) -> dt.date | None:
        day: dt.date | None = self.cleaned_data["grievance_due_on"]
        return _not_over(day) if day else None

    def entry(self) -> PulseEntry:
        """What was filled in, as the service wants it."""
        data = self.cleaned_data
        grievance = None
        if data["grievance"]:
            grievance = Grievance(
                data["grievance"], data["grievance_owner"] or self.user, data["grievance_due_on"]
            )
        return PulseEntry(
            score=data["score"],
            next_step=data["next_step"],
            next_step_owner=data["next_step_owner"] or self.user,
            next_step_due_on=data["next_step_due_on"],
            themes=data["themes"],
            note=data["note"],
            contact=data["contact"],
            grievance=grievance,
            insight_shared=data["insight_shared"],
            opportunity=data["opportunity"],
            submission=data["submission"],
        )


def _not_over(day: dt.date) -> dt.date:
    if day < company_today():
        raise forms.ValidationError("This day is over. Choose today or later.")
    return day
