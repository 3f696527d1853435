import io
import sys
import types

import pytest

from zeroshot.base import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test advances."""
    now = types.SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def work(items, clock, seconds):
    """Yield items and advance the clock by `seconds` for each."""
    for item in items:
        clock.seconds += seconds
        yield item


def test_log_lines_contain_the_time_of_an_item_and_the_remaining_time(clock, capsys):
    items = list(progress.track(work("abcdefgh", clock, 5), "train_gmmn", total=8))
    assert items == list("abcdefgh")
    assert capsys.readouterr().err.splitlines() == [
        "train_gmmn: 2/8, 5 s each, 30 s left",
        "train_gmmn: 4/8, 5 s each, 20 s left",
        "train_gmmn: 6/8, 5 s each, 10 s left",
        "train_gmmn: 8/8, 5 s each, 0 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.02, "50/s"), (0.8, "1.25/s"), (1, "1/s"), (1.25, "1.25 s each"), (45.04, "45 s each"), (1234.4, "1234 s each")],
)
def test_log_lines_have_a_rate_where_items_are_quick_and_the_time_of_an_item_where_they_are_slow(
    clock, capsys, seconds, text
):
    list(progress.track(work(range(600), clock, seconds), "train_gmmn"))
    assert capsys.readouterr().err.splitlines()[0].endswith(f", {text}")


def test_items_of_an_interrupted_run_count_as_done_but_not_in_the_rate(clock, capsys):
    list(progress.track(work(range(4), clock, 5), "train_backbone", total=10, initial=6))
    assert capsys.readouterr().err.splitlines() == [
        "train_backbone: 8/10, 5 s each, 10 s left",
        "train_backbone: 10/10, 5 s each, 0 s left",
    ]


def test_no_remaining_time_without_a_total(clock, capsys):
    list(progress.track(work(range(2), clock, 10), "dump"))
    assert capsys.readouterr().err.splitlines() == ["dump: 1/?, 10 s each", "dump: 2/?, 10 s each"]


def test_total_defaults_to_the_length_of_a_list(clock, capsys):
    for _ in progress.track([1, 2, 3, 4], "check"):
        clock.seconds += 10
    assert capsys.readouterr().err.splitlines()[-1] == "check: 4/4, 10 s each, 0 s left"


def test_short_and_empty_loops_print_nothing(clock, capsys):
    assert list(progress.track(work(range(9), clock, 1), "quick", total=9)) == list(range(9))
    assert list(progress.track([], "nothing")) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_items_are_consumed_lazily(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream())
    consumed = []
    tracked = progress.track((consumed.append(item) or item for item in range(5)), "lazy", total=5)
    assert consumed == []
    assert next(tracked) == 0 and consumed == [0]


def test_terminal_bar_starts_at_the_position_of_the_interrupted_run(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress.track([7, 8], "train_backbone", total=5, initial=3)) == [7, 8]
    text = terminal.getvalue()
    assert "train_backbone:" in text and "3/5" in text and "5/5" in text and "it/s" in text
