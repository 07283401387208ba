"""What the numbers of the model of orders are in words: rhythm, frequency, spend, returns, season."""

import math

import numpy as np

from retention.scoring.features import RECENT
from retention.scoring.parts import Parts
from retention.scoring.signal_sentences import SIGNAL_TELLINGS
from retention.scoring.telling import UNKNOWN, Book, Said, Telling, Whole, whole, wholes

GOOD = "customers in good standing"
CLEAR = 10  # per cent by which two sums must differ to be called different


def days(count: int) -> str:
    """12 days."""
    return "1 day" if count == 1 else f"{count:,} days"


def times(count: int, thing: str = "order") -> str:
    """3 orders."""
    return f"1 {thing}" if count == 1 else f"{count:,} {thing}s"


def _ago(silence: int) -> str:
    return "today" if silence == 0 else f"{days(silence)} ago"


def _beside(count: int, usual: int, words: str) -> str:
    """What customers in good standing do, where that is another number and known."""
    return "" if usual in {UNKNOWN, count} else f"{GOOD}{words}"


# ── silence ────────────────────────────────────────────────────────────
def _last_order(book: Book, silence: int, gap: int) -> tuple[str, int]:
    """The silence in words, and how it sounds against the account's own gap (of a single order: the usual silence)."""
    if gap == UNKNOWN:
        return f"First and only order {_ago(silence)}", 1 if silence > book.whole("recency") else -1
    every = "day" if gap <= 1 else days(gap)
    return f"Last order {_ago(silence)}; usually every {every}", 1 if silence > max(gap, 1) else -1


def _waiting(book: Book, silence: int, gap: int) -> Said:
    """What waiting since the last order added to P0, for a customer of this rhythm."""
    text, reads = _last_order(book, silence, gap)
    return Said(text, reads, f"a silence that tells {'less' if reads > 0 else 'more'} than that of {GOOD}")


def _chance_more(parts: Parts, rows: Whole, way: Whole) -> tuple[Whole, ...]:
    """P0 in per cent where the silence alone would sound the other way."""
    silence, gap = parts.column("recency")[rows], np.maximum(parts.column("gap_median")[rows], 1.0)
    reads = np.where(silence > gap, 1, -1)
    needs = (reads != way) | np.isnan(gap)
    return (np.where(needs, _hundredths(parts.column("p_silent")[rows]), 0),)


def _hundredths(logit: np.ndarray) -> Whole:
    """A probability given as log odds, in per cent."""
    return whole(100.0 / (1.0 + np.exp(-np.clip(logit.astype(float), -30, 30))))


def _chance(book: Book, silence: int, gap: int, chance: int) -> Said:
    """P0 itself: how many customers of this rhythm buy nothing within the horizon."""
    text, reads = _last_order(book, silence, gap)
    usual = book.usual.get("p_silent", np.nan)
    if not chance or math.isnan(usual):
        return Said(text, reads)
    usually = round(100.0 / (1.0 + math.exp(-usual)))
    beside = f"of such customers {chance} in 100 stay silent for {days(book.horizon)}, of {GOOD} {usually}"
    return Said(text, reads, beside)


def _recency(book: Book, silence: int) -> Said:
    if silence == 0:
        return Said("Ordered today", -1)
    usual = book.whole("recency")
    return Said(f"Silent for {days(silence)}", None, _beside(silence, usual, f" for {days(usual)}"))


# ── rhythm ─────────────────────────────────────────────────────────────
NO_RHYTHM = Said("No second order yet, so no rhythm of its own", 1)


def _ratio(name: str, what: str) -> Telling:
    """Silence in terms of a gap of the account's own."""

    def say(book: Book, tenths: int) -> Said:
        if tenths == UNKNOWN:
            return NO_RHYTHM
        usual = book.whole(name, 10)
        beside = _beside(tenths, usual, f": {usual * 10} %" if tenths <= 10 else f": {usual / 10:g} times")
        if tenths > 10:
            return Said(f"Silent for {tenths / 10:,g} times {what}", 1, beside)
        return Said(f"{tenths * 10} % of {what} has passed since its last order", -1, beside)

    def facts(parts: Parts, rows: Whole) -> tuple[Whole, ...]:
        tenths = whole(np.clip(parts.column(name)[rows], 0, 1000) * 10)
        return (np.where(tenths > 100, tenths // 10 * 10, tenths),)

    return Telling(1, facts, say)


def _gap(name: str, words: str, natural: int = 1) -> Telling:
    def say(book: Book, gap: int) -> Said:
        if gap == UNKNOWN:
            return NO_RHYTHM
        usual = book.whole(name)
        return Said(words.format(days(max(gap, 1))), None, _beside(gap, usual, f": {days(max(usual, 1))}"))

    return Telling(natural, wholes(name), say)


def _longer_facts(parts: Parts, rows: Whole) -> tuple[Whole, ...]:
    gaps = np.minimum(whole(parts.column("purchases")[rows]) - 1, RECENT)
    return gaps, whole(parts.column("share_gaps_longer")[rows] * gaps)


def _longer(book: Book, gaps: int, longer: int) -> Said:
    if gaps <= 0 or longer == UNKNOWN:
        return NO_RHYTHM
    beside = f"{GOOD}: {book.whole('share_gaps_longer', 100)} %"
    if gaps == 1:
        return Said(f"Its only gap so far was {'longer' if longer else 'shorter'} than the present silence", -1 if longer else 1, beside)  # fmt: skip
    if longer == 0:
        return Said(f"None of its last {gaps} gaps was longer than the present silence", 1, beside)
    few = longer * 2 < gaps
    only, was = "Only " if few else "", "was" if longer == 1 else "were"
    return Said(f"{only}{longer} of its last {gaps} gaps {was} longer than the present silence", 1 if few else -1, beside)  # fmt: skip


def _unsteady(book: Book, spread: int) -> Said:
    if spread == UNKNOWN:
        return Said("Too few orders to say how regular it is", 0)
    return Said(f"Its gaps between orders vary by {days(spread)}", 0)


def _uneven(book: Book, percent: int) -> Said:
    if percent == UNKNOWN:
        return Said("Too few orders to say how regular it is", 0)
    return Said(f"Its gaps between orders vary by {percent} % of their length", 0)


def _gap_trend(book: Book, percent: int) -> Said:
    if percent == UNKNOWN:
        return Said("Too few orders to say whether its gaps grow", 0)
    beside = f"{GOOD}: {book.whole('gap_trend', 100)} %"
    return Said(f"Its last gap was {percent} % of its average one", (percent > 115) - (percent < 85), beside)


# ── frequency ──────────────────────────────────────────────────────────
def _pace_facts(parts: Parts, rows: Whole) -> tuple[Whole, ...]:
    orders = parts.column("purchases")[rows].astype(float)
    span = parts.column("active_share")[rows] * np.maximum(parts.column("tenure")[rows], 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.where(orders > 1, span / (orders - 1), np.nan)
    return whole(orders), whole(apart)


def _pace(book: Book, orders: int, apart: int) -> Said:
    """What P0 was on the day of the last order: how many orders there were, how far apart."""
    usual, usually = book.whole("purchases"), book.whole("gap_mean")
    beside = "" if UNKNOWN in {usual, usually} else f"{GOOD}: {times(usual)}, {days(usually)} apart"
    if apart == UNKNOWN:
        return Said("Only one order so far", 1, beside)
    said = f"{times(orders)} so far, {days(max(apart, 1))} apart on average"
    if orders >= usual and apart <= usually:
        return Said(said, -1, beside)
    return Said(said, 1 if orders <= usual and apart >= usually else None, beside)


def _frequency_facts(parts: Parts, rows: Whole) -> tuple[Whole, ...]:
    now, both = (whole(parts.column(name)[rows]) for name in ("count_1", "count_2"))
    silent = both == 0
    # Only a silent customer's sentence tells orders and tenure; leaving them out keeps sentences few.
    orders = np.where(silent, whole(parts.column("purchases")[rows]), 0)
    return now, both - now, orders, np.where(silent, whole(parts.column("tenure")[rows]), 0)


def _lately(book: Book, now: int, before: int, orders: int, tenure: int) -> Said:
    h, usual = book.horizon, book.whole("count_1")
    if now or before:
        said = f"{times(now) if now else 'No order'} in the last {h} days, {before:,} in the {h} days before"
        # Fewer (or more) than before and than usual speaks for itself.
        reads = 1 if now <= min(before, usual) else -1 if now >= max(before, usual) else None
        return Said(
            said,
            None if now == before == usual else reads,
            _beside(now, usual, f": {times(usual)} in {h} days"),
        )
    said = f"{times(orders)} in {days(max(1, tenure))}"
    return Said(said if orders == 1 else f"{said}, none in the last {2 * h}", 1)


def _activity(book: Book, now: int, before: int, orders: int, tenure: int) -> Said:
    said = _lately(book, now, before, orders, tenure)
    return said._replace(reads=(now < before) - (now > before)) if now or before else said


def _count(name: str, share: float) -> Telling:
    """Orders within so many horizons."""

    def say(book: Book, count: int) -> Said:
        span, usual = round(book.horizon * share), book.whole(name)
        said = f"{times(count) if count else 'No order'} in the last {days(span)}"
        return Said(said, None, _beside(count, usual, f": {usual}"))

    return Telling(-1, wholes(name), say)


def _tenure(book: Book, tenure: int) -> Said:
    return Said(f"First order {_ago(tenure)}", 0)


def _number(name: str, words: str, scale: float = 1.0) -> Telling:
    """A number of which more should speak for staying: `words` with a place for it."""

    def say(book: Book, count: int) -> Said:
        usual = book.whole(name, scale)
        return Said(words.format(count), None, _beside(count, usual, f": {usual:,}"))

    return Telling(-1, wholes(name, scale=scale), say)


# ── spend ──────────────────────────────────────────────────────────────
def _size(name: str, plural: str, size: str = "the size usual for") -> Telling:
    """A sum of money against that of a customer in good standing, to two figures: nobody needs "3.17 times"."""

    def facts(parts: Parts, rows: Whole) -> tuple[Whole, ...]:
        # Read by `say` in per cent of the usual sum, which only the book knows; so whole money units here.
        return (_two_figures(parts.column(name)[rows]),)

    def say(book: Book, money: int) -> Said:
        usual = book.usual.get(name, np.nan)
        if money == UNKNOWN or not usual > 0:
            return Said(f"{plural} cannot be compared", 0)
        percent = round(100 * money / usual)
        if percent >= 100 + CLEAR:
            return Said(f"{plural} {_many(percent)} times {size} {GOOD}", -1)
        if percent <= 100 - CLEAR:
            return Said(f"{plural} {max(1, percent)} % of {size} {GOOD}", 1)
        return Said(f"{plural} {size} {GOOD}", 0)

    return Telling(-1, facts, say)


def _many(percent: int) -> str:
    """2.2, 18: how many times, without more figures than anybody needs."""
    return f"{percent / 100:,.0f}" if percent >= 950 else f"{percent / 100:.1f}".removesuffix(".0")


def _two_figures(values: np.ndarray) -> Whole:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        size = np.clip(np.nan_to_num(values.astype(float), nan=1.0), 1.0, 1e9)
        step = 10.0 ** (np.floor(np.log10(size)) - 1)
    return whole(np.round(values / step) * step)


def _spend_1(book: Book, money: int) -> Said:
    if money == 0:
        return Said(f"Bought nothing in the last {book.horizon} days", None)
    usual = book.usual.get("spend_1", np.nan)
    if not usual > 0:
        return Said(f"Bought something in the last {book.horizon} days", -1)
    percent = round(100 * money / usual)
    much = f"{_many(percent)} times" if percent >= 100 + CLEAR else f"{max(1, percent)} % of"
    return Said(
        f"Spent {much} what {GOOD} did in the last {book.horizon} days", (percent < 100) - (percent > 100)
    )


def _spend_change_facts(parts: Parts, rows: Whole) -> tuple[Whole, ...]:
    now, both = parts.column("count_1")[rows], parts.column("count_2")[rows]
    with np.errstate(over="ignore"):
        change = 100.0 * np.expm1(parts.column("spend_change")[rows].astype(float))
    change = np.where(np.abs(change) < 1000, change, 1000.0)
    bought = (now > 0).astype(np.int64) + 2 * (both > now)  # now, before, or both
    return bought, np.where(bought == 3, whole(change), 0)


def _spend_change(book: Book, bought: int, change: int) -> Said:
    h = book.horizon
    if bought == 0:
        return Said(f"Bought nothing in the last {2 * h} days", 1)
    if bought == 1:
        return Said(f"Bought in the last {h} days, nothing in the {h} days before", -1)
    if bought == 2:
        return Said(f"Bought nothing in the last {h} days, but did in the {h} days before", 1)
    if abs(change) < CLEAR:
        return Said(f"Spend of the last {h} days is about that of the {h} days before", 0)
    much = "more than 10 times" if change >= 1000 else f"{abs(change)} % {'above' if change > 0 else 'below'}"
    return Said(f"Spend of the last {h} days is {much} that of the {h} days before", 1 if change < 0 else -1)


def _last_ratio(book: Book, percent: int) -> Said:
    if percent == UNKNOWN:
        return Said("Only one order, so none to compare its size with", 0)
    beside = f"{GOOD}: {book.whole('spend_last_ratio', 100)} %"
    return Said(
        f"Its last order was {percent} % of its average one", (percent < 85) - (percent > 115), beside
    )


def _spend_cv(book: Book, percent: int) -> Said:
    if percent == UNKNOWN:
        return Said("Only one order, so none to compare its size with", 0)
    return Said(f"Its orders vary in size by {percent} %", 0)


# ── returns, season ────────────────────────────────────────────────────
def _returns(book: Book, count: int) -> Said:
    if count < 1:
        return Said(f"Nothing returned in the last {4 * book.horizon} days", -1)
    return Said(f"{times(count, 'return')} in the last {4 * book.horizon} days", 1, f"{GOOD}: {book.whole('returns_4')}")  # fmt: skip


def _return_share(book: Book, percent: int) -> Said:
    if percent < 1:
        return Said("Nothing ever returned", -1)
    return Said(f"{percent} returns for 100 orders", 1, f"{GOOD}: {max(book.whole('return_share', 100), 0)}")


def _season(book: Book, count: int) -> Said:
    if count == UNKNOWN:
        return Said("It was not yet a customer at this time last year", 0)
    h = book.horizon
    if not count:
        return Said(f"Bought nothing in the same {h} days last year", 1)
    often = "once" if count == 1 else f"{count:,} times"
    return Said(
        f"Ordered {often} in the same {h} days last year",
        -1,
        f"{GOOD}: {book.whole('same_window_last_year')}",
    )


def _percent(name: str, say: object, natural: int = 0) -> Telling:
    return Telling(natural, wholes(name, scale=100.0), say)  # type: ignore[arg-type]


TELLINGS: dict[str, Telling] = {
    "p_silent": Telling(1, wholes("recency", "gap_median"), _chance, _chance_more),
    "waiting": Telling(1, wholes("recency", "gap_median"), _waiting),
    "recency": Telling(1, wholes("recency"), _recency),
    "recency_over_shrunk_gap": _ratio("recency_over_shrunk_gap", "its expected gap"),
    "recency_over_median": _ratio("recency_over_median", "its usual gap"),
    "recency_over_max": _ratio("recency_over_max", "its longest gap"),
    "recency_over_ewma": _ratio("recency_over_ewma", "its recent gaps"),
    "share_gaps_longer": Telling(-1, _longer_facts, _longer),
    "gap_mean": _gap("gap_mean", "{} between its orders on average"),
    "gap_median": _gap("gap_median", "Usually {} between its orders"),
    "gap_max": _gap("gap_max", "Its longest gap was {}"),
    "gap_last": _gap("gap_last", "Its last gap was {}"),
    "gap_ewma": _gap("gap_ewma", "Lately {} between its orders"),
    "gap_sd": Telling(0, wholes("gap_sd"), _unsteady),
    "gap_cv": _percent("gap_cv", _uneven),
    "gap_trend": _percent("gap_trend", _gap_trend, 1),
    "pace": Telling(1, _pace_facts, _pace),
    "tenure": Telling(0, wholes("tenure"), _tenure),
    "purchases": _number("purchases", "Days on which it ordered so far: {:,}"),
    "active_share": _number("active_share", "Its orders span {} % of the time since its first one", 100.0),
    "rate": _number("rate", "Orders a year: about {:,}", 365.0),
    "count_quarter": _count("count_quarter", 0.25),
    "count_1": _count("count_1", 1),
    "count_2": _count("count_2", 2),
    "count_4": _count("count_4", 4),
    "count_8": _count("count_8", 8),
    "activity_change": Telling(-1, _frequency_facts, _activity),
    "activity_ewma": Telling(-1, _frequency_facts, _lately),
    "spend_mean": _size("spend_mean", "Its orders are"),
    "spend_last": _size("spend_last", "Its last order was"),
    "spend_sum": _size("spend_sum", "All it bought so far is", "what is usual for"),
    "spend_1": Telling(-1, lambda parts, rows: (_two_figures(parts.column("spend_1")[rows]),), _spend_1),
    "spend_change": Telling(-1, _spend_change_facts, _spend_change),
    "spend_cv": _percent("spend_cv", _spend_cv),
    "spend_last_ratio": _percent("spend_last_ratio", _last_ratio, -1),
    "returns_4": Telling(1, wholes("returns_4"), _returns),
    "return_share": _percent("return_share", _return_share, 1),
    "same_window_last_year": Telling(-1, wholes("same_window_last_year"), _season),
    **SIGNAL_TELLINGS,
}
