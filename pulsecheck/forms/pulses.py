"""Forms about touchpoints and pulse checks."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms

from accounts.models import Account, Contact, User
from accounts.selectors import company_today
from pulsecheck.forms.fields import ReasonForm, SubmittedOnce, date_input, in_a_week, not_over
from pulsecheck.models import Insight, PulseTheme
from pulsecheck.models.insights import Reaction
from pulsecheck.models.pulses import PulseScore
from pulsecheck.selectors.insights import insights_for
from pulsecheck.services.pulses import MOST_THEMES, SETTLE_IN_DAYS, Grievance, PulseEntry


class SkipForm(ReasonForm):
    """Why a contact is left out."""

    for_example = "We met at the trade fair"


class SnoozeForm(ReasonForm):
    """Until when a contact is put off, and why."""

    until = forms.DateField(label="Put off until", widget=date_input())
    for_example = "Stocktaking there this week"
    field_order = ("until", "reason")


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
    grievance_due_on = forms.DateField(
        required=False,
        label="Settled by",
        widget=date_input(),
        help_text=f"Empty = within {SETTLE_IN_DAYS} working days.",
    )
    insight = forms.ModelChoiceField(
        Insight.objects.none(), required=False, label="Which one you told them", empty_label=None
    )
    insight_reaction = forms.ChoiceField(
        choices=[("", "Not told"), *Reaction.choices],
        required=False,
        label="What did they make of it?",
        widget=forms.RadioSelect,
    )
    insight_shared = forms.CharField(
        required=False,
        max_length=300,
        label="Or other news from their industry that you told them",
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
        self.whose = (user.pk, account.pk)
        staff = User.objects.filter(is_active=True, left_on=None)
        self.fields["themes"].queryset = PulseTheme.objects.filter(is_active=True)  # type: ignore[attr-defined]
        self.fields["contact"].queryset = account.contacts.filter(is_active=True)  # type: ignore[attr-defined]
        self.fields["grievance_owner"].queryset = staff  # type: ignore[attr-defined]
        self.fields["next_step_owner"].queryset = staff  # type: ignore[attr-defined]
        self.offered = insights_for([account], company_today())[account.pk]
        offered = [insight.pk for insight in self.offered]
        self.fields["insight"].queryset = Insight.objects.filter(pk__in=offered)  # type: ignore[attr-defined]
        self.fields["insight"].choices = [(i.pk, i.title) for i in self.offered]  # type: ignore[attr-defined]
        self.fields["insight"].initial = offered[0] if offered else None
        self.fields["next_step_due_on"].initial = in_a_week()

    def clean_themes(self) -> list[PulseTheme]:
        themes = list(self.cleaned_data["themes"])
        if len(themes) > MOST_THEMES:
            raise forms.ValidationError(f"Choose at most {MOST_THEMES}: what mattered most.")
        return themes

    def clean_next_step_due_on(self) -> dt.date:
        return not_over(self.cleaned_data["next_step_due_on"])

    def clean_grievance_due_on(self) -> dt.date | None:
        day: dt.date | None = self.cleaned_data["grievance_due_on"]
        return not_over(day) if day else None

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        # Own words are other news than the insight that was offered.
        if data.get("insight_shared") or not data.get("insight_reaction"):
            data["insight"] = None
        if data.get("insight_shared") and not data.get("insight_reaction"):
            self.add_error("insight_reaction", "Say what they made of it.")
        if data.get("insight_reaction") and not (data.get("insight") or data.get("insight_shared")):
            self.add_error("insight_shared", "Say what you told them.")
        return data

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
            insight=data["insight"],
            insight_shared=data["insight_shared"],
            insight_reaction=data["insight_reaction"],
            opportunity=data["opportunity"],
            submission=data["submission"],
        )
