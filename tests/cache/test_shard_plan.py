import dataclasses
import itertools
import types

import pytest

from tests.support import block_dataset, dump_sources
from zeroshot.cache import sampling, shard_plan, sources
from zeroshot.datasets import splits
from zeroshot.images import image_files, views

root = dump_sources.root


@pytest.mark.parametrize("name", ["train", "unlabelled", "val"])
@pytest.mark.parametrize("shard_mib", [1, 20, 45, 200, 10**6])
def test_plan_fills_shards_with_every_pass_once_in_order(root, monkeypatch, name, shard_mib):
    monkeypatch.setattr(shard_plan, "MIB", 1000)
    passes = views.passes((1.0, 0.5), flip=True)
    plan = shard_plan.plan(dump_sources.source(root, name, passes), dump_sources.options(shard_mib=shard_mib))
    jobs = list(itertools.chain.from_iterable(plan))
    assert [(job.image, job.view) for job in jobs] == list(
        itertools.product(range(len(block_dataset.SIZES[name])), range(len(passes)))
    )
    sizes = [sum(job.bytes for job in shard) for shard in plan]
    for shard, size, following in zip(plan, sizes, [*plan[1:], None], strict=True):
        assert shard and (size <= shard_mib * 1000 or len(shard) == 1)
        assert following is None or size + following[0].bytes > shard_mib * 1000


def test_plan_reports_progress_per_image(root):
    progress = []

    def track(images):
        for image in images:
            progress.append((image, len(images)))
            yield image

    passes = views.passes((1.0, 0.5), flip=True)
    tracked = shard_plan.plan(dump_sources.source(root, "train", passes), dump_sources.options(), track)
    assert tracked == shard_plan.plan(dump_sources.source(root, "train", passes), dump_sources.options())
    n_images = len(block_dataset.SIZES["train"])
    assert progress == [(image, n_images) for image in range(n_images)]


def test_plan_of_an_empty_list_has_no_shard(root):
    empty_source = dataclasses.replace(dump_sources.source(root, "unlabelled"), items=())
    assert shard_plan.plan(empty_source, dump_sources.options()) == []


def test_size_rows_and_bytes_of_jobs_without_running_the_network(root, monkeypatch):
    monkeypatch.setattr(image_files, "read_image", None)  # Headers must be enough.
    passes = [*dump_sources.WHOLE, views.View(0.5, True)]
    for name in block_dataset.SIZES:
        for job in itertools.chain(*shard_plan.plan(dump_sources.source(root, name, passes), dump_sources.options())):
            id, (height, width) = list(block_dataset.SIZES[name].items())[job.image]
            unscaled_cells = -(-height // 4) * -(-width // 4)
            if job.view == 1:
                height, width = round(height / 2), round(width / 2)
            cells = -(-height // 4) * -(-width // 4)
            assert job.size == (height, width)
            if name == "val":
                expected = cells, cells * 512 + 2 * height * width
            else:
                n = min(unscaled_cells, 40)
                if name == "train":
                    mask = passes[job.view].mask(image_files.read_mask(root / f"masks/train/{id}.png"))
                    labels = sampling.label_cells(mask, 4).ravel().tolist()
                    n = sum(min(12, labels.count(label)) for label in block_dataset.SEEN)
                # Bytes of feature, label, image, view, y, x, component and weight.
                expected = n, n * (512 + 2 + 4 + 1 + 2 + 2 + 4 + 4)
            assert (job.rows, job.bytes) == expected


def test_source_has_the_images_and_views_of_its_list(root):
    split = splits.read(root / "split.json")
    options = dump_sources.options(
        scales=[1.0, 0.5], flip=True, unlabelled_views={"scales": [0.6], "flip": False}, val_short_side=30
    )
    network = types.SimpleNamespace(feature_dim=7, stride=8, margin=2)
    expected = {
        "train": views.passes((1.0, 0.5), flip=True),
        "unlabelled": views.around_whole((0.6,), flip=False),
        "val": [views.View(short_side=30)],
    }
    for name, passes in expected.items():
        masks = None if name == "unlabelled" else root / "masks" / name
        source = sources.source(name, split, root / "toy", masks, options, network)
        assert source == sources.Source(name, getattr(split, name), root / "toy", masks, passes, 7, 8, 2)


@pytest.mark.parametrize(("dim", "stride"), [(256, 4), (512, 4), (256, 8), (32, 16)])
def test_rows_and_bytes_depend_on_feature_length_and_stride(root, dim, stride):
    for name in ("unlabelled", "val"):
        source = dataclasses.replace(dump_sources.source(root, name), dim=dim, stride=stride)
        for job in dump_sources.jobs_of(source):
            height, width = job.size
            cells = -(-height // stride) * -(-width // stride)
            if name == "val":
                assert (job.rows, job.bytes) == (cells, cells * 2 * dim + 2 * height * width)
            else:
                assert (job.rows, job.bytes) == (min(cells, 40), min(cells, 40) * (2 * dim + 19))


def test_labels_of_jobs_are_those_of_their_cells(root):
    passes = [*dump_sources.WHOLE, views.View(0.5, True)]
    source = dump_sources.source(root, "train", passes)
    for job in dump_sources.jobs_of(source):
        cells = sampling.label_cells(source.read_mask(job), source.stride)
        assert job.labels == tuple(sorted(set(cells.ravel().tolist()) - {65535}))
    for name in ("unlabelled", "val"):
        assert not any(job.labels for job in dump_sources.jobs_of(dump_sources.source(root, name, passes)))


def plan_of(labels_of_jobs):
    return [[sources.Job(0, 0, (4, 4), 1, 1, labels) for labels in labels_of_jobs]]


def test_every_seen_class_without_a_row_is_named_with_the_scales(root):
    split, options = splits.read(root / "split.json"), dump_sources.options(scales=[0.25, 0.5])
    shard_plan.check_classes(plan_of([(0, 3), (2,)]), split, options)
    with pytest.raises(shard_plan.DumpError) as caught:
        shard_plan.check_classes(plan_of([(0,), (0,)]), split, options)
    text = str(caught.value)
    assert (
        text.startswith("features.scales: at [0.25, 0.5] ") and "seen classes: dog, sheep; add a larger scale" in text
    )


def test_list_of_classes_without_a_row_is_cut(root):
    names = tuple(f"c{label}" for label in range(30))
    split = dataclasses.replace(splits.read(root / "split.json"), classes=names, seen=tuple(range(30)), unseen=())
    with pytest.raises(shard_plan.DumpError, match=r": c1, .*, c20 and 9 more; add "):
        shard_plan.check_classes(plan_of([(0,)]), split, dump_sources.options())
