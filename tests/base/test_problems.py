import pytest

from zeroshot.base import errors


def test_nothing_found_raises_nothing():
    errors.Faults().raise_any("data")


def test_all_kinds_are_listed_in_order_with_counts_and_long_ones_cut():
    found = errors.Faults()
    for number in range(23):
        found.add("missing", f"file {number}")
    found.add("broken", "file x")
    with pytest.raises(errors.DatasetError) as caught:
        found.raise_any("data/toy")
    lines = str(caught.value).splitlines()
    assert lines[:3] == ["data/toy: 24 problems", "  missing (23):", "    file 0"]
    assert lines[21:] == ["    file 19", "    and 3 more", "  broken (1):", "    file x"]
