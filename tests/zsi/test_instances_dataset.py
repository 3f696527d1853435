"""Training images: boxes, labels and masks of COCO's layout."""

import json

import numpy as np
import pytest
import torch
from torch.utils import data

from tests.support import disks_and_squares
from zeroshot.base import errors
from zeroshot.images import image_files
from zeroshot.zsi import instances_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return disks_and_squares.write(tmp_path_factory.mktemp("disks"))


def dataset(folder, flip=0.0, name="train.json", max_side=64):
    return instances_dataset.TrainingInstances(
        folder / "data/zsi" / name,
        folder / "data/images/train",
        disks_and_squares.CLASSES,
        disks_and_squares.options(flip=flip, max_side=max_side),
    )


def test_images_have_their_boxes_labels_and_masks(folder):
    images = dataset(folder)
    document = json.loads((folder / "data/zsi/train.json").read_text())
    for index, entry in enumerate(document["images"]):
        pixels, target = images[0, 0, index]
        file = folder / "data/images/train" / entry["file_name"]
        assert (pixels.permute(1, 2, 0).numpy() == image_files.read_image(file)).all()
        annotations = [one for one in document["annotations"] if one["image_id"] == entry["id"]]
        expected = [disks_and_squares.CLASSES.label_of(one["category_id"]) for one in annotations]
        assert target["labels"].tolist() == expected
        for box, mask in zip(target["boxes"].tolist(), target["masks"].numpy(), strict=True):
            rows, columns = np.nonzero(mask)
            assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_labels_do_not_depend_on_the_order_of_the_file(folder):
    document = json.loads((folder / "data/zsi/train.json").read_text())
    for part in ("categories", "annotations"):
        document[part] = document[part][::-1]
    (folder / "data/zsi/turned.json").write_text(json.dumps(document))
    one, other = dataset(folder)[0, 0, 1][1], dataset(folder, name="turned.json")[0, 0, 1][1]
    assert one["labels"].tolist() == other["labels"].tolist()[::-1]
    assert torch.equal(one["masks"], other["masks"].flip(0))


def test_a_mirror_image_mirrors_boxes_and_masks(folder):
    pixels, target = dataset(folder)[0, 0, 0]
    mirrored, mirrored_target = dataset(folder, flip=1.0)[0, 0, 0]
    assert torch.equal(mirrored, pixels.flip(2)) and torch.equal(mirrored_target["masks"], target["masks"].flip(2))
    for box, mask in zip(mirrored_target["boxes"].tolist(), mirrored_target["masks"].numpy(), strict=True):
        rows, columns = np.nonzero(mask)
        assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_crowd_regions_are_no_objects_and_are_mirrored(folder):
    document = json.loads((folder / "data/zsi/train.json").read_text())
    first = next(one for one in document["annotations"] if one["image_id"] == document["images"][0]["id"])
    first |= {"iscrowd": 1, "bbox": [3.0, 5.0, 10.0, 20.0]}
    (folder / "data/zsi/crowd.json").write_text(json.dumps(document))
    target, without = (dataset(folder, name=name)[0, 0, 0][1] for name in ("crowd.json", "train.json"))
    assert target["crowd"].tolist() == [[3, 5, 13, 25]] and without["crowd"].shape == (0, 4)
    assert len(target["boxes"]) == len(target["masks"]) == len(target["labels"]) == len(without["boxes"]) - 1
    width = document["images"][0]["width"]
    mirrored = dataset(folder, flip=1.0, name="crowd.json")[0, 0, 0][1]
    assert mirrored["crowd"].tolist() == [[width - 13, 5, width - 3, 25]]


def test_workers_change_nothing(folder):
    images = dataset(folder, flip=0.5)
    batches = images.batches(3, 2)
    assert sorted(index for batch in batches for *_, index in batch) == list(range(4))
    assert batches != images.batches(4, 2)
    loaders = [
        data.DataLoader(images, batch_sampler=batches, num_workers=n, collate_fn=instances_dataset.collate)
        for n in (0, 1)
    ]
    for (images_here, targets_here), (images_there, targets_there) in zip(*loaders, strict=True):
        assert all(map(torch.equal, images_here, images_there))
        for here, there in zip(targets_here, targets_there, strict=True):
            assert all(torch.equal(here[name], there[name]) for name in here)


def test_an_incomplete_batch_is_dropped_unless_it_is_the_only_one(folder):
    images = dataset(folder)
    assert [len(batch) for batch in images.batches(0, 3)] == [3]
    assert [len(batch) for batch in images.batches(0, 9)] == [4]


def test_a_file_without_images_is_refused(folder):
    (folder / "data/zsi/empty.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    with pytest.raises(errors.UserError, match=r"empty\.json: has no images"):
        dataset(folder, name="empty.json")


def test_images_that_would_vanish_are_listed(folder):
    images = [{"id": i, "file_name": f"{i}.png", "height": 1, "width": width} for i, width in enumerate((63, 64, 99))]
    (folder / "data/zsi/thin.json").write_text(json.dumps({"images": images}))
    with pytest.raises(errors.UserError, match=r"(?s)thin\.json: 2 faults.*max_side.*1\.png: 64 x 1.*2\.png: 99 x 1"):
        dataset(folder, name="thin.json")
    assert len(instances_dataset.read(folder / "data/zsi/thin.json", 100)["images"]) == 3


@pytest.mark.parametrize("shorter", [1, 49, 98])
def test_an_image_at_the_limit_is_too_thin_since_torchvision_rounds_down(shorter):
    # 49 x (64 / (49 x 64)) is a little less than 1 in floating point.
    assert instances_dataset.too_thin(shorter, 64 * shorter, 64) and instances_dataset.too_thin(
        64 * shorter, shorter, 64
    )
    assert not instances_dataset.too_thin(shorter, 64 * shorter - 1, 64)


@pytest.mark.parametrize(
    ("text", "cause"), [(None, "No such file"), ("[", "JSON"), ('{"images": [{"id": 1}]}', r"images\.0\.file_name")]
)
def test_a_missing_or_damaged_file_is_named(folder, text, cause):
    path = folder / "data/zsi/damaged.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(errors.UserError, match=rf"damaged\.json: .*{cause}.*dvc repro"):
        dataset(folder, name="damaged.json")
