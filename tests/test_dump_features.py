import json
import pathlib
import shutil
import types

import h5py
import numpy as np
import PIL.Image
import pytest
import torch

from stages import dump_features
from tests import scenes
from zs3 import component_graphs, images, runtime, storage
from zs3.features import dump, plan, sampling
from zs3.network import backbone
from zs3.shards import graphs, index, maps, rows

ARGUMENTS = {
    "--data": "toy",
    "--split": "split.json",
    "--train-masks": "masks/train",
    "--val-masks": "masks/val",
    "--backbone": "backbone.pt",
    "--train": "features/train",
    "--unlabelled": "features/unlabelled",
    "--val": "features/val",
}
# Four passes over six training images, in shards of at most 80 kB.
SETTINGS = {
    "scales": [1.0, 0.5],
    "flip": True,
    "unlabelled_views": {"scales": [0.5, 1.5], "flip": False},
    "shard_mib": 80,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(plan, "MIB", 1000)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return scenes.write_checkpoint(tmp_path_factory.mktemp("backbone") / "backbone.pt")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, checkpoint):
    """A folder in which the stage ran once, without interruption."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "MIB", 1000)
        make(folder, checkpoint)
        run(folder, patch)
    return folder


def make(folder, checkpoint, **changes):
    scenes.make(folder)
    scenes.write_params(folder, **{**SETTINGS, **changes})
    (folder / "backbone.pt").symlink_to(checkpoint)
    return folder


def run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    dump_features.main([word for pair in ARGUMENTS.items() for word in pair])


def content(folder):
    """The bytes of every file of the three caches."""
    files = sorted(path for path in (folder / "features").rglob("*") if path.is_file())
    return {str(path.relative_to(folder / "features")): path.read_bytes() for path in files}


def written(monkeypatch, stop_at=None):
    """Record the shards that are written; die before the one numbered `stop_at` (from 0)."""
    names = []
    write_shard = dump.write_shard

    def write(path, *arguments):
        if len(names) == stop_at:
            raise KeyboardInterrupt
        write_shard(path, *arguments)
        names.append(f"{path.parent.name}/{path.name}")

    monkeypatch.setattr(dump, "write_shard", write)
    return names


def test_writes_three_whole_caches_and_nothing_else(finished):
    names = list(content(finished))
    counts = {}
    for name, kind in (("train", "rows"), ("unlabelled", "rows"), ("val", "maps")):
        found = index.read(finished / "features" / name, kind)
        counts[name] = len(found.shards)
        for shard in found.shards:
            index.verify(finished / "features" / name, shard)
        assert [shard["file"] for shard in found.shards] == [f"shard-{n:05d}.h5" for n in range(counts[name])]
        assert found.images == list(scenes.SIZES[name]) and found.classes == list(scenes.CLASSES) and found.dim == 256
        assert found.provenance == {
            "backbone_sha256": storage.sha256(finished / "backbone.pt"),
            "features": scenes.settings(**SETTINGS),
        }
        assert str(finished) not in (finished / "features" / name / "index.json").read_text()
    # Beside the shards: three indices, and the graphs of the training images.
    assert counts["train"] > 3 and counts["val"] == 3 and len(names) == sum(counts.values()) + 4
    assert not [path for path in (finished / "scratch").rglob("*") if path.is_file()]


def test_every_pass_over_every_image_has_rows(finished):
    for name, views in (("train", {0, 1, 2, 3}), ("unlabelled", {0, 1, 2})):
        pairs, labels = set(), set()
        for path in (finished / "features" / name).glob("shard-*.h5"):
            with h5py.File(path) as file:
                pairs |= set(zip(file["image"][:].tolist(), file["view"][:].tolist(), strict=True))
                labels |= set(file["label"][:].tolist())
        assert pairs == {(image, view) for image in range(len(scenes.SIZES[name])) for view in views}
        assert labels == (set(scenes.SEEN) if name == "train" else {rows.UNLABELLED})


def test_the_graphs_are_those_of_the_training_images_as_they_are(finished):
    found = graphs.read(finished / "features/train")
    assert graphs.read(finished / "features/unlabelled") is None
    for image, id in enumerate(scenes.SIZES["train"]):
        mask = images.read_mask(finished / f"masks/train/{id}.png")
        expected = component_graphs.of_labels(sampling.label_cells(mask))
        own = found.image == image
        assert found.component[own].tolist() == expected.components.tolist()
        assert found.label[own].tolist() == expected.labels.tolist()
    for path in (finished / "features/train").glob("shard-*.h5"):
        with h5py.File(path) as file:
            whole = file["view"][:] == 0
            columns = (file[name][:][whole].tolist() for name in ("image", "component", "label"))
            assert set(zip(*columns, strict=True)) <= set(zip(found.image, found.component, found.label, strict=True))


def test_components_of_rows_are_nodes_of_graphs_where_the_first_pass_is_resized(tmp_path, checkpoint, monkeypatch):
    folder = make(tmp_path, checkpoint, scales=[0.5, 1.0], flip=False)
    run(folder, monkeypatch)
    found = graphs.read(folder / "features/train")
    nodes = set(zip(found.image, found.component, found.label, strict=True))
    for path in (folder / "features/train").glob("shard-*.h5"):
        with h5py.File(path) as file:
            first = file["view"][:] == 0
            columns = (file[name][:][first].tolist() for name in ("image", "component", "label"))
            assert set(zip(*columns, strict=True)) <= nodes


def test_val_holds_every_pixel_of_every_mask(finished):
    read = {item.image: item for item in maps.read(finished / "features/val")}
    assert list(read) == list(scenes.SIZES["val"])
    for id, item in read.items():
        with PIL.Image.open(finished / f"masks/val/{id}.png") as mask:
            np.testing.assert_array_equal(item.mask, np.asarray(mask))
        assert item.features.shape == (-(-item.mask.shape[0] // 4), -(-item.mask.shape[1] // 4), 256)


def test_val_images_can_be_resized_before_the_network_as_the_release_evaluates(tmp_path, checkpoint, monkeypatch):
    folder = make(tmp_path, checkpoint, scales=[1.0], flip=False, val_short_side=36)
    run(folder, monkeypatch)
    network = backbone.load(torch.load(checkpoint, weights_only=True))
    sizes = {"k": (36, 50), "v": (36, 50), "y": (36, 65)}
    found = index.read(folder / "features/val").provenance["features"]
    assert found["val_short_side"] == 36
    for item in maps.read(folder / "features/val"):
        height, width = sizes[item.image]
        with PIL.Image.open(folder / f"masks/val/{item.image}.png") as mask:
            resized = mask.resize((width, height), PIL.Image.Resampling.NEAREST)
            np.testing.assert_array_equal(item.mask, np.asarray(resized))
        with PIL.Image.open(folder / f"toy/JPEGImages/{item.image}.png") as picture:
            pixels = np.array(picture.resize((width, height), PIL.Image.Resampling.BILINEAR))
        with torch.inference_mode():
            cells = network.features(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
        # Half a unit in the last of float16's 11 bits, and float32's rounding in another batch.
        np.testing.assert_allclose(item.features, cells, rtol=2**-11, atol=1e-4)


def test_the_same_bytes_in_another_place_and_over_an_older_dump(finished, tmp_path, checkpoint, monkeypatch, capsys):
    folder = make(tmp_path, checkpoint, shard_mib=30, seed=1)
    run(folder, monkeypatch)
    assert len(content(folder)) > len(content(finished))
    scenes.write_params(folder, **SETTINGS)
    run(folder, monkeypatch)
    assert content(folder) == content(finished)
    assert capsys.readouterr().err.count("MiB to write") == 2


@pytest.mark.parametrize("done", [4, 8])
def test_a_killed_dump_goes_on_at_the_first_missing_shard(finished, tmp_path, checkpoint, monkeypatch, done):
    folder = make(tmp_path, checkpoint)
    with monkeypatch.context() as patch:
        before = written(patch, stop_at=done)
        with pytest.raises(KeyboardInterrupt):
            run(folder, patch)
    assert not (folder / "features").exists()
    (work,) = (folder / "scratch/dump_features").iterdir()
    # What a kill in the middle of writing leaves.
    (work / "val").mkdir(exist_ok=True)
    (work / "val/.shard-00002.h5.tmp").write_bytes(b"half a shard")
    after = written(monkeypatch)
    run(folder, monkeypatch)
    assert len(before) == done
    assert before + after == [name for name in content(finished) if "/shard-" in name]
    assert content(folder) == content(finished)


def test_a_dump_killed_while_it_writes_the_graphs_ends_the_same(finished, tmp_path, checkpoint, monkeypatch):
    folder = make(tmp_path, checkpoint)
    of_labels, calls = component_graphs.of_labels, []

    def stop_at_the_third(labels):
        calls.append(labels)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return of_labels(labels)

    with monkeypatch.context() as patch:
        patch.setattr(component_graphs, "of_labels", stop_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            run(folder, patch)
    names = written(monkeypatch)
    run(folder, monkeypatch)
    assert names == [] and content(folder) == content(finished)


def test_a_dump_killed_between_two_caches_ends_the_same(finished, tmp_path, checkpoint, monkeypatch):
    folder = make(tmp_path, checkpoint)
    publish = dump.publish

    def publish_train_alone(scratch, out, cache):
        if out.name != "train":
            raise KeyboardInterrupt
        publish(scratch, out, cache)

    with monkeypatch.context() as patch:
        patch.setattr(dump, "publish", publish_train_alone)
        with pytest.raises(KeyboardInterrupt):
            run(folder, patch)
    run(folder, monkeypatch)
    assert content(folder) == content(finished)


@pytest.mark.parametrize("change", ["params", "picture", "backbone", "device"])
def test_work_begun_with_other_inputs_is_not_continued(tmp_path, checkpoint, monkeypatch, change):
    folder = make(tmp_path, checkpoint, scales=[1.0], flip=False)
    with monkeypatch.context() as patch:
        written(patch, stop_at=1)
        with pytest.raises(KeyboardInterrupt):
            run(folder, patch)
    if change == "params":
        scenes.write_params(folder, **{**SETTINGS, "scales": [1.0], "flip": False, "seed": 4})
    elif change == "picture":
        PIL.Image.new("RGB", (56, 40)).save(folder / "toy/JPEGImages/a.png")
    elif change == "device":
        extractor = dump.extractor
        monkeypatch.setattr(runtime, "device", lambda _: torch.device("cuda"))
        monkeypatch.setattr(
            dump,
            "extractor",
            lambda network, device, precision: extractor(network, torch.device("cpu"), precision),
        )
    else:
        (folder / "backbone.pt").unlink()
        state = torch.load(checkpoint, weights_only=True)
        torch.save({**state, "network": {**state["network"]}, "note": "another file"}, folder / "backbone.pt")
    names = written(monkeypatch, stop_at=1)
    with pytest.raises(KeyboardInterrupt):
        run(folder, monkeypatch)
    assert names == ["train/shard-00000.h5"]


def test_no_mask_of_an_unlabelled_image_is_opened(tmp_path, checkpoint, monkeypatch):
    folder = make(tmp_path, checkpoint, scales=[1.0], flip=False)
    opened = set()
    open_image = PIL.Image.open

    def spy(path, *arguments, **options):
        opened.add(str(path))
        return open_image(path, *arguments, **options)

    monkeypatch.setattr(PIL.Image, "open", spy)
    run(folder, monkeypatch)
    pictures = {f"toy/JPEGImages/{id}.png" for ids in scenes.SIZES.values() for id in ids}
    masks = {f"masks/{name}/{id}.png" for name in ("train", "val") for id in scenes.SIZES[name]}
    assert opened == pictures | masks
    assert (folder / "masks/unlabelled/u.png").exists() and (folder / "toy/SegmentationClass/u.png").exists()


def test_a_full_disk_ends_the_stage_before_it_writes(tmp_path, checkpoint, monkeypatch):
    folder = make(tmp_path, checkpoint, scales=[1.0], flip=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=1000))
    names = written(monkeypatch)
    with pytest.raises(SystemExit, match="features: .* MiB to write, 1 MiB free in .*; free some room, or lower "):
        run(folder, monkeypatch)
    assert names == [] and not (folder / "features").exists()


def test_a_network_out_of_range_ends_the_stage_with_the_shards_name(tmp_path, checkpoint, monkeypatch):
    folder = make(tmp_path, checkpoint, scales=[1.0], flip=False)
    state = torch.load(checkpoint, weights_only=True)
    last = max(name for name in state["network"] if name.startswith("decoder") and name.endswith("running_var"))
    state["network"][last.replace("running_var", "bias")][:] = 1e6
    (folder / "backbone.pt").unlink()
    torch.save(state, folder / "backbone.pt")
    with pytest.warns(RuntimeWarning, match="overflow"), pytest.raises(SystemExit) as caught:
        run(folder, monkeypatch)
    assert str(caught.value) == "shard-00000.h5: features reach inf, beyond float16; train the backbone again"
    assert not (folder / "features").exists()


def test_a_list_without_images_makes_an_empty_cache(tmp_path, checkpoint, monkeypatch):
    folder = make(tmp_path, checkpoint, scales=[1.0], flip=False)
    path = pathlib.Path(folder / "split.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "unlabelled": []}))
    run(folder, monkeypatch)
    assert index.read(folder / "features/unlabelled", "rows").shards == []
    assert len(index.read(folder / "features/val").shards) == 3


def test_a_list_that_is_not_asked_for_is_not_dumped(finished, tmp_path, checkpoint, monkeypatch):
    make(tmp_path, checkpoint)
    shutil.rmtree(tmp_path / "masks/train")
    kept = ("--data", "--split", "--val-masks", "--backbone", "--val")
    monkeypatch.chdir(tmp_path)
    dump_features.main([word for flag in kept for word in (flag, ARGUMENTS[flag])])
    assert [path.name for path in (tmp_path / "features").iterdir()] == ["val"]
    for path in (finished / "features/val").iterdir():
        assert (tmp_path / "features/val" / path.name).read_bytes() == path.read_bytes()


def test_a_labelled_list_needs_its_masks(tmp_path, capsys):
    with pytest.raises(SystemExit):
        dump_features.main(["--data", "toy", "--split", "split.json", "--backbone", "b.pt", "--val", "features/val"])
    assert "--val needs --val-masks" in capsys.readouterr().err
