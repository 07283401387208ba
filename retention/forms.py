"""Forms about what leaving means, where tiers begin, what health rests on and how often we look in."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from django import forms

from accounts.models.account import BillingMode
from accounts.selectors import values_in_use
from pulsecheck.cadence import Occasions, Policy
from pulsecheck.selectors.plan import stored_occasions, stored_policies
from retention.models import Definition, Disagreement, Tier, TierPolicy
from retention.scoring.health import FACTORS
from retention.scoring.health_words import RULES
from retention.selectors.book import factor_words
from retention.selectors.disagreements import dispute_of

LONGEST_CADENCE = 365


class DefinitionForm(forms.ModelForm):
    """When customers of a segment count as having left."""

    class Meta:
        model = Definition
        fields = ["horizon_days", "inactive_floor_days", "inactive_ceiling_days", "grace_days"]
        labels = {
            "horizon_days": "Days without a purchase that count as leaving",
            "inactive_floor_days": "Never before",
            "inactive_ceiling_days": "At the latest after",
            "grace_days": "Grace period of contracts, days",
        }
        help_texts = {
            "horizon_days": "Empty: worked out from the book's own buying rhythm.",
            "inactive_floor_days": "Days; a customer who buys every few days is not gone after a week's holiday.",
            "inactive_ceiling_days": "Days; in between, twice the customer's own usual gap decides.",
            "grace_days": "A contract renewed this late still counts as renewed.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.billing_mode == BillingMode.CONTRACT:
            for name in ("horizon_days", "inactive_floor_days", "inactive_ceiling_days"):
                del self.fields[name]
        else:
            del self.fields["grace_days"]
        for field in self.fields.values():
            field.widget.attrs |= {"inputmode": "numeric"}

    def clean_horizon_days(self) -> int | None:
        days: int | None = self.cleaned_data["horizon_days"]
        if days is not None and not 7 <= days <= 730:
            raise forms.ValidationError("Use 7 to 730 days, or leave it empty.")
        return days

    def clean_grace_days(self) -> int:
        days: int = self.cleaned_data["grace_days"]
        if days > LONGEST_CADENCE:
            raise forms.ValidationError("A grace period of more than a year is another contract.")
        return days

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        floor, ceiling = data.get("inactive_floor_days"), data.get("inactive_ceiling_days")
        if floor is not None and ceiling is not None and floor > ceiling:
            self.add_error("inactive_ceiling_days", f"This has to be at least the {floor} days above.")
        return data


class PercentField(forms.DecimalField):
    """A share, typed in percent."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=100, max_digits=5, decimal_places=2, **kwargs)
        self.widget.attrs |= {"step": "any"}

    def prepare_value(self, value: Any) -> Any:
        return f"{value * 100:.4g}" if isinstance(value, float) else value

    def clean(self, value: Any) -> float | None:
        percent = super().clean(value)
        return None if percent is None else float(percent / Decimal(100))


class TierForm(forms.ModelForm):
    """Where the tiers begin."""

    at_risk_from = PercentField(label="At risk from, %", help_text="Churn probability within the horizon.")
    watch_from = PercentField(label="Watched from, %", help_text="Below the one above.")
    thriving_below = PercentField(label="Thriving below, %")
    lost_from = PercentField(
        label="Lost from, %", help_text="Together with a silence far beyond the customer's own rhythm."
    )

    class Meta:
        model = TierPolicy
        fields = [
            "at_risk_from",
            "watch_from",
            "thriving_below",
            "lost_from",
            "quiet_after_gaps",
            "minimum_value",
        ]
        labels = {
            "quiet_after_gaps": "Quiet after so many usual gaps",
            "minimum_value": "Smallest value a year",
        }
        help_texts = {
            "quiet_after_gaps": "Silent for this many of its own usual gaps, whatever the probability says.",
            "minimum_value": "Accounts expected to bring less a year are at most watched.",
        }

    RISING = (
        ("thriving_below", "watch_from", "where watching begins"),
        ("watch_from", "at_risk_from", "where at risk begins"),
        ("at_risk_from", "lost_from", "where lost begins"),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for lower, upper, words in self.RISING:
            low, high = data.get(lower), data.get(upper)
            if low is not None and high is not None and low >= high:
                self.add_error(lower, f"This has to be below {high * 100:.4g} %, {words}.")
        if data.get("thriving_below") == 0:
            self.add_error("thriving_below", "This has to be above 0 %.")
        if (data.get("lost_from") or 0) >= 1:
            self.add_error("lost_from", "This has to be below 100 %; nobody is certain to leave.")
        return data

    def clean_quiet_after_gaps(self) -> float:
        gaps: float = self.cleaned_data["quiet_after_gaps"]
        if not 1 <= gaps <= 20:
            raise forms.ValidationError("Use 1 to 20 usual gaps.")
        return gaps

    def clean_minimum_value(self) -> Decimal:
        value: Decimal = self.cleaned_data["minimum_value"]
        if value < 0:
            raise forms.ValidationError("A value is not negative.")
        return value


class CadenceForm(forms.Form):
    """Days between pulse checks per tier and for groups that differ, and when new customers and contracts that end are
    looked in on."""

    onboarding = forms.CharField(
        label="Days after they became a customer",
        required=False,
        max_length=100,
        help_text="Separated by commas. Empty = no contacts of their own.",
    )
    renewal = forms.CharField(
        label="Days before a contract ends, and before notice has to be given",
        required=False,
        max_length=100,
        help_text="Separated by commas. Empty = no contacts of their own.",
    )
    new_tier = forms.ChoiceField(label="Tier", required=False, choices=[("", "Tier"), *Tier.choices])
    new_segment = forms.ChoiceField(label="Segment", required=False)
    new_mode = forms.ChoiceField(
        label="Billing",
        required=False,
        choices=[
            ("", "Any billing"),
            (BillingMode.REPEAT, "Repeat purchase"),
            (BillingMode.CONTRACT, "Contract"),
        ],
    )
    new_value = forms.DecimalField(
        label="Worth at least a year", required=False, min_value=0, max_value=10**12, decimal_places=0
    )
    new_days = forms.IntegerField(label="Days", required=False, min_value=1, max_value=LONGEST_CADENCE)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_segment"].choices = [  # type: ignore[attr-defined]
            ("", "Any segment"),
            *((name, name) for name in values_in_use("segment")),
        ]
        stored = {replace(policy, every_days=0): policy.every_days for policy in stored_policies()}
        occasions = stored_occasions()
        self.fields["onboarding"].initial = _listed(occasions.onboarding)
        self.fields["renewal"].initial = _listed(occasions.renewal)
        general = [Policy(tier, "", 0) for tier in Tier.values]
        special = sorted((p for p in stored if p not in general), key=lambda p: (p.tier, p.rank))
        self.keys = {f"days_{number}": key for number, key in enumerate([*general, *special])}
        for name, policy in self.keys.items():
            is_special = policy not in general
            self.fields[name] = forms.IntegerField(
                label=policy.words,
                required=not is_special,
                initial=stored.get(policy, LONGEST_CADENCE),
                min_value=1,
                max_value=LONGEST_CADENCE,
                help_text="Empty = as all the others." if is_special else "",
                error_messages={
                    "min_value": "At least 1 day.",
                    "max_value": "At least once a year: 365 days or fewer.",
                },
            )

    def is_special(self, name: str) -> bool:
        """Whether a field is about a group that differs."""
        policy = self.keys[name]
        return bool(policy.segment or policy.billing_mode or policy.value_from)

    def clean_onboarding(self) -> tuple[int, ...]:
        return _day_numbers(self.cleaned_data["onboarding"])

    def clean_renewal(self) -> tuple[int, ...]:
        return _day_numbers(self.cleaned_data["renewal"])[::-1]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        conditions = [data.get(name) for name in ("new_segment", "new_mode", "new_value")]
        asked = (data.get("new_tier"), data.get("new_days"))
        if (any(asked) or any(conditions)) and not (all(asked) and any(conditions)):
            self.add_error(
                "new_days",
                "Choose the tier, the days, and what sets the group apart: segment, billing or worth. Or leave all empty.",
            )
        return data

    @property
    def policies(self) -> list[Policy]:
        """As typed."""
        data = self.cleaned_data
        chosen = [replace(key, every_days=data[name]) for name, key in self.keys.items() if data.get(name)]
        if data.get("new_days"):
            new = Policy(
                data["new_tier"],
                data["new_segment"],
                data["new_days"],
                data["new_mode"],
                float(data["new_value"] or 0),
            )
            chosen = [p for p in chosen if replace(p, every_days=0) != replace(new, every_days=0)] + [new]
        return chosen

    @property
    def occasions(self) -> Occasions:
        """As typed."""
        return Occasions(self.cleaned_data["onboarding"], self.cleaned_data["renewal"])


def _listed(days: tuple[int, ...]) -> str:
    return ", ".join(map(str, days))


def _day_numbers(text: str) -> tuple[int, ...]:
    """ "7, 30, 60" as numbers of days, each once, ascending."""
    words = text.replace(";", ",").replace(" ", ",").split(",")
    try:
        days = {int(word) for word in words if word}
    except ValueError:
        raise forms.ValidationError("Use whole numbers, such as 7, 30, 60.") from None
    if any(not 1 <= day <= LONGEST_CADENCE for day in days) or len(days) > 12:
        raise forms.ValidationError("Use up to twelve numbers from 1 to 365.")
    return tuple(sorted(days))


class HealthForm(forms.Form):
    """What each factor of the health scorecard weighs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in FACTORS:
            field = forms.IntegerField(
                label=factor_words(name),
                help_text=RULES[name],
                min_value=0,
                max_value=100,
                error_messages={
                    "required": "Give a number from 0 to 100.",
                    "invalid": "Give a whole number from 0 to 100.",
                    "min_value": "0 is the least: the factor does not count.",
                    "max_value": "100 is the most.",
                },
            )
            self.fields[name] = field

    def clean(self) -> dict[str, int]:
        data = super().clean() or {}
        if not self.errors and not any(data.values()):
            raise forms.ValidationError("At least one factor has to count: give it more than 0.")
        return data


class SettleForm(forms.Form):
    """Who is right about an account, and why."""

    verdict = forms.ChoiceField(error_messages={"required": "Say who is right, or that it cannot be told."})
    note = forms.CharField(required=False, max_length=500)

    def __init__(self, *args: Any, row: Disagreement, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row = row
        self.fields["verdict"].choices = dispute_of(row).verdicts  # type: ignore[attr-defined]


class PutOffForm(forms.Form):
    """Look at an account again later."""

    until = forms.DateField(
        widget=forms.DateInput(attrs={"type": "date"}),
        error_messages={"required": "Choose the day on which it should come back."},
    )
    reason = forms.CharField(
        max_length=300, error_messages={"required": "Say in a few words why it can wait."}
    )


class DismissForm(forms.Form):
    """Not a risk, and why."""

    reason = forms.CharField(
        max_length=500, error_messages={"required": "Say in a few words why this is no risk."}
    )


class PinForm(forms.Form):
    """Why an earlier model is to be used."""

    reason = forms.CharField(
        label="Why",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Everybody reads it on the Model page.",
        error_messages={"required": "Say why, so that others know when it can be released."},
    )
