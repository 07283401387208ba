"""Form widgets that are drawn by templates of ours say what Django's own would."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django import forms
from django.forms.renderers import DjangoTemplates, get_default_renderer

PLAIN = [("", "Choose"), (1, "One"), ("2", "Two & <b>more</b>"), (None, "None")]
GROUPED = [("North", [("a", "A"), ("b", "B")]), ("<South>", [("c", '"C"')]), ("d", "D")]


class SomeSwitchedOff(forms.Select):
    """A menu with attributes on its options."""

    def create_option(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(*args, **kwargs)
        option["attrs"] |= {"disabled": option["value"] == "a", "data-size": 12_345, 'data-"x': "<"}
        return option


@pytest.mark.parametrize(
    ("widget", "value"),
    [
        (forms.Select(choices=PLAIN), "2"),
        (
            forms.Select(choices=PLAIN, attrs={"class": "form-select", "required": True, "hidden": False}),
            None,
        ),
        (forms.Select(choices=GROUPED), "c"),
        (forms.SelectMultiple(choices=GROUPED), ["a", "d"]),
        (forms.NullBooleanSelect(), True),
        (forms.Select(), None),
        (SomeSwitchedOff(choices=GROUPED), "b"),
    ],
)
def test_a_menu_is_the_one_django_draws(widget: forms.Widget, value: Any) -> None:
    def drawn(renderer: Any) -> str:
        lines = widget.render("choice", value, {"id": "id_choice"}, renderer=renderer)
        return re.sub(r"\s*\n\s*", "\n", lines).strip()

    assert drawn(get_default_renderer()) == drawn(DjangoTemplates())


def test_other_widgets_are_djangos() -> None:
    field = forms.ChoiceField(choices=PLAIN, widget=forms.RadioSelect)
    assert "".join(field.widget.render("r", "1").split()) == "".join(
        field.widget.render("r", "1", renderer=DjangoTemplates()).split()
    )
