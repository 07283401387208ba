"""Forms about surveys: ours to send one, the customer's to answer it, ours to close the loop."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import Account, Contact
from accounts.models.care import InteractionKind
from pulsecheck.models import Survey
from pulsecheck.services.surveys import Questions, Said

ASKS = {
    "nps": "Would they recommend us? (0 to 10)",
    "csat": "How satisfied are they? (1 to 5)",
    "ces": "How easy do we make it? (1 to 7)",
}


class SendSurveyForm(forms.Form):
    """Whom to ask, and what."""

    contact = forms.ModelChoiceField(
        Contact.objects.none(),
        label="Whom to ask",
        empty_label=None,
        error_messages={"required": "Choose somebody who works there and has an e-mail address."},
    )
    asks = forms.MultipleChoiceField(
        choices=list(ASKS.items()),
        label="What to ask",
        initial=["nps"],
        widget=forms.CheckboxSelectMultiple,
        help_text="One question is answered most often. A free text always goes with it.",
        error_messages={"required": "Choose at least one question."},
    )
    about = forms.CharField(
        required=False,
        max_length=200,
        label="About what",
        help_text="Left empty, it is about everything.",
        widget=forms.TextInput(attrs={"placeholder": "your delivery of 12 November"}),
    )

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        there = account.contacts.filter(is_active=True).exclude(email="").order_by("name")
        self.fields["contact"].queryset = there  # type: ignore[attr-defined]
        self.fields["contact"].label_from_instance = lambda c: f"{c.name}, {c.email}"  # type: ignore[attr-defined]

    def questions(self) -> Questions:
        """What was chosen, as the service wants it."""
        asks = self.cleaned_data["asks"]
        return Questions("nps" in asks, "csat" in asks, "ces" in asks, self.cleaned_data["about"])


class ScaleField(forms.TypedChoiceField):
    """A row of numbers to tap."""

    def __init__(self, first: int, last: int, low: str, high: str, label: str) -> None:
        self.low, self.high = low, high
        super().__init__(
            coerce=int,
            empty_value=None,
            choices=[(number, str(number)) for number in range(first, last + 1)],
            required=False,
            label=label,
            widget=forms.RadioSelect,
        )


class AnswerForm(forms.Form):
    """What a customer fills in: the questions that were asked, and a free text. None alone is required, one is."""

    comment = forms.CharField(
        required=False,
        max_length=4000,
        label="Why? What should we do better?",
        widget=forms.Textarea(attrs={"rows": 4, "class": "form-control"}),
    )

    def __init__(self, *args: Any, survey: Survey, company: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        what = survey.about or "what we do for you"
        if survey.asks_nps:
            self.fields["nps"] = ScaleField(
                0, 10, "not at all", "certainly", f"Would you recommend {company} to a colleague or friend?"
            )
        if survey.asks_csat:
            self.fields["csat"] = ScaleField(
                1, 5, "very dissatisfied", "very satisfied", f"How satisfied are you with {what}?"
            )
        if survey.asks_ces:
            self.fields["ces"] = ScaleField(
                1, 7, "very hard", "very easy", f"How easy does {company} make it for you?"
            )
        self.order_fields(["nps", "csat", "ces", "comment"])

    def scales(self) -> list[forms.BoundField]:
        """The questions with numbers, in order."""
        return [self[name] for name in ("nps", "csat", "ces") if name in self.fields]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        data["comment"] = (data.get("comment") or "").strip()
        if not self.errors and all(value in (None, "") for value in data.values()):
            raise forms.ValidationError("Tap a number or write a few words, then send.")
        return data

    def said(self) -> Said:
        """What was filled in, as the service wants it."""
        data = self.cleaned_data
        return Said(data.get("nps"), data.get("csat"), data.get("ces"), data["comment"])


class CloseLoopForm(forms.Form):
    """What the customer was told came of their answer."""

    note = forms.CharField(
        max_length=500,
        label="What you told them",
        widget=forms.Textarea(
            attrs={"rows": 2, "placeholder": "The driver rings before he comes from now on"}
        ),
        error_messages={"required": "Say what you told them, in a sentence."},
    )
    kind = forms.ChoiceField(
        label="How",
        choices=[c for c in InteractionKind.choices if c[0] in {"call", "email", "meeting"}],
        initial="call",
    )
