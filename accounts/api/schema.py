"""How the API describes itself: every call may answer a problem."""

from __future__ import annotations

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from rest_framework.pagination import CursorPagination

from accounts.api.problems import CONTENT_TYPE, Problem

WRITES = {"POST", "PUT", "PATCH", "DELETE"}


class Schema(AutoSchema):
    """Adds to what a view declares the errors that all of them share."""

    def get_tags(self) -> list[str]:
        """What it is about: the last word of the address that is a name."""
        words = [word for word in self.path.split("/") if word and "{" not in word]
        return [words[2] if len(words) > 2 else words[-1]]

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for code in self._problem_codes():
            if code not in bodies:
                bodies[code] = self._get_response_for_code(Problem, code, media_types=[CONTENT_TYPE])
        return bodies

    def _problem_codes(self) -> list[str]:
        codes = ["401", "403", "429"]
        if self.method in WRITES:
            codes += ["400", "409", "422"]
        elif self._is_list_view() or isinstance(getattr(self.view, "paginator", None), CursorPagination):
            codes += ["400"]
        if "{" in self.path:
            codes += ["404"]
        return codes
