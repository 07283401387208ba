"""What the people of Tidewell wrote down about promises, issues, questions, fine print and won deals."""

from __future__ import annotations

RESOLUTIONS = {
    "delivery": "Moved to the earlier round; the driver has their gate code now.",
    "quality": "Replaced the goods the next morning and checked the cold chain.",
    "invoicing": "Corrected the invoice and the price list behind it.",
    "range": "Found it at another supplier; it is in the list from now on.",
    "service": "Called back with an answer, and gave them a named person.",
}
OTHER_RESOLUTION = "Settled with them on the telephone."
REACTIONS = (
    "Thanked us.",
    "Fine with that.",
    "Wants to see whether it lasts.",
    "Was surprised that we called.",
)
CAME_BACK = "It happened again within two weeks."
BROKEN = ("The depot had no driver.", "Nobody told operations of it.", "The supplier let us down.")
ANSWERS = (
    "Yes, from the first of the month on.",
    "Sent them the sheet.",
    "Not at the moment; offered what is closest.",
)
NEXT_STEPS = ("Send the price list for it", "Ask whether it worked out", "Call when it is in stock")
ACKNOWLEDGED = ("Signed the list", "By e-mail", "On the telephone")
BOUGHT = (
    "Coffee and dairy for two kitchens, twice a week.",
    "The whole dry range; fresh goods on trial for three months.",
    "Tableware for the new terrace, and a standing order of coffee.",
)
WHY_US = (
    "Deliveries before nine. The one before came at noon.",
    "One invoice instead of four, and somebody to ring.",
    "Our roast, after the tasting with the chef.",
)
EXPECTS = (
    "The same driver, and a call when something is missing. From the first delivery on.",
    "A fixed price until spring and a reserve for weekends.",
    "That somebody comes by once a month.",
)
PEOPLE = "The chef decides, the owner signs. The bar was for the other supplier."
WATCH_OUT = "They were let down twice last year: the first late delivery will count double."
QUESTION = "Who opens the gate before seven?"
SWAP_REASON = "Before the season, so that the customer knows both of us."
NEWS = (
    ("new_management", "New director since the summer; wants to see all suppliers."),
    ("new_owner", "Bought by a group that has its own purchasing."),
    ("moved", "Second kitchen opened across the river."),
    ("reorganised", "Purchasing is now done for all houses together."),
)
