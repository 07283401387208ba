"""The score in plain words: stages, factors, inputs, flags, and what each number of the Model page means."""

from __future__ import annotations

from dataclasses import dataclass

from retention.models import ModelFlag
from retention.models.evidence import FlagKind

CONTENDERS = {
    "model": "Mainstay's score",
    "previous": "The model before",
    "bgnbd": "Buying rhythm alone (BG/NBD)",
    "recency": "Longest silent first",
}
INPUTS = {
    "p_silent": "Chance of silence by buying rhythm alone",
    "recency": "Days since the last order",
    "recency_over_shrunk_gap": "Silence against the usual gap",
    "recency_over_median": "Silence against the middle gap",
    "recency_over_max": "Silence against the longest gap",
    "recency_over_ewma": "Silence against the latest gaps",
    "share_gaps_longer": "Own gaps that were longer",
    "gap_mean": "Mean gap between orders",
    "gap_median": "Middle gap between orders",
    "gap_sd": "How much the gaps vary",
    "gap_cv": "How regular the gaps are",
    "gap_max": "Longest gap between orders",
    "gap_last": "Last gap between orders",
    "gap_ewma": "Latest gaps between orders",
    "gap_trend": "Last gap against the mean gap",
    "tenure": "Days since the first order",
    "purchases": "Orders so far",
    "active_share": "Share of the time they were buying",
    "rate": "Orders a day",
    "count_quarter": "Orders in the last quarter horizon",
    "count_1": "Orders in the last horizon",
    "count_2": "Orders in the last two horizons",
    "count_4": "Orders in the last four horizons",
    "count_8": "Orders in the last eight horizons",
    "activity_change": "Orders against the horizon before",
    "activity_ewma": "Orders, newer ones counting more",
    "spend_mean": "Mean order value",
    "spend_last": "Last order value",
    "spend_cv": "How much order values vary",
    "spend_sum": "Spent so far",
    "spend_1": "Spent in the last horizon",
    "spend_change": "Spent against the horizon before",
    "spend_last_ratio": "Last order against the mean",
    "returns_4": "Returns in the last four horizons",
    "return_share": "Returns for each order",
    "same_window_last_year": "Orders in these weeks a year ago",
}
STAGES = {
    "rules": "Rules",
    "rhythm": "Buying rhythm",
    "learned": "Learned",
    "contract": "Contract",
}
STAGE_SAYS = {
    "rules": (
        "There are few customers yet, so each is compared with how customers typically buy, and the own book counts"
        " little. Take the percentages as rough."
    ),
    "rhythm": (
        "The score follows each customer's own pace: how often it ordered, and how unusual the silence since is."
        " Learning from more than that did not yet help here, or has had too little history."
    ),
    "contract": (
        "The score follows how contracts usually end, by how near their end is, and what was learned from those that"
        " were not renewed."
    ),
    "learned": (
        "The score has learned from what came of earlier customers in the same position, and is blended with their"
        " buying rhythm. It was kept because it was better on days it had not seen."
    ),
}
NO_SIGNAL = (
    "In this book past orders do not tell who will buy again. Rather than invent a difference, everybody gets the same"
    " probability: the share that usually stays away. Tiers follow the silence alone."
)


def words_for(known: dict[str, str], name: str) -> str:
    """What `name` is called; a name that has no words yet is spelled out."""
    return known.get(name) or name.replace("_", " ").capitalize()


def flag_sentence(flag: ModelFlag) -> str:
    """What is off, and how far."""
    chance = " With so few customers that may be chance." if flag.may_be_chance else ""
    if flag.kind == FlagKind.INPUT:
        name = words_for(INPUTS, flag.subject)
        return (
            f"{name}: customers differ from those of a month ago (stability index {flag.value:.2f}).{chance}"
        )
    what = "the latest look back" if flag.subject == "backtest" else "the newest scores whose time is up"
    return f"What was said and what happened were {flag.value * 100:.0f} points apart on average, in {what}.{chance}"


@dataclass(frozen=True)
class Word:
    """A number of the Model page: what it says, how it is worked out, over which window ("" = the newest look back)."""

    name: str
    title: str
    says: str
    formula: str
    window: str


LOOK_BACK = ""  # as the page says once for all
WORDS = (
    Word(
        "left",
        "Left",
        "A customer counts as having left when it buys nothing within the horizon.",
        "No order with an amount above 0 that was not cancelled, from the day after the look back to the end of the"
        " horizon. Some come back later; for the score they had left.",
        "The horizon: stated by your definition of leaving, else the round number of days within which nine of ten"
        " repeat orders come.",
    ),
    Word(
        "calibration",
        "Said and happened",
        "Of customers who were given about the same percentage, how many left. They should agree.",
        "Customers ordered by what was said of them and cut into ten groups of equal size: the mean of what was said,"
        " and the share that left.",
        LOOK_BACK,
    ),
    Word(
        "ece",
        "Off by",
        "How far apart said and happened are on average; 0 is perfect.",
        "Expected calibration error: the distance between said and happened of each of the ten groups, averaged."
        " Above 5 points a flag is raised. Beside it stands what chance alone would show with so many customers.",
        LOOK_BACK,
    ),
    Word(
        "capacity",
        "Our capacity",
        "How many customers your sales reps can call.",
        "The calls a day of all sales reps who may sign in, times five working days; where that is more than a"
        " quarter of the customers, the calls of one day; never more than a quarter. Without sales reps one person is"
        " counted.",
        "As entered under People when the look back was made.",
    ),
    Word(
        "found",
        "Leavers found",
        "How many of those called would have been customers about to leave.",
        "Customers who had bought within the horizon before are put in order by each method, and as many as the"
        " capacity are called. Who had been silent for longer had left already: naming them is no merit. At random:"
        " what drawing lots finds on average.",
        LOOK_BACK,
    ),
    Word(
        "lift",
        "Times better than lots",
        "How many times more leavers the calls reach than calls drawn by lot.",
        "Leavers found / leavers found at random.",
        LOOK_BACK,
    ),
    Word(
        "recall",
        "Share of leavers reached",
        "Of all who were about to leave, the share those calls reach.",
        "Leavers found / all leavers among customers who had bought within the horizon before.",
        LOOK_BACK,
    ),
    Word(
        "lead_time",
        "Lead time",
        "How early a customer who left was rated at risk.",
        "For customers with at least two orders who ordered within the horizon after the look back and then bought"
        " nothing for a horizon: last order plus the longest own gap (the last day on which a return would have been"
        " usual), minus the first weekly look at which they were rated at risk. Half of all leavers had at least as much;"
        " below 0 is too late.",
        "The newest look back with two horizons after it.",
    ),
    Word(
        "auc",
        "Order",
        "Take one who left and one who stayed: how often the score puts the one who left higher. 50 % is a coin.",
        "Area under the ROC curve.",
        LOOK_BACK,
    ),
    Word(
        "ap",
        "Hits at the top",
        "Going down the list from the top, how many of those met so far have left, averaged over all who left.",
        "Average precision. It cannot be compared between books: with more leavers it is higher.",
        LOOK_BACK,
    ),
    Word(
        "log_loss",
        "Surprise",
        "How surprised the score was by what happened; lower is better. Being sure and wrong costs most.",
        "Log loss: the mean of -ln of the probability given to what happened.",
        LOOK_BACK,
    ),
    Word(
        "brier",
        "Squared miss",
        "How far the percentages were from what happened, squared; lower is better.",
        "Brier score: the mean of (probability - outcome)², outcome 1 for who left.",
        LOOK_BACK,
    ),
    Word(
        "missed",
        "Missed",
        "Customers who left although the score was below where watching begins.",
        "Left within the horizon, with a probability below the threshold of the tier Watch.",
        LOOK_BACK,
    ),
    Word(
        "matured",
        "Predictions that came due",
        "The scores of an earlier night, as they stood, once their horizon is over.",
        "The stored probabilities against the orders since; accounts scored by their contract are left out. Who was called because of the score and stayed counts as"
        " having stayed, so good work makes the score look worse.",
        "One line for each run whose horizon has passed.",
    ),
    Word(
        "weight",
        "Weight",
        "How much of what sets customers apart rests on this.",
        "The mean distance by which it moves the log odds of a customer away from one in good standing, as a share of"
        " all such distances.",
        "All customers of the newest run.",
    ),
    Word(
        "shift",
        "Moved",
        "Whether customers look different from those of a month ago; what was learned then may fit less.",
        "Population stability index: the sum of (now - then) * ln(now / then) over the shares of customers in ten"
        " groups that were of equal size then. From .10 moved, from .25 drifted.",
        "The day of the newest run against 30 days before, or the day the model was fitted if that is longer ago.",
    ),
    Word(
        "late_records",
        "Arrived late",
        "Records dated by the day of a run that came in after it was published: scored without them.",
        "Orders not cancelled, issues, contacts and pulses dated up to the run's day and written down after its publication.",
        "Counted with every run, for the 30 newest.",
    ),
)
BY_NAME = {word.name: word for word in WORDS}
