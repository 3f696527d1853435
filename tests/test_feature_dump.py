import dataclasses
import itertools

import h5py
import numpy as np
import pytest
import torch

from tests import caches, scenes
from zs3 import checkpoints, evaluation, grids, images, params, splits, storage, views
from zs3.features import dump, plan, sampling
from zs3.network import backbone
from zs3.shards import index, maps, rows

WHOLE = [views.View(1.0, False)]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dump")
    scenes.make(folder)
    return folder


@pytest.fixture(scope="module")
def network(root):
    return backbone.load(checkpoints.load(scenes.write_checkpoint(root / "backbone.pt")))


@pytest.fixture(scope="module")
def extract(network):
    return dump.extractor(network, torch.device("cpu"), "float32")


def options(**changes):
    return params.build(scenes.settings(**changes), plan.Params, "features")


def source(root, name, passes=WHOLE):
    split = splits.read(root / "split.json")
    masks = None if name == "unlabelled" else root / "masks" / name
    return plan.Source(name, getattr(split, name), root / "toy", masks, passes)


def jobs_of(source, settings):
    return list(itertools.chain.from_iterable(plan.plan(source, settings)))


def constant(value):
    """A network whose features all are `value`."""

    def extract(pictures):
        return torch.full((len(pictures), 256, *grids.map_size(*pictures.shape[-2:])), value)

    return extract


def test_masks_of_unlabelled_images_are_never_needed(root, monkeypatch, tmp_path):
    monkeypatch.setattr(images, "read_mask", None)
    unlabelled = source(root, "unlabelled")
    dump.write_shard(tmp_path / "s.h5", unlabelled, jobs_of(unlabelled, options()), constant(1.0), options())
    with h5py.File(tmp_path / "s.h5") as file:
        assert set(file["label"][:].tolist()) == {rows.UNLABELLED} and len(file["label"]) == 80


@pytest.mark.parametrize("name", ["train", "unlabelled", "val"])
def test_a_shard_is_about_as_large_as_planned(root, tmp_path, name):
    origin = source(root, name)
    jobs = jobs_of(origin, options())
    dump.write_shard(tmp_path / "s.h5", origin, jobs, constant(1.0), options())
    planned = sum(job.bytes for job in jobs)
    assert planned <= (tmp_path / "s.h5").stat().st_size <= planned + 8192
    with h5py.File(tmp_path / "s.h5") as file:
        assert len(file["features"]) == sum(job.rows for job in jobs)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("name", ["train", "unlabelled", "val"])
@pytest.mark.parametrize(
    ("value", "text"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "inf"), (7e4, "inf"), (-6.1e4, "60992.0")]
)
def test_features_that_float16_cannot_hold_are_refused_and_not_written(root, tmp_path, name, value, text):
    origin = source(root, name)
    path = tmp_path / "shard-00003.h5"
    with pytest.raises(plan.DumpError) as caught:
        dump.write_shard(path, origin, jobs_of(origin, options()), constant(value), options())
    assert str(caught.value) == f"shard-00003.h5: features reach {text}, beyond float16; train the backbone again"
    assert not list(tmp_path.iterdir())


def test_large_features_are_kept(root, tmp_path):
    origin = source(root, "val")
    dump.write_shard(tmp_path / "s.h5", origin, jobs_of(origin, options()), constant(5.9e4), options())
    with h5py.File(tmp_path / "s.h5") as file:
        assert (file["features"][:] == np.float16(5.9e4)).all()


def test_an_image_without_a_labelled_pixel_adds_no_row(root, tmp_path):
    origin = dataclasses.replace(source(root, "train"), masks=tmp_path)
    for item in origin.items:
        mask = images.read_mask(root / f"masks/train/{item.id}.png")
        images.write_mask(tmp_path / f"{item.id}.png", mask if item.id == "b" else np.full_like(mask, 255))
    jobs = jobs_of(origin, options())
    assert [job.rows > 0 for job in jobs] == [item.id == "b" for item in origin.items]
    dump.write_shard(tmp_path / "some.h5", origin, jobs, constant(1.0), options())
    with h5py.File(tmp_path / "some.h5") as file:
        assert set(file["image"][:].tolist()) == {1}
    dump.write_shard(tmp_path / "none.h5", origin, jobs[2:], constant(1.0), options())
    assert index.entry(tmp_path / "none.h5", "rows", 4)["offsets"] == [0, 0, 0, 0, 0]


def test_rows_are_the_networks_features_and_labels_at_their_places(root, tmp_path, network, extract):
    passes = views.passes((1.0, 0.6), flip=True)
    origin = source(root, "train", passes)
    dump.write_shard(tmp_path / "s.h5", origin, jobs_of(origin, options()), extract, options())
    with h5py.File(tmp_path / "s.h5") as file:
        table = {name: column[:] for name, column in file.items()}
    assert (np.diff(table["label"].astype(int)) >= 0).all()
    pairs = set(zip(table["image"].tolist(), table["view"].tolist(), strict=True))
    assert pairs == set(itertools.product(range(len(origin.items)), range(4)))
    for image, view in sorted(pairs):
        own = (table["image"] == image) & (table["view"] == view)
        y, x = table["position"][own].T
        id = origin.items[image].id
        picture = passes[view].image(images.read_image(root / f"toy/JPEGImages/{id}.png"))
        with torch.inference_mode():
            cells = network.features(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].numpy()
        # Half a unit in the last of float16's 11 bits, and float32's rounding in another batch.
        np.testing.assert_allclose(table["features"][own], cells[:, y, x].T, rtol=2**-11, atol=1e-4)
        labels = sampling.label_cells(passes[view].mask(images.read_mask(root / f"masks/train/{id}.png")))
        np.testing.assert_array_equal(table["label"][own], labels[y, x])
        found = np.bincount(table["label"][own], weights=table["weight"][own], minlength=4)
        np.testing.assert_allclose(found, np.bincount(labels[labels < 255], minlength=4), rtol=1e-6)


def test_unlabelled_views_are_of_the_same_places(root, tmp_path, network, extract):
    passes = views.around_whole((0.6,), flip=True)
    origin = source(root, "unlabelled", passes)
    dump.write_shard(tmp_path / "s.h5", origin, jobs_of(origin, options()), extract, options())
    with h5py.File(tmp_path / "s.h5") as file:
        table = {name: column[:] for name, column in file.items()}
    for image, item in enumerate(origin.items):
        picture = images.read_image(root / f"toy/JPEGImages/{item.id}.png")
        h, w = (-(-side // 4) for side in picture.shape[:2])
        own = [(table["image"] == image) & (table["view"] == view) for view in range(4)]
        y, x = table["position"][own[0]].astype(int).T
        assert len(y) == min(40, h * w) and y.max() < h and x.max() < w
        for view, rows_of_view in enumerate(own):
            np.testing.assert_array_equal(table["position"][rows_of_view], table["position"][own[0]])
            np.testing.assert_array_equal(table["weight"][rows_of_view], table["weight"][own[0]])
            seen = passes[view].image(picture)
            with torch.inference_mode():
                cells = network.features(torch.from_numpy(seen).permute(2, 0, 1)[None])[0].numpy()
            down, across = (y + 0.5) / h, (x + 0.5) / w
            across = 1 - across if passes[view].flip else across
            # Where the point falls between two cells, either will do.
            rows_, columns = down * cells.shape[1], across * cells.shape[2]
            clear = (np.abs(rows_ - rows_.round()) > 1e-9) & (np.abs(columns - columns.round()) > 1e-9)
            expected = cells[:, rows_[clear].astype(int), columns[clear].astype(int)].T
            assert clear.sum() > 10
            np.testing.assert_allclose(table["features"][rows_of_view][clear], expected, rtol=2**-11, atol=1e-4)


def test_predictions_from_cached_maps_are_those_of_the_network(root, tmp_path, network, extract):
    """DESIGN.md, section 5: at least 99.9 % of the pixels of all pictures have the same best class."""
    split = splits.read(root / "split.json")
    items = (*split.train, *split.unlabelled, *split.val)
    origin = plan.Source("val", items, root / "toy", root / "toy/SegmentationClass", WHOLE)
    dump.write_shard(tmp_path / "s.h5", origin, jobs_of(origin, options()), extract, options())
    entry = index.entry(tmp_path / "s.h5", "maps", 4)
    cache = index.Index("maps", 256, list(split.classes), [item.id for item in items], [entry], {})
    dump.publish(tmp_path, tmp_path / "val", cache)
    classifier = backbone.last_layer(network, split)
    agreeing, predictions = [], []
    for item, read in zip(items, maps.read(tmp_path / "val"), strict=True):
        assert read.image == item.id
        np.testing.assert_array_equal(read.mask, images.read_mask(root / f"toy/SegmentationClass/{item.id}.png"))
        picture = torch.from_numpy(images.read_image(root / "toy" / item.image)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            logits = grids.upsample(network(picture), picture.shape[-2:])[0]
        expected = np.array(split.seen)[logits.argmax(0).numpy()]
        features = torch.from_numpy(read.features).float()
        found = evaluation.predict(classifier, features, read.mask.shape)["generalised"].numpy()
        agreeing.append((found == expected).ravel())
        predictions.append(expected.ravel())
    # A network that always answers alike would prove nothing.
    assert np.bincount(np.concatenate(predictions))[list(split.seen)].min() > 1000
    assert np.concatenate(agreeing).mean() >= 0.999


def test_a_batch_gives_the_features_of_single_images(root, extract):
    origin = source(root, "train")
    jobs = jobs_of(origin, options())
    single = list(dump.extract_maps(origin, jobs, extract, 1))
    calls = []
    batched = list(dump.extract_maps(origin, jobs, lambda batch: calls.append(batch.shape) or extract(batch), 2))
    # a b c alike, d alone, e f alike.
    assert [tuple(shape) for shape in calls] == [(2, 3, 40, 56), (1, 3, 40, 56), (1, 3, 33, 50), (2, 3, 56, 40)]
    assert [job for job, _ in batched] == [job for job, _ in single] == jobs
    for job, ((_, one), (_, other)) in zip(jobs, zip(single, batched, strict=True), strict=True):
        assert one.shape == (*grids.map_size(*job.size), 256) and one.dtype == torch.float32
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-4)


def test_half_precision_is_near_full_precision(root, network, extract):
    half = dump.extractor(network, torch.device("cpu"), "bfloat16")
    picture = torch.from_numpy(images.read_image(root / "toy/JPEGImages/d.png")).permute(2, 0, 1)[None]
    full, found = extract(picture), half(picture).float()
    assert not full.requires_grad and not torch.equal(full, found)
    assert (found - full).norm() / full.norm() < 0.05


@pytest.mark.parametrize("lists", [[0, 2, 2, 255, 0], [1], [255, 255], [0, 1, 2, 0, 1, 2]])
def test_the_entry_of_a_shard_says_where_each_class_is(tmp_path, lists):
    rows.write(tmp_path / "shard-00004.h5", caches.table(lists))
    offsets = [sum(label < bound for label in lists) for bound in range(4)]
    expected = caches.entry(tmp_path / "shard-00004.h5", rows=len(lists), offsets=offsets)
    assert index.entry(tmp_path / "shard-00004.h5", "rows", 3) == expected


def test_the_entry_of_maps_has_no_classes(tmp_path):
    image, features, mask = caches.scene("a", 3, 4)
    maps.write(tmp_path / "s.h5", [0], [features], [mask])
    assert index.entry(tmp_path / "s.h5", "maps", 3) == caches.entry(tmp_path / "s.h5", rows=12)


def test_publishing_replaces_the_folder_and_completes_it_with_the_index(tmp_path, monkeypatch):
    old = caches.write_rows(tmp_path / "train", [caches.table([0, 1])] * 3)
    new = caches.write_rows(tmp_path / "new", [caches.table([0, 2], seed=1)])
    content = (new / "shard-00000.h5").read_bytes()
    found = index.read(new)

    def die(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_json", die)
        with pytest.raises(KeyboardInterrupt):
            dump.publish(new, old, found)
    with pytest.raises(index.ShardError, match="train: no readable index.json"):
        index.read(old)
    caches.write_rows(tmp_path / "new", [caches.table([0, 2], seed=1)])
    dump.publish(new, old, found)
    assert index.read(old) == found
    assert sorted(path.name for path in old.iterdir()) == ["index.json", "shard-00000.h5"]
    assert (old / "shard-00000.h5").read_bytes() == content
