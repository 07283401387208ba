"""The morning mail: what changed since yesterday, or nothing at all. Facts are passed in from above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DigestLine:
    """One sentence and where it leads within Mainstay."""

    sentence: str
    path: str


@dataclass(frozen=True, slots=True)
class Digest:
    """What one person should know this morning.

    `worse` and `handbacks` are news; `due` is what waits anyway and is told only beside news, so that a mail
    always means that something happened.
    """

    name: str
    worse: Sequence[DigestLine] = field(default_factory=tuple)
    handbacks: Sequence[DigestLine] = field(default_factory=tuple)
    saved: Sequence[DigestLine] = field(default_factory=tuple)
    due: Sequence[DigestLine] = field(default_factory=tuple)

    @property
    def is_empty(self) -> bool:
        """Nothing changed: no mail."""
        return not (self.worse or self.handbacks or self.saved)

    @property
    def subject(self) -> str:
        parts = [
            _count(len(self.handbacks), "new handback", "new handbacks"),
            _count(len(self.worse), "account at more risk", "accounts at more risk"),
            _count(len(self.saved), "account saved", "accounts saved"),
        ]
        return "Since yesterday: " + ", ".join(part for part in parts if part)

    def text(self, base_url: str) -> str:
        """The mail as plain text; links start with `base_url`."""
        sections = (
            ("Handed back to you", self.handbacks),
            ("At more risk than yesterday", self.worse),
            ("Saved", self.saved),
            ("Due today", self.due),
        )
        blocks = [_block(title, lines, base_url) for title, lines in sections if lines]
        return f"Good morning {self.name},\n\n" + "\n\n".join(blocks) + "\n"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}" if number else ""


def _block(title: str, lines: Sequence[DigestLine], base_url: str) -> str:
    return "\n".join([title, *(f"- {line.sentence}\n  {base_url}{line.path}" for line in lines)])
