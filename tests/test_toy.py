"""The generated dataset: its pictures, its sentences and the stage that writes them."""

import collections
import hashlib
import pathlib
import zlib

import gensim.models
import numpy as np
import PIL.Image
import pytest
import yaml

from stages import make_toy
from zs3 import images, label_ids, params
from zs3.toy import corpus, pebbles, scenes

UNSEEN = ("red-striped", "yellow-dotted", "green-ringed", "blue-checked")
SETTINGS = {"seed": 3, "n_train": 5, "n_val": 3, "image_size": 64, "max_objects": 3, "context": 0.0, "sentences": 40}


def settings(**changes: int) -> scenes.Params:
    """Return small settings, changed where a test asks."""
    return params.build(SETTINGS | changes, scenes.Params, "toy")


def digests(root: pathlib.Path) -> dict[str, str]:
    """Return the SHA-256 of every file below `root` by its relative path."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def generate(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, **changes: int) -> pathlib.Path:
    """Run the stage in `folder` and return what it wrote."""
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump({"toy": SETTINGS | changes}))
    monkeypatch.chdir(folder)
    make_toy.main(["--out", "data/toy"])
    return folder / "data" / "toy"


def test_every_combination_is_a_class_of_its_own():
    names = scenes.class_names()
    assert names[0] == "background"
    assert len(set(names)) == len(names) == 1 + len(scenes.HUES) * len(scenes.PATTERNS)
    assert ["-".join(scenes.attributes(label)) for label in range(1, len(names))] == list(names[1:])
    assert all(name == name.lower() and len(name.split()) == 1 for name in names)


@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_classes_and_counts_are_balanced_in_every_list(most):
    n_classes = len(scenes.class_names()) - 1
    pictures = [scenes.draw_labels(settings(max_objects=most), "val", index) for index in range(n_classes * most)]
    counts = collections.Counter(map(len, pictures))
    assert counts == {n: n_classes for n in range(1, most + 1)}
    shown = collections.Counter(label for labels in pictures for label in labels)
    assert set(shown) == set(range(1, n_classes + 1))
    assert max(shown.values()) - min(shown.values()) <= 1


def test_a_picture_depends_on_seed_split_and_index_alone():
    image, mask = scenes.draw(settings(), "train", 4)
    again, mask_again = scenes.draw(settings(n_train=900, n_val=1, sentences=9), "train", 4)
    assert np.array_equal(image, again) and np.array_equal(mask, mask_again)
    for other in (
        scenes.draw(settings(seed=4), "train", 4),
        scenes.draw(settings(), "val", 4),
        scenes.draw(settings(), "train", 5),
    ):
        assert not np.array_equal(image, other[0])


@pytest.mark.parametrize("size", [16, 64, 97])
def test_masks_hold_the_labels_that_were_dealt_and_a_border_round_each(size):
    for index in range(12):
        image, mask = scenes.draw(settings(image_size=size), "train", index)
        assert image.shape == (size, size, 3) and image.dtype == np.uint8
        assert mask.shape == (size, size) and mask.dtype == np.uint8
        labels = set(scenes.draw_labels(settings(image_size=size), "train", index))
        assert set(np.unique(mask)) <= labels | {label_ids.BACKGROUND, label_ids.IGNORE_INDEX}
        if size == 64:
            assert labels <= set(np.unique(mask))
            across = (
                np.stack([mask[:, :-1].ravel(), mask[:, 1:].ravel()]),
                np.stack([mask[:-1].ravel(), mask[1:].ravel()]),
            )
            for one, other in across:
                touching = (one != other) & (one != label_ids.IGNORE_INDEX) & (other != label_ids.IGNORE_INDEX)
                assert not touching.any(), "two labels meet without a border"


def test_colour_tells_objects_from_the_background_and_hues_from_each_other():
    # A hue's angle is the mean over its saturated pixels: the figures on a pebble are white or black.
    angles = collections.defaultdict(list)
    for index in range(40):
        image, mask = scenes.draw(settings(), "train", index)
        hsv = np.array(PIL.Image.fromarray(image).convert("HSV")).astype(float)
        assert np.mean(hsv[mask == label_ids.BACKGROUND, 1] > 128) < 0.05
        for label in set(np.unique(mask)) - {label_ids.BACKGROUND, label_ids.IGNORE_INDEX}:
            pixels = hsv[mask == label]
            paint = pixels[(pixels[:, 1] > 128) & (pixels[:, 2] > 110)]
            assert len(paint) > 0.2 * len(pixels)
            angles[scenes.attributes(int(label))[0]].append(np.exp(2j * np.pi * paint[:, 0] / 256).mean())
    centres = {hue: np.angle(np.mean(turns)) for hue, turns in angles.items()}
    assert set(centres) == set(scenes.HUES)
    for hue, turns in angles.items():
        for turn in turns:
            assert hue == min(centres, key=lambda name: abs(np.angle(turn * np.exp(-1j * centres[name]))))


def test_an_outline_is_where_the_fourier_series_says():
    rng = np.random.default_rng(0)
    pebble = pebbles.shape(rng, np.array([30.0, 34.0]), 14, 7, np.full((2, 3), 0.5), "plain")
    canvas, mask = np.zeros((256, 256, 3)), np.zeros((256, 256), np.uint8)
    pebbles.paint(canvas, mask, pebble)
    for angle in np.linspace(0, 2 * np.pi, 90):
        radius = 14 * (1 + sum(abs(w) * np.cos(k * angle + np.angle(w)) for k, w in enumerate(pebble.waves, 2)))
        for offset, expected in ((-2.5, 7), (0, label_ids.IGNORE_INDEX), (2.5, 0)):
            column = int((30 + (radius + offset) * np.cos(angle)) * 4)
            row = int((34 + (radius + offset) * np.sin(angle)) * 4)
            assert mask[row, column] == expected


def test_a_bare_pebble_changes_the_picture_but_not_the_mask():
    pebble = pebbles.shape(np.random.default_rng(0), np.array([2.0, 60.0]), 9, 0, np.full((2, 3), 0.5), "checked")
    canvas, mask = np.zeros((64, 64, 3)), np.full((64, 64), 9, np.uint8)
    pebbles.paint(canvas, mask, pebble)
    assert canvas.any() and (mask == 9).all()


def test_sentences_are_plain_words_and_name_every_class_equally_often():
    written = corpus.sentences(settings(sentences=2000))
    assert len(written) == 2000
    assert all(sentence == " ".join(sentence.split()) == sentence.lower() for sentence in written)
    assert all(character.isalpha() or character in " -" for sentence in written for character in sentence)
    counts = collections.Counter(word for sentence in written for word in sentence.split())
    named = [counts[name] for name in scenes.class_names()[1:]]
    assert max(named) - min(named) <= 1 and min(named) >= 40
    assert counts["background"] >= 100


def test_word_vectors_of_unseen_classes_reveal_hue_and_pattern():
    written = [sentence.split() for sentence in corpus.sentences(settings(sentences=4000))]
    model = gensim.models.Word2Vec(
        written,
        vector_size=64,
        min_count=1,
        workers=1,
        sg=1,
        seed=1,
        epochs=10,
        hashfxn=lambda word: zlib.crc32(word.encode()),
    )
    names = scenes.class_names()[1:]
    vectors = model.wv[list(names)]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    unseen = np.isin(names, UNSEEN)
    for values in zip(*(scenes.attributes(label) for label in range(1, len(names) + 1)), strict=True):
        kinds, ids = np.unique(values, return_inverse=True)
        targets = np.eye(len(kinds))[ids]
        known, mean = vectors[~unseen], vectors[~unseen].mean(0)
        gram = (known - mean).T @ (known - mean) + 0.1 * np.eye(64)
        weights = np.linalg.solve(gram, (known - mean).T @ targets[~unseen])
        scores = (vectors[unseen] - mean) @ weights + targets[~unseen].mean(0)
        assert np.array_equal(scores.argmax(1), ids[unseen])
    for name in UNSEEN:
        hue, pattern = name.split("-")
        nearest = [word for word, _ in model.wv.most_similar(name, topn=60) if word in names][:5]
        assert all(word.startswith(hue) or word.endswith(pattern) for word in nearest)


def test_stage_writes_voc_layout(tmp_path, monkeypatch):
    root = generate(tmp_path, monkeypatch)
    lists = {split: (root / f"ImageSets/Segmentation/{split}.txt").read_text().split() for split in ("train", "val")}
    assert {split: len(ids) for split, ids in lists.items()} == {"train": 5, "val": 3}
    expected = {
        f"{folder}/{name}.png" for name in sum(lists.values(), []) for folder in ("JPEGImages", "SegmentationClass")
    }
    expected |= {f"ImageSets/Segmentation/{split}.txt" for split in lists} | {"classes.txt", "corpus.txt"}
    assert set(digests(root)) == expected
    assert tuple((root / "classes.txt").read_text().splitlines()) == scenes.class_names()
    assert len((root / "corpus.txt").read_text().splitlines()) == 40
    image, mask = scenes.draw(settings(), "val", 2)
    assert np.array_equal(images.read_image(root / "JPEGImages/val_00002.png"), image)
    assert np.array_equal(images.read_mask(root / "SegmentationClass/val_00002.png"), mask)
    with PIL.Image.open(root / "SegmentationClass/val_00002.png") as picture:
        assert picture.mode == "P"
        assert picture.getpalette()[:768] == images.palette().ravel().tolist()
    assert not list(root.parent.glob(".*"))


def test_stage_is_byte_identical_and_leaves_nothing_of_an_earlier_run(tmp_path, monkeypatch):
    first = digests(generate(tmp_path / "one", monkeypatch))
    generate(tmp_path / "two", monkeypatch, seed=8, n_train=7)
    assert digests(generate(tmp_path / "two", monkeypatch)) == first


def test_stage_refuses_to_replace_what_it_did_not_make(tmp_path, monkeypatch):
    (tmp_path / "data/toy").mkdir(parents=True)
    (tmp_path / "data/toy/thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit, match="data/toy: holds something else than a dataset of make_toy; move it away"):
        generate(tmp_path, monkeypatch)
    assert (tmp_path / "data/toy/thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "names",
    [
        "\n".join(scenes.class_names()[:-1]),
        "\n".join((*scenes.class_names(), "cow")),
        "background\ncow\n",
        "",
        "vache tachet\xe9e",
    ],
    ids=["fewer", "more", "other", "none", "latin-1"],
)
def test_stage_refuses_to_replace_a_dataset_of_the_users(tmp_path, monkeypatch, names):
    root = tmp_path / "data/toy"
    (root / "JPEGImages").mkdir(parents=True)
    (root / "classes.txt").write_bytes(names.encode("latin-1"))
    (root / "JPEGImages/cow.jpg").write_bytes(b"a photograph")
    before = digests(root)
    with pytest.raises(SystemExit, match="data/toy: holds something else than a dataset of make_toy; move it away"):
        generate(tmp_path, monkeypatch)
    assert digests(root) == before and [path.name for path in root.parent.iterdir()] == ["toy"]


def test_settings_out_of_range_are_refused_by_name():
    with pytest.raises(params.ParamsError) as error:
        params.build(SETTINGS | {"image_size": 8, "max_objects": 0}, scenes.Params, "toy")
    assert "toy.image_size" in str(error.value) and "toy.max_objects" in str(error.value)
