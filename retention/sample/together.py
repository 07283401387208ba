"""What the people of Tidewell do together: what they said at retention meetings and what they agreed there."""

from __future__ import annotations

from typing import NamedTuple

from retention.sample.staff import CENTRE, NORTH, SOUTH


class Agreed(NamedTuple):
    """`days` after the meeting it is due; `is_done` by today."""

    text: str
    who: str
    days: int
    is_done: bool


class Held(NamedTuple):
    """A meeting of a team some days ago."""

    team: str
    days_ago: int
    minutes: str
    agreed: tuple[Agreed, ...]


MEETINGS: tuple[Held, ...] = (
    Held(
        NORTH,
        33,
        "Late rounds are the talk of every kitchen. Freya has two customers who keep a buffer because of us. "
        "Nils has not met half of the accounts he took over from Pia.",
        (
            Agreed("Go through the late rounds with the depot manager", "Henrik Solberg", 14, True),
            Agreed("Visit the ten largest accounts taken over from Pia", "Nils Aaker", 30, False),
            Agreed("Ring everybody who was delivered late this month", "Freya Holm", 10, True),
        ),
    ),
    Held(
        CENTRE,
        31,
        "The discounter asks our customers for their price lists. Mateo's issues lie too long: two customers "
        "mentioned it by name.",
        (
            Agreed("Close every issue older than three weeks", "Mateo Ruiz", 21, False),
            Agreed("One page on what we do that a discounter does not", "Sofia Brandt", 14, True),
        ),
    ),
    Held(
        SOUTH,
        34,
        "Jan's promises: we went through the open ones together. From now on operations hears of a promise before "
        "the customer does.",
        (Agreed("Call everybody with an open promise of Jan's", "Chiara Conti", 14, True),),
    ),
)
ACCOUNT_MINUTES = (
    "They want one person who knows their kitchen. Deliveries before nine would settle the rest."
)
ACCOUNT_ACTION = "Agree a fixed delivery window with the depot"
# What customers said when they agreed to vouch for Tidewell; who says it is chosen from those who are well.
QUOTES = (
    "They ring before we notice that something is missing.",
    "One person who knows our kitchen. That is all we ever wanted.",
    "When a round is late we hear it from them first, not from our chef.",
    "",
)
IMPROVEMENT = "A second driver on the northern round until the new depot opens"
