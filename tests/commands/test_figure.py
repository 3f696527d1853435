"""The command `zeroshot figure`, on the small world of tests/support/pixel_world.py."""

import dataclasses
import hashlib
import json
import re
import shutil

import numpy as np
import PIL.Image
import pytest
import torch
import yaml

from tests.support import dag, pixel_world, quick_sections
from zeroshot.cache import index, maps
from zeroshot.commands import __main__ as commands
from zeroshot.datasets import splits
from zeroshot.figures import colours, overlays
from zeroshot.images import label_ids
from zeroshot.pixel_classifiers import labelling, pixel_classifier

N_MAPS, BIAS = 4, 4.0


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A val cache, its images, and classifiers of which one has a seen bias."""
    folder = tmp_path_factory.mktemp("world")
    pixel_world.write_maps(folder / "features/val", N_MAPS)
    items = tuple(splits.Item(f"val{number}", f"JPEGImages/val{number}.png") for number in range(N_MAPS))
    splits.write(folder / "data/split.json", dataclasses.replace(pixel_world.split(), val=items))
    (folder / "data/world/JPEGImages").mkdir(parents=True)
    for number, item in enumerate(maps.read(folder / "features/val")):
        pixels = np.random.default_rng(number).integers(0, 256, (*item.mask.shape, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"data/world/JPEGImages/{item.image}.png")
    everything = pixel_world.start(tuple(range(len(pixel_world.CLASSES))))
    unseen = torch.isin(everything.labels, torch.tensor(pixel_world.UNSEEN))
    biased = dataclasses.replace(everything, unseen=unseen, seen_bias=BIAS)
    for name, model in {"seen_only": pixel_world.start(), "zs3net": biased, "devise": biased, "mine": biased}.items():
        pixel_classifier.save(folder / f"models/classifiers/{name}.pt", model)
    (folder / "presets").symlink_to(dag.ROOT / "presets")
    document = quick_sections.document(data={"root": "data/world"}, visualise=quick_sections.visualise_section())
    (folder / "params.yaml").write_text(yaml.safe_dump(document))
    return folder


@pytest.fixture
def run(world, monkeypatch, capsys):
    """Run the command in the world and return what it prints; a SystemExit is passed on."""

    def main(*words):
        monkeypatch.chdir(world)
        commands.main(["figure", *map(str, words)])
        return capsys.readouterr().out

    return main


def iou(truth, labels, classes):
    """Return the mean IoU in per cent by sets of pixels, None without a class."""
    scored = truth != label_ids.IGNORE_INDEX
    values = []
    for label in classes:
        true = set(np.flatnonzero(scored & (truth == label)).tolist())
        predicted = set(np.flatnonzero(scored & (labels == label)).tolist())
        if true:
            values.append(len(true & predicted) / len(true | predicted))
    return 100 * sum(values) / len(values) if values else None


def texts(path):
    return [re.sub("<.*?>", "", text) for text in re.findall(r"<text.*?</text>", path.read_text(), re.DOTALL)]


def test_the_svg_has_names_and_ious_of_every_model(run, world, tmp_path):
    run("--ids", "val1", "--models", "zs3net", "devise", "mine", "--width", 12, "--out", tmp_path / "figure.svg")
    (item,) = maps.read(world / "features/val", ["val1"])
    model = pixel_classifier.load(world / "models/classifiers/zs3net.pt")[0]
    answers = labelling.predict_maps(model, item.features, item.mask.shape, stride=4)
    expected = []
    # DeViSE is the method without a seen bias in the comparison, so its column shows the answer without it.
    for protocol in ("generalised", "without_bias", "generalised"):
        values = [iou(item.mask, answers[protocol], group) for group in (pixel_world.SEEN, pixel_world.UNSEEN)]
        seen, unseen = ("-" if value is None else f"{value:.0f}" for value in values)
        expected.append(f"IoU seen {seen}, unseen {unseen}")
    assert expected[0] != expected[1]
    shown = texts(tmp_path / "figure.svg")
    assert [text for text in shown if text.startswith("IoU ")] == expected
    assert [text for text in shown if text in ("ZS3Net", "DeViSE", "mine")] == ["ZS3Net", "DeViSE", "mine"]
    labels = set(np.unique([item.mask, *answers.values()]).tolist()) - {label_ids.IGNORE_INDEX}
    legend = {f"★ {name}" if label in pixel_world.UNSEEN else name for label, name in enumerate(pixel_world.CLASSES)}
    absent = {name for label, name in enumerate(pixel_world.CLASSES) if label not in labels}
    assert {text for text in shown if text in legend} == {text for text in legend if text.strip("★ ") not in absent}


@pytest.mark.parametrize("suffix", ["pdf", "svg", "png"])
def test_a_second_run_gives_the_same_bytes(run, tmp_path, suffix):
    words = ("--ids", "val0", "--models", "zs3net", "--width", 3, "--dpi", 60, "--names")
    for name in ("one", "two"):
        run(*words, "--out", tmp_path / f"{name}.{suffix}")
    first = (tmp_path / f"one.{suffix}").read_bytes()
    assert first == (tmp_path / f"two.{suffix}").read_bytes()
    assert first.startswith({"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}[suffix])


def test_the_png_has_the_colours_of_the_truth(run, world, tmp_path):
    """The centre of a seen block, far from contours, has the colour of its class over the grey of its photograph."""
    dpi = 250
    run("--ids", "val2", "--models", "zs3net", "--width", 3, "--dpi", dpi, "--out", tmp_path / "figure.png")
    (item,) = maps.read(world / "features/val", ["val2"])
    picture = np.asarray(PIL.Image.open(tmp_path / "figure.png").convert("RGB")).astype(int)
    assert picture.shape[1] == 3 * dpi
    photograph = np.asarray(PIL.Image.open(world / "data/world/JPEGImages/val2.png"))
    expected = overlays.tinted(photograph, item.mask, colours.colours(len(pixel_world.CLASSES))).astype(int)
    seen = np.argwhere(~np.isin(item.mask, [*pixel_world.UNSEEN, 0, label_ids.IGNORE_INDEX]))
    present = {tuple(pixel) for pixel in np.unique(picture.reshape(-1, 3), axis=0).tolist()}
    assert len(seen) > 50
    assert all(tuple(expected[y, x].tolist()) in present for y, x in seen)


def test_the_default_is_all_models_with_a_name_and_a_choice_of_images(run, tmp_path):
    printed = run("--n", 2, "--out", tmp_path / "figure.svg")
    shown = texts(tmp_path / "figure.svg")
    titles = [text for text in shown if text in ("ZS3Net", "DeViSE", "mine") or text.startswith("Without")]
    assert titles == ["Without zero-shot", "DeViSE", "ZS3Net"]
    chosen = [text for text in shown if re.fullmatch(r"val\d", text)]
    assert len(chosen) == 2 and printed == f"{tmp_path}/figure.svg: {', '.join(chosen)}\n"


def test_a_method_can_be_named_instead_of_a_model(run, tmp_path):
    words = ("ZS3Net without the seen bias", "zs3net")
    run("--ids", "val1", "--models", *words, "--width", 20, "--out", tmp_path / "figure.svg")
    shown = texts(tmp_path / "figure.svg")
    assert "ZS3Net without the seen bias" in shown and "ZS3Net" in shown
    assert len({text for text in shown if text.startswith("IoU ")}) == 2


@pytest.mark.parametrize("name", [r"$\frac{x$", "$a$ and $b$"])
def test_a_name_with_dollars_is_no_formula(run, world, tmp_path, name):
    classes = tuple(name if label in (1, 5) else old for label, old in enumerate(pixel_world.CLASSES))
    described = json.loads((world / "features/val" / index.NAME).read_text())
    shutil.copytree(world / "features/val", tmp_path / "val")
    (tmp_path / "val" / index.NAME).write_text(json.dumps({**described, "classes": list(classes)}))
    splits.write(tmp_path / "split.json", dataclasses.replace(splits.read(world / "data/split.json"), classes=classes))
    words = ("--features", tmp_path / "val", "--split", tmp_path / "split.json", "--models", "mine", "--names")
    run("--ids", "val0", "val1", "val2", *words, "--out", tmp_path / "figure.svg")
    assert {name, f"★ {name}"} <= set(texts(tmp_path / "figure.svg"))


def test_a_model_with_a_network_of_its_own_fits_its_own_features_alone(run, world, tmp_path):
    """It is not among the default columns, whatever methods.yaml says."""
    for kind, content in (("classifiers", (world / "models/classifiers/mine.pt").read_bytes()), ("networks", b"own")):
        (tmp_path / kind).mkdir()
        (tmp_path / f"{kind}/devise_network.pt").write_bytes(content)
    shutil.copy(world / "models/classifiers/zs3net.pt", tmp_path / "classifiers/zs3net.pt")
    words = ("--ids", "val1", "--classifiers", tmp_path / "classifiers", "--out", tmp_path / "figure.svg")
    run(*words)
    assert "ZS3Net" in texts(tmp_path / "figure.svg") and "network" not in "".join(texts(tmp_path / "figure.svg"))
    with pytest.raises(
        SystemExit, match="devise_network.pt: belongs to the network .*--features features/devise_network"
    ):
        run(*words, "--models", "devise_network")
    described = json.loads((world / "features/val" / index.NAME).read_text())
    shutil.copytree(world / "features/val", tmp_path / "val")
    own = {**described["provenance"], "backbone_sha256": hashlib.sha256(b"own").hexdigest()}
    (tmp_path / "val" / index.NAME).write_text(json.dumps({**described, "provenance": own}))
    run(*words, "--models", "devise_network", "--features", tmp_path / "val")
    assert "DeViSE, whole" in " ".join(texts(tmp_path / "figure.svg"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ids", "va1", "cow"), r"features/val: no image `va1`; near names: val1.*\n.*no image `cow`"),
        (("--models", "zs3"), r"models/classifiers: no model `zs3`; near names: .*zs3net"),
        (("--n", "9"), r"--n: needs 1 to 4, .*found 9"),
        (("--width", "0"), r"--width: needs 1 to 40 inches, found 0"),
        (("--width", "1"), r"--width: 5 columns need at least 2.2 inches, found 1; show fewer models"),
        (("--dpi", "1"), r"--dpi: needs 30 to 2400"),
        (("--classifiers", "none"), r"none: has no classifier; .*dvc repro"),
        (("--out", "figure.jpg"), r"figure.jpg: needs one of the suffixes \.pdf, \.svg, \.png"),
    ],
)
def test_what_does_not_exist_is_named(run, tmp_path, words, message):
    with pytest.raises(SystemExit, match=message):
        run("--out", tmp_path / "figure.svg", *words)
    assert not (tmp_path / "figure.svg").exists()


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"classes": ("sea", *pixel_world.CLASSES[1:])}, "its classes are not those of the split"),
        ({"val": ()}, "4 of its images, such as val0, are no evaluation images"),
    ],
)
def test_a_cache_of_another_split_is_refused(run, world, tmp_path, changes, cause):
    other = dataclasses.replace(splits.read(world / "data/split.json"), **changes)
    splits.write(tmp_path / "split.json", other)
    with pytest.raises(SystemExit, match=f"features/val: is of another split: {cause}"):
        run("--out", tmp_path / "figure.svg", "--split", tmp_path / "split.json")
