import collections
import dataclasses
import itertools
import shutil

import pytest

from tests.support import dump_sources, scenes
from zeroshot.cache import sampling
from zeroshot.cache import shard_plan as feature_plan
from zeroshot.images import image_files, views

root = dump_sources.root


@pytest.mark.parametrize("name", ["train", "unlabelled", "val"])
@pytest.mark.parametrize("shard_mib", [1, 20, 45, 200, 10**6])
def test_a_plan_covers_every_pass_once_in_order_in_full_shards(root, monkeypatch, name, shard_mib):
    monkeypatch.setattr(feature_plan, "MIB", 1000)
    passes = views.passes((1.0, 0.5), flip=True)
    plan = feature_plan.plan(dump_sources.source(root, name, passes), dump_sources.options(shard_mib=shard_mib))
    jobs = list(itertools.chain.from_iterable(plan))
    assert [(job.image, job.view) for job in jobs] == list(
        itertools.product(range(len(scenes.SIZES[name])), range(len(passes)))
    )
    sizes = [sum(job.bytes for job in shard) for shard in plan]
    for shard, size, following in zip(plan, sizes, [*plan[1:], None], strict=True):
        assert shard and (size <= shard_mib * 1000 or len(shard) == 1)
        assert following is None or size + following[0].bytes > shard_mib * 1000


def test_a_plan_tells_how_far_it_is_image_by_image(root):
    seen = []

    def track(images):
        for image in images:
            seen.append((image, len(images)))
            yield image

    passes = views.passes((1.0, 0.5), flip=True)
    tracked = feature_plan.plan(dump_sources.source(root, "train", passes), dump_sources.options(), track)
    assert tracked == feature_plan.plan(dump_sources.source(root, "train", passes), dump_sources.options())
    n_images = len(scenes.SIZES["train"])
    assert seen == [(image, n_images) for image in range(n_images)]


def test_a_plan_of_nothing_has_no_shard(root):
    nothing = dataclasses.replace(dump_sources.source(root, "unlabelled"), items=())
    assert feature_plan.plan(nothing, dump_sources.options()) == []


def test_jobs_know_their_size_rows_and_bytes_before_any_network_runs(root, monkeypatch):
    monkeypatch.setattr(image_files, "read_image", None)  # Headers are enough.
    passes = [*dump_sources.WHOLE, views.View(0.5, True)]
    for name in scenes.SIZES:
        for job in itertools.chain(*feature_plan.plan(dump_sources.source(root, name, passes), dump_sources.options())):
            id, (height, width) = list(scenes.SIZES[name].items())[job.image]
            places = -(-height // 4) * -(-width // 4)
            if job.view == 1:
                height, width = round(height / 2), round(width / 2)
            cells = -(-height // 4) * -(-width // 4)
            assert job.size == (height, width)
            if name == "val":
                expected = cells, cells * 512 + height * width
            else:
                n = min(places, 40)
                if name == "train":
                    mask = passes[job.view].mask(image_files.read_mask(root / f"masks/train/{id}.png"))
                    labels = sampling.label_cells(mask, 4).ravel().tolist()
                    n = sum(min(12, labels.count(label)) for label in scenes.SEEN)
                # label, image, view, y, x, component, weight
                expected = n, n * (512 + 1 + 4 + 1 + 2 + 2 + 4 + 4)
            assert (job.rows, job.bytes) == expected


def test_room_is_checked_against_the_free_disk(tmp_path, monkeypatch):
    usage = collections.namedtuple("usage", "total used free")
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or usage(9, 9, 1500 * 2**20))
    line = f"features: 1,500 MiB to write, 1,500 MiB free in {tmp_path}"
    assert feature_plan.check_room(tmp_path, 1500 * 2**20) == line
    with pytest.raises(feature_plan.DumpError) as caught:
        feature_plan.check_room(tmp_path, 2100 * 2**20)
    assert str(caught.value) == (
        f"features: 2,100 MiB to write, 1,500 MiB free in {tmp_path}; free some room, or lower "
        "features.pixels_per_class or features.scales"
    )
    assert asked == [tmp_path, tmp_path]
