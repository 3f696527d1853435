import json
import subprocess
import sys

import pytest

from zs3 import results


def figures(first, unseen=True):
    """Return a block of figures counting up from `first`; without unseen classes they are null."""
    values = iter(range(first, first + 9))
    blocks = {
        group: {name: next(values) + 0.26 for name in ("PA", "MA", "mIoU")} for group in ("seen", "unseen", "all")
    }
    if not unseen:
        blocks["unseen"] = dict.fromkeys(("PA", "MA", "mIoU"))
    return {**blocks, "hIoU": first + 0.94 if unseen else None}


def write(folder, name, **changes):
    values = {"generalised": figures(50), "without_bias": figures(10), "seen_bias": 0.0, "exclude": "images"} | changes
    (folder / f"{name}.json").write_text(json.dumps(values))


FIFTY = "   50.3   51.3   52.3   53.3   54.3   55.3   56.3   57.3   58.3    50.9"
TEN = "   10.3   11.3   12.3   13.3   14.3   15.3   16.3   17.3   18.3    10.9"


def lines(folder):
    return results.table(folder).splitlines()[2:]


def test_one_line_a_model_in_the_order_of_names(tmp_path):
    write(tmp_path, "zs3net")
    write(tmp_path, "seen_only", generalised=figures(10))
    (tmp_path / "curve.csv").write_text("epoch,loss\n")
    assert lines(tmp_path) == [f"{'seen_only':24}{TEN}", f"{'zs3net':24}{FIFTY}"]


def test_header_names_the_columns_above_their_numbers(tmp_path):
    write(tmp_path, "zs3net")
    groups, names, line = results.table(tmp_path).splitlines()
    assert groups.split() == ["Seen", "Unseen", "All"]
    assert names.split() == ["per", "cent", *("PA", "MA", "mIoU") * 3, "hIoU"]
    assert len(names) == len(line)
    assert [groups.index(group) // 21 for group in ("Seen", "Unseen", "All")] == [1, 2, 3]


def test_a_seen_bias_is_named_and_shown_beside_the_figures_without_it(tmp_path):
    write(tmp_path, "zs3net", seen_bias=2.5)
    assert lines(tmp_path) == [f"{'zs3net, no bias':24}{TEN}", f"{'zs3net, bias 2.5':24}{FIFTY}"]


def test_what_was_excluded_is_named_where_it_is_not_the_default(tmp_path):
    write(tmp_path, "zs3net", exclude="pixels")
    assert lines(tmp_path) == [f"{'zs3net (pixels)':24}{FIFTY}"]


def test_nulls_are_dashes(tmp_path):
    write(tmp_path, "supervised", generalised=figures(50, unseen=False))
    dash = f"{'-':>7}"
    assert lines(tmp_path) == [
        f"{'supervised':24}   50.3   51.3   52.3{dash * 3}   56.3   57.3   58.3{'-':>8}",
    ]


def test_an_empty_folder_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=r"no metrics; make them with `dvc repro`") as caught:
        results.table(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))


def test_prints_from_the_command_line(tmp_path):
    write(tmp_path, "zs3net")
    done = subprocess.run(
        [sys.executable, "-m", "zs3.results", str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == results.table(tmp_path) + "\n"
