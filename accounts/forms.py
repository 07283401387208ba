"""Forms about staff and customers."""

from __future__ import annotations

from django import forms
from django.contrib.auth.forms import AuthenticationForm


class SignInForm(AuthenticationForm):
    """The same answer whether the person is unknown, disabled or mistyped the password."""

    error_messages = {
        "invalid_login": "That e-mail and password do not match. Check both and try again.",
        "inactive": "That e-mail and password do not match. Check both and try again.",
    }
    username = forms.EmailField(
        label="E-mail",
        widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"}),
    )
