"""What Tidewell tells its customers, and what they say when they are asked."""

from __future__ import annotations

from typing import NamedTuple


class Told(NamedTuple):
    """An insight: from and until are days from today; `industries` as in the book, empty = all."""

    title: str
    text: str
    source: str
    industries: tuple[str, ...]
    begins: int
    ends: int


INSIGHTS: tuple[Told, ...] = (
    Told(
        "Oat milk prices fall again from January",
        "Two new mills start in the north. Whoever is tied to a yearly price should ask for a review in February.",
        "Trade paper, November issue",
        ("Food service", "Hospitality"),
        -60,
        75,
    ),
    Told(
        "Guests leave a fifth less on a plate of 24 cm",
        "A field test in 40 hotels: smaller buffet plates cut food waste by 20 %, and nobody complained.",
        "Hotel association",
        ("Hospitality",),
        -150,
        200,
    ),
    Told(
        "Allergen cards must be readable from arm's length",
        "The inspectors look at type size from spring on. Twelve points on white passes.",
        "Food authority",
        ("Food service", "Public catering"),
        -90,
        120,
    ),
    Told(
        "Schools that name the farm sell more of the vegetable dish",
        "Three towns compared menus with and without the farm's name: 14 % more portions with it.",
        "Public kitchens network",
        ("Public catering",),
        -120,
        160,
    ),
    Told(
        "Offices drink more tea when the kettle stands in sight",
        "And one machine less is one service contract less. Worth a look before the next lease.",
        "Our own figures from 48 offices",
        ("Corporate",),
        -200,
        90,
    ),
    Told(
        "Dishwashers: five degrees less save a tenth of the energy",
        "With the newer tablets 55 °C is enough. Ask the machine's maker first.",
        "Energy agency",
        (),
        -240,
        240,
    ),
    Told(
        "Easter is early next year",
        "Eggs and lamb have to be ordered three weeks earlier than this year.",
        "Calendar",
        ("Food service", "Hospitality"),
        25,
        140,
    ),
    Told(
        "The packaging levy was put off by a year",
        "Nothing has to be changed before next autumn.",
        "Trade paper, June issue",
        (),
        -170,
        -30,
    ),
)

GOOD_WORDS = (
    "",
    "",
    "The driver is always friendly.",
    "You ring before something goes wrong. Others do not.",
    "Reliable, and the coffee is good.",
    "",
    "Fair prices, quick answers.",
)
MIDDLE_WORDS = ("", "Fine, but the invoices are hard to read.", "", "More organic would be nice.")
BAD_WORDS = (
    "Two deliveries in a row came after lunch.",
    "We were promised a new price list in spring and still wait.",
    "Nobody picks up the phone on Fridays.",
    "The frozen goods had thawed.",
)
CLOSING_WORDS = (
    "The route was changed; the van is there before nine.",
    "The price list is out, with our apology and the spring prices kept.",
    "There is a number for Fridays now.",
    "The cooler was replaced and the delivery credited.",
)
AUDIT_NOTES = {
    True: ("All well, they say.", "Content; new chef from May.", "No complaints."),
    False: ("Friendly, but they are trying another supplier.", "Nobody had asked them for a year."),
}
