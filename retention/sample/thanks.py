"""Words in which the people of the sample company thank one another, and how they see a loss on both sides."""

WORDS = (
    "You rang them the same afternoon. That made the difference.",
    "The depot and you in one room: thank you both.",
    "You kept at it when nobody picked up the phone.",
    "Thank you for going through every open complaint with them.",
)
# One signature is still to come, the others are here: does the other owner agree, and what do they say.
SIGNATURES: tuple[tuple[bool, str] | None, ...] = (
    None,
    (True, "I should have told you about the late vans."),
    (False, "They had moved to a cheaper supplier long before we were late."),
    None,
)
BUDGET = 5  # handbacks a day of one rep who is also setting up a region
