"""What a service refuses."""


class RecordError(ValueError):
    """What was asked for does not fit what is on record; one sentence for the person who asked."""
