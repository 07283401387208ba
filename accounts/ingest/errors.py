"""What an import refuses as a whole, in sentences for the person who started it."""

from __future__ import annotations


class IngestError(Exception):
    """The file or batch cannot be imported; the message is one clear sentence that says what to do."""


class AmbiguousColumn(IngestError):
    """A column can be read in two ways and nothing in it decides; `option` names the choice to make."""

    def __init__(self, message: str, *, column: str, option: str) -> None:
        super().__init__(message)
        self.column = column
        self.option = option


class ImportCancelled(IngestError):
    """Somebody cancelled the import while it ran; nothing of it was kept."""


class ImportBusy(IngestError):
    """Another import is saving its rows right now."""
