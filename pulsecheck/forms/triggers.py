"""Forms about what opens handbacks, how long people have, and how many each gets."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms

from pulsecheck.models import HandbackPolicy, TriggerRule
from pulsecheck.models.handbacks import HandbackTrigger
from pulsecheck.selectors.triggers import Load
from pulsecheck.services.triggers import RuleChange

# What the threshold of a trigger counts, and where it may lie.
THRESHOLDS: dict[str, tuple[str, int, int]] = {
    HandbackTrigger.RENEWAL: ("days before the end, or before the last day to give notice", 7, 365),
    HandbackTrigger.PULSE: ("points of six, or fewer", 1, 3),
    HandbackTrigger.PROMISE: ("working days late", 0, 30),
}


class RuleForm(forms.Form):
    """One trigger; its precision in per cent."""

    is_on = forms.BooleanField(required=False, label="Opens handbacks")
    threshold = forms.IntegerField(required=False, label="From")
    least_precision = forms.IntegerField(min_value=0, max_value=100, label="Right at least, %")
    least_judged = forms.IntegerField(min_value=5, max_value=1000, label="Judged by at least")

    def __init__(self, data: Any = None, *, rule: TriggerRule, auto_id: str) -> None:
        initial = {
            "is_on": rule.is_on,
            "threshold": rule.threshold,
            "least_precision": round(rule.least_precision * 100),
            "least_judged": rule.least_judged,
        }
        super().__init__(data, prefix=rule.trigger, initial=initial, auto_id=auto_id)
        self.rule = rule
        words, least, most = THRESHOLDS.get(rule.trigger, ("", 0, 0))
        self.threshold_words = words
        if words:
            self.fields["threshold"] = forms.IntegerField(min_value=least, max_value=most, label=words)
        else:
            del self.fields["threshold"]

    def change(self) -> RuleChange:
        """What was typed, as the service wants it."""
        data = self.cleaned_data
        return RuleChange(
            data["is_on"],
            data.get("threshold"),
            Decimal(data["least_precision"]) / 100,
            data["least_judged"],
        )


class PolicyForm(forms.ModelForm):
    """Office hours and deadlines."""

    class Meta:
        model = HandbackPolicy
        fields = ("opens_at", "closes_at", "answer_hours", "pass_on_hours", "days_waiting")
        labels = {
            "opens_at": "The office opens",
            "closes_at": "and closes",
            "answer_hours": "Hours to answer a handback",
            "pass_on_hours": "Hours after its escalation until it goes to the next in line",
            "days_waiting": "Days' worth that may wait before no more come",
        }
        widgets = {
            "opens_at": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "closes_at": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        opens, closes = data.get("opens_at"), data.get("closes_at")
        if opens and closes and opens >= closes:
            self.add_error("closes_at", "Choose a time after the office opens.")
        for name in ("answer_hours", "pass_on_hours"):
            if (data.get(name) or 0) > 400:
                self.add_error(name, "Choose at most 400 office hours.")
        if (data.get("days_waiting") or 0) > 60:
            self.add_error("days_waiting", "Choose at most 60 days.")
        return data


class BudgetForm(forms.Form):
    """Handbacks a day for each person; empty = as many as their calls."""

    def __init__(self, *args: Any, loads: Sequence[Load], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loads = loads
        for load in loads:
            self.fields[f"person_{load.person.pk}"] = forms.IntegerField(
                min_value=0,
                max_value=100,
                required=False,
                label=f"Handbacks a day for {load.person.name}",
                initial=load.budget if load.is_own else None,
                widget=forms.NumberInput(
                    attrs={"placeholder": load.person.calls_per_day, "class": "form-control trigger-number"}
                ),
            )

    def rows(self) -> list[tuple[Load, forms.BoundField]]:
        """Each person with their field."""
        return [(load, self[f"person_{load.person.pk}"]) for load in self.loads]

    def budgets(self) -> dict[int, int | None]:
        """Person -> handbacks a day."""
        return {load.person.pk: self.cleaned_data[f"person_{load.person.pk}"] for load in self.loads}
