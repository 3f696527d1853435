"""From a detector to detections by heads that learnt from the cache of regions: dump, generator, last layer, detection."""

import json
import pathlib
import shutil

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import torch
import yaml

from stages import finetune_classifier, train_baseline, train_gmmn
from stages.zsi import cut_detector, detect_regions, dump_regions
from tests.support import disks_and_squares, quick_sections, two_ranks
from zeroshot.base import checkpoints, command_line
from zeroshot.cache import index, rows
from zeroshot.datasets import splits
from zeroshot.evaluation.instances import detections
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.zsi import detector_files, inference
from zeroshot.zsi.regions import evaluation_regions, region_shards, training_regions

REGIONS = {
    "object_iou": 0.5,
    "background_iou": 0.3,
    "background_per_image": 4,
    "evaluation_per_image": 12,
    "seed": 0,
    "shard_mib": 1,
}
DUMP = [
    *("--training-path", "data/zsi/train.json", "--train-images-dir", "data/images/train"),
    *("--images-path", "data/zsi/val_images.json", "--val-images-dir", "data/images/val"),
    *("--detector-path", "detector.pt", "--train-dir", "features/train", "--val-dir", "features/val"),
]
CUT = [
    *("--training-path", "data/zsi/train.json", "--images-path", "data/zsi/val_images.json"),
    *("--detector-path", "detector.pt", "--split-path", "split.json", "--classifier-path", "seen.pt"),
]
DETECT = ["--regions-dir", "features/val", "--detector-path", "detector.pt"]


def write_params(generator="mlp", **regions):
    runtime = {"device": "cpu", "threads": 1, "ranks": 1, "workers": 0, "scratch": "work"}
    sections = {
        "regions": REGIONS | regions,
        "detection": disks_and_squares.DETECTION,
        "heads": {"semantic_weight": 10.0},
        "gmmn": quick_sections.gmmn_section(generator=generator, epochs=1),
        "classifier": quick_sections.classifier_section(),
        "baseline": quick_sections.baseline_section(),
    }
    pathlib.Path("zsi").mkdir(exist_ok=True)
    pathlib.Path("params.yaml").write_text(yaml.safe_dump({"runtime": runtime}))
    pathlib.Path("zsi/params.yaml").write_text(yaml.safe_dump(sections))


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Data, and a detector with random weights whose boxes are those of the proposals."""
    monkeypatch.chdir(tmp_path)
    disks_and_squares.write(tmp_path, n_train=12, n_val=4)
    write_params()
    detector = disks_and_squares.new_detector()
    options = disks_and_squares.options()
    content = detector_files.checkpoint(detector, options, disks_and_squares.CLASSES)
    checkpoints.save("detector.pt", content)


def run(stage, words):
    command_line.run(stage.main, [str(word) for word in words])


def read_rows():
    (table,) = rows.read("features/train")
    return table


@pytest.mark.usefixtures("world")
def test_training_regions_show_the_object_that_they_cover_and_annotated_boxes_are_among_them():
    run(dump_regions, DUMP)
    table, document = read_rows(), json.loads(pathlib.Path("data/zsi/train.json").read_bytes())
    numbers = {image["id"]: number for number, image in enumerate(document["images"])}
    for annotation in document["annotations"]:
        label = disks_and_squares.CLASSES.label_of(annotation["category_id"])
        left, top, width, height = annotation["bbox"]
        of_object = (table["image"] == numbers[annotation["image_id"]]) & (table["label"] == label)
        assert (abs(table["position"][of_object] - [top + height / 2, left + width / 2]).max(axis=1) <= 1).any()
    assert set(table["label"]) <= {0, *disks_and_squares.CLASSES.seen}
    of_background = np.bincount(table["image"][table["label"] == 0], minlength=12)
    assert of_background.max() <= REGIONS["background_per_image"]
    described = index.read("features/train", "rows")
    assert described.classes == list(disks_and_squares.CLASSES.classes) and described.dim == 32
    # The second image of a pair of equal runs gives the same bytes.
    first = dumped()
    run(dump_regions, DUMP)
    assert dumped() == first


def dumped():
    """Return the bytes of every file of both caches."""
    return {str(path): path.read_bytes() for path in pathlib.Path("features").rglob("*.*")}


@pytest.mark.usefixtures("world")
def test_a_killed_dump_goes_on_at_its_first_missing_shard_and_writes_the_same_bytes(monkeypatch):
    monkeypatch.setattr(region_shards, "IMAGES", 5)
    run(dump_regions, DUMP)
    expected = dumped()
    assert sum("shard-" in name for name in expected) == 3 + 1
    shutil.rmtree("features")
    of_image, numbers = training_regions.of_image, []

    def stop_at_the_seventh(*arguments):
        numbers.append(arguments[3])
        if len(numbers) == 7:
            raise KeyboardInterrupt
        return of_image(*arguments)

    monkeypatch.setattr(training_regions, "of_image", stop_at_the_seventh)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(dump_regions, DUMP)
    (work,) = pathlib.Path("work/dump_regions").iterdir()
    assert caught.value.__notes__ == [f"1 of 4 shards are kept in {work}; run again to go on"]
    run(dump_regions, DUMP)
    assert numbers == [*range(7), *range(5, 12)]
    assert dumped() == expected and not work.exists()


def mirror(folder):
    """Replace an image of a folder by its mirror image."""
    path = min(pathlib.Path(folder).iterdir())
    with PIL.Image.open(path) as image:
        PIL.ImageOps.mirror(image).save(path)


def add_to(path):
    """Write a JSON file again with one entry more."""
    pathlib.Path(path).write_text(json.dumps({**json.loads(pathlib.Path(path).read_bytes()), "info": "another"}))


def change_detector():
    other = disks_and_squares.new_detector()
    torch.nn.init.ones_(other.box_head.regressor.bias)
    checkpoints.save(
        "detector.pt", detector_files.checkpoint(other, disks_and_squares.options(), disks_and_squares.CLASSES)
    )


CHANGES = {
    "regions": lambda: write_params(seed=1),
    "training image": lambda: mirror("data/images/train"),
    "evaluation image": lambda: mirror("data/images/val"),
    "annotations": lambda: add_to("data/zsi/train.json"),
    "list of evaluation images": lambda: add_to("data/zsi/val_images.json"),
    "detector": change_detector,
}


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("change", CHANGES)
def test_a_dump_of_other_inputs_is_not_resumed(monkeypatch, change):
    of_image, numbers = training_regions.of_image, []

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(evaluation_regions, "of_image", stop)
        with pytest.raises(KeyboardInterrupt):
            run(dump_regions, DUMP)
    CHANGES[change]()
    monkeypatch.setattr(
        training_regions, "of_image", lambda *arguments: numbers.append(arguments[3]) or of_image(*arguments)
    )
    run(dump_regions, DUMP)
    assert numbers == [*range(12)]


@pytest.mark.usefixtures("world")
def test_two_ranks_dump_the_same_bytes_as_one(tmp_path):
    run(dump_regions, DUMP)
    expected = dumped()
    shutil.rmtree("features")
    # A stage that does not share its work refuses torchrun.
    words = dict(zip(DUMP[::2], DUMP[1::2], strict=True))
    process = two_ranks.start(tmp_path, "stages.zsi.dump_regions", words, *two_ranks.TORCHRUN)
    _, text = process.communicate(timeout=300)
    assert process.returncode == 0, text
    assert dumped() == expected and not list(pathlib.Path("work").rglob("shard-*"))


@pytest.mark.usefixtures("world")
def test_training_images_without_an_object_are_refused_before_the_network_runs(monkeypatch):
    path = pathlib.Path("data/zsi/train.json")
    document = json.loads(path.read_bytes())
    crowds = [annotation | {"iscrowd": 1} for annotation in document["annotations"]]
    path.write_text(json.dumps(document | {"annotations": crowds}))
    monkeypatch.setattr(inference, "regions", lambda *_: pytest.fail("the network ran"))
    with pytest.raises(SystemExit, match="no training image has an object of a seen class"):
        run(dump_regions, DUMP)


@pytest.mark.usefixtures("world")
def test_annotations_of_evaluation_images_are_not_read():
    pathlib.Path("data/zsi/val.json").unlink()
    run(dump_regions, DUMP)
    run(cut_detector, CUT)


@pytest.mark.usefixtures("world")
def test_the_detectors_classifier_gives_its_scores():
    run(cut_detector, CUT)
    classifier, _ = pixel_classifier.load("seen.pt", splits.read("split.json"), 32)
    detector, classes = detector_files.load(checkpoints.load("detector.pt", detector_files.Checkpoint))
    detector.sync_background()
    features = torch.rand(5, 32)
    expected = detector.box_head.semantics(features) @ detector.box_head.seen_vectors().T
    torch.testing.assert_close(classifier.logits(features), expected)
    assert classifier.labels.tolist() == [0, *classes.seen]


@pytest.mark.usefixtures("world")
def test_detection_from_the_cache_is_that_of_the_network():
    run(dump_regions, DUMP)
    detector, _ = detector_files.load(checkpoints.load("detector.pt", detector_files.Checkpoint))
    image = disks_and_squares.batch(1)[0][0]
    fresh = inference.regions(detector, image)
    cached = evaluation_regions.of_image(detector, image, len(fresh.boxes))
    evaluation_regions.write(pathlib.Path("shard.h5"), [0], [cached])
    options, variants = disks_and_squares.detection(score_threshold=0.01), [("direct", "gzsi")]
    for _, regions in evaluation_regions.read("features/val", torch.device("cpu")):
        assert len(regions.boxes) <= REGIONS["evaluation_per_image"]
    pooled = torch.from_numpy(cached.mask_features).float()
    stored = inference.Regions(
        torch.from_numpy(cached.boxes),
        torch.from_numpy(cached.features).float(),
        cached.resized,
        cached.size,
        lambda index, boxes: pooled[index],
    )
    (first,), (second,) = (inference.detect(detector, one, variants, options) for one in (fresh, stored))
    # Features of 16 bits can change the order of almost equal scores, but not what is found.
    orders = [np.lexsort((*one.boxes.round().T.numpy(), one.labels.numpy())) for one in (first, second)]
    first, second = (
        [values[torch.from_numpy(order)] for values in (one.labels, one.boxes, one.masks)]
        for one, order in zip((first, second), orders, strict=True)
    )
    assert len(first[0]) > 0
    torch.testing.assert_close(first[0], second[0])
    torch.testing.assert_close(first[1], second[1], atol=0.05, rtol=0)
    torch.testing.assert_close(first[2], second[2], atol=0.01, rtol=0)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("method", ["mlp", "gan", "spnet"])
def test_a_head_that_learnt_from_the_cache_detects_both_roles(method):
    """The head learns from features of a generator, trained by MMD or by a critic, or is SPNet."""
    run(dump_regions, DUMP)
    run(cut_detector, CUT)
    shared = ["--split-path", "split.json", "--features-dir", "features/train", "--params-path", "zsi/params.yaml"]
    embeddings = ["--embeddings-path", "data/zsi/class_embeddings.h5"]
    out = ["--classifier-path", "head.pt", "--curve-path", "curve.csv", "--calibration-path", "calibration.csv"]
    if method != "spnet":
        write_params(generator=method)
        gmmn = ["--gmmn-path", "gmmn.pt"]
        context = ["--context-masks-path", "data/pretrained/none"]
        files = ["--curve-path", "gmmn.csv", "--quality-path", "quality.csv"]
        run(train_gmmn, [*shared, *embeddings, *gmmn, *context, *files])
        assert checkpoints.load("gmmn.pt", checkpoints.Configured)["config"]["generator"] == method
        start = ["--start-path", "seen.pt", "--cross-validation-path", "folds.pt"]
        run(finetune_classifier, [*shared, *gmmn, *start, *out])
    else:
        run(train_baseline, [*shared, *embeddings, *out, "--method", "spnet"])
    run(detect_regions, [*DETECT, "--classifier-path", "head.pt", "--detections-path", "head.json"])
    document = json.loads(pathlib.Path("data/zsi/val.json").read_bytes())
    sizes = {image["id"]: (image["height"], image["width"]) for image in document["images"]}
    found = detections.read("head.json", disks_and_squares.CLASSES, sizes)
    unseen = {disks_and_squares.CLASSES.category_ids[label] for label in disks_and_squares.CLASSES.unseen}
    assert found.scoring == "head" and found.zsi and {one["category_id"] for one in found.zsi} <= unseen
    assert {one["category_id"] for one in found.gzsi} - unseen
    assert found.facts["semantic_weight"] == 10.0


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("stage", "remedies"),
    [
        (finetune_classifier, "lower classifier.calibration.held_out, or set classifier.calibration.enabled: false"),
        (train_baseline, "lower baseline.held_out, or set baseline.spnet.calibrated: false"),
    ],
)
def test_folds_without_a_training_image_name_keys_of_zsi_alone(stage, remedies):
    """Of two classes one is held out, and the only image shows both."""
    path = pathlib.Path("data/zsi/train.json")
    document = json.loads(path.read_bytes())
    path.write_text(
        json.dumps(document | {"images": document["images"][:1], "annotations": document["annotations"][:2]})
    )
    run(dump_regions, DUMP)
    run(cut_detector, CUT)
    words = ["--split-path", "split.json", "--features-dir", "features/train", "--params-path", "zsi/params.yaml"]
    words += ["--classifier-path", "head.pt", "--curve-path", "curve.csv", "--calibration-path", "calibration.csv"]
    if stage is train_baseline:
        words += ["--embeddings-path", "data/zsi/class_embeddings.h5", "--method", "spnet"]
    else:
        words += ["--gmmn-path", "gmmn.pt", "--start-path", "seen.pt", "--cross-validation-path", "folds.pt"]
    with pytest.raises(SystemExit, match=rf"all show one of the held-out classes \(labels \d\); {remedies}$"):
        run(stage, words)


@pytest.mark.usefixtures("world")
def test_class_specific_boxes_are_refused_with_the_key():
    changes = {"box_head": {"regression": "official"}}
    detector, options = disks_and_squares.new_detector(**changes), disks_and_squares.options(**changes)
    checkpoints.save("detector.pt", detector_files.checkpoint(detector, options, disks_and_squares.CLASSES))
    with pytest.raises(SystemExit, match=r"detector\.box_head\.regression: is official"):
        run(dump_regions, DUMP)


@pytest.mark.usefixtures("world")
def test_a_classifier_without_unseen_classes_is_refused():
    run(dump_regions, DUMP)
    run(cut_detector, CUT)
    with pytest.raises(SystemExit, match="does not have a row for the background, each seen and each unseen class"):
        run(detect_regions, [*DETECT, "--classifier-path", "seen.pt", "--detections-path", "seen.json"])


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("content", [None, "{}"])
def test_a_list_of_images_that_is_missing_or_damaged_is_named(content):
    path = pathlib.Path("data/zsi/val_images.json")
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(SystemExit, match=r"^data/zsi/val_images\.json: "):
        run(cut_detector, CUT)
    assert not pathlib.Path("split.json").exists()
