import itertools
import weakref

import h5py
import numpy as np
import pytest
import torch

from tests.support import block_dataset, dump_sources
from zeroshot.base import checkpoints
from zeroshot.cache import dump, index, maps, sampling, shard_plan, shard_work, sources
from zeroshot.datasets import splits
from zeroshot.images import grids, image_files, views
from zeroshot.networks import backbone
from zeroshot.pixel_classifiers import labelling, pixel_classifier

root = dump_sources.root


@pytest.fixture(scope="module")
def network(root):
    return backbone.load(checkpoints.load(block_dataset.write_checkpoint(root / "backbone.pt")))


@pytest.fixture(scope="module")
def extract(network):
    return backbone.extractor(network, torch.device("cpu"), "float32")


def test_rows_have_the_features_and_labels_at_their_positions(root, tmp_path, network, extract):
    passes = views.passes((1.0, 0.6), flip=True)
    source = dump_sources.source(root, "train", passes)
    dump.write_shard(tmp_path / "s.h5", source, dump_sources.jobs_of(source), extract, dump_sources.options())
    with h5py.File(tmp_path / "s.h5") as file:
        table = {name: column[:] for name, column in file.items()}
    assert (np.diff(table["label"].astype(int)) >= 0).all()
    pairs = set(zip(table["image"].tolist(), table["view"].tolist(), strict=True))
    assert pairs == set(itertools.product(range(len(source.items)), range(4)))
    for image, view in sorted(pairs):
        chosen = (table["image"] == image) & (table["view"] == view)
        y, x = table["position"][chosen].T
        id = source.items[image].id
        pixels = passes[view].image(image_files.read_image(root / f"toy/JPEGImages/{id}.png"))
        with torch.inference_mode():
            cells = network.features(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].numpy()
        # Tolerances: float16 has 11 significant bits, and another batch changes the rounding of float32.
        np.testing.assert_allclose(table["features"][chosen], cells[:, y, x].T, rtol=2**-11, atol=1e-4)
        labels = sampling.label_cells(passes[view].mask(image_files.read_mask(root / f"masks/train/{id}.png")), 4)
        np.testing.assert_array_equal(table["label"][chosen], labels[y, x])
        cells_of_class = np.bincount(table["label"][chosen], weights=table["weight"][chosen], minlength=4)
        np.testing.assert_allclose(cells_of_class, np.bincount(labels[labels < 65535], minlength=4), rtol=1e-6)


def test_unlabelled_views_have_the_same_positions(root, tmp_path, network, extract):
    passes = views.around_whole((0.6,), flip=True)
    source = dump_sources.source(root, "unlabelled", passes)
    dump.write_shard(tmp_path / "s.h5", source, dump_sources.jobs_of(source), extract, dump_sources.options())
    with h5py.File(tmp_path / "s.h5") as file:
        table = {name: column[:] for name, column in file.items()}
    for image, item in enumerate(source.items):
        pixels = image_files.read_image(root / f"toy/JPEGImages/{item.id}.png")
        height, width = pixels.shape[:2]
        h, w = -(-height // 4), -(-width // 4)
        rows_of_views = [(table["image"] == image) & (table["view"] == view) for view in range(4)]
        y, x = table["position"][rows_of_views[0]].astype(int).T
        assert len(y) == min(40, h * w) and y.max() < h and x.max() < w
        for view, rows_of_view in enumerate(rows_of_views):
            np.testing.assert_array_equal(table["position"][rows_of_view], table["position"][rows_of_views[0]])
            np.testing.assert_array_equal(table["weight"][rows_of_view], table["weight"][rows_of_views[0]])
            viewed = passes[view].image(pixels)
            with torch.inference_mode():
                cells = network.features(torch.from_numpy(viewed).permute(2, 0, 1)[None])[0].numpy()
            # A cell covers four pixels. The middle of its pixel 2, or of the image's last pixel, stands for it.
            down, across = np.minimum(4 * y + 2.5, height - 0.5) / height, np.minimum(4 * x + 2.5, width - 0.5) / width
            across = 1 - across if passes[view].flip else across
            # A point on the border of two cells may belong to either, so it is not compared.
            y_view, x_view = down * viewed.shape[0] / 4, across * viewed.shape[1] / 4
            clear = (np.abs(y_view - y_view.round()) > 1e-9) & (np.abs(x_view - x_view.round()) > 1e-9)
            expected = cells[:, y_view[clear].astype(int), x_view[clear].astype(int)].T
            assert clear.sum() > 10
            np.testing.assert_allclose(table["features"][rows_of_view][clear], expected, rtol=2**-11, atol=1e-4)


def test_predictions_from_cached_maps_match_the_network(root, tmp_path, network, extract):
    """At least 99.9 % of all pixels have the same predicted class."""
    split = splits.read(root / "split.json")
    items = (*split.train, *split.unlabelled, *split.val)
    source = sources.Source("val", items, root / "toy", root / "toy/SegmentationClass", dump_sources.WHOLE, 256, 4)
    dump.write_shard(tmp_path / "s.h5", source, dump_sources.jobs_of(source), extract, dump_sources.options())
    entry = index.entry(tmp_path / "s.h5", "maps", 4)
    cache = index.Index("maps", 256, 4, list(split.classes), [item.id for item in items], [entry], {})
    shard_work.publish(tmp_path, tmp_path / "val", cache)
    classifier = pixel_classifier.of_layer(network.classifier.weight, network.classifier.bias, split.seen)
    agreeing, predictions = [], []
    for item, read in zip(items, maps.read(tmp_path / "val"), strict=True):
        assert read.image == item.id
        np.testing.assert_array_equal(read.mask, image_files.read_mask(root / f"toy/SegmentationClass/{item.id}.png"))
        pixels = torch.from_numpy(image_files.read_image(root / "toy" / item.image)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            logits = grids.upsample(network(pixels), pixels.shape[-2:], 4)[0]
        expected = np.array(split.seen)[logits.argmax(0).numpy()]
        predicted = labelling.predict_maps(classifier, read.features, read.mask.shape, stride=4)["generalised"]
        agreeing.append((predicted == expected).ravel())
        predictions.append(expected.ravel())
    # The comparison needs a network that predicts every seen class.
    assert np.bincount(np.concatenate(predictions))[list(split.seen)].min() > 1000
    assert np.concatenate(agreeing).mean() >= 0.999


def counted(extract, calls):
    """Wrap `extract` so that it appends the shape of each batch to `calls`."""

    def run(batch):
        calls.append(tuple(batch.shape))
        return extract(batch)

    return run


def test_batched_features_match_those_of_single_images(root, extract):
    source = dump_sources.source(root, "train")
    jobs = dump_sources.jobs_of(source)
    single = list(dump.extract_maps(source, jobs, extract, 1))
    calls = []
    batched = list(dump.extract_maps(source, jobs, counted(extract, calls), 2))
    # Images a, b, c share one size and images e, f another; d has its own.
    assert calls == [(2, 3, 40, 56), (1, 3, 40, 56), (1, 3, 33, 50), (2, 3, 56, 40)]
    assert [number for number, _ in batched] == [number for number, _ in single] == list(range(len(jobs)))
    for job, (_, one), (_, other) in zip(jobs, single, batched, strict=True):
        assert one.shape == (*grids.map_size(*job.size, 4), 256) and one.dtype == torch.float32
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (10**9, [(3, 40, 56), (1, 33, 50), (2, 56, 40)]),
        (2 * 40 * 56, [(2, 40, 56), (1, 40, 56), (1, 33, 50), (2, 56, 40)]),
        (2 * 40 * 56 - 1, [(1, 40, 56)] * 3 + [(1, 33, 50)] + [(1, 56, 40)] * 2),
        (1, [(1, 40, 56)] * 3 + [(1, 33, 50)] + [(1, 56, 40)] * 2),
    ],
)
def test_batches_are_bounded_by_pixels_too(root, monkeypatch, most, expected):
    source = dump_sources.source(root, "train")
    jobs = dump_sources.jobs_of(source)
    whole = dict(dump.extract_maps(source, jobs, mean_features, 16))
    monkeypatch.setattr(dump, "BATCH_PIXELS", most)
    calls = []
    maps_by_job = dict(dump.extract_maps(source, jobs, counted(mean_features, calls), 16))
    assert calls == [(n, 3, height, width) for n, height, width in expected]
    assert all(torch.equal(maps_by_job[number], whole[number]) for number in range(len(jobs)))


def test_sixteen_photographs_of_12_megapixels_are_not_one_batch_and_images_of_the_presets_are():
    assert dump.BATCH_PIXELS // (3000 * 4000) == 1
    # 513 pixels on the shorter side of a photograph, at the largest scale of the augmentation.
    assert dump.BATCH_PIXELS // round(1.5**2 * 513 * 684) >= 16


@pytest.mark.parametrize("workers", [0, 2])
def test_images_of_one_size_share_batches_in_any_order(root, extract, workers):
    """Two views of each image alternate in size, so that neighbouring jobs differ in size."""
    source = dump_sources.source(root, "train", [views.View(1.0, False), views.View(0.5, False)])
    jobs = dump_sources.jobs_of(source)
    assert all(one.size != other.size for one, other in itertools.pairwise(jobs))
    calls = []
    batched = dict(dump.extract_maps(source, jobs, counted(extract, calls), 3, workers))
    # Sizes in the order of their first image: a, b, c at scale 1 and 0.5, then d, then e and f.
    sizes = [(3, 40, 56), (3, 20, 28), (1, 33, 50), (1, 16, 25), (2, 56, 40), (2, 28, 20)]
    assert calls == [(n, 3, height, width) for n, height, width in sizes]
    single = dict(dump.extract_maps(source, jobs, extract, 1))
    assert set(batched) == set(single) == set(range(len(jobs)))
    for number, job in enumerate(jobs):
        assert batched[number].shape == (*grids.map_size(*job.size, 4), 256)
        torch.testing.assert_close(batched[number], single[number], rtol=1e-4, atol=1e-4)


def mean_features(images):
    """Return the mean of each image as all its features; a network whose features do not depend on the batch."""
    means = images.double().mean(dim=(1, 2, 3)).float()
    return means[:, None, None, None].expand(-1, 256, *grids.map_size(*images.shape[-2:], 4))


@pytest.mark.parametrize("name", ["train", "unlabelled", "val"])
def test_shard_is_invariant_to_batch_size(root, tmp_path, name):
    passes = views.around_whole((0.5,), flip=False) if name != "val" else dump_sources.WHOLE
    source = dump_sources.source(root, name, passes)
    jobs = dump_sources.jobs_of(source)
    # The reversed order mixes the sizes of the evaluation images too.
    jobs = [jobs[0], *jobs[:0:-1]]
    for batch_size in (1, 4):
        path = tmp_path / f"{batch_size}.h5"
        dump.write_shard(path, source, jobs, mean_features, dump_sources.options(batch_size=batch_size))
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "4.h5").read_bytes()


@pytest.mark.parametrize("name", ["train", "unlabelled"])
def test_whole_maps_of_sampled_images_are_released(root, tmp_path, name):
    """Only the sampled rows of a shard stay in memory; the whole maps of its images are many times larger."""
    source = dump_sources.source(root, name, views.around_whole((0.5,), flip=True))
    references, n_alive = [], []

    def extract(images):
        n_alive.append(sum(reference() is not None for reference in references))
        cells = mean_features(images).contiguous()
        references.append(weakref.ref(cells))
        return cells

    jobs = dump_sources.jobs_of(source)
    dump.write_shard(tmp_path / "s.h5", source, jobs, extract, dump_sources.options(batch_size=1))
    # A local variable may still refer to the previous map.
    assert len(n_alive) == len(jobs) > 4 and max(n_alive) <= 1


def test_half_precision_is_close_to_full_precision(root, network, extract):
    half = backbone.extractor(network, torch.device("cpu"), "bfloat16")
    pixels = torch.from_numpy(image_files.read_image(root / "toy/JPEGImages/d.png")).permute(2, 0, 1)[None]
    full, rounded = extract(pixels), half(pixels).float()
    assert not full.requires_grad and not torch.equal(full, rounded)
    assert (rounded - full).norm() / full.norm() < 0.06


@pytest.mark.parametrize("name", ["train", "val"])
@pytest.mark.parametrize(("factor", "fault"), [(0, "all features are 0"), (1e30, "features reach inf, .*")])
@pytest.mark.parametrize("keys", [{}, {"lr_key": "self_training_network.lr"}], ids=str)
@pytest.mark.filterwarnings("ignore:overflow")
def test_useless_features_are_refused_with_the_key_of_the_network(root, tmp_path, name, factor, fault, keys):
    source = dump_sources.source(root, name)
    key = keys.get("lr_key", "backbone.lr")
    with pytest.raises(shard_plan.DumpError, match=rf"^s.h5: {fault}; train the network again with a lower {key}$"):
        dump.write_shard(
            tmp_path / "s.h5",
            source,
            dump_sources.jobs_of(source),
            lambda images: factor * mean_features(images),
            dump_sources.options(),
            **keys,
        )
