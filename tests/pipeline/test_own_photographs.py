"""The commands of docs/own_data.md, in their order, on made-up photographs without a background and classes that are only names."""

import json
import pathlib
import re
import shlex
import shutil
import subprocess

import numpy as np
import PIL.Image
import pytest
import yaml

from tests.support import dag, tiny
from zeroshot.cache import index
from zeroshot.commands import __main__ as cli
from zeroshot.datasets import splits
from zeroshot.images import image_files
from zeroshot.prediction import model as model_file
from zeroshot.zs3net.pseudo_labels import pseudo_cache

# No mask shows the last two; the page declares `car` unseen, too.
NAMES = ("sky", "road", "car", "tree", "bus", "zebra", "bicycle")
# Sections of the written params.yaml that are made small; everything else stays as `zeroshot check` wrote it.
SMALL = ("features", "gmmn", "classifier", "pseudo_labels", "self_training", "baseline", "runtime")


def blocks(shell: str) -> list[str]:
    """Return the commands of the page's blocks in a language, in their order."""
    text = (dag.ROOT / "docs/own_data.md").read_text(encoding="utf-8")
    found = re.findall(rf"^```{shell}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return found if shell == "python" else [line for block in found for line in block.splitlines()]


def paint(number: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a photograph (H, W, 3) uint8 and its values (H, W) uint8: an object between sky and road, in the class's colour."""
    height, width = size
    values = np.zeros(size, np.uint8)
    values[height // 2 :] = 1
    values[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 2 + number % 3
    colours = np.array([[200, 220, 250], [90, 90, 90], [200, 30, 30], [30, 140, 30], [230, 200, 40]])
    noise = np.random.default_rng(number).integers(-20, 20, (*size, 3))
    return np.clip(colours[values] + noise, 0, 255).astype(np.uint8), values


def make(folder: pathlib.Path) -> pathlib.Path:
    """Write what the page assumes, beside the stand-ins of the project: the folder `street`, a photograph and a folder of more."""
    for name in ("street/images", "street/masks", "holiday"):
        (folder / name).mkdir(parents=True)
    for number in range(36):
        image, values = paint(number, (48, 64) if number % 2 else (64, 48))
        PIL.Image.fromarray(image).save(folder / f"street/images/p{number}.bmp")
        if number < 30:
            PIL.Image.fromarray(values).save(folder / f"street/masks/p{number}.png")
    (folder / "street/classes.txt").write_text("\n".join(NAMES))
    image, _ = paint(90, (75, 100))
    PIL.Image.fromarray(image).save(folder / "photo.jpg")
    PIL.Image.fromarray(image).convert("L").save(folder / "holiday/beach.tiff")
    shutil.copytree(dag.ROOT / "presets", folder / "presets")
    # DVC writes it; here the stages run without DVC.
    (folder / "dvc.lock").touch()
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return tiny.make(folder)


def shrink(path: pathlib.Path) -> None:
    """Make the parameters that `zeroshot check` wrote small enough for a test; the encoder starts from random weights."""
    written, small = yaml.safe_load(path.read_text()), tiny.settings()
    written |= {section: small[section] for section in SMALL}
    written["backbone"] = small["backbone"] | {"augmentation": written["backbone"]["augmentation"] | {"crop": 32}}
    path.write_text(yaml.safe_dump(written, sort_keys=False))


def up_to(target: str, folder: pathlib.Path) -> list[str]:
    """Return the stages that `dvc repro TARGET` runs, in order, without those of the generated data."""
    stages = dag.stages(yaml.safe_load((folder / "params.yaml").read_text()))
    needed = {target}
    for name in reversed(stages):
        if any(set(stages[name].outs) & set(stages[other].deps) for other in needed):
            needed.add(name)
    return [name for name in stages if name in needed and name != "make_toy"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder after all commands of the page, each in this process."""
    folder = make(tmp_path_factory.mktemp("own"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for variable in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
            patch.setenv(variable, "test@example.org")
        for command in (part for line in blocks("sh") for part in line.split(" && ")):
            run(folder, *shlex.split(command, comments=True))
    return folder


def run(folder: pathlib.Path, program: str, *words: str) -> None:
    """Run one command of the page."""
    if (program, words[0]) == ("dvc", "repro"):
        shrink(folder / "params.yaml")
        tiny.run(folder, *up_to(words[1], folder))
    elif (program, *words[:3]) == ("dvc", "exp", "run", "-S"):
        key, _, value = words[3].partition("=")
        section, name = key.split(".")
        settings = yaml.safe_load((folder / "params.yaml").read_text())
        assert name in settings[section]
        settings[section][name] = yaml.safe_load(value)
        (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
        names = up_to(words[4], folder)
        tiny.run(folder, *names[names.index("finetune_classifier") :])
    elif program == "git":
        subprocess.run([program, *words], cwd=folder, check=True)
    else:
        assert program == "zeroshot"
        cli.main(words)


def test_the_page_goes_from_the_check_to_an_added_class():
    words = [shlex.split(line, comments=True)[:2] for line in blocks("sh")]
    for first, second in (("check", "predict"), ("predict", "add-class"), ("add-class", "remove-class")):
        assert words.index(["zeroshot", first]) < words.index(["zeroshot", second])
    assert ["dvc", "repro"] in words


def test_the_model_knows_the_classes_of_the_folder_and_which_have_no_masks(finished):
    split, model = splits.read(finished / "data/split.json"), model_file.load(finished / "models/zs3net.pt")
    assert split.classes[1:] == NAMES and split.train and split.val and split.unlabelled
    assert {model.names[label] for label in model.unseen} == {"car", "zebra", "bicycle"}
    # Label 0 is the place of a background, which these photographs do not have.
    assert model.labels == tuple(range(1, 8))


def test_predictions_lie_where_the_page_says(finished):
    for stem, size in (("photo", (75, 100)), ("beach", (75, 100))):
        (found,) = (finished / "predictions").rglob(f"{stem}.png")
        labels = image_files.read_mask(found)
        assert labels.shape == size and labels.min() >= 1 and labels.max() <= 7
        assert found.with_name(f"{stem}_overlay.jpg").exists() and found.with_name(f"{stem}_confidence.png").exists()
    shares = json.loads((finished / "predictions/shares.json").read_text())
    assert len(shares) > 0 and (finished / "predictions/shares.csv").exists()


def test_python_code_of_the_page_runs_and_agrees_with_the_command(finished, monkeypatch):
    monkeypatch.chdir(finished)
    (code,) = blocks("python")
    scope = {"image": image_files.read_image("photo.jpg")}
    exec(code.replace(", flip=True", ""), scope)
    labels = image_files.read_mask("predictions/photo.png")
    np.testing.assert_array_equal(scope["found"].labels, labels)


def test_zs5net_can_learn_every_pseudo_label_of_classes_that_are_only_names(finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(folder)
    names = up_to("zs5net", folder)
    tiny.run(folder, *names[names.index("pseudo_label") :])
    rows = sum(shard["rows"] for shard in index.read("features/pseudo").shards)
    assert index.read("features/pseudo").classes == list(splits.read("data/split.json").classes)
    assert len(pseudo_cache.pool(pathlib.Path("features/pseudo"), per_class=10**6, seed=0).features) == rows > 0
    assert model_file.load("models/zs5net.pt").names[-2:] == ("zebra", "bicycle")


def test_added_classes_are_in_one_model_and_the_removed_one_is_not_in_the_other(finished):
    more, less = (model_file.load(finished / f"models/{name}.pt") for name in ("more", "less"))
    assert {more.names[label] for label in more.unseen} == {"car", "zebra", "bicycle", "okapi", "traffic cone"}
    assert {less.names[label] for label in less.labels} == {*NAMES, "traffic cone"}
