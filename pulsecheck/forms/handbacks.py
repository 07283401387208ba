"""Forms about hand-backs."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import ChurnReason, User
from pulsecheck.forms.fields import ReasonForm, SubmittedOnce
from pulsecheck.models.handbacks import AttemptKind, HandbackOutcome

ATTEMPT_CHOICES = [
    (kind.value, kind.label) for kind in (AttemptKind.CALL, AttemptKind.EMAIL, AttemptKind.MEETING)
]


class DeclineForm(ReasonForm):
    """Why somebody cannot take a handback."""

    for_example = "On holiday until the 3rd"


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


class SignForm(forms.Form):
    """Whether the other owner sees why the customer left the same way."""

    agrees = forms.ChoiceField(
        choices=[("yes", "I see it the same way"), ("no", "I see it differently")],
        widget=forms.RadioSelect,
        label="Why they left",
        error_messages={"required": "Choose one of the two."},
    )
    note = forms.CharField(
        max_length=500,
        required=False,
        label="What you see differently, or want to add",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("agrees") == "no" and not data.get("note"):
            self.add_error("note", "Say what you see differently, in one sentence.")
        return data


class SettleReasonForm(forms.Form):
    """Why they left, once the owners have talked about it."""

    churn_reason = forms.ModelChoiceField(
        ChurnReason.objects.none(),
        label="Why they left",
        empty_label="Choose the reason that counts",
        error_messages={"required": "Choose why the customer left."},
    )
    note = forms.CharField(
        max_length=500,
        label="Why this one",
        error_messages={"required": "Say why, so that both can follow it."},
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["churn_reason"].queryset = ChurnReason.objects.filter(is_active=True)  # type: ignore[attr-defined]


class ThanksForm(forms.Form):
    """Words to everybody who had a part in a save."""

    words = forms.CharField(
        max_length=500,
        label="Your words to them",
        error_messages={"required": "Write a few words."},
        widget=forms.TextInput(attrs={"placeholder": "You kept the kitchen supplied all week. Thank you."}),
    )


class NewHandbackForm(forms.Form):
    """Why a person hands an account back without waiting for the night."""

    reason = forms.CharField(
        max_length=300,
        label="Why now",
        error_messages={"required": "Say why, in one sentence."},
        widget=forms.TextInput(attrs={"placeholder": "Asked a competitor for an offer", "autofocus": True}),
    )
