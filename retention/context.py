"""What the frame around every page shows."""

from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    """Name of the company; counts in the menu come with their pages."""
    return {}
