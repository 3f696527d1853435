"""Model files of ZSI: predictions as the stages have them, the files of `zeroshot predict`, and what is refused."""

import collections
import csv
import json
import math
import pathlib

import numpy as np
import PIL.Image
import pycocotools.coco
import pytest
import torch
import yaml

import zeroshot
from stages.zsi import detect, detect_regions, dump_regions, pack
from tests.stages.zsi import test_regions
from tests.support import disks_and_squares
from zeroshot.base import checkpoints, command_line, errors
from zeroshot.commands import __main__ as cli
from zeroshot.datasets.instances import annotation_files
from zeroshot.evaluation.instances import truth
from zeroshot.figures import instance_overlay
from zeroshot.images import image_files
from zeroshot.pixel_classifiers import pixel_classifier
from zeroshot.prediction import model
from zeroshot.prediction.instances import instance_detection, instance_model
from zeroshot.zsi import detector_files

CLASSES = disks_and_squares.CLASSES
UNSEEN = {CLASSES.category_ids[label] for label in CLASSES.unseen}
# Fewer than the 20 proposals of the detector.
PER_IMAGE = 12
PHOTOGRAPHS = {"a.png": (48, 48), "more/b.png": (61, 90), "more/c.png": (33, 200)}


def head_of_random_rows(dim=32, n_classes=9):
    """A classifier whose logits differ from region to region."""
    random = torch.Generator().manual_seed(3)
    labels = torch.arange(n_classes)
    rows = torch.randn(n_classes, dim, generator=random)
    return pixel_classifier.PixelClassifier(rows, torch.zeros(n_classes), labels, labels > len(CLASSES.seen), 0.5)


def metrics_of(name):
    parts = {role: {"mAP50": value} for role, value in {"seen": 60.0, "unseen": None, "harmonic": None}.items()}
    zsi = {"unseen": {"mAP50": None, "recall50": None}}
    top1 = {"zsi": {"unseen": {"top1": None, "mask_iou": None}}}
    protocols = {"gzsi": parts, "gzsd": parts, "zsi": zsi, "zsd": zsi, "top1": top1}
    facts = {} if name in ("mix", "direct") else {"semantic_weight": 10.0}
    return {
        "scoring": name,
        "split": {"checksum": "00"},
        "detector": facts,
        "evaluation": {"resamples": 0},
        **protocols,
    }


def pack_words(name, classifier=False):
    words = ["--detector-path", "detector.pt", "--metrics-path", f"{name}.json", "--model-path", f"models/{name}.pt"]
    return [*words, *(["--classifier-path", f"{name}.pt"] if classifier else [])]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A folder with a detector with random weights, a head, their packed models, and images."""
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        disks_and_squares.write(folder, n_train=2, n_val=3)
        test_regions.write_params(evaluation_per_image=PER_IMAGE)
        detector = disks_and_squares.new_detector()
        with torch.no_grad():
            # Scores then differ from region to region.
            detector.box_head.encoder[1].weight.mul_(40)
        checkpoints.save("detector.pt", detector_files.checkpoint(detector, disks_and_squares.options(), CLASSES))
        pixel_classifier.save("head.pt", head_of_random_rows(), config={"epochs": 3})
        for name in ("mix", "direct", "head"):
            pathlib.Path(f"{name}.json").write_text(json.dumps(metrics_of(name)))
            command_line.run(pack.main, pack_words(name, name == "head"))
        for name, size in PHOTOGRAPHS.items():
            path = pathlib.Path("photographs", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(photograph(size)).save(path)
    return folder


@pytest.fixture
def folder(packed, monkeypatch):
    monkeypatch.chdir(packed)
    return packed


def photograph(size):
    drawn, _ = disks_and_squares.draw(np.random.default_rng(5), [1, 4, 7], side=max(size))
    return drawn[: size[0], : size[1]]


def document(path):
    return json.loads(pathlib.Path(path).read_text())


def images():
    """The id and the pixels of each evaluation image."""
    listed = document("data/zsi/val_images.json")["images"]
    return {entry["id"]: image_files.read_image(f"data/images/val/{entry['file_name']}") for entry in listed}


def test_scorings_find_what_the_stage_detect_finds(folder, tmp_path):
    arguments = ["--images-path", "data/zsi/val_images.json", "--images-dir", "data/images/val"]
    command_line.run(
        detect.main, [*arguments, "--detector-path", "detector.pt", "--detections-dir", str(tmp_path / "d")]
    )
    for name in ("mix", "direct"):
        loaded = instance_model.load(f"models/{name}.pt")
        found = [
            {**one, "image_id": id}
            for id, image in images().items()
            for one in instance_detection.detect(image, loaded)
        ]
        assert found == document(tmp_path / f"d/{name}.json")["gzsi"] and len(found) > 10


def test_a_head_finds_what_the_stage_detect_regions_finds(folder, tmp_path):
    folders = ["--train-dir", str(tmp_path / "train"), "--val-dir", str(tmp_path / "val")]
    command_line.run(dump_regions.main, [*test_regions.DUMP[:-4], *folders])
    words = ["--regions-dir", str(tmp_path / "val"), "--detector-path", "detector.pt", "--classifier-path", "head.pt"]
    command_line.run(detect_regions.main, [*words, "--detections-path", str(tmp_path / "head.json")])
    expected = document(tmp_path / "head.json")["gzsi"]
    loaded = instance_model.load("models/head.pt")
    assert loaded.most_regions == PER_IMAGE
    for id, image in images().items():
        of_image = [one for one in expected if one["image_id"] == id]
        found = instance_detection.detect(image, loaded)
        # The cache has features of 16 bits.
        tables = [
            sorted((one["category_id"], *np.round(one["bbox"]).tolist(), one["score"]) for one in ones)
            for ones in (of_image, found)
        ]
        assert len(found) > 5
        np.testing.assert_allclose(*tables, atol=1.01)
        np.testing.assert_allclose(*(np.array(table)[:, -1] for table in tables), atol=0.01)


def predict(*words):
    cli.main(["predict", "photographs", *words])


def test_the_files_of_a_prediction(folder, tmp_path, capsys):
    out = tmp_path / "out"
    predict("--model", "models/head.pt", "--out", str(out))
    printed = capsys.readouterr()
    said = printed.err
    assert (
        "a model of ZSI (head), 8 classes, 2 of them without masks (disk 60, square 180); evaluated: seen 60.0 mAP"
        in said
    )
    content = document(out / "instances.json")
    coco = pycocotools.coco.COCO(str(out / "instances.json"))
    assert {(entry["file_name"], entry["height"], entry["width"]) for entry in content["images"]} == {
        (f"photographs/{name}", *size) for name, size in PHOTOGRAPHS.items()
    }
    assert {entry["name"] for entry in content["categories"] if entry["unseen"]} == {"disk 60", "square 180"}
    assert {entry["id"]: entry["name"] for entry in content["categories"]} == dict(
        zip(CLASSES.category_ids[1:], CLASSES.classes[1:], strict=True)
    )
    with open(out / "instances.csv", newline="") as file:
        rows = {int(row["annotation"]): row for row in csv.DictReader(file)}
    assert rows.keys() == {one["id"] for one in content["annotations"] if one["drawn"]}
    assert printed.out.startswith(f"{out}: {len(PHOTOGRAPHS)} images; ")
    parts = [part.partition(" ") for part in printed.out.strip().partition("; ")[2].split(", ")]
    counted = {name.removesuffix(" (unseen)"): int(n) for n, _, name in parts}
    assert counted == collections.Counter(row["class"] for row in rows.values())
    for one in content["annotations"]:
        assert one["area"] == coco.annToMask(one).sum() and one["iscrowd"] == 0
        if one["drawn"]:
            row = rows[one["id"]]
            assert row["image"] == coco.imgs[one["image_id"]]["file_name"]
            assert row["class"] == coco.cats[one["category_id"]]["name"]
            assert row["unseen"] == str(one["category_id"] in UNSEEN) and float(row["score"]) == one["score"]
            mask = np.asarray(PIL.Image.open(out / row["mask"]))
            np.testing.assert_array_equal(mask, 255 * coco.annToMask(one))
    for id in coco.imgs:
        scores = [one["score"] for one in content["annotations"] if one["image_id"] == id]
        assert scores == sorted(scores, reverse=True) and scores
    for name, size in PHOTOGRAPHS.items():
        stem = out / name.removesuffix(".png")
        picture = PIL.Image.open(stem.with_name(f"{stem.name}_overlay.jpg"))
        assert picture.width == round(instance_overlay.SIDES[0] * size[1] / max(size))
        numbers = [path.name[:3] for path in sorted(stem.with_name(f"{stem.name}_instances").iterdir())]
        assert numbers == [f"{number:03d}" for number in range(1, len(numbers) + 1)]


def test_readers_of_annotations_take_the_instances(folder, tmp_path):
    predict("--model", "models/direct.pt", "--out", str(tmp_path))
    faults = errors.Faults()
    file = annotation_files.read(tmp_path / "instances.json", folder, faults)
    assert not faults and len(truth.read(tmp_path / "instances.json", CLASSES).instances) == len(file.annotations) > 0


def test_a_higher_score_leaves_fewer_instances_and_no_masks_of_an_earlier_run(folder, tmp_path):
    numbers = []
    for score in ("0.05", "0.3", "1"):
        predict("--model", "models/head.pt", "--out", str(tmp_path), "--score", score)
        content = document(tmp_path / "instances.json")
        assert all(one["score"] > float(score) for one in content["annotations"])
        assert len(list(tmp_path.rglob("*_instances/*.png"))) == sum(one["drawn"] for one in content["annotations"])
        numbers.append(len(content["annotations"]))
    assert numbers[0] > numbers[1] > numbers[2] == 0
    # Without any instance all files are there, and programs read them.
    assert pycocotools.coco.COCO(str(tmp_path / "instances.json")).getAnnIds() == []
    assert len(list(tmp_path.rglob("*_overlay.jpg"))) == len(PHOTOGRAPHS)
    assert (tmp_path / "instances.csv").read_text().count("\n") == 1


@pytest.mark.parametrize("name", ["mix", "direct", "head"])
def test_only_chosen_classes_are_found(folder, name, tmp_path):
    predict("--model", f"models/{name}.pt", "--out", str(tmp_path), "--classes", "disk 60, square 0")
    ids = {CLASSES.category_ids[CLASSES.classes.index(name)] for name in ("disk 60", "square 0")}
    found = {one["category_id"] for one in document(tmp_path / "instances.json")["annotations"]}
    assert found and found <= ids


def test_an_image_is_turned_upright_and_one_that_cannot_be_used_is_named(folder, tmp_path, capsys):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(photograph((30, 70))).save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "broken.png").write_bytes(b"no image")
    PIL.Image.new("RGB", (300, 2)).save(tmp_path / "thin.png")
    with pytest.raises(SystemExit) as caught:
        cli.main(["predict", str(tmp_path), "--model", "models/mix.pt", "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert caught.value.code == 1 and "broken.png: " in said
    assert "thin.png: is 300 x 2 pixels, too thin to be resized to 64 pixels" in said
    (entry,) = document(tmp_path / "out/instances.json")["images"]
    assert (entry["id"], entry["height"], entry["width"]) == (1, 70, 30)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--flip"], "--flip: models/mix.pt is a model of ZSI, which has no such option"),
        (["--scales", "1,2"], "--scales: "),
        (["--regions", "9"], "--regions: "),
        (["--side", "64"], "--side: "),
        (["--tile", "512"], "--tile: "),
        (["--tile", "100"], "--tile: models/mix.pt is a model of ZSI"),
        (["--masks"], "--masks: models/mix.pt is a model of ZSI, which always writes masks"),
        (["--overlap", "64"], "--overlap: "),
        (["--classes", "cow"], "no class `cow`; the model has disk 0, "),
        (["--classes", "background"], "no class `background`"),
        (["--score", "1.5"], "score: needs a number from 0 to 1, found 1.5"),
    ],
)
def test_options_that_do_not_apply_are_refused(folder, tmp_path, words, message):
    with pytest.raises(SystemExit, match=message):
        predict("--model", "models/mix.pt", "--out", str(tmp_path), *words)
    assert not list(tmp_path.iterdir())


def test_a_score_is_for_models_of_instances_alone(folder, tmp_path):
    checkpoints.save(tmp_path / "m.pt", {"layout": 3, "system": "zs3net"})
    with pytest.raises(SystemExit, match="--score: .*m.pt finds no instances, so it has no such option"):
        predict("--model", str(tmp_path / "m.pt"), "--out", str(tmp_path), "--score", "0.5")


@pytest.mark.parametrize(
    ("taken", "is_folder", "message"),
    [
        ("out/a_instances", False, "out/a_instances: is a file, and a folder is needed there"),
        ("out/a_overlay.jpg", True, "out/a_overlay.jpg: is a folder, and a file is needed there"),
        ("out", False, "out: is a file, and a folder is needed there"),
    ],
)
def test_a_place_of_results_that_is_taken_is_named_before_the_model_is_built(
    folder, tmp_path, monkeypatch, taken, is_folder, message
):
    monkeypatch.setattr(instance_model, "build", None)
    PIL.Image.fromarray(photograph((40, 40))).save(tmp_path / "a.png")
    place = tmp_path / taken
    place.parent.mkdir(exist_ok=True)
    place.mkdir() if is_folder else place.write_text("mine")
    with pytest.raises(SystemExit, match=message):
        cli.main(["predict", str(tmp_path / "a.png"), "--model", "models/mix.pt", "--out", str(tmp_path / "out")])


def test_a_file_of_another_system_is_no_model_of_zsi(tmp_path):
    for entries in ({"layout": 3, "system": "zs3net"}, {"weights": 1}):
        checkpoints.save(tmp_path / "m.pt", entries)
        with pytest.raises(checkpoints.CheckpointError, match="it is no model of ZSI"):
            instance_model.load(tmp_path / "m.pt")


@pytest.mark.parametrize(
    "words", [["add-class", "okapi"], ["remove-class", "disk 0"], ["export-onnx"]], ids=lambda words: words[0]
)
def test_other_commands_refuse_the_model(folder, tmp_path, words):
    with pytest.raises(SystemExit, match="mix.pt: .*it is a model of ZSI, which finds instances; only the command"):
        cli.main([*words, "--model", "models/mix.pt", "--out", str(tmp_path / "new.pt")])
    assert not list(tmp_path.iterdir())


def test_the_python_function_for_label_maps_refuses_the_model(folder):
    with pytest.raises(errors.UserError, match="it is a model of ZSI, which finds instances"):
        zeroshot.predict(photograph((48, 48)), "models/mix.pt")


def without_weights(content):
    return {**content, "detector": {**content["detector"], "network": {}}}


def without_a_layer(content):
    network = {**content["detector"]["network"]}
    network.pop("box_head.regressor.bias")
    return {**content, "detector": {**content["detector"], "network": network}}


def test_a_detector_of_layout_1_has_as_many_candidates_as_proposals(folder, tmp_path):
    content = model.read_any("models/head.pt")
    config = content["detector"]["config"]
    rpn = {key: value for key, value in config["rpn"].items() if not key.startswith("candidates")}
    old = {**content, "layout": 1, "detector": {**content["detector"], "config": {**config, "rpn": rpn}}}
    del old["semantic_weight"]
    checkpoints.save(tmp_path / "old.pt", old)
    proposal_network = instance_model.load(tmp_path / "old.pt").detector.rpn
    assert proposal_network.pre_nms_top_n() == proposal_network.post_nms_top_n() == rpn["proposals_test"]


def test_a_head_of_layout_2_has_no_semantic_vectors_beside_it(folder, tmp_path):
    content = model.read_any("models/head.pt")
    assert content.pop("semantic_weight") == 10.0
    checkpoints.save(tmp_path / "old.pt", {**content, "layout": 2})
    assert instance_model.load(tmp_path / "old.pt").scorer.semantic_weight == 0


def test_a_scoring_of_layout_2_stays_one(folder, tmp_path):
    content = model.read_any("models/mix.pt")
    assert content.pop("semantic_weight") is None
    checkpoints.save(tmp_path / "old.pt", {**content, "layout": 2})
    assert instance_model.load(tmp_path / "old.pt").scorer == "mix"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: {**content, "semantic_weight": None}, "semantic_weight: a classifier has one"),
        (lambda content: {**content, "semantic_weight": math.inf}, "semantic_weight.*: Input should be a finite"),
        (lambda content: {**content, "scorer": "mix"}, "semantic_weight: .* a scoring has none"),
        (lambda content: {**content, "layout": 4}, "it has layout 4 of model files of ZSI, .* update the code"),
        (
            lambda content: {key: value for key, value in content.items() if key != "detector"},
            "detector: Field required",
        ),
        (lambda content: {**content, "scorer": "sum"}, "scorer.*: Input should be 'mix'"),
        (lambda content: {**content, "scorer": {"weight": 1}}, "scorer"),
        (lambda content: {**content, "detection": {"nms": 0.5}}, "detection.score_threshold: missing"),
        (without_weights, "its weights lack box_head.vectors"),
        (without_a_layer, "its weights do not fit its configuration"),
    ],
)
def test_a_damaged_model_is_named(folder, tmp_path, change, message):
    checkpoints.save(tmp_path / "m.pt", change(model.read_any("models/head.pt")))
    with pytest.raises(SystemExit, match=rf"(?s)m\.pt: .*{message}.*give a model that `dvc repro zsi/dvc.yaml` wrote"):
        predict("--model", str(tmp_path / "m.pt"), "--out", str(tmp_path / "out"))


def test_half_a_file_is_named(folder, tmp_path):
    (tmp_path / "m.pt").write_bytes(pathlib.Path("models/head.pt").read_bytes()[:5000])
    with pytest.raises(SystemExit, match=r"m\.pt: cannot be read as a PyTorch file"):
        predict("--model", str(tmp_path / "m.pt"), "--out", str(tmp_path / "out"))


def test_files_that_do_not_belong_together_are_not_packed(folder):
    checkpoints.save("other.pt", {"classifier": vars(head_of_random_rows(dim=31))})
    pathlib.Path("other.json").write_text(json.dumps(metrics_of("other")))
    with pytest.raises(SystemExit, match="other.pt: its classifier reads features of length 31, and .* have 32"):
        command_line.run(pack.main, pack_words("other", classifier=True))
    checkpoints.save("other.pt", {"classifier": vars(head_of_random_rows(n_classes=7))})
    with pytest.raises(SystemExit, match="other.pt: the classifier does not have a row for"):
        command_line.run(pack.main, pack_words("other", classifier=True))
    with pytest.raises(SystemExit, match="other.json: has the metrics of other, and those of mix or .* are needed"):
        command_line.run(pack.main, pack_words("other"))
    pathlib.Path("other.json").write_text(json.dumps(metrics_of("head")))
    with pytest.raises(SystemExit, match="other.json: has the metrics of head, and those of other are needed"):
        command_line.run(pack.main, pack_words("other", classifier=True))
    assert not pathlib.Path("models/other.pt").exists()


def test_no_photograph_is_replaced(folder, tmp_path):
    for name in ("a.png", "a_overlay.jpg"):
        PIL.Image.new("RGB", (40, 30)).save(tmp_path / name)
    words = ["--model", "models/mix.pt", "--out", str(tmp_path)]
    with pytest.raises(SystemExit, match="a_overlay.jpg: is an image, and would be replaced"):
        cli.main(["predict", str(tmp_path), *words])
    (tmp_path / "a_overlay.jpg").unlink()
    (tmp_path / "a_instances").mkdir()
    PIL.Image.new("RGB", (40, 30)).save(tmp_path / "a_instances/001_b.png")
    with pytest.raises(SystemExit, match="a_instances: has an image, and would be replaced"):
        cli.main(["predict", str(tmp_path), *words])
    # A label map would be a.png, but instances replace no image here.
    cli.main(["predict", str(tmp_path / "a.png"), *words])
    assert PIL.Image.open(tmp_path / "a.png").size == (40, 30)


def test_packed_models_are_the_same_bytes_and_say_where_they_are_from(folder):
    before = pathlib.Path("models/head.pt").read_bytes()
    command_line.run(pack.main, pack_words("head", classifier=True))
    assert pathlib.Path("models/head.pt").read_bytes() == before
    content = instance_model.check("models/head.pt", model.read_any("models/head.pt"))
    assert content["provenance"]["config"] == {"epochs": 3}
    assert set(content["provenance"]["sha256"]) == {"detector", "classifier"}
    assert content["detection"] == yaml.safe_load(pathlib.Path("zsi/params.yaml").read_text())["detection"]
