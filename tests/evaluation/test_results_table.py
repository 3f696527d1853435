import json
import os
import subprocess
import sys

import pytest

from tests.support import dag
from zeroshot.base import errors
from zeroshot.evaluation import results_table


def metrics(first, unseen=True):
    """Return metrics that count up from `first`; those of unseen classes are None if `unseen` is false."""
    values = iter(range(first, first + 9))
    groups = {
        group: {name: next(values) + 0.26 for name in ("PA", "MA", "mIoU")} for group in ("seen", "unseen", "all")
    }
    if not unseen:
        groups["unseen"] = dict.fromkeys(("PA", "MA", "mIoU"))
    low, high = (first - 0.06, first + 2.04) if unseen else (None, None)
    return {**groups, "hIoU": first + 0.94 if unseen else None, "hIoU_low": low, "hIoU_high": high}


PROTOCOL = {"short_side": None, "absent_classes": "skip", "image_short_side": None}
SPLIT = {"dataset": "toy", "unseen": 4, "checksum": "0123"}


def write(folder, name, protocol=PROTOCOL, **changes):
    values = {
        "generalised": metrics(50),
        "without_bias": metrics(10),
        "vanilla": {"PA": 91.26, "MA": 92.26, "mIoU": 93.26},
        "seen_bias": 0.0,
        "split": SPLIT,
        "exclude": "images",
        "pretraining": "none",
        "evaluation": protocol,
    }
    (folder / f"{name}.json").write_text(json.dumps(values | changes))


FIFTY = "   50.3   51.3   52.3   53.3   54.3   55.3   56.3   57.3   58.3    50.9   [49.9, 52.0]      93.3"
TEN = "   10.3   11.3   12.3   13.3   14.3   15.3   16.3   17.3   18.3    10.9    [9.9, 12.0]      93.3"


def lines(folder):
    """Return the lines of the models, between the header and the sentence on the encoder."""
    return results_table.table(folder).splitlines()[2:-1]


def test_table_has_one_line_per_model_sorted_by_name(tmp_path):
    write(tmp_path, "zs3net")
    write(tmp_path, "devise", generalised=metrics(10))
    (tmp_path / "curve.csv").write_text("epoch,loss\n")
    assert lines(tmp_path) == [f"{'devise, bias 0':24}{TEN}", f"{'zs3net, bias 0':24}{FIFTY}"]


def test_a_model_that_knows_no_unseen_class_has_no_word_about_a_bias(tmp_path):
    write(tmp_path, "seen_only", vanilla=None)
    assert lines(tmp_path)[0].startswith("seen_only  ")


def test_header_is_aligned_with_the_columns(tmp_path):
    write(tmp_path, "zs3net")
    groups, names, line, _ = results_table.table(tmp_path).splitlines()
    assert groups.split() == ["Seen", "Unseen", "All", "Vanilla"]
    assert names.split() == ["per", "cent", *("PA", "MA", "mIoU") * 3, "hIoU", "95", "%", "mIoU"]
    assert len(names) == len(line) <= 120
    starts = [position for position in range(len(names)) if names.startswith("     PA", position)]
    for group, start in zip(groups.split(), starts, strict=False):
        assert start <= groups.index(group) < start + 21
    assert groups.endswith("Vanilla") and len(groups) == len(names)


def test_model_with_a_seen_bias_has_a_second_line_without_it(tmp_path):
    write(tmp_path, "zs3net", seen_bias=2.5)
    assert lines(tmp_path) == [f"{'zs3net, no bias':24}{TEN}", f"{'zs3net, bias 2.5':24}{FIFTY}"]


def test_other_exclusion_policies_are_noted(tmp_path):
    write(tmp_path, "zs3net", exclude="pixels")
    assert lines(tmp_path) == [f"{'zs3net (pixels), bias 0':24}{FIFTY}"]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"image_short_side": 513}, "at 513"),
        ({"image_short_side": 513, "short_side": 513}, "at 513"),
        ({"short_side": 312}, "masks at 312"),
        ({"absent_classes": "zero"}, "absent 0"),
    ],
)
def test_other_protocols_are_noted(tmp_path, changes, note):
    write(tmp_path, "zs3net", PROTOCOL | changes)
    assert lines(tmp_path) == [f"{f'zs3net ({note}), bias 0 ':24}{FIFTY}"]


def test_long_names_widen_the_first_column(tmp_path):
    write(tmp_path, "ale")
    write(tmp_path, "zs3net", PROTOCOL | {"short_side": 312, "absent_classes": "zero"}, exclude="pixels")
    _, names, first, second, _ = results_table.table(tmp_path).splitlines()
    assert second == f"zs3net (pixels, masks at 312, absent 0), bias 0 {FIFTY}"
    assert first.endswith(FIFTY) and len(names) == len(first) == len(second)


def test_missing_values_are_dashes(tmp_path):
    write(tmp_path, "supervised", generalised=metrics(50, unseen=False), vanilla=None)
    dash = f"{'-':>7}"
    assert lines(tmp_path) == [
        f"{'supervised':24}   50.3   51.3   52.3{dash * 3}   56.3   57.3   58.3{'-':>8}{'':15}{'-':>10}",
    ]


def test_there_is_no_interval_beside_a_missing_hiou(tmp_path):
    write(tmp_path, "zs3net", generalised=metrics(50, unseen=False) | {"hIoU_low": 0.0, "hIoU_high": 0.0})
    (line,) = lines(tmp_path)
    assert line.endswith(f"   58.3{'-':>8}{'':15}      93.3") and "[" not in line


def test_metrics_of_an_older_version_are_refused_with_a_remedy(tmp_path):
    write(tmp_path, "zs3net")
    values = json.loads((tmp_path / "zs3net.json").read_text())
    del values["vanilla"], values["evaluation"]
    (tmp_path / "zs3net.json").write_text(json.dumps(values))
    with pytest.raises(
        ValueError,
        match=r"zs3net\.json: .* \(vanilla: Field required; evaluation: Field required\); write it again with `dvc repro`",
    ):
        results_table.table(tmp_path)


def test_empty_folder_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(ValueError, match=r"no metrics; compute them with `dvc repro`") as caught:
        results_table.table(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))


def test_command_prints_the_table(tmp_path):
    write(tmp_path, "zs3net")
    command = [sys.executable, "-m", "zeroshot.commands", "results", str(tmp_path)]
    # In a folder without data/split.json, whose metrics alone would be shown.
    environment = {**os.environ, "PYTHONPATH": str(dag.ROOT)}
    process = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    assert process.stdout == results_table.table(tmp_path) + "\n"


def test_context_from_true_masks_is_noted(tmp_path):
    write(tmp_path, "a", graph_context="near")
    write(tmp_path, "b", graph_context="true_masks")
    first, second = lines(tmp_path)
    assert first.startswith("a, bias 0 ") and second.startswith("b (true unseen masks), bias 0 ")


def test_the_table_says_what_the_encoder_was_pretrained_with(tmp_path):
    write(tmp_path, "ale", pretraining="labels")
    write(tmp_path, "zs3net", pretraining="labels")
    last = results_table.table(tmp_path).splitlines()[-1]
    assert last == "The encoder was pretrained with labels, which may include unseen classes."
    write(tmp_path, "zs3net", pretraining="self_supervised")
    assert results_table.table(tmp_path).splitlines()[-2:] == [
        "ale: The encoder was pretrained with labels, which may include unseen classes.",
        "zs3net: The encoder was pretrained on images without labels.",
    ]


def test_self_training_without_pseudo_labels_is_noted(tmp_path):
    write(tmp_path, "zs3net")
    write(tmp_path, "zs5net", no_pseudo_labels=True)
    first, second = lines(tmp_path)
    assert first.startswith("zs3net, bias 0 ") and second.startswith("zs5net (no pseudo-labels), bias 0 ")


def test_szn_has_a_threshold_in_place_of_a_bias_and_its_upper_bound_has_neither(tmp_path):
    write(tmp_path, "szn", seen_bias=2.0, candidates="unseen", mask_accuracy={})
    write(tmp_path, "szn_ps", candidates="unseen", upper_bound="true mask")
    uncalibrated, calibrated, bound = lines(tmp_path)
    assert uncalibrated.startswith("szn, no threshold ") and calibrated.startswith("szn, threshold 2 ")
    assert bound.startswith("szn_ps (true mask)   ")


def test_a_side_window_is_noted(tmp_path):
    write(tmp_path, "zs3net", side_window=7)
    assert lines(tmp_path)[0].startswith("zs3net (window 7), bias 0 ")


@pytest.mark.parametrize(
    ("where", "value", "fault"),
    [
        ("generalised.seen.MA", None, "Field required"),
        ("generalised.hIoU_low", None, "Field required"),
        ("without_bias.unseen", None, "Field required"),
        ("without_bias.hIoU_high", None, "Field required"),
        ("vanilla.mIoU", None, "Field required"),
        ("evaluation.short_side", None, "Field required"),
        ("generalised.hIoU", "50", "Input should be a valid number"),
        ("without_bias", [], "Input should be an object"),
        ("seen_bias", {}, "Input should be a valid number"),
        ("evaluation.absent_classes", 1, "Input should be a valid string"),
        ("pretraining", None, "Field required"),
        ("pretraining", "much", "Input should be 'none', 'self_supervised', 'other_labels' or 'labels'"),
    ],
)
def test_metrics_without_a_field_or_with_another_type_are_refused(tmp_path, where, value, fault):
    write(tmp_path, "zs3net")
    values = json.loads((tmp_path / "zs3net.json").read_text())
    *parents, name = where.split(".")
    entry = values
    for parent in parents:
        entry = entry[parent]
    if value is None:
        del entry[name]
    else:
        entry[name] = value
    (tmp_path / "zs3net.json").write_text(json.dumps(values))
    with pytest.raises(errors.UserError) as caught:
        results_table.table(tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'zs3net.json'}: is no file of metrics ({where}: {fault}")
    assert text.endswith("; write it again with `dvc repro`") and text.count("\n") == 0
