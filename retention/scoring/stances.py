"""Who says an account stays and who says it leaves: the model, the scorecard and the last pulse."""

LEAVING, STAYING, SILENT = "leaving", "staying", ""

# Well above and well below the middle: in between the scorecard takes no side, so that a point more or less does not
# make a dispute.
HEALTHY_FROM, UNHEALTHY_BELOW = 70, 40
# A scorecard that rests on less than half of its weight has no opinion. Orders alone are less than half by the weights
# as shipped: they are what the model looks at too, and would be the same witness twice.
LEAST_KNOWN = 0.5
HAPPY_FROM, UNHAPPY_TO = 5, 2  # of six points: "happy" and better, "unhappy" and worse
PULSE_DAYS = (
    90  # as long as it counts in full in the scorecard; an older one is not held against what is known today
)


def model_stance(probability: float, watch_from: float, at_risk_from: float) -> str:
    """The company's own thresholds; what is watched is undecided."""
    if probability >= at_risk_from:
        return LEAVING
    return STAYING if probability < watch_from else SILENT


def scorecard_stance(health: float | None, known_share: float) -> str:
    """`health` 0 to 100, None when nothing is known."""
    if health is None or known_share < LEAST_KNOWN:
        return SILENT
    if health >= HEALTHY_FROM:
        return STAYING
    return LEAVING if health < UNHEALTHY_BELOW else SILENT


def pulse_stance(pulse: int | None, age: float) -> str:
    """`pulse` 1 to 6, None when none was taken; `age` in days."""
    if pulse is None or age > PULSE_DAYS:
        return SILENT
    if pulse >= HAPPY_FROM:
        return STAYING
    return LEAVING if pulse <= UNHAPPY_TO else SILENT


def disagree(*stances: str) -> bool:
    """Whether one says leaving and another staying."""
    return LEAVING in stances and STAYING in stances


def was_right(stance: str, has_left: bool) -> bool | None:
    """None for one that took no side."""
    return None if stance == SILENT else (stance == LEAVING) == has_left
