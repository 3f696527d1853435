"""The stages on a data set with 300 classes: label ids above 255, which need masks of 16 bits."""

import csv
import json

import numpy as np
import PIL.Image
import pytest
import torch
from torch.utils import data

from tests.support import blocks, tiny, voc_tree
from zeroshot.base import hdf5
from zeroshot.cache import graphs, maps, rows
from zeroshot.datasets import splits
from zeroshot.networks import training_images
from zeroshot.pixel_classifiers import pixel_classifier

N_CLASSES, UNSEEN = 300, (255, 299)
CLASSES = [f"class {label}" for label in range(N_CLASSES)]
STAGES = (
    "convert_labels", "prepare_split", "embed_classes", "train_backbone", "cut_last_layer", "dump_features", "train_gmmn",
    "finetune_classifier", "pseudo_label", "self_train", "report_pseudo_labels", "train_baseline@ale", "feature_oracle",
    "evaluate@zs3net", "evaluate@zs5net", "evaluate@ale", "self_train_network",
)  # fmt: skip
SETTINGS = {
    "data": {"unseen": [CLASSES[label] for label in UNSEEN]},
    "embeddings": {"source": "matrix", "path": "data/vectors.npy"},
    "features": {"pixels_per_class": 4, "unlabelled_pixels": 60},
    "classifier": {"steps_per_epoch": 60},
}


def write_dataset(folder):
    """Write 40 x 40 images whose masks have 25 blocks of 8 x 8 pixels, each of one class; return the masks by image id."""
    rng = np.random.default_rng(0)
    seen = np.array([label for label in range(N_CLASSES) if label not in UNSEEN])
    # Twelve images have every seen class, with some repetitions; four more have unseen classes. Class 298 fills another image, so that
    # a hardly trained network predicts it.
    blocks = [*np.concatenate([rng.permutation(seen), seen[:2]]).reshape(12, 25)]
    blocks += [np.concatenate([UNSEEN * 4, rng.choice(seen, 17)]) for _ in range(4)]
    blocks += [np.full(25, 298)]
    lists = {"train": [f"t{number}" for number in range(len(blocks))], "val": ["v0", "v1"]}
    blocks += [np.concatenate([UNSEEN, np.arange(277, 300)]), rng.choice(seen, 25)]
    colours = rng.integers(0, 256, (N_CLASSES, 3))
    masks = {}
    for id, labels in zip([*lists["train"], *lists["val"]], blocks, strict=True):
        mask = np.kron(labels.reshape(5, 5), np.ones((8, 8), int))
        (folder / "JPEGImages").mkdir(exist_ok=True, parents=True)
        (folder / "SegmentationClass").mkdir(exist_ok=True)
        pixels = (colours[mask] + rng.normal(0, 20, (*mask.shape, 3))).clip(0, 255).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"JPEGImages/{id}.png")
        mask[:, 39] = 65535
        PIL.Image.fromarray(mask.astype(np.uint16)).save(folder / f"SegmentationClass/{id}.png")
        masks[id] = mask
    # An 8-bit mask among those of 16 bits, in which 255 is ignored.
    masks["t17"] = np.where(np.arange(40)[:, None] < 20, 7, 65535) * np.ones((1, 40), int)
    PIL.Image.fromarray(masks["t17"].astype(np.uint8)).save(folder / "SegmentationClass/t17.png")
    PIL.Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "JPEGImages/t17.png")
    lists["train"].append("t17")
    for name, ids in lists.items():
        voc_tree.add_list(folder / f"ImageSets/Segmentation/{name}.txt", ids)
    voc_tree.add_list(folder / "classes.txt", CLASSES)
    return masks


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder in which all stages ran, and the true masks."""
    folder = tiny.make(tmp_path_factory.mktemp("many"), SETTINGS)
    masks = write_dataset(folder / "data/toy")
    np.save(folder / "data/vectors.npy", np.random.default_rng(1).normal(size=(N_CLASSES, 8)).astype(np.float32))
    tiny.run(folder, *STAGES)
    return folder, masks


def labels_at_cells(mask):
    """Return the labels at the centres of cells of 4 x 4 pixels."""
    return mask[2::4, 2::4]


def test_split_and_written_masks_have_all_label_ids(run):
    folder, masks = run
    split = json.loads((folder / "data/split.json").read_text())
    assert len(split["classes"]) == N_CLASSES and split["unseen"] == list(UNSEEN)
    assert [item["id"] for item in split["unlabelled"]] == ["t12", "t13", "t14", "t15"]
    for name in ("train", "unlabelled", "val"):
        for item in split[name]:
            stored = PIL.Image.open(folder / f"data/masks/{name}/{item['id']}.png")
            values = np.array(stored).astype(int)
            if stored.mode == "P":
                values[values == 255] = 65535
            np.testing.assert_array_equal(values, masks[item["id"]])


def test_training_batch_has_the_outputs_of_the_labels(run):
    folder, masks = run
    split = splits.read(folder / "data/split.json")
    options = blocks.options(augmentation={"crop": 40, "scales": [1.0, 1.0], "flip": 0.0, "blur": 0.0})
    dataset = training_images.TrainingImages(split, folder / "data/toy", folder / "data/masks/train", options)
    loader = data.DataLoader(dataset, batch_sampler=[[(0, index, index) for index in range(len(split.train))]])
    _, targets = next(iter(loader))
    assert targets.dtype == torch.uint16
    for item, target in zip(split.train, training_images.targets(targets).numpy(), strict=True):
        valid = masks[item.id] != 65535
        np.testing.assert_array_equal(target == 65535, ~valid)
        np.testing.assert_array_equal(np.array(split.seen)[target[valid]], masks[item.id][valid])
    assert training_images.image_weights(dataset, 0.5).shape == (len(split.train),)


def test_cache_has_the_labels_of_the_masks(run):
    folder, masks = run
    split = json.loads((folder / "data/split.json").read_text())
    table = next(rows.read(folder / "features/train"))
    expected = set().union(*(set(labels_at_cells(masks[item["id"]]).ravel()) for item in split["train"])) - {65535}
    assert set(table["label"].tolist()) == expected == set(range(N_CLASSES)) - set(UNSEEN)
    for number, item in enumerate(split["train"]):
        of_image = table["image"] == number
        y, x = table["position"][of_image].astype(int).T
        np.testing.assert_array_equal(table["label"][of_image], labels_at_cells(masks[item["id"]])[y, x])
    assert set(graphs.read(folder / "features/train").label.tolist()) == expected
    for item in maps.read(folder / "features/val"):
        np.testing.assert_array_equal(item.mask, masks[item.image])


def test_classifiers_and_pseudo_labels_reach_the_last_class(run):
    folder, _ = run
    for name in ("zs3net", "zs5net", "ale", "feature_oracle"):
        classifier, _ = pixel_classifier.load(folder / f"models/classifiers/{name}.pt")
        assert sorted(classifier.labels.tolist()) == list(range(N_CLASSES))
        assert sorted(classifier.labels[classifier.unseen].tolist()) == list(UNSEEN)
    classifier, _ = pixel_classifier.load(folder / "models/classifiers/zs3net.pt")
    table = next(rows.read(folder / "features/pseudo"))
    best = classifier.labels[classifier.logits(torch.from_numpy(table["features"]).float()).argmax(1)]
    np.testing.assert_array_equal(table["label"], best)
    assert table["label"].max() > 255
    with hdf5.reading(folder / "features/later_rounds.h5") as file:
        assert file["2/label"][:].dtype == np.uint16


def test_evaluation_counts_every_valid_pixel_of_every_class(run):
    folder, masks = run
    pixels = np.bincount(np.concatenate([masks[id][masks[id] < 65535] for id in ("v0", "v1")]), minlength=N_CLASSES)
    for name in ("zs3net", "ale"):
        with open(folder / f"metrics/{name}_classes.csv") as file:
            assert [int(row["pixels"]) for row in csv.DictReader(file)] == pixels.tolist()
        with open(folder / f"metrics/{name}_confusion.csv") as file:
            assert sum(1 for _ in file) == 1 + N_CLASSES**2
        assert json.loads((folder / f"metrics/{name}.json").read_text())["vanilla"]["PA"] is not None
