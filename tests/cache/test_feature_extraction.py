import itertools
import weakref

import h5py
import numpy as np
import pytest
import torch

from tests.support import block_dataset, dump_sources
from zeroshot.base import checkpoints
from zeroshot.cache import dump, index, maps, sampling, shard_plan
from zeroshot.datasets import splits
from zeroshot.images import grids, image_files, views
from zeroshot.networks import backbone
from zeroshot.zs3net import pixel_classifier

root = dump_sources.root


@pytest.fixture(scope="module")
def network(root):
    return backbone.load(checkpoints.load(block_dataset.write_checkpoint(root / "backbone.pt")))


@pytest.fixture(scope="module")
def extract(network):
    return backbone.extractor(network, torch.device("cpu"), "float32")


def test_rows_are_the_networks_features_and_labels_at_their_places(root, tmp_path, network, extract):
    passes = views.passes((1.0, 0.6), flip=True)
    origin = dump_sources.source(root, "train", passes)
    dump.write_shard(tmp_path / "s.h5", origin, dump_sources.jobs_of(origin), extract, dump_sources.options())
    with h5py.File(tmp_path / "s.h5") as file:
        table = {name: column[:] for name, column in file.items()}
    assert (np.diff(table["label"].astype(int)) >= 0).all()
    pairs = set(zip(table["image"].tolist(), table["view"].tolist(), strict=True))
    assert pairs == set(itertools.product(range(len(origin.items)), range(4)))
    for image, view in sorted(pairs):
        own = (table["image"] == image) & (table["view"] == view)
        y, x = table["position"][own].T
        id = origin.items[image].id
        picture = passes[view].image(image_files.read_image(root / f"toy/JPEGImages/{id}.png"))
        with torch.inference_mode():
            cells = network.features(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].numpy()
        # Half a unit in the last of float16's 11 bits, and float32's rounding in another batch.
        np.testing.assert_allclose(table["features"][own], cells[:, y, x].T, rtol=2**-11, atol=1e-4)
        labels = sampling.label_cells(passes[view].mask(image_files.read_mask(root / f"masks/train/{id}.png")), 4)
        np.testing.assert_array_equal(table["label"][own], labels[y, x])
        found = np.bincount(table["label"][own], weights=table["weight"][own], minlength=4)
        np.testing.assert_allclose(found, np.bincount(labels[labels < 255], minlength=4), rtol=1e-6)


def test_unlabelled_views_are_of_the_same_places(root, tmp_path, network, extract):
    passes = views.around_whole((0.6,), flip=True)
    origin = dump_sources.source(root, "unlabelled", passes)
    dump.write_shard(tmp_path / "s.h5", origin, dump_sources.jobs_of(origin), extract, dump_sources.options())
    with h5py.File(tmp_path / "s.h5") as file:
        table = {name: column[:] for name, column in file.items()}
    for image, item in enumerate(origin.items):
        picture = image_files.read_image(root / f"toy/JPEGImages/{item.id}.png")
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
    """DESIGN.md, section 5: at least 99.9 % of the pixels of all images have the same best class."""
    split = splits.read(root / "split.json")
    items = (*split.train, *split.unlabelled, *split.val)
    origin = shard_plan.Source("val", items, root / "toy", root / "toy/SegmentationClass", dump_sources.WHOLE, 256, 4)
    dump.write_shard(tmp_path / "s.h5", origin, dump_sources.jobs_of(origin), extract, dump_sources.options())
    entry = index.entry(tmp_path / "s.h5", "maps", 4)
    cache = index.Index("maps", 256, 4, list(split.classes), [item.id for item in items], [entry], {})
    dump.publish(tmp_path, tmp_path / "val", cache)
    classifier = pixel_classifier.of_layer(network.classifier.weight, network.classifier.bias, split.seen)
    agreeing, predictions = [], []
    for item, read in zip(items, maps.read(tmp_path / "val"), strict=True):
        assert read.image == item.id
        np.testing.assert_array_equal(read.mask, image_files.read_mask(root / f"toy/SegmentationClass/{item.id}.png"))
        picture = torch.from_numpy(image_files.read_image(root / "toy" / item.image)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            logits = grids.upsample(network(picture), picture.shape[-2:])[0]
        expected = np.array(split.seen)[logits.argmax(0).numpy()]
        found = pixel_classifier.predict_maps(classifier, read.features, read.mask.shape)["generalised"]
        agreeing.append((found == expected).ravel())
        predictions.append(expected.ravel())
    # A network that always answers alike would prove nothing.
    assert np.bincount(np.concatenate(predictions))[list(split.seen)].min() > 1000
    assert np.concatenate(agreeing).mean() >= 0.999


def counted(extract, calls):
    """Return `extract`, which adds the shape of each batch to `calls`."""

    def run(batch):
        calls.append(tuple(batch.shape))
        return extract(batch)

    return run


def test_a_batch_gives_the_features_of_single_images(root, extract):
    origin = dump_sources.source(root, "train")
    jobs = dump_sources.jobs_of(origin)
    single = list(dump.extract_maps(origin, jobs, extract, 1))
    calls = []
    batched = list(dump.extract_maps(origin, jobs, counted(extract, calls), 2))
    # a b c alike, d alone, e f alike.
    assert calls == [(2, 3, 40, 56), (1, 3, 40, 56), (1, 3, 33, 50), (2, 3, 56, 40)]
    assert [number for number, _ in batched] == [number for number, _ in single] == list(range(len(jobs)))
    for job, (_, one), (_, other) in zip(jobs, single, batched, strict=True):
        assert one.shape == (*grids.map_size(*job.size, 4), 256) and one.dtype == torch.float32
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("workers", [0, 2])
def test_images_of_one_size_share_batches_wherever_they_are_in_the_shard(root, extract, workers):
    """Two views of each image alternate in size, so that no two neighbours are alike."""
    origin = dump_sources.source(root, "train", [views.View(1.0, False), views.View(0.5, False)])
    jobs = dump_sources.jobs_of(origin)
    assert all(one.size != other.size for one, other in itertools.pairwise(jobs))
    calls = []
    found = dict(dump.extract_maps(origin, jobs, counted(extract, calls), 3, workers))
    # Sizes in the order of their first image: a b c whole and half, d whole and half, e f whole and half.
    sizes = [(3, 40, 56), (3, 20, 28), (1, 33, 50), (1, 16, 25), (2, 56, 40), (2, 28, 20)]
    assert calls == [(n, 3, height, width) for n, height, width in sizes]
    single = dict(dump.extract_maps(origin, jobs, extract, 1))
    assert set(found) == set(single) == set(range(len(jobs)))
    for number, job in enumerate(jobs):
        assert found[number].shape == (*grids.map_size(*job.size, 4), 256)
        torch.testing.assert_close(found[number], single[number], rtol=1e-4, atol=1e-4)


def own_value(pictures):
    """A network whose features are the mean of the image, whatever else is in the batch."""
    means = pictures.double().mean(dim=(1, 2, 3)).float()
    return means[:, None, None, None].expand(-1, 256, *grids.map_size(*pictures.shape[-2:], 4))


@pytest.mark.parametrize("name", ["train", "unlabelled", "val"])
def test_a_shard_does_not_depend_on_the_batches(root, tmp_path, name):
    passes = views.around_whole((0.5,), flip=False) if name != "val" else dump_sources.WHOLE
    origin = dump_sources.source(root, name, passes)
    jobs = dump_sources.jobs_of(origin)
    # In reverse, so that the sizes of the validation images are mixed, too.
    jobs = [jobs[0], *jobs[:0:-1]]
    for batch_size in (1, 4):
        path = tmp_path / f"{batch_size}.h5"
        dump.write_shard(path, origin, jobs, own_value, dump_sources.options(batch_size=batch_size))
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "4.h5").read_bytes()


@pytest.mark.parametrize("name", ["train", "unlabelled"])
def test_whole_maps_of_sampled_images_are_not_kept(root, tmp_path, name):
    """Only what a shard holds stays in memory: the maps of a shard's images are many times larger."""
    origin = dump_sources.source(root, name, views.around_whole((0.5,), flip=True))
    alive, most = [], []

    def extract(pictures):
        most.append(sum(reference() is not None for reference in alive))
        cells = own_value(pictures).contiguous()
        alive.append(weakref.ref(cells))
        return cells

    jobs = dump_sources.jobs_of(origin)
    dump.write_shard(tmp_path / "s.h5", origin, jobs, extract, dump_sources.options(batch_size=1))
    # The map before the current one may still have a name.
    assert len(most) == len(jobs) > 4 and max(most) <= 1


def test_half_precision_is_near_full_precision(root, network, extract):
    half = backbone.extractor(network, torch.device("cpu"), "bfloat16")
    picture = torch.from_numpy(image_files.read_image(root / "toy/JPEGImages/d.png")).permute(2, 0, 1)[None]
    full, found = extract(picture), half(picture).float()
    assert not full.requires_grad and not torch.equal(full, found)
    assert (found - full).norm() / full.norm() < 0.05
