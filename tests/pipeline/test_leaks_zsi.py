"""Nothing about instances of unseen classes reaches ZSI's training: changes of annotations that must not matter do not change any artefact.

The stages run for real, in this process, at the tiny size. `prepare` may read all annotations, to take images with unseen instances out
of training; after it, evaluation alone reads those of evaluation images.
"""

import json
import pathlib
import shutil
from collections.abc import Iterable

import pytest

from tests.support import dag, leak_runs, tiny

STAGES = {name: stage for name, stage in dag.stages(tiny.settings(), dag.ALL).items() if stage.file == dag.ZSI}
# A stage that is neither data, detection, evaluation nor packing is one of training, so a new one is, too.
_NOT_TRAINING = ("make_", "prepare", "embed", "detect", "evaluate", "summarise", "pictures", "pack")
TRAINING = tuple(
    name for name in STAGES if name.startswith("zsi/") and not name.removeprefix("zsi/").startswith(_NOT_TRAINING)
)
DETECTION = tuple(name for name in STAGES if name.startswith("zsi/detect"))
# What `prepare` says of the evaluation images, for evaluation and for people.
OF_EVALUATION = {"data/zsi/val.json", "metrics/zsi/prepare.csv"}
ANNOTATIONS = {part: f"data/shapes/instances_{part}.json" for part in ("train", "val")}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The folder of the reference run, in which every fifth annotation is a crowd region."""
    folder = tiny.make(tmp_path_factory.mktemp("zsi") / "base")
    tiny.run(folder, "zsi/make_shapes")
    for path in (folder / name for name in ANNOTATIONS.values()):
        document = json.loads(path.read_text())
        for one in document["annotations"][::5]:
            one["iscrowd"] = 1
        path.write_text(json.dumps(document))
    tiny.run(folder, "zsi/prepare", "zsi/embed", *TRAINING, *DETECTION)
    assert '"iscrowd":1' in (folder / "data/zsi/train.json").read_text()
    return folder


def changed(base: pathlib.Path, folder: pathlib.Path, *names: str) -> set[str]:
    """Return the outputs of stages in which `folder` differs from `base`."""
    outs = [out for name in names for out in STAGES[name].outs]
    return leak_runs.changed(tiny.digests(base, *outs), tiny.digests(folder, *outs), outs)


def overwrite(folder: pathlib.Path, parts: Iterable[str], roles: Iterable[str]) -> int:
    """Give instances another class of their role, another mask and another box; return their number. The files remain valid.

    Args:
        folder: the run.
        parts: `train`, `val` or both.
        roles: `seen`, `unseen` or both.
    """
    unseen = tiny.zsi_settings()["data"]["unseen"]
    count = 0
    for part in parts:
        path = folder / ANNOTATIONS[part]
        document = json.loads(path.read_text())
        following = {}
        for role in roles:
            ids = [one["id"] for one in document["categories"] if (one["name"] in unseen) == (role == "unseen")]
            following |= zip(ids, [*ids[1:], ids[0]], strict=True)
        for one in document["annotations"]:
            if one["category_id"] in following:
                left, top = 3 + count % 5, 2 + count % 7
                outline = [left, top, left + 20, top, left + 20, top + 30, left, top + 30]
                one |= {"category_id": following[one["category_id"]], "bbox": [left, top, 20, 30], "area": 600}
                one["segmentation"] = [outline]
                count += 1
        path.write_text(json.dumps(document))
    return count


def test_training_and_detection_do_not_depend_on_annotations_of_unseen_classes(base, tmp_path):
    folder = shutil.copytree(base, tmp_path / "disturbed", ignore=shutil.ignore_patterns("work", "models", "features"))
    stages = ("zsi/prepare", *TRAINING, *DETECTION)
    for part in ANNOTATIONS:
        assert overwrite(folder, [part], ["unseen"]) > 0
    tiny.run(folder, *stages)
    assert changed(base, folder, *stages) == OF_EVALUATION


def test_regions_and_detections_do_not_depend_on_annotations_of_evaluation_images(base, tmp_path):
    folder = shutil.copytree(base, tmp_path / "disturbed", ignore=shutil.ignore_patterns("work"))
    stages = ("zsi/prepare", "zsi/cut_detector", "zsi/dump_regions", *DETECTION)
    assert overwrite(folder, ["val"], ["seen", "unseen"]) > 0
    tiny.run(folder, *stages)
    assert changed(base, folder, *stages) == OF_EVALUATION


def test_training_depends_on_annotations_of_seen_classes(base, tmp_path):
    """If no change had an effect, the other tests of this file would prove nothing."""
    folder = shutil.copytree(base, tmp_path / "disturbed", ignore=shutil.ignore_patterns("work"))
    assert overwrite(folder, ["train"], ["seen"]) > 0
    stages = (*TRAINING, *DETECTION)
    tiny.run(folder, "zsi/prepare", *stages)
    outs = {out for name in stages for out in STAGES[name].outs}
    # Classes and images are the same, and the tiny networks may be calibrated to the same bias.
    unchanged = {"data/zsi/split.json"} | {out for out in outs if out.endswith("calibration.csv")}
    assert changed(base, folder, *stages) >= outs - unchanged
