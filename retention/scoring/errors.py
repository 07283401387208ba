"""The one exception of the scoring engine."""


class ScoringError(ValueError):
    """Scoring is not possible; the message is one plain sentence that says why and what to do."""
