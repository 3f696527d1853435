"""Charts against the numbers that they are made from."""

import numpy as np

from tests.evaluation import test_results_table
from zeroshot.report import charts, class_charts, features_plane, reliability


def series(chart, name):
    return next(trace for trace in chart.data if trace.name == name)


def test_scores_have_a_row_for_each_model_with_its_interval():
    values = {"generalised": test_results_table.metrics(50), "without_bias": test_results_table.metrics(10)}
    metrics = {"zs3net": {**values, "seen_bias": 2.0}, "zs5net": {**values, "seen_bias": 0.0}}
    chart = charts.scores(metrics)
    hiou = series(chart, "hIoU, with its 95 % interval")
    assert list(hiou.y) == ["zs3net", "zs5net"] and list(hiou.x) == [50.94, 50.94]
    np.testing.assert_allclose([*hiou.error_x.array, *hiou.error_x.arrayminus], [1.1, 1.1, 1.0, 1.0])
    assert list(series(chart, "seen mIoU").x) == [52.26] * 2 and list(series(chart, "unseen mIoU").x) == [55.26] * 2
    # A model without a bias has no second point.
    without = series(chart, "hIoU without the bias")
    assert (list(without.x), list(without.y)) == ([10.94], ["zs3net"])


def test_a_model_without_an_interval_has_a_point_without_bars():
    values = test_results_table.metrics(50, unseen=False)
    chart = charts.scores({"seen_only": {"generalised": values, "without_bias": values, "seen_bias": 0.0}})
    hiou = series(chart, "hIoU, with its 95 % interval")
    assert list(hiou.x) == [None] and list(hiou.error_x.array) == [0]


def test_classes_have_a_series_for_each_model_and_unseen_ones_are_marked():
    ious = {"zs3net": {"cow": 40.0, "dog": None}, "zs5net": {"cow": 50.0, "dog": 60.0}}
    chart = charts.classes(ious, ["cow"], ["cow", "dog"])
    assert list(series(chart, "zs3net").x) == [40, None] and list(series(chart, "zs5net").x) == [50, 60]
    assert list(chart.data[0].y) == ["◆ cow", "dog"] == list(chart.layout.yaxis.categoryarray)[::-1]
    # Only the upper row, number 1 from the bottom, is shaded.
    assert [(shape.y0, shape.y1) for shape in chart.layout.shapes] == [(0.5, 1.5)]


def test_series_differ_in_colour_or_marker():
    assert len({(charts.colour(number), charts.symbol(number)) for number in range(56)}) == 56


def test_names_are_no_markup_in_charts():
    assert charts.class_name("<b>a&b</b>", True) == "◆ &lt;b&gt;a&amp;b&lt;/b&gt;"


def test_the_curve_against_the_bias_has_the_mean_over_folds_and_the_chosen_bias():
    folds = {"a": {0.0: 10.0, 1.0: 40.0}, "b": {0.0: 30.0, 1.0: None}}
    chart = charts.against_bias(folds, 1.0, "logits")
    mean = series(chart, "mean over folds")
    assert (list(mean.x), list(mean.y)) == ([0, 1], [20, 40])
    assert [list(trace.y) for trace in chart.data[:2]] == [[10, 40], [30, None]]
    assert [shape.x0 for shape in chart.layout.shapes] == [1]


def test_the_curve_against_p_has_means_in_the_order_of_p():
    chart = charts.against_p({"hIoU": {50.0: [20.0, 40.0], 10.0: [5.0]}}, "pseudo_labels.p")
    assert (list(chart.data[0].x), list(chart.data[0].y)) == ([10, 50], [5, 30])
    assert (list(chart.data[1].x), list(chart.data[1].y)) == ([50, 50, 10], [20, 40, 5])


def test_destinations_have_the_largest_wrong_classes_and_the_rest():
    shares = {"cow": 50.0, "dog": 20.0, "cat": 15.0, "sky": 10.0, "sea": 5.0, "car": 0.0}
    assert class_charts.destinations(shares, "cow", ["cow", "cat"], most=2) == [
        ("correct", "cow", 50.0),
        ("seen", "dog", 20.0),
        ("unseen", "cat", 15.0),
        ("rest", "", 15.0),
    ]


def test_bars_of_the_confusion_add_up_and_their_colours_tell_the_kind():
    rows = {
        "cow": class_charts.destinations({"cow": 60.0, "dog": 40.0}, "cow", ["cow", "cat"]),
        "cat": class_charts.destinations({"cow": 70.0, "cat": 30.0}, "cat", ["cow", "cat"]),
    }
    bars = [trace for trace in class_charts.confusion(rows).data if trace.showlegend is False]
    for number, name in enumerate(rows):
        assert sum(trace.x[list(trace.y).index(name)] for trace in bars) == 100, number
    assert list(bars[0].x) == [60, 30] and list(bars[1].x) == [40, 70]
    assert list(bars[1].marker.color) == [charts.SKY, charts.UNSEEN] and list(bars[1].text) == ["dog 40", "cow 70"]


def test_the_reliability_chart_has_accuracy_at_the_mean_confidence():
    bins = reliability.bins(np.array([0.1, 0.3, 0.9, 0.9]), np.array([False, True, True, False]), n=2)
    chart = class_charts.confidence({"unseen": bins})
    line, bar = chart.data[1], chart.data[2]
    assert (list(line.x), list(line.y)) == ([0.2, 0.9], [0.5, 0.5]) and list(bar.y) == [0.5, 0.5]
    assert line.name == "predicted unseen (error 35.0 %)"


def test_similarity_leaves_out_a_class_with_itself():
    chart = class_charts.similarity(np.array([[1, 0.5], [0.5, 1]]), ["a", "b"], ["a", "b"])
    assert [list(row) for row in chart.data[0].z] == [[None, 0.5], [0.5, None]]


def test_the_plane_has_real_and_synthetic_points_in_the_same_colour():
    real, synthetic = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])
    chart = class_charts.plane(features_plane.Plane({"cow": real}, {"cow": synthetic}, (0.75, 0.25)), ["cow"])
    dots, crosses = chart.data[2:]
    assert (list(dots.x), list(dots.y), list(crosses.x), list(crosses.y)) == ([1], [2], [3, 5], [4, 6])
    assert dots.name == "◆ cow" and dots.marker.color == crosses.marker.color
    assert dots.marker.symbol != crosses.marker.symbol
    assert chart.layout.xaxis.title.text == "1st component (75 % of the variance)"
