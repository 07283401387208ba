"""Words, numbers and small pictures as every page writes them; docs/design.md shows each in use.

Row-level parts are Python, not templates, because lists repeat them hundreds of times.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from accounts.models import User
from retention.models import Tier

register = template.Library()

SIGNS = {"EUR": "€", "GBP": "£", "USD": "$", "JPY": "¥"}
GAP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
ICON_FOLDER = settings.NODE_MODULES / "@tabler/icons/icons/outline"


# ── icons ──────────────────────────────────────────────────────────────
@lru_cache(maxsize=512)
def _icon_shapes(name: str) -> str:
    """What stands inside the <svg> of a Tabler icon. A wrong name is a mistake of ours and fails loudly."""
    source = (ICON_FOLDER / f"{name}.svg").read_text()
    found = re.search(r"<svg[^>]*>(.*)</svg>", source, re.DOTALL)
    if found is None:
        raise ValueError(f"The icon file {name}.svg holds no drawing.")
    return " ".join(found[1].split())


@register.simple_tag
@lru_cache(maxsize=1024)
def icon(name: str, label: str = "") -> SafeString:
    """A Tabler outline icon, decorative unless `label` says what it means."""
    meaning = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html(
        '<svg class="icon" {} viewBox="0 0 24 24" fill="none" stroke="currentColor"'
        ' stroke-linecap="round" stroke-linejoin="round">{}</svg>',
        meaning,
        mark_safe(_icon_shapes(name)),  # noqa: S308 - from the icon package, not from people
    )


# ── numbers ────────────────────────────────────────────────────────────
def _signed(text: str, currency: str) -> str:
    minus, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    sign = SIGNS.get(currency)
    return f"{minus.replace('-', MINUS)}{sign or currency + GAP}{digits}"


@register.filter
def money(amount: Decimal | float | None, currency: str = "EUR") -> str:
    """€48,200; small sums keep their cents (€12.50); nothing known is a dash."""
    if amount is None:
        return "–"
    value = Decimal(str(amount))
    whole = abs(value) >= 100 or value == value.to_integral_value()
    return _signed(f"{value:,.0f}" if whole else f"{value:,.2f}", currency)


@register.filter
def money_short(amount: Decimal | float | None, currency: str = "EUR") -> str:
    """€1.2M, €48k, €950: for axes and narrow places."""
    if amount is None:
        return "–"
    value = float(amount)
    for size, letter in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            scaled = value / size
            digits = f"{scaled:.0f}" if abs(scaled) >= 10 else f"{scaled:.1f}".removesuffix(".0")
            return _signed(digits + letter, currency)
    return _signed(f"{value:.0f}", currency)


@register.filter
def percent(share: float | Decimal | None, decimals: int = 0) -> str:
    """A share 0..1 as "71 %"; what is nearly all or nearly nothing is not said to be so ("> 99 %", "< 1 %")."""
    if share is None:
        return "–"
    shown, least = f"{float(share) * 100:.{decimals}f}", 10.0**-decimals
    if 0.0 < share < 1.0 and float(shown) in (0.0, 100.0):
        shown = f">{GAP}{100 - least:.{decimals}f}" if share > 0.5 else f"<{GAP}{least:.{decimals}f}"
    return f"{shown}{GAP}%".replace("-", MINUS)


@register.filter
def number(value: float | int | Decimal | None) -> str:
    """12,345."""
    return "–" if value is None else f"{value:,.0f}".replace("-", MINUS)


@register.filter
def plural(count: int, words: str) -> str:
    """{{ 3|plural:"account,accounts" }} -> 3 accounts."""
    one, many = words.split(",")
    return f"{count:,}{GAP}{one if count == 1 else many}"


@register.filter
def points(value: float) -> str:
    """Percentage points with a sign: +28, −6."""
    rounded = round(value)
    return f"{MINUS if rounded < 0 else '+' if rounded > 0 else ''}{abs(rounded)}"


@register.simple_tag
def delta(change: float | Decimal | None, text: str = "", good: str = "down") -> SafeString:
    """A change since before: an arrow, the amount (`text`, else whole points) and whether that is good news.

    `good` is "up", "down" or "none". Nothing is shown when there is nothing to compare or nothing changed.
    """
    if change is None or (not text and not round(change)):
        return SafeString("")
    return _arrow(change > 0, text or str(abs(round(change))), good)


@lru_cache(maxsize=1024)
def _arrow(rises: bool, text: str, good: str) -> SafeString:
    tone = "" if good == "none" else "good" if (good == "up") == rises else "bad"
    arrow, word = ("▲", "up") if rises else ("▼", "down")
    return format_html(
        '<span class="delta {}"><span aria-hidden="true">{}</span><span class="visually-hidden">{}</span> {}</span>',
        tone,
        arrow,
        word,
        text,
    )


# ── dates ──────────────────────────────────────────────────────────────
def day_text(day: dt.date, today: dt.date) -> str:
    """3 Nov, with the year when it is another one."""
    return f"{day.day} {day:%b}" if day.year == today.year else f"{day.day} {day:%b %Y}"


def relative_day(day: dt.date, today: dt.date) -> str:
    """today, yesterday, 5 days ago, in 12 days; further off the date itself."""
    days = (day - today).days
    near = {0: "today", -1: "yesterday", 1: "tomorrow"}
    if days in near:
        return near[days]
    if abs(days) <= 45:
        return f"in {days} days" if days > 0 else f"{-days} days ago"
    return day_text(day, today)


def _relative_moment(moment: dt.datetime, now: dt.datetime) -> str:
    minutes = int((now - moment).total_seconds() // 60)
    if 0 <= minutes < 1:
        return "just now"
    if 0 <= minutes < 60:
        return f"{minutes} min ago"
    if 0 <= minutes < 8 * 60:
        return f"{minutes // 60} h ago"
    return relative_day(timezone.localtime(moment).date(), timezone.localtime(now).date())


@register.filter
def when(value: dt.date | dt.datetime | None) -> SafeString:
    """A date or time in words, with the exact one on hover."""
    if value is None:
        return SafeString("–")
    if isinstance(value, dt.datetime):
        local = timezone.localtime(value)
        return _time(
            local.isoformat(timespec="minutes"),
            f"{local.day} {local:%B %Y, %H:%M}",
            _relative_moment(value, timezone.now()),
        )
    return _day_in_words(value, timezone.localdate())


@register.filter
def day(value: dt.date | dt.datetime | None) -> SafeString:
    """The date itself, short (Tue 24 Nov), with the full one on hover."""
    if value is None:
        return SafeString("–")
    plain = timezone.localtime(value).date() if isinstance(value, dt.datetime) else value
    return _short_day(plain, timezone.localdate())


# Kept: a list names the same few days on every row.
@lru_cache(maxsize=4096)
def _day_in_words(day: dt.date, today: dt.date) -> SafeString:
    return _time(day.isoformat(), _full_day(day), relative_day(day, today))


@lru_cache(maxsize=4096)
def _short_day(day: dt.date, today: dt.date) -> SafeString:
    weekday = f"{day:%a} " if abs((day - today).days) < 60 else ""
    return _time(day.isoformat(), _full_day(day), weekday + day_text(day, today))


def _full_day(day: dt.date) -> str:
    return f"{day:%A}, {day.day} {day:%B %Y}"


def _time(exact: str, title: str, text: str) -> SafeString:
    """Words of our own only, so nothing needs escaping."""
    return SafeString(f'<time datetime="{exact}" title="{title}">{text}</time>')


# ── parts ──────────────────────────────────────────────────────────────
@register.simple_tag
@lru_cache(maxsize=16)
def tier_badge(tier: str | None) -> SafeString:
    """Word, colour and shape of a tier."""
    if not tier:
        return SafeString('<span class="tier">Not scored</span>')
    return format_html('<span class="tier {}">{}</span>', tier, Tier(tier).label)


@register.simple_tag
def state(label: str, tone: str = "") -> SafeString:
    """A state with colour and shape; tone: good, bad, wait, busy or nothing."""
    return format_html('<span class="state {}">{}</span>', tone, label)


@register.simple_tag
def define(href: str, label: str = "Definition") -> SafeString:
    """The "?" that opens what a number means."""
    return format_html('<a class="define" href="{}" aria-label="{}" title="{}">?</a>', href, label, label)


@register.simple_tag
def owner(user: User | None, duty: str = "Owner") -> SafeString:
    """One person as initials; a dashed question mark where nobody is."""
    if user is None:
        return _initials("", duty, has_left=False)
    return _initials(user.name, duty, has_left=user.left_on is not None or not user.is_active)


@lru_cache(maxsize=4096)
def _initials(name: str, duty: str, *, has_left: bool) -> SafeString:
    """Kept: lists repeat the same few people on every row."""
    if not name:
        return format_html(
            '<span class="owner missing" role="img" aria-label="{0}: nobody" title="{0}: nobody">?</span>',
            duty,
        )
    return format_html(
        '<span class="owner{}" role="img" aria-label="{}" title="{}">{}</span>',
        " gone" if has_left else "",
        text := f"{duty}: {name}{', has left' if has_left else ''}",
        text,
        User(name=name).initials,
    )


@register.simple_tag
def owners(account: Any) -> SafeString:
    """Both parents of an account: who won it and who looks after it now."""
    won, care = (
        owner(account.original_salesperson, "Won by"),
        owner(account.account_manager, "Looked after by"),
    )
    return SafeString(f'<span class="owners">{won}{care}</span>')


@register.simple_tag
def bar(value: float, largest: float, smallest: float = 0.0) -> SafeString:
    """One bar of a set on a shared zero line: `largest` >= 0 >= `smallest` are the ends of the set."""
    span = max(largest - smallest, 1e-9)
    zero = 100 * -smallest / span
    width = max(100 * abs(value) / span, 0.8)
    start = zero if value >= 0 else zero - width
    return format_html(
        '<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="zero" x1="{z}" x2="{z}" y1="0" y2="10" vector-effect="non-scaling-stroke"/>'
        '<rect class="{c}" x="{x}" y="1" width="{w}" height="8" rx=".6"/></svg>',
        z=f"{zero:.1f}",
        c="up" if value >= 0 else "down",
        x=f"{start:.1f}",
        w=f"{width:.1f}",
    )


@register.simple_tag
def sparkline(values: Sequence[float], label: str) -> SafeString:
    """A trend too small to read exactly; `label` says it in words."""
    if len(values) < 2:
        return SafeString("")
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = 70 / (len(values) - 1)
    spots = [(1 + i * step, 18 - 16 * (v - low) / span) for i, v in enumerate(values)]
    return format_html(
        '<svg class="spark" viewBox="0 0 72 20" role="img" aria-label="{}"><polyline class="line" points="{}"/>'
        '<circle class="dot" cx="{}" cy="{}" r="2"/></svg>',
        label,
        " ".join(f"{x:.1f},{y:.1f}" for x, y in spots),
        f"{spots[-1][0]:.1f}",
        f"{spots[-1][1]:.1f}",
    )


STRIP_DAYS = 365
STRIP_WIDTH = 148.0


def rhythm_words(days_since: int | None, usual_gap: float | None) -> str:
    """The strip in a sentence, for those who do not see it."""
    if days_since is None:
        return "No orders yet"
    usual = f", usually every {max(round(usual_gap), 1)}" if usual_gap else ""
    return f"Last order {days_since} days ago{usual}"


@register.simple_tag
def rhythm(
    order_days: Iterable[int], days_since: int | None = None, usual_gap: float | None = None
) -> SafeString:
    """The rhythm strip: each order a tick on the last year, the usual gap after the last one in green, silence
    beyond it in red. `order_days` are days before "now" (0 = now)."""
    shown = sorted({d for d in order_days if 0 <= d <= STRIP_DAYS})

    def x(days_ago: float) -> float:
        return STRIP_WIDTH * (1 - min(max(days_ago, 0), STRIP_DAYS) / STRIP_DAYS)

    bands = ""
    if days_since is not None and usual_gap:
        expected_until = days_since - usual_gap
        bands = _band("usual", x(days_since), x(expected_until))
        if expected_until > 0:
            bands += _band("silence", x(expected_until), x(0))
    ticks = "".join([f"M{x(d):.1f} 5V21" for d in shown])
    words = rhythm_words(days_since, usual_gap)
    # Numbers and words of our own only, so nothing needs escaping; lists draw fifty of these.
    return SafeString(
        f'<svg class="rhythm" viewBox="0 0 150 26" role="img" aria-label="{words}; {len(shown)} order days in the'
        f' last year"><title>{words}</title><path class="base" d="M0 23.5H148"/>{bands}<path class="tick" d="{ticks}"/>'
        '<path class="now" d="M148.5 2V24"/></svg>'
    )


def _band(kind: str, left: float, right: float) -> str:
    width = max(right - left, 0)
    return f'<rect class="{kind}" x="{left:.1f}" y="6" width="{width:.1f}" height="14"/>'


@register.simple_tag
def progress(done: float, total: float, label: str) -> SafeString:
    """How far something is; an unknown total shows a moving bar."""
    if total <= 0:
        return format_html('<progress aria-label="{}"></progress>', label)
    return format_html(
        '<progress max="{}" value="{}" aria-label="{}"></progress>', total, min(done, total), label
    )


@register.inclusion_tag("components/empty.html")
def empty_state(icon: str, title: str, text: str = "", href: str = "", label: str = "") -> dict[str, str]:
    """What a list says when it is empty, and the next step."""
    return {"icon": icon, "title": title, "text": text, "href": href, "label": label}


@register.inclusion_tag("components/pager.html")
def pager(page: Any) -> dict[str, Any]:
    """First and next of a keyset-paged list (accounts.paging.Page)."""
    return {"page": page}


@register.filter
def get(mapping: dict[Any, Any], key: Any) -> Any:
    """mapping[key], None where there is none."""
    return mapping.get(key)
