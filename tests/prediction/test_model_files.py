"""Model files of the tiny pipeline: prediction as the evaluation has it, new and removed classes, ONNX, the commands."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import torch

import zeroshot
from stages import pack_models
from tests.support import dag, tiny
from zeroshot.base import checkpoints, command_line, errors
from zeroshot.cache import maps
from zeroshot.commands import __main__ as cli
from zeroshot.datasets import splits
from zeroshot.images import image_files
from zeroshot.pixel_classifiers import labelling, pixel_classifier
from zeroshot.prediction import extension, model, segmenter

# The corpus of the toy has the words of this class, which no image shows.
NEW = "purple banded"
STAGES = (
    "make_toy", "convert_labels", "prepare_split", "embed_classes", "train_backbone", "cut_last_layer", "dump_features",
    "train_gmmn", "finetune_classifier", "evaluate@zs3net", "zs3net",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the stages up to the model zs3net ran."""
    folder = tiny.make(tmp_path_factory.mktemp("models") / "run")
    tiny.run(folder, *STAGES)
    return folder


@pytest.fixture
def content(folder, monkeypatch):
    """The entries of the model; the working folder is that of the run."""
    monkeypatch.chdir(folder)
    return model.read("models/zs3net.pt")


def test_a_model_predicts_what_is_evaluated(content):
    loaded = model.build(content, torch.device("cpu"))
    split = splits.read("data/split.json")
    classifier, _ = pixel_classifier.load("models/classifiers/zs3net.pt")
    for item, cached in zip(split.val, maps.read("features/val"), strict=True):
        image = image_files.read_image(f"data/toy/{item.image}")
        expected = labelling.predict_maps(classifier, cached.features, image.shape[:2], stride=4)["generalised"]
        found = segmenter.predict(image, loaded).labels
        # The cache has 16-bit features.
        assert np.mean(found == expected) > 0.99


def test_a_model_has_names_roles_and_figures_of_the_run(content):
    split, loaded = splits.read("data/split.json"), model.build(content, torch.device("cpu"))
    assert loaded.names == split.classes and loaded.unseen == split.unseen and loaded.side == 32
    with open("metrics/zs3net.json") as file:
        assert loaded.figures == json.load(file)["generalised"]
    assert "(red-striped, blue-checked); evaluated: seen " in str(loaded)
    assert str(loaded).endswith(". The encoder started from random weights.")


def test_a_model_says_the_name_of_its_last_layer(content, tmp_path):
    assert str(model.build(content, torch.device("cpu"))).startswith("a model of zs3net, ")
    shutil.copy("models/classifiers/zs3net.pt", tmp_path / "zs5net.pt")
    paths = {
        "--backbone-path": "models/backbone.pt", "--classifier-paths": tmp_path / "zs5net.pt",
        "--metrics-paths": "metrics/zs3net.json", "--model-paths": tmp_path / "model.pt",
    }  # fmt: skip
    command_line.run(pack_models.main, [str(word) for pair in paths.items() for word in pair])
    packed = model.read(tmp_path / "model.pt")
    assert str(model.build(packed, torch.device("cpu"))).startswith("zs5net, a model of zs3net, ")
    # Files of older versions of the code have no name.
    unnamed = {**packed, "provenance": {key: value for key, value in packed["provenance"].items() if key != "name"}}
    assert str(model.build(unnamed, torch.device("cpu"))).startswith("a model of zs3net, ")


def test_a_model_without_the_data_and_the_parameters(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / "models/zs3net.pt", "m.pt")
    found = zeroshot.predict(np.zeros((40, 50, 3), np.uint8), "m.pt", flip=True)
    assert found.labels.shape == found.confidence.shape == (40, 50)


# As `zeroshot` does; then print the number of full garbage collections and the modules.
_PREDICT = """
import gc, sys
from zeroshot.commands import __main__ as cli
cli.main()
print(gc.get_stats()[2]["collections"], *sys.modules)
"""


def test_a_prediction_imports_only_what_it_needs(folder, tmp_path):
    PIL.Image.new("RGB", (40, 30)).save(tmp_path / "photo.png")
    words = ["predict", "photo.png", "--model", folder / "models/zs3net.pt", "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(zeroshot.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", _PREDICT, *words],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    # The first line says what was found.
    n_collections, *modules = done.stdout.partition("\n")[2].split()
    # Each of these takes a tenth of a second or more. Torchvision itself imports torch._dynamo and sympy.
    heavy = (
        "dvc", "gensim", "h5py", "matplotlib", "onnx", "onnxruntime", "pandas", "scipy", "skimage", "sklearn", "torch_geometric"
    )  # fmt: skip
    assert [name for name in heavy if name in modules] == [] and "torchvision" in modules
    # With Python's own thresholds there are five or more, each over half a million objects.
    assert int(n_collections) <= 1


@pytest.fixture
def extended(content):
    return extension.add(content, [NEW], {}, None)


def test_a_new_class_has_a_row_and_the_old_rows_stay(content, extended):
    old, new = (pixel_classifier.PixelClassifier(**entries["classifier"]) for entries in (content, extended.content))
    n, label = len(old.labels), len(content["names"])
    assert new.labels.tolist() == [*old.labels.tolist(), label] and extended.content["names"][label] == NEW
    assert torch.equal(new.weight[:n], old.weight) and torch.equal(new.bias[:n], old.bias)
    assert new.unseen[n] and new.seen_bias == old.seen_bias and new.weight[n].abs().sum() > 0
    assert extended.words == {NEW: ["purple", "banded"]}
    assert list(extended.after) == [content["names"][label] for label in sorted(old.labels.tolist())] + [NEW]
    assert extended.before.keys() == extended.after.keys() - {NEW}


def test_a_file_of_layout_2_has_no_side_window_and_learns_new_classes(content):
    def without(section):
        return {key: value for key, value in section.items() if key != "side_window"}

    ingredients = {**content["ingredients"], "classifier": without(content["ingredients"]["classifier"])}
    old = {**content, "layout": 2, "classifier": without(content["classifier"]), "ingredients": ingredients}
    checkpoints.save("old.pt", old)
    found = model.read("old.pt")
    assert found["layout"] == model.LAYOUT and model.classifier_of(found).side_window == 1
    assert NEW in extension.add(found, [NEW], {}, None).content["names"]


@pytest.mark.parametrize("ingredients", [{}, {"classifier": None}, {"classifier": 3}])
def test_a_damaged_file_of_layout_2_is_named(content, ingredients):
    checkpoints.save("damaged.pt", {**content, "layout": 2, "ingredients": ingredients})
    with pytest.raises(checkpoints.CheckpointError, match=r"^damaged\.pt: "):
        model.read("damaged.pt")


def test_the_vector_of_a_new_class_is_the_one_that_embed_classes_would_give(content, extended, folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("features", "models"))
    (other / "data/toy/classes.txt").write_text("\n".join([*content["names"], NEW]))
    (other / "params.yaml").write_text(
        (folder / "params.yaml").read_text().replace("- blue-checked", f"- blue-checked\n  - {NEW}")
    )
    tiny.run(other, "prepare_split", "embed_classes")
    from zeroshot.words import class_embeddings

    expected = class_embeddings.read(other / "data/class_embeddings.h5").vectors
    found = extended.content["ingredients"]["generator"]["embeddings"].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_new_class_of_a_self_trained_model_gets_the_bias_of_classes_without_pseudo_labels(content):
    ingredients = {**content["ingredients"], "seen_bias": 5.0}
    biased = extension.add({**content, "ingredients": ingredients}, [NEW], {}, None).content["classifier"]
    plain = extension.add({**content, "ingredients": {**ingredients, "seen_bias": 3.0}}, [NEW], {}, None).content[
        "classifier"
    ]
    difference = (biased["bias"] - plain["bias"]).numpy()
    np.testing.assert_allclose(difference, [0.0] * (len(difference) - 1) + [2.0], atol=1e-5)


def test_a_class_can_be_added_to_an_extended_model(extended):
    again = extension.add(extended.content, ["lime"], {"lime": ("green", "striped")}, None).content
    assert again["names"][-2:] == [NEW, "lime"] and len(again["classifier"]["labels"]) == len(again["names"])
    assert again["ingredients"]["generator"]["embeddings"].shape[0] == len(again["names"])


@pytest.mark.parametrize(
    ("names", "aliases", "message"),
    [
        (["red-plain"], {}, "the model has `red-plain` already"),
        ([NEW, NEW], {}, "needs a name of its own"),
        (["okapi"], {}, "'okapi': no vector for 'okapi'"),
        (["crimson"], {"crimson": ("red-striped",)}, "'red-striped' and 'crimson' have the same vector"),
    ],
)
def test_classes_that_cannot_be_added_are_named(content, names, aliases, message):
    with pytest.raises(errors.UserError, match=message):
        extension.add(content, names, aliases, None)


def test_other_word_vectors_are_refused(content, tmp_path):
    corpus = tmp_path / "corpus.txt"
    with open("data/toy/corpus.txt") as file:
        lines = [line.split() for line in file]
    corpus.write_text("\n".join(" ".join(reversed(words[::2] + words[1::2])) for words in lines))
    with pytest.raises(errors.UserError, match="has other vectors than the model was trained with, for example for"):
        extension.add(content, [NEW], {}, corpus)


def test_models_without_a_generator_or_without_word_vectors_cannot_learn_classes(content):
    with pytest.raises(errors.UserError, match="has no generator"):
        extension.add({**content, "ingredients": None}, [NEW], {}, None)
    ingredients = content["ingredients"]
    for change in ({"source": "matrix"}, {"source": "one_hot", "path": "data/pretrained/none"}):
        embeddings = {**ingredients["embeddings"], **change}
        with pytest.raises(
            errors.UserError, match=f"from embeddings.source={change['source']}, which has no other words"
        ):
            extension.add({**content, "ingredients": {**ingredients, "embeddings": embeddings}}, [NEW], {}, None)


def test_a_removed_class_is_never_predicted_and_label_ids_stay(content):
    shorter = extension.remove(content, ["red-striped", "cyan-plain"])
    loaded = model.build(shorter, torch.device("cpu"))
    gone = {content["names"].index(name) for name in ("red-striped", "cyan-plain")}
    assert set(loaded.labels) == set(range(len(content["names"]))) - gone and "not evaluated" in str(loaded)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert not gone & set(np.unique(segmenter.predict(image, loaded).labels).tolist())
    for name, message in {"cow": "no class `cow`", "background": "is the background"}.items():
        with pytest.raises(errors.UserError, match=message):
            extension.remove(content, [name])


def test_a_removed_class_comes_back_with_its_label_id_from_its_name_alone(content):
    again = extension.add(extension.remove(content, ["red-striped", "cyan-plain"]), ["cyan-plain"], {}, None).content
    before, after = (pixel_classifier.PixelClassifier(**entries["classifier"]) for entries in (content, again))
    label = content["names"].index("cyan-plain")
    assert after.labels[-1] == label and after.unseen[-1] and not before.unseen[before.labels == label]
    assert again["names"] == content["names"] and len(after.labels) == len(before.labels) - 1


def test_the_commands_from_adding_a_class_to_the_pictures(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    bigger, onnx = tmp_path / "bigger.pt", tmp_path / "bigger.onnx"
    cli.main(
        ["add-class", NEW, "lime", "--words", "lime=green,striped", "--model", "models/zs3net.pt", "--out", str(bigger)]
    )
    table = capsys.readouterr().out
    assert f"{NEW} " in table and "green, striped" in table and "before" in table
    cli.main(["remove-class", "lime", "--model", str(bigger), "--out", str(tmp_path / "smaller.pt")])
    n_classes = len(model.read("models/zs3net.pt")["names"])
    assert capsys.readouterr().out == f"{tmp_path}/smaller.pt: {n_classes + 1} classes are left\n"

    photographs = tmp_path / "photographs"
    (photographs / "more").mkdir(parents=True)
    pixels = np.random.default_rng(1).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(photographs / "a.bmp")
    PIL.Image.fromarray(pixels).convert("CMYK").save(photographs / "more/b.jpg")
    PIL.Image.fromarray(pixels).convert("L").save(photographs / "more/c.png")
    (photographs / "broken.jpg").write_bytes(b"no image")
    words = ["predict", str(photographs), "--model", str(bigger), "--out", str(tmp_path / "out"), "--masks"]
    with pytest.raises(SystemExit) as caught:
        cli.main([*words, "--side", "64", "--flip", "--regions", "20"])
    said = capsys.readouterr()
    assert caught.value.code == 1 and "broken.jpg" in said.err
    for stem in ("a", "more/b", "more/c"):
        labels = image_files.read_mask(tmp_path / f"out/{stem}.png")
        assert labels.shape == (90, 70) and labels.max() < n_classes + 2
        assert {path.name for path in (tmp_path / "out" / stem).parent.glob("*")} > {
            f"{stem[-1]}_overlay.jpg",
            f"{stem[-1]}_confidence.png",
        }
        assert list((tmp_path / f"out/{stem}_masks").iterdir())
    shares = json.loads((tmp_path / "out/shares.json").read_text())
    assert len(shares) == 3 and all(abs(sum(of_class.values()) - 100) < 1e-6 for of_class in shares.values())
    mean: dict[str, float] = {}
    for of_class in shares.values():
        for name, share in of_class.items():
            mean[name] = mean.get(name, 0) + share / 3
    first = max(mean, key=mean.__getitem__)
    assert re.match(rf"{tmp_path}/out: 3 images; {first}( \(unseen\))? {mean[first]:.1f} %", said.out)

    cli.main(["export-onnx", "--model", str(bigger), "--out", str(onnx)])
    assert "labels equal to PyTorch's" in capsys.readouterr().out and onnx.exists()


def test_a_last_layer_is_no_model(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    with pytest.raises(checkpoints.CheckpointError, match="zs3net.pt: is not the checkpoint .* give a model that"):
        model.read("models/classifiers/zs3net.pt")


def test_stages_that_make_models_have_the_names_that_people_type():
    stages = dag.stages()
    assert {out for name in ("zs3net", "zs5net", "baselines") for out in stages[name].outs} == {
        f"models/{name}.pt" for name in ("zs3net", "zs5net", "devise", "ale", "spnet")
    }


def test_no_photograph_is_replaced_and_results_are_not_segmented(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    PIL.Image.new("RGB", (40, 30)).save("photo.png")
    before = (tmp_path / "photo.png").read_bytes()
    words = ["predict", ".", "--model", str(folder / "models/zs3net.pt"), "--out"]
    with pytest.raises(SystemExit, match="photo.png: is an image, and would be replaced"):
        cli.main([*words, "."])
    for _ in range(2):
        cli.main([*words, "results"])
    assert (tmp_path / "photo.png").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [
        "photo.png", "photo_confidence.png", "photo_overlay.jpg", "shares.csv", "shares.json",
    ]  # fmt: skip
