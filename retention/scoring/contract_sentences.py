"""What the facts of a contract are in words."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from retention.scoring.contract_facts import LONGEST, Due
from retention.scoring.parts import Parts
from retention.scoring.sentences import TELLINGS, days, times
from retention.scoring.telling import UNKNOWN, Book, Said, Telling, Whole, whole, wholes

MONTH, YEARLY = 31, range(360, 372)
CLEAR = 3  # per cent from which a value has changed
GOOD = "customers in good standing"
WORDS = {"segment": "Segment", "industry": "Industry", "region": "Region", "source": "Won through"}

Facts = Callable[[Parts, Whole], tuple[Whole, ...]]


def _end(book: Book, to_end: int) -> Said:
    if to_end >= LONGEST:
        return Said("Contract runs for three years or more", -1)
    if to_end > 0:
        usual = book.whole("days_to_end")
        beside = "" if usual in {UNKNOWN, to_end} else f"{GOOD}: in {days(max(usual, 0))}"
        return Said(f"Contract ends in {days(to_end)}", 1 if to_end <= book.horizon else -1, beside)
    if to_end == 0:
        return Said("Contract ends today and is not renewed yet", 1)
    return Said(f"Contract ended {days(-to_end)} ago and is not renewed yet", 1)


def _due(book: Book, due: int, to_end: int, to_notice: int) -> Said:
    """How near the decision is, whatever else is known."""
    if due == Due.RENEWS:
        return Said(f"Can be cancelled for {days(to_notice)} more, then renews by itself", 1)
    if due == Due.RUNS_ON and to_notice != UNKNOWN and to_notice <= 0:
        return Said("The last day to cancel has passed, so it renews by itself", -1)
    if due == Due.RUNS_ON and to_end < LONGEST:
        return Said(f"Contract runs for {days(to_end)} more", -1)
    return _end(book, to_end)._replace(beside="")


def _notice_left(book: Book, to_notice: int) -> Said:
    if to_notice == UNKNOWN:
        return Said("Does not renew by itself", 1)
    if to_notice <= 0:
        return Said("The last day to cancel has passed, so it renews by itself", -1)
    return Said(f"Can be cancelled for {days(to_notice)} more, then renews by itself", None)


def _renewals(book: Book, count: int) -> Said:
    if count <= 0:
        return Said("Never renewed yet", 1)
    usual = book.whole("renewals")
    beside = "" if usual in {UNKNOWN, count} else f"{GOOD}: {usual}"
    return Said(f"Renewed {'once' if count == 1 else f'{count:,} times'} before", None, beside)


def _tenure(book: Book, months: int) -> Said:
    usual = book.whole("tenure", 12 / 365.25)
    beside = "" if usual in {UNKNOWN, months} else f"{GOOD}: {_months(usual)}"
    return Said(f"Customer for {_months(months)}", None, beside)


def _months(count: int) -> str:
    if count < 24:
        return "1 month" if count == 1 else f"{max(count, 0)} months"
    return f"{count // 12} years"


def _returned(book: Book, count: int) -> Said:
    return Said("Had left before and came back", 1) if count > 0 else Said("Has never left before", -1)


def _value(book: Book, thousandths: int) -> Said:
    usual = book.whole("annual_value", 1000)
    if UNKNOWN in (thousandths, usual):
        return Said("Its yearly value is unknown", 0)
    ratio = float(np.expm1(min(thousandths, 30_000) / 1000) / max(np.expm1(min(usual, 30_000) / 1000), 0.01))
    if ratio >= 2:
        return Said(f"Its contract is worth {ratio:,.1f} times the usual", 0)
    return Said(f"Its contract is worth {round(100 * ratio)} % of the usual", 0)


def _value_change(book: Book, percent: int) -> Said:
    if percent == UNKNOWN:
        return Said("Its first contract", 0)
    if abs(percent) < CLEAR:
        return Said("Renewed last at the same value", 0)
    way = "higher" if percent > 0 else "lower"
    return Said(f"Renewed last at a {abs(percent)} % {way} value", -1 if percent > 0 else 1)


def _term(book: Book, length: int) -> Said:
    if length <= MONTH:
        return Said("Month-to-month contract", 1)
    if length in YEARLY:
        return Said("Contract for a year", 0)
    return Said(f"Contract for {days(length)}", 0)


def _renews(book: Book, renews: int) -> Said:
    return Said("Renews by itself", -1) if renews else Said("Does not renew by itself", 1)


def _notice(book: Book, length: int) -> Said:
    return Said(f"Notice of {days(length)}" if length > 0 else "No notice needed", 0)


def _contracts(book: Book, count: int) -> Said:
    return Said(f"{times(count, 'contract')} running" if count > 0 else "No contract running", 0)


def _disclosed(book: Book, is_so: int) -> Said:
    return (
        Said("The terms were explained to them", -1)
        if is_so
        else Said("No record that the terms were explained", 1)
    )


def _acknowledged(book: Book, is_so: int) -> Said:
    return Said("They acknowledged the terms", -1) if is_so else Said("The terms were not acknowledged", 1)


def _silence(book: Book, silence: int) -> Said:
    if silence == UNKNOWN:
        return Said("No orders beside the contract", 0)
    usual = book.whole("order_silence")
    beside = "" if usual in {UNKNOWN, silence} else f"{GOOD}: {days(usual)} ago"
    return Said("Ordered today" if silence == 0 else f"Last order {days(silence)} ago", None, beside)


def _silence_to_gap(book: Book, percent: int) -> Said:
    if percent == UNKNOWN:
        return Said("No buying rhythm of its own", 0)
    if percent > 100:
        return Said(f"Silent for {percent / 100:,.1f} times its mean gap between orders", 1)
    return Said(f"{percent} % of its mean gap between orders has passed since the last", -1)


def _order_change(book: Book, percent: int) -> Said:
    if percent == UNKNOWN:
        return Said("Too few orders to see a change", 0)
    if abs(percent) < 10:
        return Said(f"Orders as often as in the {days(book.horizon)} before", -1)
    way = "more" if percent > 0 else "fewer"
    return Said(f"Orders {way} often than in the {days(book.horizon)} before", -1 if percent > 0 else 1)


def _log_percent(name: str, minus: float) -> Facts:
    """A log ratio in per cent, less `minus`; to two figures where it is large."""

    def facts(parts: Parts, rows: Whole) -> tuple[Whole, ...]:
        percent = 100.0 * np.exp(np.clip(parts.column(name)[rows].astype(float), -7, 7)) - minus
        return (whole(np.where(np.abs(percent) > 200, np.round(percent, -1), percent)),)

    return facts


def _coarse(name: str, scale: float, step: int) -> Facts:
    """A number in steps, so that sentences are few."""

    def facts(parts: Parts, rows: Whole) -> tuple[Whole, ...]:
        return (whole(np.round(parts.column(name)[rows].astype(float) * scale / step) * step),)

    return facts


CONTRACT_TELLINGS: dict[str, Telling] = {
    "due": Telling(0, wholes("due", "days_to_end", "days_to_notice"), _due),
    "days_to_end": Telling(-1, wholes("days_to_end"), _end),
    "days_to_notice": Telling(-1, wholes("days_to_notice"), _notice_left),
    "renewals": Telling(-1, wholes("renewals"), _renewals),
    "tenure": Telling(-1, _coarse("tenure", 12 / 365.25, 1), _tenure),
    "returned": Telling(1, wholes("returned"), _returned),
    "annual_value": Telling(0, _coarse("annual_value", 1000, 50), _value),
    "value_change": Telling(0, _log_percent("value_change", 100.0), _value_change),
    "term": Telling(0, wholes("term"), _term),
    "renews": Telling(-1, wholes("renews"), _renews),
    "notice": Telling(0, wholes("notice"), _notice),
    "contracts": Telling(0, wholes("contracts"), _contracts),
    "disclosed": Telling(-1, wholes("disclosed"), _disclosed),
    "acknowledged": Telling(-1, wholes("acknowledged"), _acknowledged),
    "order_silence": Telling(1, wholes("order_silence"), _silence),
    "silence_to_gap": Telling(1, _log_percent("silence_to_gap", 0.0), _silence_to_gap),
    "order_change": Telling(-1, _log_percent("order_change", 100.0), _order_change),
}


def tellings_for(columns: Sequence[str], levels: Mapping[str, Sequence[str]]) -> dict[str, Telling]:
    """A telling for every column of a model: a contract's facts, those known from elsewhere, and words."""
    known = {**TELLINGS, **CONTRACT_TELLINGS}
    return {
        name: _of_words(name, levels[name]) if name in levels else known.get(name) or _plain(name)
        for name in columns
    }


def _of_words(name: str, words: Sequence[str]) -> Telling:
    label = WORDS.get(name, _label(name))

    def say(book: Book, code: int) -> Said:
        return Said(f"{label} {words[code] if 0 <= code < len(words) else 'unknown'}", 0)

    return Telling(0, wholes(name), say)


def _plain(name: str) -> Telling:
    def say(book: Book, number: int) -> Said:
        return Said(f"{_label(name)}: {'unknown' if number == UNKNOWN else f'{number:,}'}", 0)

    return Telling(0, wholes(name), say)


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()
