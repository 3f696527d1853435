import dataclasses
import json
import pathlib
import shutil

import h5py
import numpy as np
import PIL.Image
import pytest
import torch

from stages import dump_features
from tests.support import block_dataset, dumping
from zeroshot.base import command_line, storage
from zeroshot.cache import graphs, index, maps, rows, sampling
from zeroshot.datasets import splits
from zeroshot.images import component_graphs, image_files
from zeroshot.networks import backbone

small_shards = dumping.small_shards
checkpoint = dumping.checkpoint
finished = dumping.finished


def test_writes_three_whole_caches_and_nothing_else(finished):
    names = list(dumping.content(finished))
    counts = {}
    for name, kind in (("train", "rows"), ("unlabelled", "rows"), ("val", "maps")):
        cache = index.read(finished / "features" / name, kind)
        counts[name] = len(cache.shards)
        for shard in cache.shards:
            index.verify(finished / "features" / name, shard)
        assert [shard["file"] for shard in cache.shards] == [f"shard-{n:05d}.h5" for n in range(counts[name])]
        assert (
            cache.images == list(block_dataset.SIZES[name])
            and cache.classes == list(block_dataset.CLASSES)
            and cache.dim == 256
        )
        assert cache.provenance["backbone_sha256"] == storage.sha256(finished / "backbone.pt")
        assert cache.provenance["pretraining"] == "none"
        settings = block_dataset.settings(**dumping.SETTINGS)
        recorded = cache.provenance["features"]
        assert recorded == {key: settings[key] for key in recorded} and {"precision", "seed"} <= recorded.keys()
        assert str(finished) not in (finished / "features" / name / "index.json").read_text()
    # The other files are three indices and the graphs of the training images.
    assert counts["train"] > 3 and counts["val"] == 3 and len(names) == sum(counts.values()) + 4
    assert not [path for path in (finished / "scratch").rglob("*") if path.is_file()]


def test_every_view_of_every_image_has_rows(finished):
    for name, views in (("train", {0, 1, 2, 3}), ("unlabelled", {0, 1, 2})):
        pairs, labels = set(), set()
        for path in (finished / "features" / name).glob("shard-*.h5"):
            with h5py.File(path) as file:
                pairs |= set(zip(file["image"][:].tolist(), file["view"][:].tolist(), strict=True))
                labels |= set(file["label"][:].tolist())
        assert pairs == {(image, view) for image in range(len(block_dataset.SIZES[name])) for view in views}
        assert labels == (set(block_dataset.SEEN) if name == "train" else {rows.UNLABELLED})


def test_what_only_other_masks_show_is_not_in_the_caches_for_training(tmp_path, checkpoint, monkeypatch):
    folder = dumping.make(tmp_path, checkpoint, scales=[1.0], flip=False)
    images = splits.read_images(folder / "images.json")
    dumping.run(folder, monkeypatch)
    before = dumping.content(folder)
    # As if a mask for evaluation showed one class more, behind all others.
    splits.write(folder / "images.json", dataclasses.replace(images, classes=(*images.classes, "okapi")))
    dumping.run(folder, monkeypatch)
    after = dumping.content(folder)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {"val/index.json"}
    assert index.read(folder / "features/val").classes[-1] == "okapi"


def test_images_read_in_threads_give_the_same_bytes(finished, checkpoint, tmp_path, monkeypatch):
    folder = dumping.make(tmp_path, checkpoint)
    text = (folder / "params.yaml").read_text()
    assert text.count("workers: 0") == 1
    (folder / "params.yaml").write_text(text.replace("workers: 0", "workers: 2"))
    dumping.run(folder, monkeypatch)
    assert dumping.content(folder) == dumping.content(finished)


def test_graphs_are_those_of_the_training_images(finished):
    image_graphs = graphs.read(finished / "features/train")
    assert graphs.read(finished / "features/unlabelled") is None
    for image, id in enumerate(block_dataset.SIZES["train"]):
        mask = image_files.read_mask(finished / f"masks/train/{id}.png")
        expected = component_graphs.of_labels(sampling.label_cells(mask, 4))
        of_image = image_graphs.image == image
        assert image_graphs.component[of_image].tolist() == expected.components.tolist()
        assert image_graphs.label[of_image].tolist() == expected.labels.tolist()
    for path in (finished / "features/train").glob("shard-*.h5"):
        with h5py.File(path) as file:
            whole = file["view"][:] == 0
            columns = (file[name][:][whole].tolist() for name in ("image", "component", "label"))
            assert set(zip(*columns, strict=True)) <= set(
                zip(image_graphs.image, image_graphs.component, image_graphs.label, strict=True)
            )


def test_components_of_rows_are_nodes_of_graphs_if_the_first_view_is_resized(tmp_path, checkpoint, monkeypatch):
    folder = dumping.make(tmp_path, checkpoint, scales=[0.5, 1.0], flip=False)
    dumping.run(folder, monkeypatch)
    image_graphs = graphs.read(folder / "features/train")
    nodes = set(zip(image_graphs.image, image_graphs.component, image_graphs.label, strict=True))
    for path in (folder / "features/train").glob("shard-*.h5"):
        with h5py.File(path) as file:
            first = file["view"][:] == 0
            columns = (file[name][:][first].tolist() for name in ("image", "component", "label"))
            assert set(zip(*columns, strict=True)) <= nodes


def test_val_holds_every_pixel_of_every_mask(finished):
    read = {item.image: item for item in maps.read(finished / "features/val")}
    assert list(read) == list(block_dataset.SIZES["val"])
    for id, item in read.items():
        with PIL.Image.open(finished / f"masks/val/{id}.png") as mask:
            # The file has 8 bits, in which 255 is ignored.
            np.testing.assert_array_equal(np.where(item.mask == 65535, 255, item.mask), np.asarray(mask))
        assert item.features.shape == (-(-item.mask.shape[0] // 4), -(-item.mask.shape[1] // 4), 256)


def test_val_images_can_be_resized_before_the_network_as_in_the_release(tmp_path, checkpoint, monkeypatch):
    folder = dumping.make(tmp_path, checkpoint, scales=[1.0], flip=False, val_short_side=36)
    dumping.run(folder, monkeypatch)
    network = backbone.load(torch.load(checkpoint, weights_only=True))
    sizes = {"k": (36, 50), "v": (36, 50), "y": (36, 65)}
    recorded = index.read(folder / "features/val").provenance["features"]
    assert recorded["val_short_side"] == 36
    for item in maps.read(folder / "features/val"):
        height, width = sizes[item.image]
        with PIL.Image.open(folder / f"masks/val/{item.image}.png") as mask:
            resized = mask.resize((width, height), PIL.Image.Resampling.NEAREST)
            np.testing.assert_array_equal(np.where(item.mask == 65535, 255, item.mask), np.asarray(resized))
        with PIL.Image.open(folder / f"toy/JPEGImages/{item.image}.png") as image_file:
            pixels = np.array(image_file.resize((width, height), PIL.Image.Resampling.BILINEAR))
        with torch.inference_mode():
            cells = network.features(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
        # The tolerance is the rounding of float16 (11 bits) and of float32 in another batch.
        np.testing.assert_allclose(item.features, cells, rtol=2**-11, atol=1e-4)


def test_no_mask_of_an_unlabelled_image_is_opened(tmp_path, checkpoint, monkeypatch):
    folder = dumping.make(tmp_path, checkpoint, scales=[1.0], flip=False)
    opened = set()
    open_image = PIL.Image.open

    def spy(path, *arguments, **options):
        opened.add(str(path))
        return open_image(path, *arguments, **options)

    monkeypatch.setattr(PIL.Image, "open", spy)
    dumping.run(folder, monkeypatch)
    images = {f"toy/JPEGImages/{id}.png" for ids in block_dataset.SIZES.values() for id in ids}
    masks = {f"masks/{name}/{id}.png" for name in ("train", "val") for id in block_dataset.SIZES[name]}
    assert opened == images | masks
    assert (folder / "masks/unlabelled/u.png").exists() and (folder / "toy/SegmentationClass/u.png").exists()


def test_a_list_without_images_gives_an_empty_cache(tmp_path, checkpoint, monkeypatch):
    folder = dumping.make(tmp_path, checkpoint, scales=[1.0], flip=False)
    path = pathlib.Path(folder / "images.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "unlabelled": []}))
    dumping.run(folder, monkeypatch)
    assert index.read(folder / "features/unlabelled", "rows").shards == []
    assert len(index.read(folder / "features/val").shards) == 3


def test_8_bit_features_are_those_of_16_bits_but_for_their_steps(tmp_path, checkpoint, monkeypatch):
    folders = [tmp_path / storage for storage in ("float16", "int8")]
    for folder in folders:
        # One shard, since more rows of 8 bits fit into one, and rows are sorted by class within it.
        dumping.make(folder, checkpoint, storage=folder.name, shard_mib=10**6)
        dumping.run(folder, monkeypatch)
    for name in ("train", "unlabelled", "val"):
        read = maps.read if name == "val" else rows.read
        before, after = (_features(read(folder / "features" / name)) for folder in folders)
        assert before.shape == after.shape
        steps = abs(before).max(axis=0) / 127
        assert (abs(before - after) <= 0.55 * steps).all() and (before != after).any()
        sizes = [sum(path.stat().st_size for path in (folder / "features" / name).glob("*.h5")) for folder in folders]
        assert sizes[1] < 0.75 * sizes[0]
    content = dumping.content(folders[1])
    dumping.run(folders[1], monkeypatch)
    assert dumping.content(folders[1]) == content


def _features(parts):
    """Return the features (n, d) float32 of all rows, or of all maps."""
    features = [
        part["features"] if isinstance(part, dict) else part.features.reshape(-1, part.features.shape[-1])
        for part in parts
    ]
    return np.concatenate(features).astype(np.float32)


@pytest.mark.parametrize(
    ("key", "value", "altered"),
    [
        ("pixels_per_class", 5, {"train"}),
        ("scales", [1.0], {"train"}),
        ("flip", False, {"train"}),
        ("unlabelled_pixels", 5, {"unlabelled"}),
        ("unlabelled_views", {"scales": [], "flip": True}, {"unlabelled"}),
        ("val_short_side", 36, {"val"}),
        # These parameters are recorded for all lists; val has no sampling, so its shards do not change.
        ("seed", 1, {"train", "unlabelled", "val"}),
        ("batch_size", 3, {"train", "unlabelled", "val"}),
        ("shard_mib", 60, {"train", "unlabelled", "val"}),
        ("storage", "int8", {"train", "unlabelled", "val"}),
    ],
)
def test_a_change_for_one_list_does_not_change_other_caches(
    finished, tmp_path, checkpoint, monkeypatch, key, value, altered
):
    before = dumping.content(finished)
    dumping.make(tmp_path, checkpoint, **{key: value})
    dumping.run(tmp_path, monkeypatch)
    after = dumping.content(tmp_path)
    changed = {name.split("/")[0] for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == altered
    for name in altered:
        assert json.loads(after[f"{name}/index.json"])["provenance"]["features"][key] == value


def test_only_requested_lists_are_dumped(finished, tmp_path, checkpoint, monkeypatch):
    dumping.make(tmp_path, checkpoint)
    shutil.rmtree(tmp_path / "masks/train")
    flags = ("--data-root", "--images-path", "--val-masks-dir", "--backbone-path", "--val-dir")
    monkeypatch.chdir(tmp_path)
    command_line.run(dump_features.main, [word for flag in flags for word in (flag, dumping.ARGUMENTS[flag])])
    assert [path.name for path in (tmp_path / "features").iterdir()] == ["val"]
    for path in (finished / "features/val").iterdir():
        assert (tmp_path / "features/val" / path.name).read_bytes() == path.read_bytes()
