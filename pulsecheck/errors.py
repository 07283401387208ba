"""What cannot be done, in one sentence for the person who tried."""


class CareError(Exception):
    """The message says what is the matter and what to do."""


class HandbackConflict(CareError):
    """Somebody else was faster, or the episode is over."""
