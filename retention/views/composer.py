"""What can be written down on the account page: a row of buttons, and the form of the one that was chosen.

Only that form is made: four of them would take a third of the page's time, and nobody fills in more than one at once."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from accounts.models import Account
from accounts.permissions import SignedIn
from pulsecheck.forms.records import RECORDS, RecordForm


@dataclass(frozen=True)
class Writing:
    """A record being written: its kind (of RECORDS) and its form."""

    kind: str
    form: RecordForm


@dataclass(frozen=True)
class Words:
    """How a kind of record is offered; `hint`: what happens with it then."""

    page: str
    icon: str
    title: str
    label: str
    hint: str = ""


@dataclass(frozen=True)
class Choice:
    """A kind of record on its button; `form` when it is open."""

    kind: str
    url: str
    words: Words
    form: RecordForm | None


WORDS = {
    "interaction": Words("retention:log_interaction", "phone", "Log a call, mail or meeting", "Save"),
    "promise": Words(
        "retention:make_promise",
        "heart-handshake",
        "Make a promise",
        "Promise it",
        "It stands on Today until it is kept.",
    ),
    "issue": Words(
        "retention:open_issue",
        "alert-circle",
        "Open an issue",
        "Open the issue",
        "Without a day it is due in a week.",
    ),
    "enquiry": Words(
        "retention:log_enquiry",
        "help-circle",
        "Note a question",
        "Start the clock",
        "It counts in business hours.",
    ),
}


def composer_of(account: Account, writing: Writing | None) -> list[Choice]:
    """All kinds; that of `writing` with its form."""
    return [
        Choice(
            kind,
            reverse(words.page, args=[account.pk]),
            words,
            writing.form if writing and writing.kind == kind else None,
        )
        for kind, words in WORDS.items()
    ]


def begin_writing(request: SignedIn, account: Account, kind: str) -> Writing:
    """The form for a record of this kind, with what was sent."""
    sent = request.POST if request.method == "POST" else None
    form = RECORDS[kind](sent, account=account, user=request.user, auto_id=f"{kind}_%s")
    next(iter(form.fields.values())).widget.attrs["autofocus"] = True
    return Writing(kind, form)
