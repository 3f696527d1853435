"""Model files of SZN: prediction as the evaluation has it, for both kinds of network, new and removed classes, ONNX, older files."""

import dataclasses
import json
import pathlib

import numpy as np
import PIL.Image
import pytest
import torch
import yaml

from stages.szn import embed, pack
from tests.stages.szn import test_embed, test_train_embedding
from tests.support import blocks
from tests.support import small_vgg as small
from zeroshot.base import checkpoints, command_line, errors, params
from zeroshot.commands import __main__ as cli
from zeroshot.datasets import splits
from zeroshot.images import image_files
from zeroshot.networks import backbone
from zeroshot.pixel_classifiers import labelling, masked_classifier, pixel_classifier
from zeroshot.prediction import extension, model, onnx_export, segmenter
from zeroshot.szn import joint_embedding
from zeroshot.szn import network as szn_network
from zeroshot.words import class_embeddings

small_vgg = small.small_vgg
pytestmark = pytest.mark.usefixtures("small_vgg")

NAMES = ("background", "cat", "dog", "cow", "sheep", "bus")
SPLIT = splits.Split(NAMES, (0, 1, 2, 3), (4, 5), "images", (), (), (), train_unseen=(3,))
TRAIN_SEEN = {0, 1, 2}
NEW = "okapi"
SIZES = [(61, 90), (33, 47), (96, 58)]
THRESHOLD = 0.02
METRICS = {
    "generalised": {"seen": {"mIoU": 40.0}, "unseen": {"mIoU": 20.0}, "hIoU": 26.7},
    "split": {"dataset": "farm", "unseen": 2, "checksum": "00"},
    "exclude": "images",
}


def photograph(size):
    """Squares of random colours, which change a network's features from place to place."""
    colours = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return colours.repeat(13, 0).repeat(13, 1)[: size[0], : size[1]]


def features(network, image):
    """The features (h, w, d) float32 of an image."""
    extract = backbone.extractor(network, torch.device("cpu"), "float32")
    return extract(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])[0].permute(1, 2, 0).numpy()


def make(folder, encoder="vgg16_fcn32s"):
    """Write the files of the stages before `szn` and `fcn_je` to the current folder, and run these two and `embed`."""
    pathlib.Path("szn").mkdir()
    vectors = np.random.default_rng(0).normal(size=(40, 8)) * [1, 5, 2, 0.5, 3, 1, 2, 4] + 1
    keys = [*NAMES, NEW, *(f"word{number}" for number in range(40 - len(NAMES) - 1))]
    rows = [f"{key} {' '.join(map(repr, row.tolist()))}\n" for key, row in zip(keys, vectors, strict=True)]
    pathlib.Path("words.txt").write_text("".join(rows))
    parameters = {"embeddings": test_embed.EMBEDDINGS, "pca": {"dim": 5}}
    pathlib.Path("szn/params.yaml").write_text(yaml.safe_dump(parameters))
    splits.write("split.json", SPLIT)
    command_line.run(embed.main, [*test_embed.FLAGS, "--source-path", "words.txt"])

    config = test_train_embedding.NETWORK | {"encoder": encoder}
    if encoder != "vgg16_fcn32s":
        config |= {"batch_size": 2, "augmentation": blocks.AUGMENTATION}
    torch.manual_seed(0)
    with torch.random.fork_rng():
        network = backbone.new_network(params.build(config, szn_network.Params, "network"), 5).eval()
    cells = torch.from_numpy(features(network, photograph((100, 100)))).flatten(0, 1)
    with torch.no_grad():
        # Embeddings point in many directions, so many classes are predicted.
        network.classifier.bias.copy_(-network.classifier.weight[:, :, 0, 0] @ cells.mean(0))
    labels = sorted(TRAIN_SEEN)
    facts = {"seen": labels, "names": [NAMES[label] for label in labels], "side": 60, "target": "embedding"}
    trained = {"config": config, "lr_key": szn_network.LR_KEY, "network": network.state_dict()}
    checkpoints.save("network.pt", {**facts, **trained})

    vectors = torch.from_numpy(class_embeddings.read_rows("classes.h5", NAMES))
    layer = [network.classifier.weight.detach(), network.classifier.bias.detach()]
    joint = joint_embedding.classifier(*layer, vectors, SPLIT)
    # Each side of the mask has half of the cells.
    weight = torch.randn(cells.shape[1], generator=torch.Generator().manual_seed(2))
    weight = weight / (cells @ weight).std()
    szn = joint_embedding.with_mask(joint, SPLIT, True, weight, -(cells @ weight).median())
    recipe = splits.roles(SPLIT)
    pixel_classifier.save("fcn_je.pt", joint, **recipe)
    masked_classifier.save(
        "szn.pt", dataclasses.replace(szn, seen_bias=THRESHOLD), **recipe, config={"void": "ignored"}
    )
    pathlib.Path("metrics.json").write_text(json.dumps(METRICS))
    for variant in ("szn", "fcn_je"):
        arguments = {
            "--variant": variant, "--network-path": "network.pt", "--classifier-path": f"{variant}.pt",
            "--metrics-path": "metrics.json", "--embeddings-path": "classes.h5", "--recipe-path": "recipe.json",
            "--model-path": f"models/{variant}.pt",
        }  # fmt: skip
        command_line.run(pack.main, [word for pair in arguments.items() for word in pair])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path)
    return tmp_path


@pytest.fixture
def content(folder):
    return model.read("models/szn.pt")


@pytest.mark.parametrize(("encoder", "geometry"), [("vgg16_fcn32s", (32, 3)), ("resnet18", (4, 0))])
def test_predictions_are_the_label_maps_of_the_evaluation(tmp_path, monkeypatch, encoder, geometry):
    monkeypatch.chdir(tmp_path)
    make(tmp_path, encoder)
    network = szn_network.load(checkpoints.load("network.pt", szn_network.Checkpoint))
    predict = {
        "szn": (masked_classifier.load("szn.pt")[0], labelling.predict_masked_maps),
        "fcn_je": (pixel_classifier.load("fcn_je.pt")[0], labelling.predict_maps),
    }
    for variant, (classifier, label_maps) in predict.items():
        loaded, answers = model.load(f"models/{variant}.pt"), set()
        assert (loaded.stride, loaded.margin) == geometry
        m = loaded.margin
        for size in SIZES:
            image = photograph(size)
            cells, whole = features(network, image), (size[0] + 2 * m, size[1] + 2 * m)
            found = segmenter.predict(image, loaded, segmenter.Options(side=0)).labels
            # The cache has 16-bit features.
            for dtype, least in ((np.float32, 1.0), (np.float16, 0.99)):
                maps = label_maps(classifier, cells.astype(dtype), whole, stride=loaded.stride)
                assert np.mean(found == maps["generalised"][m : m + size[0], m : m + size[1]]) >= least
            answers |= set(np.unique(found).tolist())
        assert len(answers) > 1
        if variant == "szn":
            assert answers & TRAIN_SEEN and answers - TRAIN_SEEN


def test_a_model_says_what_it_is(content):
    loaded = model.build(content, torch.device("cpu"))
    assert (loaded.system, loaded.names, loaded.unseen, loaded.train_unseen) == ("szn", NAMES, (4, 5), (3,))
    assert str(loaded) == (
        "a model of szn, 6 classes, 2 of them without masks (sheep, bus), 1 with masks that its network was not trained on; "
        "evaluated: seen 40.0, unseen 20.0, hIoU 26.7. The encoder started from random weights."
    )
    provenance = content["provenance"]
    assert provenance["split"] == METRICS["split"] and provenance["config"] == {"void": "ignored"}
    assert content["backbone"]["config"]["lr"] == test_train_embedding.NETWORK["lr"]
    assert set(provenance["sha256"]) == {"network", "classifier"}
    assert str(model.load("models/fcn_je.pt")).startswith("fcn_je, a model of szn, 6 classes, ")


def test_a_model_loads_when_parameters_of_training_have_changed_since(content):
    config = {key: value for key, value in content["backbone"]["config"].items() if key != "momentum"}
    changed = {**content, "backbone": {**content["backbone"], "config": {**config, "nesterov": True}}}
    assert model.build(changed, torch.device("cpu")).stride == 32


def older(content):
    """The entries of a model file as the code before SZN wrote them."""
    new = ("layout", "system", "train_unseen", "provenance")
    return {**{key: value for key, value in content.items() if key not in new}, "ingredients": None}


def test_a_file_of_layout_1_is_a_model_of_zs3net(folder):
    content = model.read("models/fcn_je.pt")
    checkpoints.save("old.pt", older(content))
    before, after = model.load("models/fcn_je.pt"), model.load("old.pt")
    assert after.system == "zs3net" and after.train_unseen == ()
    image = photograph((50, 60))
    np.testing.assert_array_equal(segmenter.predict(image, before).labels, segmenter.predict(image, after).labels)
    cli.main(["remove-class", "cow", "--model", "old.pt", "--out", "less.pt"])
    assert model.read("less.pt")["layout"] == model.LAYOUT


def wrong_shape(content):
    return {**content, "classifier": {**content["classifier"], "unseen_side": torch.zeros(2, dtype=torch.bool)}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: {**content, "layout": 4}, "it has layout 4 of model files, .* update the code; give a model"),
        (lambda content: {**content, "system": "other"}, "system: "),
        (lambda content: {**content, "system": "zsi"}, "it is a model of ZSI, which finds instances; .* give a model"),
        (lambda content: {key: value for key, value in content.items() if key != "system"}, "system: "),
        (wrong_shape, "the tensors of 6 classes have wrong shapes or types: unseen_side"),
    ],
)
def test_files_that_cannot_be_used_are_refused(content, change, message):
    checkpoints.save("changed.pt", change(content))
    with pytest.raises(checkpoints.CheckpointError, match=message):
        model.load("changed.pt")


def test_a_classifier_of_another_network_is_refused(folder):
    masked, recipe = masked_classifier.load("szn.pt")
    longer = dataclasses.replace(masked.classifier, weight=torch.zeros(len(masked.labels), small.FEATURE_DIM + 1))
    masked_classifier.save(
        "szn.pt",
        dataclasses.replace(masked, classifier=longer, mask_weight=torch.zeros(small.FEATURE_DIM + 1)),
        **recipe,
    )
    with pytest.raises(SystemExit, match=f"szn.pt: reads features of length 25, and those of network.pt have {24}"):
        command_line.run(pack.main, [
            "--variant", "szn", "--network-path", "network.pt", "--classifier-path", "szn.pt", "--metrics-path",
            "metrics.json", "--embeddings-path", "classes.h5", "--recipe-path", "recipe.json", "--model-path", "m.pt",
        ])  # fmt: skip


@pytest.mark.parametrize("variant", ["szn", "fcn_je"])
def test_a_new_class_is_a_row_of_its_class_vector(folder, variant):
    content = model.read(f"models/{variant}.pt")
    extended = extension.add(content, [NEW, "zebu"], {"zebu": ("word3", "word4")}, None)
    old, new = model.classifier_of(content), model.classifier_of(extended.content)
    assert new.labels.tolist() == [*old.labels.tolist(), 6, 7] and new.unseen[-2:].all()
    assert extended.content["names"][6:] == [NEW, "zebu"] and extended.words == {NEW: [NEW], "zebu": ["word3", "word4"]}
    if isinstance(new, masked_classifier.MaskedClassifier):
        assert isinstance(old, masked_classifier.MaskedClassifier)
        assert new.unseen_side.tolist() == [*old.unseen_side.tolist(), True, True] and new.seen_bias == THRESHOLD
        old, new = old.classifier, new.classifier
    assert torch.equal(new.weight[:-2], old.weight) and torch.equal(new.bias[:-2], old.bias)

    # Principal components by another way.
    lines = [line.split() for line in pathlib.Path("words.txt").read_text().splitlines()]
    words = {key: np.array(row, np.float64) for key, *row in lines}
    everything = np.stack(list(words.values()))
    _, _, axes = np.linalg.svd(everything - everything.mean(axis=0))
    head = {name: content["backbone"]["network"][f"classifier.{name}"].numpy() for name in ("weight", "bias")}
    for row, vector in enumerate([words[NEW], (words["word3"] + words["word4"]) / 2], start=len(old.labels)):
        reduced = (vector - everything.mean(axis=0)) @ axes[:5].T
        reduced *= np.sign(axes[:5][np.arange(5), np.abs(axes[:5]).argmax(axis=1)])
        direction = reduced / np.linalg.norm(reduced)
        np.testing.assert_allclose(new.weight[row], direction @ head["weight"][:, :, 0, 0], atol=1e-5)
        np.testing.assert_allclose(new.bias[row], direction @ head["bias"], atol=1e-5)
    assert set(extended.nearest) == {NEW, "zebu"} and all(abs(cosine) <= 1 for _, cosine in extended.nearest.values())
    again = extension.add(extended.content, ["gaur"], {"gaur": ("word5",)}, None).content
    assert again["names"][-1] == "gaur" and len(again["ingredients"]["vectors"]) == 9


@pytest.mark.parametrize("variant", ["szn", "fcn_je"])
def test_removed_classes_come_back_as_they_were(folder, variant):
    content, gone = model.read(f"models/{variant}.pt"), ["cat", "cow", "bus"]
    shorter = extension.remove(content, gone)
    image = photograph(SIZES[0])
    before, without = (model.build(one, torch.device("cpu")) for one in (content, shorter))
    labels = {NAMES.index(name) for name in gone}
    assert set(without.labels) == {0, 2, 4} and not labels & set(np.unique(segmenter.predict(image, without).labels))
    again = model.build(extension.add(shorter, gone, {}, None).content, torch.device("cpu"))
    assert again.labels == before.labels and again.unseen == before.unseen
    np.testing.assert_array_equal(segmenter.predict(image, before).labels, segmenter.predict(image, again).labels)


def with_embeddings(content, **changes):
    ingredients = content["ingredients"]
    return {**content, "ingredients": {**ingredients, "embeddings": {**ingredients["embeddings"], **changes}}}


def test_classes_that_cannot_be_added_are_named(content):
    with pytest.raises(errors.UserError, match="'zebu': no vector for 'zebu'"):
        extension.add(content, ["zebu"], {}, None)
    with pytest.raises(errors.UserError, match="'cat' and 'kitty' have the same vector"):
        extension.add(content, ["kitty"], {"kitty": ("cat",)}, None)
    with pytest.raises(errors.UserError, match="embeddings.source=one_hot, which has no other words"):
        extension.add(with_embeddings(content, source="one_hot", path="none"), [NEW], {}, None)
    with pytest.raises(errors.UserError, match="has no generator and no class vectors"):
        extension.add({**content, "ingredients": None}, [NEW], {}, None)


def test_other_word_vectors_are_refused(content):
    lines = [line.split() for line in pathlib.Path("words.txt").read_text().splitlines()]
    pathlib.Path("turned.txt").write_text("".join(f"{key} {' '.join(row[::-1])}\n" for key, *row in lines))
    with pytest.raises(errors.UserError, match="turned.txt: has other vectors .* give the same source in --vectors"):
        extension.add(content, [NEW], {}, pathlib.Path("turned.txt"))
    pathlib.Path("short.txt").write_text("".join(f"{key} {' '.join(row[1:])}\n" for key, *row in lines))
    with pytest.raises(errors.UserError, match="short.txt: has vectors of another length"):
        extension.add(content, [NEW], {}, pathlib.Path("short.txt"))


def test_the_commands_from_a_new_class_to_the_pictures(folder, capsys):
    for command in ("add-class", "remove-class"):
        with pytest.raises(SystemExit, match="^--out: models/szn.pt is the model itself, which would be replaced"):
            cli.main([command, NEW, "--model", "models/szn.pt", "--out", "models/szn.pt"])
    cli.main(["add-class", NEW, "--model", "models/szn.pt", "--out", "more.pt"])
    table = capsys.readouterr().out
    assert table.splitlines()[0].split("  ")[0] == "new class" and NEW in table and "nearest vector" in table
    cli.main(["remove-class", NEW, "--model", "more.pt", "--out", "less.pt"])
    assert capsys.readouterr().out == "less.pt: 6 classes are left\n"
    PIL.Image.fromarray(photograph((90, 70))).save("photo.png")
    words = ["--flip", "--scales", "1,1.5", "--regions", "20", "--tile", "64", "--overlap", "32", "--masks"]
    cli.main(["predict", "photo.png", "--model", "more.pt", "--out", "out", *words, "--classes", f"cat,{NEW}"])
    assert set(np.unique(image_files.read_mask("out/photo.png")).tolist()) <= {0, 1, 6}
    shares = json.loads(pathlib.Path("out/shares.json").read_text())
    assert sum(shares["photo.png"].values()) == pytest.approx(100)


def test_the_exported_network_has_the_mask_and_the_margin(content):
    onnx_export.write("m.onnx", content)
    loaded, answers = model.build(content, torch.device("cpu")), set()
    for size in [*SIZES, (16, 200)]:
        image = photograph(size)
        labels = segmenter.predict(image, loaded, segmenter.Options(side=0)).labels
        assert np.mean(onnx_export.run("m.onnx", image) == labels) >= onnx_export.LEAST_AGREEMENT
        answers |= set(np.unique(labels).tolist())
    assert answers & TRAIN_SEEN and answers - TRAIN_SEEN


def test_the_exported_network_has_the_side_window(folder):
    content = model.read("models/fcn_je.pt")
    windowed = {**content, "classifier": {**content["classifier"], "side_window": 3}}
    onnx_export.write("w.onnx", windowed)
    loaded = [model.build(entries, torch.device("cpu")) for entries in (content, windowed)]
    changes = []
    for size in [*SIZES, (16, 200)]:
        image = photograph(size)
        alone, labels = (segmenter.predict(image, one, segmenter.Options(side=0)).labels for one in loaded)
        assert np.mean(onnx_export.run("w.onnx", image) == labels) >= onnx_export.LEAST_AGREEMENT
        changes.append(np.mean(alone != labels))
    assert max(changes) > 2 * (1 - onnx_export.LEAST_AGREEMENT)


def test_outputs_of_the_exported_network_without_a_side(content):
    masked = masked_classifier.of_entries(content["classifier"])
    image = photograph(SIZES[0])
    for left in ([0, 1, 2], [3, 4, 5]):
        entries = dataclasses.asdict(masked.of(left))
        shorter = {**content, "classifier": entries}
        module = onnx_export.Segmenter(model.network_of(shorter), model.classifier_of(shorter)).eval()
        with torch.inference_mode():
            labels = module(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])[0].numpy()
        loaded = model.build(shorter, torch.device("cpu"))
        found = segmenter.predict(image, loaded, segmenter.Options(side=0)).labels
        assert np.mean(labels == found) >= onnx_export.LEAST_AGREEMENT
