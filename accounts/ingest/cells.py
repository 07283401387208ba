"""Cells on their way out to a spreadsheet and back: nothing a spreadsheet would run, nothing lost.

A text that begins with = + - @ TAB CR or LF is a formula to a spreadsheet. `guard_cell` puts an apostrophe
before it, `unguard_cell` takes exactly that apostrophe away again. Plain numbers are left as they are.
"""

from __future__ import annotations

import re

DANGEROUS = "=+-@\t\r\n"
_PLAIN_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n]")


def guard_cell(text: str) -> str:
    """`text` as it may stand in an exported file."""
    if text[:1] in DANGEROUS and text and not _PLAIN_NUMBER.fullmatch(text):
        return "'" + text
    return "'" + text if _GUARDED.match(text) else text


def unguard_cell(text: str) -> str:
    """The text that `guard_cell` was given."""
    return text[1:] if _GUARDED.match(text) else text
