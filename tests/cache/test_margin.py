"""A cache of a network whose map covers a margin around the image: places, labels and predictions."""

import dataclasses

import h5py
import numpy as np
import pytest
import torch

from tests.support import dump_sources
from tests.support import small_vgg as small
from zeroshot.cache import dump, graphs, held_labels, index, maps, shard_work, sources
from zeroshot.datasets import splits
from zeroshot.images import grids, image_files, views
from zeroshot.networks import backbone, fcn32s
from zeroshot.pixel_classifiers import labelling, pixel_classifier

root = dump_sources.root
small_vgg = small.small_vgg


@pytest.fixture
def network(small_vgg):
    torch.manual_seed(0)
    network = fcn32s.FCN32s(3, 0.5).eval()
    with torch.no_grad():
        # Every class is predicted somewhere.
        network.classifier.bias.sub_(network(torch.randint(0, 256, (8, 3, 60, 60), dtype=torch.uint8)).mean((0, 2, 3)))
    return network


def features(network, pixels):
    with torch.inference_mode():
        return network.features(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()


def source_of(root, name, network, passes=dump_sources.WHOLE):
    source = dump_sources.source(root, name, passes)
    return dataclasses.replace(source, dim=network.feature_dim, stride=network.stride, margin=network.margin)


def dumped(path, source, network):
    """Write the shard of a source; return its jobs and its table."""
    extract = backbone.extractor(network, torch.device("cpu"), "float32")
    jobs = dump_sources.jobs_of(source)
    dump.write_shard(path, source, jobs, extract, dump_sources.options())
    with h5py.File(path) as file:
        return jobs, {name: column[:] for name, column in file.items()}


def test_a_row_has_the_label_of_the_pixel_at_32_i_plus_13(root, tmp_path, network):
    passes = views.passes((1.0, 1.8), flip=True)
    source = source_of(root, "train", network, passes)
    jobs, table = dumped(tmp_path / "s.h5", source, network)
    n_cells, n_rows = 0, 0
    for job in jobs:
        chosen = (table["image"] == job.image) & (table["view"] == job.view)
        item, view = source.items[job.image], passes[job.view]
        mask = view.mask(image_files.read_mask(root / f"masks/train/{item.id}.png"))
        cells = features(network, view.image(image_files.read_image(root / "toy" / item.image)))
        height, width = mask.shape
        assert cells.shape[:2] == ((height + 6 + 31) // 32, (width + 6 + 31) // 32)
        expected = {
            (i, j): mask[32 * i + 13, 32 * j + 13]
            for i, j in np.ndindex(*cells.shape[:2])
            if 32 * i + 13 < height and 32 * j + 13 < width and mask[32 * i + 13, 32 * j + 13] != 65535
        }
        rows = zip(map(tuple, table["position"][chosen].tolist()), table["label"][chosen], strict=True)
        assert dict(rows) == expected and job.rows == chosen.sum() == len(expected)
        y, x = table["position"][chosen].T
        np.testing.assert_allclose(table["features"][chosen], cells[y, x], rtol=2**-10, atol=1e-3)
        n_cells, n_rows = n_cells + cells.shape[0] * cells.shape[1], n_rows + len(expected)
    assert n_cells > n_rows > 30


@pytest.mark.parametrize("margin", [0, 3])
def test_ignored_pixels_are_sampled_of_the_image_and_never_of_the_margin(root, margin):
    source = dataclasses.replace(
        dump_sources.source(root, "train", views.passes((1.0, 1.8), flip=True)),
        stride=32, margin=margin, samples_ignored=True,
    )  # fmt: skip
    n_ignored, n_beyond = 0, 0
    for job in dump_sources.jobs_of(source):
        mask = source.views[job.view].mask(image_files.read_mask(source.mask_path(source.items[job.image])))
        labels = grids.downsample(grids.add_margin(mask, margin), 32)
        # Without a margin the last pixel stands for a cell whose centre is beyond the image.
        y, x = (np.arange(n) * 32 + 16 - margin for n in labels.shape)
        beyond = np.add.outer(y >= mask.shape[0], x >= mask.shape[1]) & (margin > 0)
        expected = set(map(tuple, np.argwhere((labels == 65535) & ~beyond).tolist()))
        drawn = source.draw(job, dump_sources.options(pixels_per_class=1000))
        ignored = drawn["label"] == 65535
        assert set(map(tuple, drawn["position"][ignored].tolist())) == expected
        assert job.rows == len(source.draw(job, dump_sources.options())["label"])
        assert (~ignored).sum() == (labels != 65535).sum()
        n_ignored, n_beyond = n_ignored + len(expected), n_beyond + beyond.sum()
    assert n_ignored > 0 and (n_beyond > 0) == (margin > 0)


def test_unlabelled_rows_exist_in_every_view_and_have_true_labels(root, tmp_path, network):
    passes = views.around_whole((0.6, 1.7), flip=True)
    source = source_of(root, "unlabelled", network, passes)
    jobs, table = dumped(tmp_path / "s.h5", source, network)
    assert {job.rows for job in jobs} == {4} and len(table["view"]) == 4 * len(jobs)
    ids = [item.id for item in source.items]
    cache = index.Index("rows", network.feature_dim, 32, ["a"], ids, [], {}, margin=3)
    truth = held_labels.of_rows(table["image"], table["position"], cache, root / "toy/SegmentationClass")
    for image, (y, x), label in zip(table["image"], table["position"].tolist(), truth, strict=True):
        mask = image_files.read_mask(root / f"toy/SegmentationClass/{ids[image]}.png")
        inside = 32 * y + 13 < mask.shape[0] and 32 * x + 13 < mask.shape[1]
        assert label == (mask[32 * y + 13, 32 * x + 13] if inside else 65535)
    assert (truth != 65535).any()


def test_component_graphs_have_the_components_of_the_rows(root, tmp_path, network):
    source = source_of(root, "train", network)
    _, table = dumped(tmp_path / "s.h5", source, network)
    dump.write_graphs(tmp_path / graphs.NAME, source)
    with h5py.File(tmp_path / graphs.NAME) as file:
        nodes = set(zip(file["image"][:], file["component"][:], file["label"][:], strict=True))
    assert set(zip(table["image"], table["component"], table["label"], strict=True)) == nodes


def test_predictions_from_cached_maps_are_those_of_the_network_and_the_margin_is_ignored(root, tmp_path, network):
    split = splits.read(root / "split.json")
    source = source_of(root, "val", network)
    jobs, _ = dumped(tmp_path / "s.h5", source, network)
    entry = index.entry(tmp_path / "s.h5", "maps", 4)
    ids = [item.id for item in source.items]
    cache = index.Index("maps", network.feature_dim, 32, list(split.classes), ids, [entry], {}, margin=3)
    shard_work.publish(tmp_path, tmp_path / "val", cache)
    assert index.read(tmp_path / "val").margin == 3
    classifier = pixel_classifier.of_layer(network.classifier.weight, network.classifier.bias, split.seen)
    predicted_classes = set()
    for item, job, read in zip(source.items, jobs, maps.read(tmp_path / "val"), strict=True):
        mask = image_files.read_mask(root / f"masks/val/{item.id}.png")
        np.testing.assert_array_equal(read.mask[3:-3, 3:-3], mask)
        assert (read.mask == 65535).sum() == (mask == 65535).sum() + read.mask.size - mask.size
        assert job.bytes == 2 * (read.features.size + read.mask.size)
        pixels = torch.from_numpy(image_files.read_image(root / "toy" / item.image)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            logits = grids.upsample(network(pixels), read.mask.shape, 32)[0, :, 3:-3, 3:-3]
        expected = np.array(split.seen)[logits.argmax(0).numpy()]
        label_maps = labelling.predict_maps(classifier, read.features, read.mask.shape, stride=32)
        assert (label_maps["generalised"][3:-3, 3:-3] == expected).mean() > 0.99
        predicted_classes |= set(np.unique(expected).tolist())
    assert len(predicted_classes) > 1


def test_a_source_takes_the_margin_of_the_network(root, network):
    split = splits.read(root / "split.json")
    source = sources.source("val", split, root / "toy", root / "masks/val", dump_sources.options(), network)
    assert (source.dim, source.stride, source.margin) == (small.FEATURE_DIM, 32, 3)
