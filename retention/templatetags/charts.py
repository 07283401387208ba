"""Charts that the server draws, so they need no script; each has its words and a table beside it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.models import Order
from retention.models import Score
from retention.templatetags.mainstay import money_short, percent, rhythm_words

register = template.Library()

LEFT, TOP, BOTTOM, HEIGHT = 44, 16, 24, 170


@register.simple_tag
def rhythm_chart(
    orders: Sequence[Order],
    as_of: dt.date,
    score: Score | None,
    currency: str,
    width: int = 760,
    days: int = 730,
) -> SafeString:
    """Orders over time as bars, the usual gap after the last one in green, the silence beyond it in red."""
    bars = _bars(orders, as_of, days, most=(width - LEFT) // 5)
    top_value = nice_ceiling(max((amount for _, amount, _ in bars), default=1.0))
    since, gap = (score.days_since_last_order, score.usual_gap_days) if score else (None, None)

    def x(days_ago: float) -> float:
        return LEFT + (width - LEFT - 8) * (1 - min(max(days_ago, 0), days) / days)

    def y(amount: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * amount / top_value

    grid = format_html_join(
        "",
        '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="0" y="{}">{}</text>',
        (
            (LEFT, width, f"{y(v):.1f}", f"{y(v):.1f}", f"{y(v) + 4:.1f}", money_short(v, currency))
            for v in (0, top_value / 2, top_value)
        ),
    )
    drawn = format_html_join(
        "",
        '<rect class="bar{}" x="{}" y="{}" width="3.4" height="{}" rx="1"><title>{}</title></rect>',
        (
            (
                " return" if is_return else "",
                f"{x(ago) - 1.7:.1f}",
                f"{y(amount):.1f}",
                f"{max(y(0) - y(amount), 1):.1f}",
                f"{_date(as_of, ago)}: {money_short(amount, currency)}{' returned' if is_return else ''}",
            )
            for ago, amount, is_return in bars
        ),
    )
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}{}</svg>',
        width,
        HEIGHT,
        f"Orders over {round(days / 365)} years. {rhythm_words(since, gap)}.",
        grid,
        _silence(since, gap, x, y(0)),
        drawn,
        _months(as_of, days, x),
    )


def _date(as_of: dt.date, ago: int) -> str:
    day = as_of - dt.timedelta(days=ago)
    return f"{day.day} {day:%b %Y}"


def _bars(orders: Sequence[Order], as_of: dt.date, days: int, most: int) -> list[tuple[int, float, bool]]:
    """(days ago, amount, is return), one per day, or per week when days would crowd."""
    step = 1
    summed = _sum_by(orders, as_of, days, step)
    if len(summed) > most:
        step = 7 if days <= 7 * most else 14
        summed = _sum_by(orders, as_of, days, step)
    return [(ago, abs(amount), amount < 0) for ago, amount in sorted(summed.items()) if amount]


def _sum_by(orders: Sequence[Order], as_of: dt.date, days: int, step: int) -> dict[int, float]:
    summed: dict[int, float] = {}
    for order in orders:
        ago = (as_of - timezone.localtime(order.ordered_at).date()).days
        if 0 <= ago <= days:
            key = ago // step * step
            summed[key] = summed.get(key, 0.0) + float(order.amount)
    return summed


def _silence(since: int | None, gap: float | None, x: object, base: float) -> SafeString:
    if since is None or not gap or not callable(x):
        return SafeString("")
    height = f"{base - TOP:.1f}"
    end_of_usual = since - gap
    usual = format_html(
        '<rect class="usual" x="{}" y="{}" width="{}" height="{}"/>',
        f"{x(since):.1f}",
        TOP,
        f"{max(x(end_of_usual) - x(since), 0):.1f}",
        height,
    )
    if end_of_usual <= 0:
        return usual
    left = x(end_of_usual)
    label = format_html(
        '<text class="label-bad" x="{}" y="11" text-anchor="end">{} beyond the usual gap</text>',
        f"{x(0):.1f}",
        f"{round(end_of_usual)} day{'s' if round(end_of_usual) != 1 else ''}",
    )
    return format_html(
        '{}<rect class="silence" x="{}" y="{}" width="{}" height="{}"/>{}',
        usual,
        f"{left:.1f}",
        TOP,
        f"{x(0) - left:.1f}",
        height,
        label,
    )


def _months(as_of: dt.date, days: int, x: object) -> SafeString:
    """A month's name every quarter of the width."""
    assert callable(x)
    spots = []
    first = as_of - dt.timedelta(days=days)
    month = first.replace(day=1)
    step = 6 if days > 400 else 3
    while month <= as_of:
        ago = (as_of - month).days
        if month.month % step == 1 and 12 <= ago <= days:
            spots.append((f"{x(ago):.1f}", HEIGHT - 6, f"{month:%b %Y}"))
        month = (month + dt.timedelta(days=32)).replace(day=1)
    return format_html_join("", '<text x="{}" y="{}" text-anchor="middle">{}</text>', spots)


def nice_ceiling(value: float) -> float:
    """The next of 1, 2, 4, 5, 10 times a power of ten: an axis that ends on a round number."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 10) if value <= step * power)


@register.simple_tag
def probability_line(history: Sequence[Score], width: int = 280) -> SafeString:
    """How likely leaving was, run after run, oldest at the left; `history` is newest first."""
    points = list(reversed(history))
    if len(points) < 2:
        return SafeString("")
    first, last = points[0].as_of, points[-1].as_of
    span = max((last - first).days, 1)
    spots = [
        (34 + (width - 44) * (p.as_of - first).days / span, 8 + 70 * (1 - p.churn_probability))
        for p in points
    ]
    return format_html(
        '<svg class="chart" viewBox="0 0 {w} 96" role="img" aria-label="{label}">'
        '<line class="grid" x1="34" x2="{w}" y1="8" y2="8"/><line class="grid" x1="34" x2="{w}" y1="43" y2="43"/>'
        '<line class="grid" x1="34" x2="{w}" y1="78" y2="78"/>'
        '<text x="0" y="12">100 %</text><text x="0" y="47">50 %</text><text x="0" y="82">0</text>'
        '<polyline class="line" points="{line}"/><circle class="dot" cx="{cx}" cy="{cy}" r="3"/>'
        '<text x="34" y="94">{a}</text><text x="{w}" y="94" text-anchor="end">{b}</text></svg>',
        w=width,
        label=f"From {percent(points[0].churn_probability)} to {percent(points[-1].churn_probability)}",
        line=" ".join(f"{px:.1f},{py:.1f}" for px, py in spots),
        cx=f"{spots[-1][0]:.1f}",
        cy=f"{spots[-1][1]:.1f}",
        a=f"{first.day} {first:%b %Y}",
        b=f"{last.day} {last:%b %Y}",
    )
