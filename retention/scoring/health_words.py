"""The scorecard of one account in sentences: what each factor rests on, or what would make it known."""

from dataclasses import dataclass

import numpy as np

from retention.scoring.health import BEFORE, FACTORS, OWN_GAP_FROM, Scorecard

HALF = 50.0  # below it a factor speaks against the account


@dataclass(frozen=True)
class FactorLine:
    """One factor: 0 to 100 (None: unknown), how far it is known (0 to 1), and a sentence about it."""

    name: str
    value: float | None
    known: float
    sentence: str


# How each factor is worked out, as the settings page says it.
RULES = {
    "rhythm": "100 while silent for no longer than usual, 0 from four usual gaps.",
    "frequency": "Orders of the last horizon against the usual number.",
    "spend": "Spend of the last horizon, less returns, against the usual.",
    "delivery": "Share of the deliveries due lately that came in time.",
    "service": "Less 10 to 60 for each open issue by severity and age, 5 for each of the last half year.",
    "relationship": "100 up to 90 days after a contact, 0 after a year; less 25 where we know one person only.",
    "pulse": "The last pulse, 1 to 6; counts less from 90 days on, not at all after a year.",
    "promises": "Share of the promises due within a year that were kept in time.",
    "stability": "Less 25 for each change of owner, 20 for each person there who left, 40 while an owner is missing.",
}
# What to do about a factor that is unknown.
MISSING = {
    "rhythm": "Nothing bought yet.",
    "frequency": "Known once there are two horizons of buying to compare.",
    "spend": "Known once there are two horizons of buying to compare.",
    "delivery": "No delivery was due lately. Promised and delivered days come with the orders file.",
    "service": "Nobody has written down an issue yet. Open them here or import them.",
    "relationship": "No contact is on record. Log a call or import interactions.",
    "pulse": "Nobody has asked within a year. Take a pulse check.",
    "promises": "No promise was due within a year. Write down what you promise.",
    "stability": "No change of people is on record. Name the owners and import contacts.",
}


def lines_of(card: Scorecard, row: int) -> list[FactorLine]:
    """One line per factor, in the order of `FACTORS`."""
    facts = {name: float(values[row]) for name, values in card.facts.items()}
    lines = []
    for position, name in enumerate(FACTORS):
        known = float(card.known[row, position])
        if not known:
            lines.append(FactorLine(name, None, 0.0, MISSING[name]))
            continue
        value = float(card.value[row, position])
        lines.append(FactorLine(name, value, known, _SAY[name](facts, card.horizon)))
    return lines


def arguments(lines: list[FactorLine], weights: dict[str, int], *, good: bool, most: int = 2) -> str:
    """The factors that speak most for (or against) the account, as one text."""

    def weight(line: FactorLine) -> float:
        assert line.value is not None
        return weights[line.name] * line.known * ((line.value - HALF) if good else (HALF - line.value))

    known = [line for line in lines if line.value is not None]
    speaking = sorted((line for line in known if weight(line) > 0), key=lambda line: -weight(line))
    return " ".join(line.sentence for line in speaking[:most])


def _times(count: float, one: str, many: str = "") -> str:
    return f"{count:.0f} {one if round(count) == 1 else many or one + 's'}"


def _ago(days: float) -> str:
    return "today" if days < 1 else f"{_times(days, 'day')} ago"


def _rhythm(facts: dict[str, float], _: int) -> str:
    gap = max(round(facts["gap"]), 1)
    usual = "every day" if gap == 1 else f"every {gap} days"
    if facts["purchases"] < OWN_GAP_FROM:
        return f"Last order {_ago(facts['quiet'])}; customers here usually come back {usual}."
    return f"Last order {_ago(facts['quiet'])}; usually {usual}."


def _frequency(facts: dict[str, float], horizon: int) -> str:
    orders = _times(facts["orders"], "order") if facts["orders"] else "No order"
    return f"{orders} in the last {horizon} days; usually {facts['usual_orders']:.1f}."


def _spend(facts: dict[str, float], horizon: int) -> str:
    spent, usual = facts["spent"], facts["usual_spent"]
    if spent <= 0:
        return f"Spent nothing in the last {horizon} days."
    if spent >= usual:
        return f"Spent at least as much as usual in the last {horizon} days."
    less = max(round((1 - spent / usual) * 100), 1)
    return f"Spent {less} % less in the last {horizon} days than usual in the {BEFORE * horizon} before."


def _delivery(facts: dict[str, float], _: int) -> str:
    count = facts["deliveries"]
    late = round(facts["late_share"] * count)
    if not late:
        return f"{_times(count, 'delivery', 'deliveries')} due lately, {'' if count == 1 else 'all '}in time."
    return f"{late} of the last {_times(count, 'delivery', 'deliveries')} came late."


def _service(facts: dict[str, float], _: int) -> str:
    waiting, recent = facts["open_issues"], facts["recent_issues"]
    if waiting:
        oldest = f"open for {_times(facts['oldest_open'], 'day')}"
        return f"{_times(waiting, 'open issue')}, {oldest if waiting == 1 else 'the oldest ' + oldest}."
    if recent:
        return f"{_times(recent, 'issue')} in the last half year, settled."
    return "No issue in the last half year."


def _relationship(facts: dict[str, float], _: int) -> str:
    said = f"Last contact {_ago(facts['silence'])}"
    people = facts["active_contacts"]
    if people == 0:
        return said + "; nobody we knew there is left."
    return said + ("; we know one person there only." if people == 1 else ".")


def _pulse(facts: dict[str, float], _: int) -> str:
    return f"Pulse {facts['pulse']:.0f} of 6, {_ago(facts['pulse_age'])}."


def _promises(facts: dict[str, float], _: int) -> str:
    count = facts["promises"]
    kept = count - facts["broken"]
    if count == 1:
        return f"The one promise of the last year was {'kept in time' if kept else 'not kept in time'}."
    return f"{kept:.0f} of {count:.0f} promises of the last year were kept in time."


def _stability(facts: dict[str, float], _: int) -> str:
    changes, left = np.nan_to_num(facts["owner_changes"]), np.nan_to_num(facts["contacts_left"])
    said = []
    if facts["vacant"] > 0:
        said.append("an owner is missing")
    if changes:
        said.append(f"{_times(changes, 'change')} of owner within a year")
    if left:
        said.append(f"{_times(left, 'person', 'people')} there left within a year")
    text = ", ".join(said) if said else "the same people on both sides for a year"
    return f"{text[0].upper()}{text[1:]}."


_SAY = {
    "rhythm": _rhythm,
    "frequency": _frequency,
    "spend": _spend,
    "delivery": _delivery,
    "service": _service,
    "relationship": _relationship,
    "pulse": _pulse,
    "promises": _promises,
    "stability": _stability,
}
