"""The tables in Markdown: their layout, means, spreads, what is missing, and what is published."""

import re
import statistics
import types

from tests.support import comparison_repo
from zeroshot.base import params
from zeroshot.experiments.comparison import (
    catalogue,
    collect,
    curve,
    dvc_experiments,
    markdown_tables,
    published_figures,
    spread,
)

METHODS = {name: params.build(entry, catalogue.Method, name) for name, entry in comparison_repo.METHODS.items()}


def experiment(cell):
    """Return an experiment named after the cell that it was run for."""
    return dvc_experiments.Experiment("-".join(map(str, cell)), repr(cell), "0123456789", "", "done", {}, [])


def board(values, printed=(), run_of=types.MappingProxyType({}), **changes):
    """Return a board on which the columns of cell (method, K, seed, swept) count up from `values[cell]` in steps of one.

    Each cell has an experiment of its own, but for those of `run_of`: cell -> the cell with whose experiment it is filled.
    """
    entry = comparison_repo.COMPARISON | {"splits": {2: {"data.unseen": ["a"]}, 4: {"data.unseen": ["b"]}}} | changes
    columns = (*collect.COLUMNS, collect.VANILLA)
    results = {
        cell: collect.Result(
            {name: first + step for step, name in enumerate(columns)}, experiment(run_of.get(cell, cell)), ()
        )
        for cell, first in values.items()
    }
    return markdown_tables.Board(params.build(entry, catalogue.Comparison, "tiny"), METHODS, results, printed)


def rows(text):
    return [[word.strip() for word in line.strip("|").split("|")] for line in text.splitlines()]


def table(shown, *methods):
    return rows(markdown_tables.figures(shown, catalogue.Table("Some", methods)))


def test_columns_are_the_papers():
    head, align, *_ = table(board({}), "ZS3Net")
    assert head[3:] == [
        *("Seen PA", "Seen MA", "Seen mIoU"),
        *("Unseen PA", "Unseen MA", "Unseen mIoU"),
        *("Overall PA", "Overall MA", "Overall mIoU"),
        "hIoU",
    ]
    assert head[:3] == ["K", "Model", "n"] and len(align) == len(head)


def test_rows_are_k_by_method_and_what_has_no_unseen_class_comes_first():
    found = table(board({}), "ZS3Net", "Supervised", "GAN")[2:]
    assert [row[:2] for row in found] == [
        ["", "Supervised"],
        ["2", "ZS3Net"],
        ["", "GAN"],
        ["4", "ZS3Net"],
        ["", "GAN"],
    ]


def test_mean_and_spread_over_seeds():
    found = table(board({("GAN", 2, 0, None): 10.0, ("GAN", 2, 1, None): 13.0, ("GAN", 4, 1, None): 5.0}), "GAN")[2:]
    deviation = f"{statistics.stdev([10, 13]):.1f}"
    assert found[0][2:] == ["2", *(f"{11.5 + step} ± {deviation}" for step in range(10))]
    assert found[1][2:] == ["1 of 2", *(f"{5.0 + step}" for step in range(10))]


def test_one_run_that_stands_for_several_seeds_counts_once():
    first, second = ("GAN", 2, 0, None), ("GAN", 2, 1, None)
    shown = board({first: 10.0, second: 10.0}, run_of={second: first})
    assert table(shown, "GAN")[2][2:4] == ["1", "10.0"]
    assert [(row["seed"], row["hIoU"]) for row in markdown_tables.run_rows(shown)] == [(0, 19.0)]
    assert table(board({first: 10.0, second: 10.0}), "GAN")[2][2:4] == ["2", "10.0 ± 0.0"]


def test_what_is_missing_is_a_dash():
    assert table(board({}), "ZS3Net")[2][2:] == ["0 of 2", *["—"] * 10]


def test_published_figures_have_columns_of_their_own():
    printed = [
        published_figures.Published(
            "voc", 2, "ZS3Net", {"seen.mIoU": 72.0, "unseen.mIoU": 35.4, "hIoU": 47.5}, "paper, Table 1"
        ),
        published_figures.Published("voc", None, "Supervised", {"seen.mIoU": 76.9}, "paper, Table 1"),
    ]
    shown = board({("ZS3Net", 2, 0, None): 10.0}, printed)
    head, _, *found = table(shown, "ZS3Net", "Supervised")
    assert head[13:] == ["*published:* Seen mIoU", "*published:* Unseen mIoU", "*published:* hIoU"]
    assert [row[13:] for row in found] == [["76.9", "—", "—"], ["72.0", "35.4", "47.5"], ["—", "—", "—"]]
    assert found[1][12] == "19.0"
    assert rows(markdown_tables.printed(shown))[2][:6] == ["2", "ZS3Net", "—", "—", "72.0", "—"]


def test_the_two_protocols_side_by_side():
    shown = board({("ZS3Net", 4, 0, None): 10.0, ("ZS3Net", 2, 0, None): 50.0}, protocols_at=4)
    head, _, *found = rows(markdown_tables.protocols(shown))
    assert head == ["Model", "n", "Generalised", "Vanilla"]
    assert found[0] == ["ZS3Net", "1 of 2", "15.0", "20.0"]
    assert [row[0] for row in found] == ["ZS3Net", "GAN", "DeViSE", "Later"]


def test_spread_of_figures_that_are_not_there():
    assert spread.over([]) is None and spread.over([None]) is None
    assert spread.over([None, 2.0]) == spread.Spread(2.0, None, 1)


def test_figures_of_a_metrics_file_without_unseen_classes():
    none = dict.fromkeys(("PA", "MA", "mIoU"))
    content = {"generalised": {"seen": none, "unseen": none, "all": none, "hIoU": None}, "vanilla": None}
    assert collect.figures(content, "generalised") == dict.fromkeys((*collect.COLUMNS, collect.VANILLA))


def test_figures_as_dvc_shows_them_without_those_that_are_null():
    some = {"PA": 3.0, "MA": 2.0, "mIoU": 1.0}
    found = collect.figures({"generalised": {"seen": some, "all": some}}, "generalised")
    assert {name: value for name, value in found.items() if value is not None} == {
        f"{group}.{name}": value for group in ("seen", "all") for name, value in some.items()
    }
    assert set(found) == {*collect.COLUMNS, collect.VANILLA}


SWEEP = {"method": "GAN", "k": 2, "parameter": "gmmn.seed", "values": [1, 5, 9]}


def test_the_curve_is_one_picture_of_three_lines_and_the_same_every_time():
    values = {("GAN", 2, 0, 1): 20.0, ("GAN", 2, 1, 1): 24.0, ("GAN", 2, 0, 9): 40.0}
    text = curve.draw(board(values, sweep=SWEEP))
    assert text == curve.draw(board(values, sweep=SWEEP))
    assert text.startswith("<?xml")
    assert {"seen mIoU", "unseen mIoU", "hIoU", "gmmn.seed", "GAN, K = 2"} <= set(re.findall(">([^<>]+)</text>", text))
    assert text != curve.draw(board(values | {("GAN", 2, 0, 9): 41.0}, sweep=SWEEP))


def test_without_a_sweep_or_a_run_of_it_there_is_no_curve():
    assert curve.draw(board({})) is None
    assert curve.draw(board({("GAN", 2, 0, None): 3.0}, sweep=SWEEP)) is None
