"""What a customer hears from us: information, service and promotion, and which of them outweighs. Plain Python.

What counts as a message is said in `pulsecheck.selectors.messages.SOURCES`."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW_DAYS = 365
LEAST = 5  # messages whose class is known, below which nothing is said of an account

PROMOTION, CARE, FEW = "promotion", "care", "few"
LEANINGS = {
    PROMOTION: "Mostly promotion",
    CARE: "Mostly information and service",
    FEW: "Too few to tell",
}


@dataclass(frozen=True)
class Mix:
    """Messages of the last WINDOW_DAYS by class; `unsaid` are those of which nobody said what they were for."""

    information: int = 0
    service: int = 0
    promotion: int = 0
    unsaid: int = 0

    @property
    def said(self) -> int:
        """Messages whose class is known: what shares are of."""
        return self.information + self.service + self.promotion

    @property
    def total(self) -> int:
        return self.said + self.unsaid

    @property
    def promotion_share(self) -> float | None:
        """Of the messages whose class is known, 0..1; None where there is none."""
        return self.promotion / self.said if self.said else None

    @property
    def leaning(self) -> str:
        """One of LEANINGS. Nothing is said of fewer than LEAST known messages, nor where most are unknown."""
        if self.said < LEAST or self.unsaid > self.said:
            return FEW
        return PROMOTION if 2 * self.promotion > self.said else CARE

    @property
    def leaning_words(self) -> str:
        return LEANINGS[self.leaning]

    @property
    def is_mostly_promotion(self) -> bool:
        return self.leaning == PROMOTION

    @property
    def why_unknown(self) -> str:
        """Why nothing can be said, in a sentence; "" where something can."""
        if self.leaning != FEW:
            return ""
        if self.unsaid > self.said:
            return f"Of {self.unsaid} of {self.total} messages nobody said what they were for."
        return f"{LEAST} messages are needed, {self.said} {'is' if self.said == 1 else 'are'} known."
