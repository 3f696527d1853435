import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroshot.figures import text_places

PANEL = (120.0, 90.0)
numbers = st.integers(0, 60).map(float)
boxes = st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=12)


@settings(max_examples=50, deadline=None)
@given(boxes, st.floats(5, 70), st.floats(4, 12))
def test_texts_are_inside_and_none_is_over_another(boxes, width, height):
    corners = text_places.place(boxes, [(width, height)] * len(boxes), PANEL)
    placed = [corner for corner in corners if corner is not None]
    for number, (x, y) in enumerate(placed):
        assert 0 <= x <= PANEL[0] - width + 1e-6 and 0 <= y <= PANEL[1] - height + 1e-6
        for other_x, other_y in placed[:number]:
            assert (
                abs(x - other_x) >= width + text_places.GAP - 1e-6
                or abs(y - other_y) >= height + text_places.GAP - 1e-6
            )


@pytest.mark.parametrize(
    ("box", "corner"),
    [
        ((30, 40, 40, 30), (30, 29)),  # Above.
        ((30, 3, 40, 30), (30, 0)),  # Above, moved into the panel.
        ((100, 40, 19, 30), (90, 29)),  # Above, moved to the left.
    ],
)
def test_a_text_alone_stands_above_its_box(box, corner):
    assert text_places.place([box], [(30, 10)], PANEL) == [pytest.approx(corner)]


def test_other_boxes_stay_visible():
    """Above the lower box is the upper one, so its name goes below it."""
    upper, lower = (10, 20, 60, 20), (10, 45, 60, 20)
    places = text_places.place([upper, lower], [(60, 10)] * 2, PANEL)
    assert places == [pytest.approx((10, 9)), pytest.approx((10, 66))]


def test_without_room_there_is_no_place():
    assert text_places.place([(0, 0, 9, 9)], [(121, 5)], PANEL) == [None]
    corners = text_places.place([(0, 0, 9, 9)] * 4, [(100, 40)] * 4, PANEL)
    assert [corner is None for corner in corners] == [False, False, True, True]


@pytest.mark.parametrize(
    ("one", "other", "line"),
    [
        ((0, 0, 10, 10), (20, 0, 10, 10), ((10, 5), (20, 5))),
        ((20, 30, 10, 10), (0, 0, 10, 10), ((20, 30), (10, 10))),
        ((0, 0, 10, 10), (5, 5, 20, 20), ((7.5, 7.5), (7.5, 7.5))),
    ],
)
def test_shortest_line(one, other, line):
    assert text_places.shortest_line(one, other) == line
