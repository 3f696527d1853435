import copy
import json

import pytest

from zeroshot.base import errors
from zeroshot.evaluation.instances import instance_summary

CONTENT = {
    "zsd": {"unseen": {"mAP50": 12.346, "recall50": 60.0}},
    "zsi": {"unseen": {"mAP50": 10.0, "recall50": 50.0}},
    "gzsd": {"seen": {"mAP50": 40.0}, "unseen": {"mAP50": None}, "harmonic": {"mAP50": None}},
    "gzsi": {"seen": {"mAP50": 30.0}, "unseen": {"mAP50": 6.0}, "harmonic": {"mAP50": 10.0}},
    "top1": {"zsi": {"unseen": {"top1": 91.0, "mask_iou": 80.0}}},
    "split": {"seen": 4, "unseen": 2, "checksum": "a1"},
}


def write(folder, name, content=CONTENT):
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def test_every_file_has_a_column(tmp_path):
    other = copy.deepcopy(CONTENT)
    other["gzsi"]["harmonic"]["mAP50"] = 20.006
    contents = instance_summary.read([write(tmp_path, "mix"), write(tmp_path, "direct", other)])
    summary = instance_summary.summary(contents)
    assert summary["gzsi"]["harmonic"] == {"mix": 10.0, "direct": 20.01}
    assert summary["gzsd"] == {
        "harmonic": {"mix": None, "direct": None}, "seen": {"mix": 40.0, "direct": 40.0},
        "unseen": {"mix": None, "direct": None},
    }  # fmt: skip
    assert {name: values["mix"] for name, values in summary["zsi"].items()} == {
        "mAP50": 10.0, "recall50": 50.0, "top1": 91.0, "mask_iou": 80.0,
    }  # fmt: skip
    assert summary["zsd"]["mAP50"]["mix"] == 12.35
    assert instance_summary.chart(summary)[3:] == [
        {"model": "direct", "metric": "seen mAP", "value": 30.0},
        {"model": "direct", "metric": "unseen mAP", "value": 6.0},
        {"model": "direct", "metric": "harmonic mean", "value": 20.01},
    ]


def test_metrics_of_different_images_are_not_mixed(tmp_path):
    other = {**CONTENT, "split": {**CONTENT["split"], "checksum": "b2"}}
    paths = [write(tmp_path, "mix"), write(tmp_path, "direct", other)]
    with pytest.raises(errors.UserError) as error:
        instance_summary.read(paths)
    assert str(error.value) == (
        f"the metrics belong to different classes or images, so they are not comparable: {paths[0]}; {paths[1]};"
        " write them again with `dvc repro zsi/dvc.yaml`"
    )


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (None, "No such file or directory"),
        ("{}", "split: Field required"),
        (json.dumps({**CONTENT, "gzsd": {"seen": {}}}), "gzsd.harmonic.mAP50: missing"),
    ],
)
def test_other_files_are_refused(tmp_path, text, cause):
    path = tmp_path / "mix.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(errors.UserError) as error:
        instance_summary.read([path])
    expected = f"{path}: is no file of metrics of instances ({cause}); write it again with `dvc repro zsi/dvc.yaml`"
    assert str(error.value) == expected
