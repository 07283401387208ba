"""The form of the insight library."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms

from accounts.selectors import company_today, values_in_use
from pulsecheck.forms.fields import date_input
from pulsecheck.models import Insight

USUALLY_VALID = dt.timedelta(days=90)


class InsightForm(forms.ModelForm):
    """News, a figure or a practice, for whom it is and how long it holds."""

    industries = forms.MultipleChoiceField(
        required=False,
        label="For which industries",
        help_text="None chosen = for everybody.",
        widget=forms.CheckboxSelectMultiple,
    )
    text = forms.CharField(
        max_length=4000,
        label="What to tell them",
        help_text="Something they can use, whether they buy from us or not.",
        widget=forms.Textarea(attrs={"rows": 5}),
    )
    link = forms.URLField(
        required=False,
        max_length=500,
        assume_scheme="https",
        label="Link to it",
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
    )

    class Meta:
        model = Insight
        fields = ["title", "text", "source", "link", "industries", "valid_from", "valid_until"]
        labels = {
            "title": "In one line",
            "source": "Where it is from",
            "valid_from": "May be told from",
            "valid_until": "Until",
        }
        help_texts = {
            "title": "As you would say it on the phone.",
            "source": "",
            "valid_until": "After this day nobody is offered it.",
        }
        widgets = {
            "title": forms.TextInput(attrs={"placeholder": "Oat milk prices fall again from January"}),
            "source": forms.TextInput(attrs={"placeholder": "Trade paper, association, our own figures"}),
            "valid_from": date_input(),
            "valid_until": date_input(),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # An industry that no customer is in any more stays chosen until somebody takes it out.
        known = sorted({*values_in_use("industry"), *(self.instance.industries or [])})
        self.fields["industries"].choices = [(name, name) for name in known]  # type: ignore[attr-defined]
        if self.instance.pk is None:
            self.initial["valid_from"] = company_today()
            self.initial["valid_until"] = company_today() + USUALLY_VALID

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        begins, ends = data.get("valid_from"), data.get("valid_until")
        if begins and ends and ends < begins:
            self.add_error("valid_until", "This is before the day from which it may be told.")
        return data
