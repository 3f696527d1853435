"""The tables in Markdown: layout, means, standard deviations, missing runs and published results."""

import dataclasses
import re
import statistics
import types

import scipy.sparse

from tests.support import comparison_repo
from zeroshot.base import params
from zeroshot.evaluation import bootstrap
from zeroshot.experiments.comparison import (
    catalogue,
    collect,
    curve,
    dvc_experiments,
    markdown_tables,
    published_results,
)

METHODS = {name: params.build(entry, catalogue.Method, name) for name, entry in comparison_repo.METHODS.items()}


def experiment(cell):
    """Return an experiment with the name of the cell that it was run for."""
    return dvc_experiments.Experiment("-".join(map(str, cell)), repr(cell), "0123456789", "", "done", {}, [])


def table_data(values, published=(), run_of=types.MappingProxyType({}), **changes):
    """Return data of tables in which the columns of cell (method, K, seed, swept) are `values[cell]`, `values[cell] + 1` and so on.

    Each cell has its own experiment, except for cells in `run_of`, which maps a cell to another cell with the same experiment.
    """
    entry = comparison_repo.COMPARISON | {"splits": {2: {"data.unseen": ["a"]}, 4: {"data.unseen": ["b"]}}} | changes
    columns = (*collect.COLUMNS, collect.VANILLA)
    results = {
        cell: collect.Result(
            {name: first + step for step, name in enumerate(columns)}, None, experiment(run_of.get(cell, cell)), ()
        )
        for cell, first in values.items()
    }
    return markdown_tables.TableData(params.build(entry, catalogue.Comparison, "tiny"), METHODS, results, published)


def rows(text):
    return [[word.strip() for word in line.strip("|").split("|")] for line in text.splitlines()]


def table(data, *methods):
    return rows(markdown_tables.main_table(data, catalogue.Table("Some", methods)))


def test_columns_are_the_papers():
    head, align, *_ = table(table_data({}), "ZS3Net")
    assert head[3:] == [
        *("Seen PA", "Seen MA", "Seen mIoU"),
        *("Unseen PA", "Unseen MA", "Unseen mIoU"),
        *("Overall PA", "Overall MA", "Overall mIoU"),
        "hIoU",
        "Vanilla mIoU unseen",
    ]
    assert head[:3] == ["K", "Model", "n"] and len(align) == len(head)


def test_rows_are_k_by_method_with_methods_without_unseen_classes_first():
    body = table(table_data({}), "ZS3Net", "Supervised", "GAN")[2:]
    assert [row[:2] for row in body] == [
        ["", "Supervised"],
        ["2", "ZS3Net"],
        ["", "GAN"],
        ["4", "ZS3Net"],
        ["", "GAN"],
    ]


def test_mean_and_standard_deviation_over_seeds():
    body = table(table_data({("GAN", 2, 0, None): 10.0, ("GAN", 2, 1, None): 13.0, ("GAN", 4, 1, None): 5.0}), "GAN")[
        2:
    ]
    deviation = f"{statistics.stdev([10, 13]):.1f}"
    assert body[0][2:] == ["2", *(f"{11.5 + step} ± {deviation}" for step in range(11))]
    assert body[1][2:] == ["1 of 2", *(f"{5.0 + step}" for step in range(11))]


def test_one_run_for_several_seeds_counts_once():
    first, second = ("GAN", 2, 0, None), ("GAN", 2, 1, None)
    data = table_data({first: 10.0, second: 10.0}, run_of={second: first})
    assert table(data, "GAN")[2][2:4] == ["1", "10.0"]
    assert [(row["seed"], row["hIoU"]) for row in markdown_tables.run_rows(data)] == [(0, 19.0)]
    assert table(table_data({first: 10.0, second: 10.0}), "GAN")[2][2:4] == ["2", "10.0 ± 0.0"]


def test_a_missing_result_is_a_dash():
    assert table(table_data({}), "ZS3Net")[2][2:] == ["0 of 2", *["—"] * 11]


def test_published_results_have_separate_columns():
    published = [
        published_results.Published(
            "voc", 2, "ZS3Net", {"seen.mIoU": 72.0, "unseen.mIoU": 35.4, "hIoU": 47.5}, "paper, Table 1"
        ),
        published_results.Published("voc", None, "Supervised", {"seen.mIoU": 76.9}, "paper, Table 1"),
    ]
    data = table_data({("ZS3Net", 2, 0, None): 10.0}, published)
    head, _, *body = table(data, "ZS3Net", "Supervised")
    assert head[14:] == ["*published:* Seen mIoU", "*published:* Unseen mIoU", "*published:* hIoU"]
    assert [row[14:] for row in body] == [["76.9", "—", "—"], ["72.0", "35.4", "47.5"], ["—", "—", "—"]]
    assert body[1][12] == "19.0"
    assert rows(markdown_tables.published_table(data))[2][:6] == ["2", "ZS3Net", "—", "—", "72.0", "—"]


def test_table_of_the_two_protocols_has_every_k():
    data = table_data({("ZS3Net", 4, 0, None): 10.0, ("ZS3Net", 2, 0, None): 50.0})
    head, _, *body = rows(markdown_tables.protocols(data))
    assert head == ["K", "Model", "n", "Generalised", "Vanilla"]
    assert body[0] == ["2", "ZS3Net", "1 of 2", "55.0", "60.0"]
    assert body[4] == ["4", "ZS3Net", "1 of 2", "15.0", "20.0"]
    assert [row[1] for row in body] == ["ZS3Net", "GAN", "DeViSE", "Later"] * 2


def scored(correct):
    """Return a run of 30 images; in image i the unseen class has `correct[i]` right pixels of 10, the seen class 10."""
    counts = [[10, 0, 10 - one, one] for one in correct]
    images = tuple(map(str, range(len(counts))))
    return bootstrap.Scored(images, [scipy.sparse.csr_matrix(counts)], (0,), (1,), "skip")


def test_differences_have_an_interval_and_a_verdict():
    values = {("ZS3Net", 2, 0, None): 10.0, ("GAN", 2, 0, None): 12.5, ("ZS3Net", 4, 0, None): 10.0}
    low, high = [3 + i % 2 for i in range(30)], [6 + i % 2 for i in range(30)]

    def body(first, second):
        images = {("ZS3Net", 2, None): scored(first), ("GAN", 2, None): scored(second)}
        return rows(markdown_tables.differences(dataclasses.replace(table_data(values), scored=images)))[2:]

    below, missing = body(low, high)
    assert below[:5] == ["2", "ZS3Net", "GAN", "1 of 2", "-2.5"] and below[6] == "below"
    bounds = [float(word) for word in below[5].strip("[]").split(",")]
    assert bounds[0] < bounds[1] < 0
    assert body(high, low)[0][6] == "above"
    assert body([*low[:15], *high[15:]], [*high[:15], *low[15:]])[0][6] == "not separable"
    assert missing == ["4", "ZS3Net", "GAN", "0 of 2", "—", "—", "", "0 of 2", "—", "—", ""]
    # Without the images of one of them there is a difference and no verdict.
    alone = dataclasses.replace(table_data(values), scored={("GAN", 2, None): scored(high)})
    assert rows(markdown_tables.differences(alone))[2][:7] == ["2", "ZS3Net", "GAN", "1 of 2", "-2.5", "—", ""]


def test_differences_are_taken_over_the_seeds_that_both_methods_have():
    values = {("ZS3Net", 2, 0, None): 90.0, ("ZS3Net", 2, 1, None): 10.0, ("GAN", 2, 1, None): 12.5}
    low, high = scored([3, 4] * 15), scored([6, 7] * 15)
    best_at_the_other_seed = dataclasses.replace(low, counts=[scored([10] * 30).counts[0], low.counts[0]])
    images = {("ZS3Net", 2, None): best_at_the_other_seed, ("GAN", 2, None): high}
    data = dataclasses.replace(table_data(values), scored=images)
    alone = dataclasses.replace(
        table_data({cell: value for cell, value in values.items() if cell[2] == 1}),
        scored={("ZS3Net", 2, None): low, ("GAN", 2, None): high},
    )
    body = rows(markdown_tables.differences(data))[2]
    assert body == rows(markdown_tables.differences(alone))[2]
    assert body[3:5] == ["1 of 2", "-2.5"] and body[6] == "below"


def test_a_run_without_a_value_is_not_compared():
    values = {("ZS3Net", 2, 0, None): 90.0, ("ZS3Net", 2, 1, None): 10.0}
    values |= {("GAN", 2, 0, None): 50.0, ("GAN", 2, 1, None): 12.5}
    data = table_data(values)
    data.results["GAN", 2, 0, None].metrics["hIoU"] = None
    body = rows(markdown_tables.differences(data))[2]
    assert body[3:5] == ["1 of 2", "-2.5"] and body[7:9] == ["2", "+18.8"]


def test_a_run_for_all_seeds_is_compared_with_the_runs_of_each():
    first, second = ("ZS3Net", 2, 0, None), ("ZS3Net", 2, 1, None)
    values = {first: 10.0, second: 10.0, ("GAN", 2, 0, None): 11.0, ("GAN", 2, 1, None): 14.0}
    body = rows(markdown_tables.differences(table_data(values, run_of={second: first})))[2]
    assert body[3:5] == ["2", "-2.5"]


def test_differences_in_the_vanilla_protocol_have_their_own_images():
    values = {("ZS3Net", 2, 0, None): 10.0, ("GAN", 2, 0, None): 12.5}
    hiou = {("ZS3Net", 2, None): scored([6, 7] * 15), ("GAN", 2, None): scored([3, 4] * 15)}
    vanilla = {("ZS3Net", 2, None): scored([3, 4] * 15), ("GAN", 2, None): scored([6, 7] * 15)}
    data = dataclasses.replace(table_data(values), scored=hiou, vanilla=vanilla)
    (_, _, body, *_) = rows(markdown_tables.differences(data))
    assert (body[6], body[8], body[10]) == ("above", "-2.5", "below")
    low, high = (float(word) for word in body[9].strip("[]").split(","))
    assert low < high < 0
    assert re.fullmatch(r"20\.0 \[\d+\.\d, \d+\.\d\]", table(data, "ZS3Net")[2][13])


def test_hiou_has_the_interval_of_its_images():
    data = dataclasses.replace(
        table_data({("ZS3Net", 2, 0, None): 10.0}), scored={("ZS3Net", 2, None): scored([5, 6] * 15)}
    )
    assert re.fullmatch(r"19\.0 \[\d+\.\d, \d+\.\d\]", table(data, "ZS3Net")[2][12])


def test_missing_hiou_has_no_interval():
    data = dataclasses.replace(
        table_data({("ZS3Net", 2, 0, None): 10.0}), scored={("ZS3Net", 2, None): scored([5, 6] * 15)}
    )
    for result in data.results.values():
        result.metrics["hIoU"] = None
    assert table(data, "ZS3Net")[2][12] == markdown_tables.MISSING


def test_images_without_an_unseen_class_give_no_interval_and_no_verdict():
    counts = scipy.sparse.csr_matrix([[10, 1, 0, 0]] * 30)
    unshown = bootstrap.Scored(tuple(map(str, range(30))), [counts], (0,), (1,), "skip")
    values = {("ZS3Net", 2, 0, None): 10.0, ("GAN", 2, 0, None): 12.5}
    data = dataclasses.replace(table_data(values), scored={("ZS3Net", 2, None): unshown, ("GAN", 2, None): unshown})
    assert table(data, "ZS3Net")[2][12] == "19.0"
    assert rows(markdown_tables.differences(data))[2][5:7] == [markdown_tables.MISSING, ""]


def test_spread_of_missing_metrics():
    assert markdown_tables.spread([]) is None and markdown_tables.spread([None]) is None
    assert markdown_tables.spread([None, 2.0]) == markdown_tables.Spread(2.0, None)


def test_metrics_of_a_file_without_unseen_classes():
    none = dict.fromkeys(("PA", "MA", "mIoU"))
    content = {"generalised": {"seen": none, "unseen": none, "all": none, "hIoU": None}, "vanilla": None}
    assert collect.metrics(content, "generalised") == dict.fromkeys((*collect.COLUMNS, collect.VANILLA))


def test_metrics_that_dvc_omits_are_none():
    some = {"PA": 3.0, "MA": 2.0, "mIoU": 1.0}
    body = collect.metrics({"generalised": {"seen": some, "all": some}}, "generalised")
    assert {name: value for name, value in body.items() if value is not None} == {
        f"{group}.{name}": value for group in ("seen", "all") for name, value in some.items()
    }
    assert set(body) == {*collect.COLUMNS, collect.VANILLA}


SWEEP = {"methods": ["GAN"], "k": 2, "parameter": "gmmn.seed", "values": [1, 5, 9]}


def test_the_curve_has_three_lines_and_is_reproducible():
    values = {("GAN", 2, 0, 1): 20.0, ("GAN", 2, 1, 1): 24.0, ("GAN", 2, 0, 9): 40.0}
    text = curve.draw(table_data(values, sweep=SWEEP))
    assert text == curve.draw(table_data(values, sweep=SWEEP))
    assert text.startswith("<?xml")
    assert {"seen mIoU", "unseen mIoU", "hIoU", "gmmn.seed", "GAN, K = 2"} <= set(re.findall(">([^<>]+)</text>", text))
    assert text != curve.draw(table_data(values | {("GAN", 2, 0, 9): 41.0}, sweep=SWEEP))


def test_there_is_no_curve_without_a_sweep_or_a_run_of_it():
    assert curve.draw(table_data({})) is None
    assert curve.draw(table_data({("GAN", 2, 0, None): 3.0}, sweep=SWEEP)) is None


SEVERAL = {"methods": ["ZS3Net", "GAN"], "k": 2, "parameter": "gmmn.seed", "values": [1, 5, 9]}


def test_curves_of_several_methods_have_a_panel_for_each_metric_and_one_for_differences():
    values = {("ZS3Net", 2, 0, 1): 30.0, ("ZS3Net", 2, 0, 9): 35.0, ("GAN", 2, 0, 1): 20.0, ("GAN", 2, 0, 9): 33.0}
    text = curve.draw(table_data(values, sweep=SEVERAL))
    assert text == curve.draw(table_data(values, sweep=SEVERAL))
    shown = re.findall(">([^<>]+)</text>", text)
    assert {"seen mIoU", "unseen mIoU", "hIoU", "differences of hIoU", "ZS3Net - GAN"} <= set(shown)
    assert shown.count("GAN") == shown.count("ZS3Net") == 3 and shown.count("gmmn.seed") == 4
    alone = curve.draw(table_data(values, sweep=SEVERAL, differences=[["ZS3Net", "DeViSE"]]))
    assert "differences of hIoU" not in alone and alone.count(">gmmn.seed</text>") == 3


def test_the_panel_of_differences_has_the_seeds_of_both_methods():
    shared = {("ZS3Net", 2, 0, 1): 30.0, ("ZS3Net", 2, 0, 9): 35.0, ("GAN", 2, 0, 1): 20.0, ("GAN", 2, 0, 9): 33.0}
    texts = [curve.draw(table_data(values, sweep=SEVERAL)) for values in (shared, shared | {("GAN", 2, 1, 1): 60.0})]
    panels = [re.split(r'(?=<g id="axes_4">)', text) for text in texts]
    assert panels[0][0] != panels[1][0]
    assert panels[0][1] == panels[1][1]


def test_the_table_of_a_sweep_has_a_row_for_each_value_and_method():
    values = {("ZS3Net", 2, 0, 1): 30.0, ("ZS3Net", 2, 1, 1): 30.0, ("GAN", 2, 0, 1): 20.0}
    data = table_data(values, sweep=SEVERAL)
    head, _, *body = rows(markdown_tables.swept_table(data, data.comparison.sweep))
    assert head == ["`gmmn.seed`", "Model", "n", "Seen mIoU", "Unseen mIoU", "hIoU", "Vanilla mIoU"]
    assert body[:3] == [
        ["1", "ZS3Net", "2", "32.0 ± 0.0", "35.0 ± 0.0", "39.0 ± 0.0", "40.0 ± 0.0"],
        ["", "GAN", "1 of 2", "22.0", "25.0", "29.0", "30.0"],
        ["5", "ZS3Net", "0 of 2", *["—"] * 4],
    ]


def test_differences_at_the_values_of_a_sweep_have_the_intervals_of_their_runs():
    values = {("ZS3Net", 2, 0, 1): 10.0, ("GAN", 2, 0, 1): 12.5}
    low, high = scored([3, 4] * 15), scored([6, 7] * 15)
    images = {("ZS3Net", 2, 1): low, ("GAN", 2, 1): high, ("ZS3Net", 2, None): high, ("GAN", 2, None): low}
    pairs = [["ZS3Net", "GAN"], ["ZS3Net", "DeViSE"]]
    data = dataclasses.replace(table_data(values, sweep=SEVERAL, differences=pairs), scored=images)
    body = rows(markdown_tables.swept_differences(data, data.comparison.sweep))[2:]
    assert [row[:5] for row in body] == [
        ["1", "ZS3Net", "GAN", "1 of 2", "-2.5"],
        ["5", "ZS3Net", "GAN", "0 of 2", "—"],
        ["9", "ZS3Net", "GAN", "0 of 2", "—"],
    ]
    assert body[0][6] == "below"


def test_a_method_that_reads_labels_of_unseen_classes_is_marked():
    marked = dataclasses.replace(METHODS["GAN"], reads_unseen=True)
    data = dataclasses.replace(table_data({}), methods=METHODS | {"GAN": marked})
    assert [row[1] for row in table(data, "ZS3Net", "GAN")[2:4]] == ["ZS3Net", "GAN †"]
    assert "GAN †" in markdown_tables.protocols(data) and "GAN †" in markdown_tables.differences(data)
