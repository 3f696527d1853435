"""Damaged files of every kind that the pipeline reads: one clear message, the right result, or something worse?

    python -m benchmarks.fuzz /tmp/kills --trials 1000

The folder is a clone in which `dvc repro` ran; that of benchmarks/kills.py will do. Each trial damages a copy of one file and reads it as
a stage would. `clear`: the user gets one message, with the file's name. `accepted`: it was read; where a checksum or a hash protects the
file, this is `wrong`. `unclear`: a message that does not name the file. `traceback`: another error, for example for want of 2 GiB of
memory. `hang`: more than a minute. `crash`: the process ended without an answer.
"""

import contextlib
import dataclasses
import io
import multiprocessing
import pathlib
import random
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing import connection

import pandas as pd
import tyro

_SLOW_SECONDS = 60.0
# Memory that reading may take.
_MOST_BYTES = 2 * 2**30


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: what it is.
        path: an undamaged one, or the folder that holds it.
        read: reads what `path` was copied to, and raises an error if it cannot.
        protected: whether every change must be refused.
        damaged: the file within the folder; empty if `path` is the file.
    """

    name: str
    path: pathlib.Path
    read: Callable[[pathlib.Path], object]
    protected: bool = False
    damaged: str = ""


def main(folder: tyro.conf.Positional[pathlib.Path], *, trials: int = 1000, seed: int = 0) -> None:
    """Run the trials and print a table of them.

    Args:
        folder: a clone in which `dvc repro` ran.
        trials: how many.
        seed: of files and damages.
    """
    draw = random.Random(seed)
    kinds = _kinds(folder)
    for kind in kinds:
        # A reader that refuses the undamaged file would find every damage.
        kind.read(kind.path)
    rows = []
    for trial in range(trials):
        kind = kinds[trial % len(kinds)]
        with tempfile.TemporaryDirectory() as temporary:
            copy = pathlib.Path(temporary) / kind.path.name
            (shutil.copytree if kind.path.is_dir() else shutil.copy)(kind.path, copy)
            file = copy / kind.damaged if kind.damaged else copy
            content = damaged = file.read_bytes()
            while damaged == content:
                damaged = _damaged(content, draw)
            file.write_bytes(damaged)
            rows.append({"file": kind.name, "outcome": _outcome(kind, copy, file)})
    table = pd.DataFrame(rows)
    counts = pd.crosstab(table["file"], table["outcome"], margins=True, margins_name="together")
    print(counts.to_markdown())


def _outcome(kind: Kind, copy: pathlib.Path, file: pathlib.Path) -> str:
    """Read a damaged copy in a process of its own and return what happened; print what should not happen."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_read, args=(kind, copy, file, theirs))
    process.start()
    theirs.close()
    if not ours.poll(_SLOW_SECONDS):
        process.kill()
        outcome, text = "hang", f"no end after {_SLOW_SECONDS:g} s"
    else:
        try:
            outcome, text = ours.recv()
        except EOFError:
            process.join()
            outcome, text = "crash", f"exit status {process.exitcode}"
    process.join()
    if outcome not in ("clear", "accepted"):
        print(f"{kind.name}: {outcome}: {text}", file=sys.stderr, flush=True)
    return outcome


def _read(kind: Kind, copy: pathlib.Path, file: pathlib.Path, answer: connection.Connection) -> None:
    """Read a damaged copy and send what happened with its text."""
    from zeroshot.base import errors

    used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MOST_BYTES, used + _MOST_BYTES))
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            errors.reported(kind.read)(copy)
        answer.send(("wrong" if kind.protected else "accepted", "was read"))
    except SystemExit as error:
        is_named = file.name in str(error) or copy.name in str(error)
        answer.send(("clear" if is_named else "unclear", str(error)))
    except Exception:
        answer.send(("traceback", traceback.format_exc(limit=-3)))


def _damaged(content: bytes, draw: random.Random) -> bytes:
    """Return content with one damage: cut, flipped bits, inserted, removed or repeated bytes, another number, or nothing left."""
    place = draw.randrange(len(content) + 1)
    length = min(draw.choice((1, 8, 64, 4096)), len(content))
    damage = draw.randrange(8)
    if damage == 0:
        return content[:place]
    if damage == 1:
        changed = bytearray(content)
        for _ in range(draw.choice((1, 10, 1000))):
            changed[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        return bytes(changed)
    if damage == 2:
        return content[:place] + draw.randbytes(length) + content[place:]
    if damage == 3:
        return content[:place] + content[place + length :]
    if damage == 4:
        return content[: place + length] + content[place:]
    if damage == 5:
        # A number of a text file becomes one that no program expects; a binary file may have the digits by chance.
        digits = [index for index, byte in enumerate(content[:100_000]) if byte in b"0123456789"]
        if digits:
            place = draw.choice(digits)
            word = draw.choice((b"-1", b"1e999", b"nan", b"99999999999999999999", b"0.5", b"null", b'"x"'))
            return content[:place] + word + content[place + 1 :]
    if damage == 6:
        return draw.randbytes(draw.choice((0, 1, 100, 10_000)))
    # The head of another kind of file.
    head = draw.choice(
        (b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x80\x04", b"{", b"\xff\xfe", b"\0" * 64)
    )
    return head + content[len(head) :]


def _kinds(folder: pathlib.Path) -> list[Kind]:
    """Return the kinds of files of a finished run."""
    import torch

    from zeroshot.base import checkpoints, errors, params
    from zeroshot.cache import index, maps, rows
    from zeroshot.datasets import lists, splits
    from zeroshot.datasets.instances import annotation_files
    from zeroshot.images import image_files
    from zeroshot.networks import backbone, weights
    from zeroshot.pixel_classifiers import pixel_classifier
    from zeroshot.prediction import model
    from zeroshot.words import class_embeddings, vector_files
    from zeroshot.zs3net.classifiers import fine_tuning
    from zeroshot.zs3net.generators import registry

    def listed(path: pathlib.Path) -> None:
        faults = errors.Faults()
        lists.read_ids(path.parent, path.name, faults)
        faults.raise_any(str(path))

    def annotated(path: pathlib.Path) -> None:
        faults = errors.Faults()
        annotation_files.read(path, folder / "data/shapes/images/val", faults)
        faults.raise_any(str(path))

    def sections(path: pathlib.Path) -> None:
        params.load(str(path), "gmmn", registry.Params)
        params.load(str(path), "classifier", fine_tuning.Params)

    split = splits.read(folder / "data/split.json")
    dim = index.read(folder / "features/train", "rows").dim
    cpu = torch.device("cpu")
    toy = folder / "data/toy"
    shard = "features/train", index.read(folder / "features/train", "rows").shards[0]["file"]
    maps_shard = index.read(folder / "features/val", "maps").shards[0]["file"]
    encoder = folder / "data" / "fuzz_weights.pth"
    torch.save(checkpoints.load(folder / "models/backbone.pt", backbone.Checkpoint)["network"], encoder)
    kinds = [
        Kind("image", _first(toy, "JPEGImages"), image_files.read_image),
        Kind("mask", _first(toy, "SegmentationClass"), image_files.read_mask),
        Kind("list of images", toy / "ImageSets/Segmentation/train.txt", listed),
        Kind("params.yaml", folder / "params.yaml", sections),
        Kind("split", folder / "data/split.json", splits.read),
        Kind("class embeddings", folder / "data/class_embeddings.h5", class_embeddings.read),
        Kind("index of a cache", folder / shard[0], lambda path: index.read(path, "rows"), damaged=index.NAME),
        Kind("shard of pixels", folder / shard[0], lambda path: [*rows.read(path)], True, shard[1]),
        Kind("shard of maps", folder / "features/val", lambda path: [*maps.read(path)], True, maps_shard),
        Kind(
            "network",
            folder / "models/backbone.pt",
            lambda path: backbone.load(checkpoints.load(path, backbone.Checkpoint)),
        ),
        Kind("encoder weights", encoder, weights.read_file),
        Kind("generator", folder / "models/gmmn.pt", lambda path: registry.load(path, cpu, split.classes, dim)),
        Kind(
            "classifier", folder / "models/classifiers/zs3net.pt", lambda path: pixel_classifier.load(path, split, dim)
        ),
        Kind("packed model", folder / "models/zs3net.pt", model.load),
        Kind("word vectors", _word_vectors(folder), lambda path: vector_files.read(path, {"red", "disk"})),
    ]
    instances = folder / "data/shapes/instances_val.json"
    return [*kinds, *([Kind("COCO annotations", instances, annotated)] if instances.exists() else [])]


def _first(toy: pathlib.Path, name: str) -> pathlib.Path:
    return sorted((toy / name).iterdir())[0]


def _word_vectors(folder: pathlib.Path) -> pathlib.Path:
    """Write a file of word vectors in word2vec's text format and return its path."""
    path = folder / "data" / "fuzz_vectors.txt"
    draw = random.Random(0)
    rows = [f"{word} " + " ".join(f"{draw.gauss(0, 1):.4f}" for _ in range(8)) for word in ("red", "disk", "star", "a")]
    path.write_text(f"{len(rows)} 8\n" + "\n".join(rows) + "\n")
    return path


if __name__ == "__main__":
    tyro.cli(main)
