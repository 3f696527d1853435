import PIL.Image
import pytest
import torch

from tests.support import block_dataset, dumping
from zeroshot.base import runtime
from zeroshot.cache import shard_work
from zeroshot.images import component_graphs
from zeroshot.networks import backbone

small_shards = dumping.small_shards
checkpoint = dumping.checkpoint
finished = dumping.finished


def test_same_bytes_in_another_folder_and_over_an_older_dump(finished, tmp_path, checkpoint, monkeypatch, capsys):
    folder = dumping.make(tmp_path, checkpoint, shard_mib=30, seed=1)
    dumping.run(folder, monkeypatch)
    assert len(dumping.content(folder)) > len(dumping.content(finished))
    block_dataset.write_params(folder, **dumping.SETTINGS)
    dumping.run(folder, monkeypatch)
    assert dumping.content(folder) == dumping.content(finished)
    assert capsys.readouterr().err.count("MiB to write") == 2


@pytest.mark.parametrize("n_shards", [4, 8])
def test_a_killed_dump_resumes_at_the_first_missing_shard(finished, tmp_path, checkpoint, monkeypatch, n_shards):
    folder = dumping.make(tmp_path, checkpoint)
    with monkeypatch.context() as patch:
        before = dumping.written(patch, stop_at=n_shards)
        with pytest.raises(KeyboardInterrupt) as caught:
            dumping.run(folder, patch)
    assert not (folder / "features").exists()
    (work,) = (folder / "scratch/dump_features").iterdir()
    n_all = sum("/shard-" in name for name in dumping.content(finished))
    kept = f"{n_shards} of {n_all} shards are kept in {work.relative_to(folder)}; run again to go on"
    assert caught.value.__notes__ == [kept]
    # A killed process can leave an incomplete temporary file.
    (work / "val").mkdir(exist_ok=True)
    (work / "val/.shard-00002.h5.tmp").write_bytes(b"half a shard")
    after = dumping.written(monkeypatch)
    dumping.run(folder, monkeypatch)
    assert len(before) == n_shards
    assert before + after == [name for name in dumping.content(finished) if "/shard-" in name]
    assert dumping.content(folder) == dumping.content(finished)


def test_a_dump_killed_while_writing_graphs_resumes_to_the_same_bytes(finished, tmp_path, checkpoint, monkeypatch):
    folder = dumping.make(tmp_path, checkpoint)
    of_labels, calls = component_graphs.of_labels, []

    def stop_at_the_third(labels):
        calls.append(labels)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return of_labels(labels)

    with monkeypatch.context() as patch:
        patch.setattr(component_graphs, "of_labels", stop_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            dumping.run(folder, patch)
    names = dumping.written(monkeypatch)
    dumping.run(folder, monkeypatch)
    assert names == [] and dumping.content(folder) == dumping.content(finished)


def test_a_dump_killed_between_two_caches_resumes_to_the_same_bytes(finished, tmp_path, checkpoint, monkeypatch):
    folder = dumping.make(tmp_path, checkpoint)
    publish = shard_work.publish

    def publish_train_alone(scratch, out, cache):
        if out.name != "train":
            raise KeyboardInterrupt
        publish(scratch, out, cache)

    with monkeypatch.context() as patch:
        patch.setattr(shard_work, "publish", publish_train_alone)
        with pytest.raises(KeyboardInterrupt):
            dumping.run(folder, patch)
    dumping.run(folder, monkeypatch)
    assert dumping.content(folder) == dumping.content(finished)


@pytest.mark.parametrize("change", ["params", "image", "backbone", "device"])
def test_a_dump_of_other_inputs_is_not_resumed(tmp_path, checkpoint, monkeypatch, change):
    folder = dumping.make(tmp_path, checkpoint, scales=[1.0], flip=False)
    with monkeypatch.context() as patch:
        dumping.written(patch, stop_at=1)
        with pytest.raises(KeyboardInterrupt):
            dumping.run(folder, patch)
    if change == "params":
        block_dataset.write_params(folder, **{**dumping.SETTINGS, "scales": [1.0], "flip": False, "seed": 4})
    elif change == "image":
        PIL.Image.new("RGB", (56, 40)).save(folder / "toy/JPEGImages/a.png")
        block_dataset.write_images_part(folder)
    elif change == "device":
        extractor = backbone.extractor
        monkeypatch.setattr(runtime, "start", lambda *_: torch.device("cuda"))
        monkeypatch.setattr(
            backbone,
            "extractor",
            lambda network, device, precision: extractor(network, torch.device("cpu"), precision),
        )
    else:
        (folder / "backbone.pt").unlink()
        state = torch.load(checkpoint, weights_only=True)
        torch.save({**state, "network": {**state["network"]}, "note": "another file"}, folder / "backbone.pt")
    names = dumping.written(monkeypatch, stop_at=1)
    with pytest.raises(KeyboardInterrupt):
        dumping.run(folder, monkeypatch)
    assert names == ["train/shard-00000.h5"]
