"""What people write down, by what it is about."""

ISSUES = {
    "delivery": (
        "Delivery came {days} days late; the kitchen had to buy elsewhere.",
        "Third late delivery this season, {days} days this time.",
        "Driver left the pallet at the wrong entrance, {days} days after the promised day.",
    ),
    "quality": (
        "Two trays of eggs broken on arrival.",
        "Frozen goods had thawed at the edges.",
        "Milk with only three days left on it.",
        "Glasses chipped out of the box.",
    ),
    "invoicing": (
        "Invoice shows the old discount.",
        "Charged twice for the same delivery.",
        "Credit note for the returned crate is missing.",
    ),
    "range": (
        "Oat drink out of stock twice in a row.",
        "Asks for smaller packs that we do not carry.",
    ),
    "service": (
        "Nobody rang back about the order change.",
        "Customer service could not find the standing order.",
    ),
}
PROMISES = {
    "delivery": (
        "Deliver before 9 every Tuesday from next week",
        "Send a replacement delivery at our cost",
        "Put a second driver on the round",
    ),
    "quality": ("Replace the damaged goods", "Check the cold chain on this round and report back"),
    "invoicing": ("Send the corrected invoice", "Issue the credit note"),
    "range": ("Keep oat drink in stock for them", "Find a supplier for smaller packs"),
    "service": ("Call back with an answer", "Give them a named person to ring"),
    "sales": (
        "Hold the price until the end of the quarter",
        "Free trial of the new roast",
        "Menu workshop with our chef",
        "Same-day delivery for urgent orders",
    ),
}
TOUCHES = (
    ("call", "Asked how the week went"),
    ("call", "Went through the standing order"),
    ("email", "Sent the seasonal price list"),
    ("email", "Confirmed the change of delivery day"),
    ("meeting", "Tasting of the new roast"),
    ("meeting", "Half-year review in their kitchen"),
    ("call", "Menu change, asked which products they need"),
)
SALES_TOUCHES = (
    ("call", "Called to hear whether all runs as agreed"),
    ("meeting", "Visit with the account manager"),
    ("email", "Sent what other kitchens do about food waste"),
)
# To customers who were sold too much: what was said instead.
OFFERS_INSTEAD = {
    "Asked how the week went": "Offered the autumn special on coffee",
    "Went through the standing order": "Offered more of the standing order at ten per cent off",
    "Half-year review in their kitchen": "Showed the new range in their kitchen",
    "Menu change, asked which products they need": "Offered the new catering range",
    "Called to hear whether all runs as agreed": "Called about the offer of the month",
    "Sent what other kitchens do about food waste": "Sent the offer of the month",
    "Pulse check": "Offered the dessert special",
}
# What a message was for, where somebody said so.
CLASSES = {
    "Asked how the week went": "service",
    "Went through the standing order": "service",
    "Sent the seasonal price list": "promotion",
    "Confirmed the change of delivery day": "service",
    "Tasting of the new roast": "promotion",
    "Half-year review in their kitchen": "service",
    "Menu change, asked which products they need": "service",
    "Called to hear whether all runs as agreed": "service",
    "Sent what other kitchens do about food waste": "information",
    "Pulse check": "service",
    **dict.fromkeys(OFFERS_INSTEAD.values(), "promotion"),
}
ENQUIRIES = (
    "Can you deliver on Saturdays in December?",
    "Price for twice the quantity of coffee?",
    "Do the croissants contain nuts?",
    "Which gloves are food safe?",
    "We open a second kitchen, who do we talk to?",
    "Can we pay by direct debit?",
)
ENQUIRY_SOURCES = ("Web form", "E-mail", "Phone")
PULSE_NOTES = {
    "delivery": ("Deliveries are no longer on time.", "Has to keep a buffer because of late rounds."),
    "quality": ("Unhappy with the fresh goods lately.",),
    "service": ("Waits too long for an answer.", "Says nobody feels in charge."),
    "price": ("Finds the last price rise hard to pass on.", "Compares our prices with a discounter."),
    "people": ("Misses the person they used to talk to.", "New chef, does not know us yet."),
    "fine": (
        "All well, no wishes.",
        "Happy with the round and with the driver.",
        "Likes the new roast.",
        "Growing, plans a terrace.",
    ),
}
NEXT_STEPS = {
    "delivery": "Agree a fixed delivery window with the depot",
    "quality": "Check the next two deliveries in person",
    "service": "Name one person they can always ring",
    "price": "Go through their basket for cheaper packs",
    "people": "Visit and introduce ourselves",
    "fine": "Send the seasonal overview",
}
# cause -> (sentence of the briefing, churn reason code when lost, what worked, what did not)
CAUSES = {
    "delivery": (
        "Several late deliveries in the last months.",
        "no-belief",
        "Fixed delivery window agreed with the depot; ordering again.",
        "They have moved to a supplier that comes on the promised day.",
    ),
    "issue": (
        "Complaints stayed open for weeks.",
        "poor-service",
        "Went through every open complaint with them and closed all of them.",
        "Too many complaints that nobody answered.",
    ),
    "promise": (
        "We did not do what we had promised.",
        "broken-promise",
        "Apologised, did what was promised, and they came back.",
        "They said they cannot rely on our word.",
    ),
    "champion": (
        "The person who always ordered has left them.",
        "new-management",
        "Met the new chef; trial order turned into a standing order.",
        "The new chef brought along another supplier.",
    ),
    "owner": (
        "Their account manager changed and orders went down.",
        "weak-relationships",
        "Introduced the new account manager in person.",
        "They never got to know the new account manager.",
    ),
    "silence": (
        "Nobody of ours has been in touch for a long time.",
        "out-of-touch",
        "One honest call was enough; nobody had asked them for months.",
        "They had stopped thinking of us.",
    ),
    "price": (
        "Orders went down after the price rise.",
        "undercut",
        "Moved part of the basket to larger packs.",
        "A discounter is eight per cent cheaper.",
    ),
}
OUTSIDE = ("budget-cut", "out-of-business", "other-priorities", "supply-or-market", "unknown")
FALSE_ALARM = "Was closed for renovation; orders again as before."
THEME_OF_CAUSE = {
    "delivery": "delivery",
    "issue": "service",
    "promise": "service",
    "champion": "people",
    "owner": "people",
    "silence": "people",
    "price": "price",
}
