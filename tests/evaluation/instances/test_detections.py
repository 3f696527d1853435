import json

import pytest

from tests.support import instance_world as world
from zeroshot.base import errors
from zeroshot.evaluation.instances import detections

SIZES = {1: world.SIZE, 2: world.SIZE}
RING = world.detection(1, world.RING, (2, 3, 9, 8), 0.625)
DISK = world.detection(2, world.DISK, (0.5, 3, 9.25, 8), 1, mask=(1, 3, 9, 8))
CONTENT = detections.Detections("mix", {"pretraining": "none"}, [RING], [RING, DISK])


def test_what_is_written_is_read(tmp_path):
    detections.write(tmp_path / "mix.json", CONTENT)
    assert detections.read(tmp_path / "mix.json", world.CLASSES, SIZES) == CONTENT
    document = json.loads((tmp_path / "mix.json").read_text())
    assert document == {"scoring": "mix", "facts": {"pretraining": "none"}, "zsi": [RING], "gzsi": [RING, DISK]}
    assert len((tmp_path / "mix.json").read_text().splitlines()) == 3 + 2 * 2 + 3 + 1


def test_no_detection_at_all_is_a_result(tmp_path):
    nothing = detections.Detections("direct", {}, [], [])
    detections.write(tmp_path / "direct.json", nothing)
    assert detections.read(tmp_path / "direct.json", world.CLASSES, SIZES) == nothing


def test_numbers_that_are_no_numbers_are_not_written(tmp_path):
    with pytest.raises(ValueError):
        detections.write(tmp_path / "a.json", detections.Detections("mix", {}, [{**RING, "score": float("nan")}], []))
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (None, "No such file or directory"),
        ("[]", "the file: Input should be an object"),
        ('{"scoring": "mix", "zsi": [], "gzsi": []}', "facts: Field required"),
        ('{"scoring": "mix", "facts": {}, "zsi": [', "the file: Invalid JSON: EOF while parsing a list at line 1 column 40"),
        (json.dumps({"scoring": 1, "facts": {}, "zsi": [], "gzsi": []}), "scoring: Input should be a valid string"),
        (
            json.dumps({"scoring": "mix", "facts": {}, "zsi": [], "gzsi": [{**RING, "score": "0.5"}]}),
            "gzsi.0.score: Input should be a valid number",
        ),
        (
            json.dumps({"scoring": "mix", "facts": {}, "zsi": [], "gzsi": [{**RING, "bbox": [1, 2, 3]}]}),
            "gzsi.0.bbox: List should have at least 4 items after validation, not 3",
        ),
        (
            json.dumps({"scoring": "mix", "facts": {}, "zsi": [{**RING, "segmentation": {"size": [40, 50], "counts": ""}}], "gzsi": []}),
            "zsi.0.segmentation.counts: String should have at least 1 character",
        ),
    ],
)  # fmt: skip
def test_other_files_are_refused(tmp_path, text, cause):
    path = tmp_path / "mix.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(errors.UserError) as error:
        detections.read(path, world.CLASSES, SIZES)
    assert str(error.value) == f"{path}: is no file of detections ({cause}); `dvc repro` restores it or makes it again"


def test_all_that_does_not_fit_is_named_at_once(tmp_path):
    damaged = {**RING, "segmentation": {"size": [*world.SIZE], "counts": "00"}}
    other_size = {**RING, "segmentation": {"size": [50, 40], "counts": RING["segmentation"]["counts"]}}
    negative = {**RING, "bbox": [5.0, 5.0, -1.0, 3.0]}
    content = detections.Detections(
        "mix", {}, [DISK, damaged], [{**RING, "category_id": 1}, other_size, negative, {**DISK, "image_id": 3}]
    )
    detections.write(tmp_path / "mix.json", content)
    with pytest.raises(errors.DatasetError) as error:
        detections.read(tmp_path / "mix.json", world.CLASSES, SIZES)
    assert str(error.value).splitlines() == [
        f"{tmp_path / 'mix.json'}, which `dvc repro zsi/dvc.yaml` makes again: 6 faults",
        "  the category is no unseen class of the data set (1):",
        "    zsi.0: category 90",
        "  the run lengths of the mask are damaged (1):",
        "    zsi.1: image 1",
        "  the category is no class of the data set (1):",
        "    gzsi.0: category 1",
        "  the mask has another size than its image (1):",
        "    gzsi.1: image 1 has (40, 50), the mask [50, 40]",
        "  the box has a negative width or height (1):",
        "    gzsi.2: [5.0, 5.0, -1.0, 3.0]",
        "  the image is no evaluation image (1):",
        "    gzsi.3: image 3",
    ]
