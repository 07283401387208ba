"""Countries as people write them."""

from __future__ import annotations

from functools import lru_cache

from holidays.registry import COUNTRIES


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, (_, code, *aliases) in COUNTRIES.items():
        for written in (name.replace("_", ""), code, *aliases):
            found.setdefault(written.lower(), code)
    return found


def country_code(name: str) -> str:
    """The ISO 3166 code of a country written as a name or a code ("Germany", "DE", "deu"); empty when it is not known."""
    return _codes().get("".join(name.split()).lower(), "")
