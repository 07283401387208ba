"""Control charts, drawn by the server; the table beside each says the same."""

from __future__ import annotations

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from pulsecheck.control_chart import Chart, Point, Verdict
from retention.templatetags.charts import nice_ceiling
from retention.templatetags.mainstay import percent

register = template.Library()

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 230, 40, 14, 28
WORDS = {
    Verdict.HIGH: "stands out",
    Verdict.LOW: "better than usual",
    Verdict.USUAL: "usual",
    Verdict.CANNOT_TELL: "cannot tell yet",
}


@register.filter
def verdict_words(verdict: Verdict) -> str:
    """What a point says, in words."""
    return WORDS[verdict]


@register.simple_tag
def p_chart_svg(chart: Chart) -> SafeString:
    """Shares month by month as dots on a line, the usual share, and the limits as a band as wide as each month's size
    demands. Months too small to tell are hollow; what stands out is a red square."""
    if chart.centre is None:
        return SafeString("")
    highest = max(
        [point.share or 0 for point in chart.points]
        + [
            point.limits.upper
            for point in chart.points
            if point.limits and point.verdict != Verdict.CANNOT_TELL
        ]
        + [chart.centre * 2]
    )
    top = min(1.0, nice_ceiling(highest * 100) / 100)
    step = (WIDTH - LEFT) / max(len(chart.points), 1)

    def x(position: float) -> float:
        return LEFT + step * position

    def y(share: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(share, top) / top

    ticks = [(f"{y(v):.1f}", f"{y(v) + 4:.1f}", percent(v)) for v in (0.0, top / 2, top)]
    return format_html(
        '<svg class="chart control" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}{}{}{}</svg>',
        WIDTH,
        HEIGHT,
        _label(chart),
        format_html_join(
            "",
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{{0}}" y2="{{0}}"/><text x="0" y="{{1}}">{{2}}</text>',
            ticks,
        ),
        _band(chart, x, y),
        format_html(
            '<line class="centre" x1="{}" x2="{}" y1="{}" y2="{}"/>',
            LEFT, WIDTH, f"{y(chart.centre):.1f}", f"{y(chart.centre):.1f}",
        ),
        _line(chart, x, y),
        format_html_join("", "{}", ((_dot(point, x(n + 0.5), y),) for n, point in enumerate(chart.points))),
        format_html_join(
            "",
            '<text x="{}" y="{}" text-anchor="middle">{}</text>',
            (
                (f"{x(n + 0.5):.1f}", HEIGHT - 8, point.group.label.split()[0])
                for n, point in enumerate(chart.points)
            ),
        ),
    )  # fmt: skip


def _label(chart: Chart) -> str:
    high = [point.group.label for point in chart.points if point.verdict == Verdict.HIGH]
    return f"Usual share {percent(chart.centre)}. " + (
        f"Above the limit: {', '.join(high)}." if high else "No month stands out."
    )


def _band(chart: Chart, x, y) -> SafeString:
    """Where chance alone moves a month, drawn for those that can be judged."""
    return format_html_join(
        "",
        '<rect class="usual" x="{}" y="{}" width="{}" height="{}"/>',
        (
            (
                f"{x(n):.1f}",
                f"{y(point.limits.upper):.1f}",
                f"{x(1) - x(0):.1f}",
                f"{y(point.limits.lower) - y(point.limits.upper):.1f}",
            )
            for n, point in enumerate(chart.points)
            if point.limits and point.verdict != Verdict.CANNOT_TELL
        ),
    )


def _line(chart: Chart, x, y) -> SafeString:
    spots = [
        f"{x(n + 0.5):.1f},{y(point.share):.1f}"
        for n, point in enumerate(chart.points)
        if point.share is not None
    ]
    return format_html('<polyline class="line" points="{}"/>', " ".join(spots))


def _dot(point: Point, at: float, y) -> SafeString:
    if point.share is None:
        return SafeString("")
    says = f"{point.group.label}: {point.group.cases} of {point.group.size} ({percent(point.share)}), {WORDS[point.verdict]}"
    height = y(point.share)
    if point.verdict == Verdict.HIGH:
        return format_html(
            '<rect class="out" x="{}" y="{}" width="10" height="10"><title>{}</title></rect>',
            f"{at - 5:.1f}", f"{height - 5:.1f}", says,
        )  # fmt: skip
    return format_html(
        '<circle class="dot{}" cx="{}" cy="{}" r="4"><title>{}</title></circle>',
        " open" if point.verdict == Verdict.CANNOT_TELL else "",
        f"{at:.1f}",
        f"{height:.1f}",
        says,
    )
