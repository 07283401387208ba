"""What a person wants to be told, topic by topic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from django import forms
from django.forms import BoundField

from accounts.models import User
from notifications.models import Channel, EventKind, Topic, WebhookSubscription
from notifications.selectors import get_preferences
from notifications.topics import CHOICES


class PreferenceForm(forms.Form):
    """A box per topic and channel."""

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        for (topic, channel), wanted in get_preferences(user).items():
            label = f"{Topic(topic).label}: {Channel(channel).label}"
            self.fields[_name(topic, channel)] = forms.BooleanField(
                required=False,
                initial=wanted,
                label=label,
                widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
            )

    @property
    def wanted(self) -> dict[tuple[str, str], bool]:
        """What was ticked; only after `is_valid()`."""
        return {choice: self.cleaned_data[_name(*choice)] for choice in CHOICES}

    def rows(self) -> Iterator[tuple[str, list[BoundField | None]]]:
        """(topic in words, its box per channel or None where there is no choice)."""
        for topic in Topic:
            names = [_name(topic, channel) for channel in Channel.values]
            yield topic.label, [self[name] if name in self.fields else None for name in names]


def _name(topic: str, channel: str) -> str:
    return f"{topic}-{channel}"


class WebhookForm(forms.Form):
    """An address of another program and what it is told of."""

    name = forms.CharField(
        label="Which program is it?",
        max_length=80,
        widget=forms.TextInput(attrs={"placeholder": "Our warehouse"}),
    )
    url = forms.URLField(
        label="Address",
        assume_scheme="https",
        max_length=500,
        help_text="It begins with https:// and answers calls with a status from 200 to 299.",
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/mainstay"}),
    )
    events = forms.MultipleChoiceField(
        label="What is it told of?",
        choices=[choice for choice in EventKind.choices if choice[0] != EventKind.TEST],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Tick at least one event."},
    )

    @classmethod
    def of(cls, subscription: WebhookSubscription) -> Self:
        """Filled in as it is now."""
        names = ("name", "url", "events")
        return cls(initial={name: getattr(subscription, name) for name in names})
