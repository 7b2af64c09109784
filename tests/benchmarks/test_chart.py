"""The chart is a drawing that any reader of SVG takes, with all of its points inside."""

from xml.etree import ElementTree as ET

import pytest

from tests.benchmarks import chart
from tests.benchmarks.chart import Curve, Panel

SVG = "{http://www.w3.org/2000/svg}"


def drawing(*curves: Curve) -> ET.Element:
    return ET.fromstring(chart.draw("Bursts & more", [Panel("200 deals", "minutes", curves)] * 2))


def test_every_curve_is_drawn_in_every_panel():
    root = drawing(Curve("ours", "a", (1, 2, 3)), Curve("theirs", "c", (5, 9)))
    assert len(root.findall(f"{SVG}polyline")) == 4


def test_every_point_is_inside():
    root = drawing(Curve("ours", "a", tuple(float(n) for n in range(1, 1001))))
    height = float(root.attrib["height"])
    for line in root.findall(f"{SVG}polyline"):
        points = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        assert len(points) <= 2 * chart.MOST_POINTS
        assert all(chart.LEFT <= x <= chart.RIGHT and 0 <= y <= height for x, y in points)


def test_a_chart_of_nothing_is_still_one():
    assert drawing(Curve("ours", "a", ())).findall(f"{SVG}polyline")


def test_a_curve_ends_with_all_of_them():
    assert chart.steps([1.0, 2.0, 4.0])[-1] == (4.0, 3)
    assert chart.steps([]) == []


@pytest.mark.parametrize(("span", "between"), [(10, 2), (9, 2), (3.4, 1), (1000, 200), (0.9, 0.2)])
def test_marks_are_round(span, between):
    assert chart.nice(span) == pytest.approx(between)
