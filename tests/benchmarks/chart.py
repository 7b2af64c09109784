"""A chart of what was there when, as an SVG that reads well on light and on dark pages. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, PANEL, TOP, GAP = 760, 230, 64, 62
LEFT, RIGHT = 58, 736
# More points than there are pixels say nothing.
MOST_POINTS = 240

# Written out, not as variables: some that draw SVG know none.
STYLE = """
.paper { fill: #ffffff } .grid { stroke: #d9dee3; stroke-width: 1 }
text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #59636e }
.title { font-size: 14px; font-weight: 600; fill: #1f2328 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.a, .b { stroke: #0b6bcb } .c, .d { stroke: #c2410c } .b, .d { stroke-dasharray: 6 3 }
@media (prefers-color-scheme: dark) {
  .paper { fill: #0d1117 } .grid { stroke: #30363d } text { fill: #9198a1 } .title { fill: #e6edf3 }
  .a, .b { stroke: #58a6ff } .c, .d { stroke: #f79a5e }
}
""".strip()


@dataclass(frozen=True, slots=True)
class Curve:
    """How many were there at each time: the times at which one more was. `look` is one of a to d in the style."""

    name: str
    look: str
    times: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves on one pair of axes, x in `unit`."""

    title: str
    unit: str
    curves: tuple[Curve, ...]


def draw(title: str, panels: Sequence[Panel]) -> str:
    """The whole drawing: a title, a legend, and the panels one below the other."""
    height = TOP + len(panels) * (PANEL + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        _text(LEFT, 24, title, "title"),
        *_legend(panels[0].curves if panels else ()),
    ]
    for index, panel in enumerate(panels):
        parts += _panel(panel, TOP + index * (PANEL + GAP))
    return "\n".join([*parts, "</svg>", ""])


def _legend(curves: Sequence[Curve]) -> list[str]:
    parts, left = [], float(LEFT)
    for curve in curves:
        parts += [f'<path class="line {curve.look}" d="M{left:.0f} 42h26"/>', _text(left + 32, 46, curve.name)]
        left += 32 + 7 * len(curve.name) + 18
    return parts


def _panel(panel: Panel, top: float) -> list[str]:
    longest = max((curve.times[-1] for curve in panel.curves if curve.times), default=1.0)
    most = max(1, *(len(curve.times) for curve in panel.curves))
    step, tall = nice(longest), nice(most)
    right_end, top_end = math.ceil(longest / step) * step, math.ceil(most / tall) * tall
    bottom = top + PANEL

    def x(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * value / right_end

    def y(value: float) -> float:
        return bottom - (PANEL - 24) * value / top_end

    parts = [_text(LEFT, top + 14, panel.title, "title")]
    for index in range(round(top_end / tall) + 1):
        at = y(index * tall)
        parts += [
            f'<path class="grid" d="M{LEFT} {at:.1f}H{RIGHT}"/>',
            _text(LEFT - 8, at + 4, f"{index * tall:g}", anchor="end"),
        ]
    for index in range(round(right_end / step) + 1):
        parts.append(_text(x(index * step), bottom + 18, f"{index * step:g}", anchor="middle"))
    parts.append(_text(RIGHT, bottom + 34, panel.unit, anchor="end"))
    for curve in panel.curves:
        points = " ".join(f"{x(at):.1f},{y(count):.1f}" for at, count in steps(curve.times))
        parts.append(
            f'<polyline class="line {curve.look}" points="{points}"><title>{escape(curve.name)}</title></polyline>'
        )
    return parts


def steps(times: Sequence[float]) -> list[tuple[float, int]]:
    """Points of the curve, from nothing to all; no more of them than can be seen."""
    if not times:
        return []
    stride = max(len(times) // MOST_POINTS, 1)
    chosen = [*range(0, len(times), stride), len(times) - 1]
    return [(0.0, 0), *((times[index], index + 1) for index in dict.fromkeys(chosen))]


def nice(span: float) -> float:
    """A round distance between marks, so that some five of them cover the span."""
    rough = max(span, 1e-9) / 5
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)


def _text(x: float, y: float, words: str, look: str = "", anchor: str = "start") -> str:
    chosen = f' class="{look}"' if look else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{chosen}>{escape(words)}</text>'
