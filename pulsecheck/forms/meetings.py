"""Forms about retention meetings and actions."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable
from typing import Any

from django import forms

from accounts.models import Account, User
from pulsecheck.forms.fields import PersonField, SubmittedOnce, date_input, in_a_week, not_over
from pulsecheck.models import Action, RetentionMeeting
from pulsecheck.models.actions import FollowUp
from pulsecheck.models.meetings import Recurrence


def staff() -> Any:
    """Whoever works here, by name."""
    return User.objects.filter(is_active=True, left_on=None)


class MeetingForm(forms.Form):
    """When, and how often."""

    held_on = forms.DateField(label="Day", widget=date_input())
    repeats = forms.ChoiceField(label="How often", choices=Recurrence.choices, initial=Recurrence.MONTHLY)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["held_on"].initial = in_a_week()

    def clean_held_on(self) -> dt.date:
        return not_over(self.cleaned_data["held_on"])


class MinutesForm(forms.Form):
    """What was said. `version` is the one that was read."""

    minutes = forms.CharField(
        label="Minutes",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(
            attrs={"rows": 8, "class": "form-control", "placeholder": "What we found out, what we decided"}
        ),
    )
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0, max_value=2**31 - 1)


class ActionForm(SubmittedOnce):
    """Who does what by when."""

    text = forms.CharField(
        label="What",
        max_length=500,
        error_messages={"required": "Say what is to be done."},
        widget=forms.TextInput(attrs={"placeholder": "Visit them with the new depot manager"}),
    )
    owner = PersonField(
        User.objects.none(),
        label="Who",
        empty_label="Choose a person",
        error_messages={"required": "Choose who does it."},
    )
    due_on = forms.DateField(label="By", widget=date_input())
    account = forms.ModelChoiceField(
        Account.objects.none(), label="About", required=False, empty_label="No account in particular"
    )

    def __init__(self, *args: Any, accounts: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = staff()  # type: ignore[attr-defined]
        self.fields["due_on"].initial = in_a_week()
        if accounts is None:
            del self.fields["account"]
        else:
            self.fields["account"].queryset = accounts  # type: ignore[attr-defined]

    def offer(self, accounts: Iterable[tuple[int, str]]) -> None:
        """The menu holds these accounts (number, name) and the one chosen before; all that were given may be chosen."""
        field = self.fields.get("account")
        if not isinstance(field, forms.ModelChoiceField):
            return
        menu, chosen = {str(pk): name for pk, name in accounts}, str(self["account"].value() or "")
        if chosen not in menu:
            with contextlib.suppress(forms.ValidationError):
                menu |= {str(other.pk): other.name for other in [field.to_python(chosen)] if other}
        field.choices = [("", field.empty_label or ""), *menu.items()]

    def clean_due_on(self) -> dt.date:
        return not_over(self.cleaned_data["due_on"])


class ChangeActionForm(forms.Form):
    """An action said otherwise, given to somebody else, or to another day. A day that is over may stay as it is."""

    text = forms.CharField(
        label="What", max_length=500, error_messages={"required": "Say what is to be done."}
    )
    owner = PersonField(User.objects.none(), label="Who", empty_label=None)
    due_on = forms.DateField(label="By", widget=date_input())

    def __init__(self, *args: Any, action: Action, **kwargs: Any) -> None:
        self.action = action
        super().__init__(*args, **kwargs)
        self.initial = {"text": action.text, "owner": action.owner_id, "due_on": action.due_on}
        # Whoever has left keeps it until it is given to somebody else.
        known = staff() | User.objects.filter(pk=action.owner_id)
        self.fields["owner"].queryset = known  # type: ignore[attr-defined]

    def clean_due_on(self) -> dt.date:
        day: dt.date = self.cleaned_data["due_on"]
        return day if day == self.action.due_on else not_over(day)


class HoldForm(forms.Form):
    """Who was there, and when the next one is."""

    attended = forms.ModelMultipleChoiceField(
        User.objects.none(), label="Who was there", required=False, widget=forms.CheckboxSelectMultiple
    )
    next_on = forms.DateField(
        label="Next meeting", required=False, widget=date_input(), help_text="Empty: none is set."
    )

    def __init__(self, *args: Any, people: list[User], next_on: dt.date | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = [person.pk for person in people]
        attended = self.fields["attended"]
        attended.queryset = User.objects.filter(pk__in=known)  # type: ignore[attr-defined]
        attended.choices = [(person.pk, person.name) for person in people]  # type: ignore[attr-defined]
        attended.initial = known
        self.fields["next_on"].initial = next_on

    def clean_next_on(self) -> dt.date | None:
        day: dt.date | None = self.cleaned_data["next_on"]
        return not_over(day) if day else None


class FollowUpForm(forms.Form):
    """Whether an improvement has helped."""

    outcome = forms.ChoiceField(
        label="Has it helped?",
        choices=FollowUp.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose one of the three."},
    )
    note = forms.CharField(label="What you saw", max_length=500, required=False)


def meeting_initial(meeting: RetentionMeeting) -> dict[str, Any]:
    """What the form that moves a meeting starts with."""
    return {"held_on": meeting.held_on, "repeats": meeting.repeats}


class ImprovementForm(ActionForm):
    """What we change in our own company, and when somebody looks whether it helped."""

    follow_up_on = forms.DateField(
        label="Look whether it helped on",
        widget=date_input(),
        help_text="Give it time to show in the pulses: two or three months.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["follow_up_on"].initial = in_a_week() + dt.timedelta(days=84)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        due_on, later = data.get("due_on"), data.get("follow_up_on")
        if due_on and later and later < due_on:
            self.add_error("follow_up_on", "Look whether it helped after it is done, not before.")
        return data
