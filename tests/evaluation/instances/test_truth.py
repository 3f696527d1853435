import json
import random

import pytest

from tests.support import instance_world as world
from zeroshot.base import errors
from zeroshot.evaluation.instances import truth

INSTANCES = [
    world.instance(1, world.DISK, (0, 0, 10, 10)),
    world.instance(1, world.RING, (5, 5, 10, 10)),
    world.instance(2, world.BOX, (5, 5, 10, 10)),
    world.instance(2, world.CROSS, (20, 5, 10, 10), crowd=True),
]
TRUTH = world.make_truth(INSTANCES, images=(1, 2, 3))


def write(path, document):
    path.write_text(json.dumps(document))
    return path


def test_a_file_in_any_order_is_the_same_truth(tmp_path):
    document = world.coco_document(TRUTH)
    rng = random.Random(1)
    for _ in range(3):
        for records in document.values():
            rng.shuffle(records)
        assert truth.read(write(tmp_path / "val.json", document), world.CLASSES) == TRUTH
    assert list(TRUTH.sizes) == [1, 2, 3]


def test_images_that_show_a_class():
    assert TRUTH.showing((world.DISK, world.BOX)) == (1, 2)
    # A crowd region is no object.
    assert TRUTH.showing((world.RING, world.CROSS)) == (1,) and TRUTH.showing(()) == ()


def test_annotations_of_unknown_classes_and_images_are_named(tmp_path):
    document = world.coco_document(TRUTH)
    document["annotations"][0]["category_id"], document["annotations"][1]["image_id"] = 5, 9
    path = write(tmp_path / "val.json", document)
    with pytest.raises(errors.DatasetError, match="annotations.0: category 5\n(.|\n)*annotations.1: image 9"):
        truth.read(path, world.CLASSES)


@pytest.mark.parametrize("text", [None, "", "{}", '{"images": [{"id": 1}], "annotations": []}'])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "val.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(errors.UserError, match="val.json: is no file of instances in COCO's layout"):
        truth.read(path, world.CLASSES)
