"""What can go wrong with a connected system. Messages are for people and never contain credentials."""

from __future__ import annotations


class CrmError(Exception):
    """It cannot work this way; asking again will not help. One sentence that says what to do."""


class AddressRefused(CrmError):
    """An address that connections must not reach."""


class SignInRefused(CrmError):
    """The system does not accept our credentials; a person has to give new ones."""


class WebhookRefused(CrmError):
    """A webhook call that is not genuine, or too old."""


class NotShown(CrmError):
    """The system keeps a kind of record from us, or does not have it: what it does not list is not gone."""


class TryLater(CrmError):
    """It may work in `seconds`."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class StepLost(Exception):
    """Somebody else works on this step now, or the run was paused or cancelled: stop without a trace."""
