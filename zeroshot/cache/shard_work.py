"""The planned shards of a dump: several ranks share them, and a killed run goes on at its first missing shard."""

import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Sequence

from zeroshot.base import endings, errors, progress, ranks, storage
from zeroshot.cache import index as cache_index


@dataclasses.dataclass(frozen=True)
class Shard:
    """A shard of a plan.

    Attributes:
        path: its file, in the folder of unfinished work; the shard is finished if the file exists.
        n_bytes: its size, or a bound of it.
        write: computes the shard and writes the file, which appears as a whole.
    """

    path: pathlib.Path
    n_bytes: int
    write: Callable[[], None]


def missing_bytes(shards: Sequence[Shard]) -> int:
    """Return the size of the shards that are not finished, or a bound of it."""
    return sum(shard.n_bytes for shard in shards if not shard.path.exists())


def finish(stage: str, work: pathlib.Path, shards: Sequence[Shard], publish_all: Callable[[], None]) -> None:
    """Write the shards that are missing, publish all, and delete the folder of unfinished work.

    The ranks share the missing shards; rank 0 publishes and deletes. An interrupted run says how many shards are kept.

    Args:
        stage: the stage's name, for the bar.
        work: the folder of unfinished work, from `resuming.folder`, with the paths of all shards.
        shards: the plan, the same for every rank.
        publish_all: puts the finished shards where the stage's outputs are.

    Raises:
        errors.UserError: if rank 0 does not find a shard of another rank.
    """
    with endings.keeping(
        lambda: (
            f"{sum(shard.path.exists() for shard in shards)} of {len(shards)} shards are kept in {work}; run again to go on"
        )
    ):
        # As rank 0 sees it, since the others have perhaps begun to write.
        missing = ranks.of_first([number for number, shard in enumerate(shards) if not shard.path.exists()])
        done, mine = len(shards) - len(missing), ranks.share(missing)
        for number in progress.track(mine, f"{stage} (shards)", total=done + len(mine), initial=done):
            shards[number].write()
        ranks.wait()
        if ranks.rank():
            return
        if absent := [shard.path for shard in shards if not shard.path.exists()]:
            raise errors.UserError(
                f"{absent[0]}: another process wrote this shard, and it is not here; set runtime.scratch to a folder that all machines"
                " share, and run again"
            )
        publish_all()
    shutil.rmtree(work)


def publish(scratch: pathlib.Path, folder: pathlib.Path, index: cache_index.Index) -> None:
    """Replace `folder` and all its files by the finished shards of the scratch folder, which keeps them; the index is written last.

    Raises:
        errors.DiskError: if the folder is on another disk than the scratch folder, and that disk is full.
    """
    with storage.replacing_folder(folder) as unfinished:
        for entry in [*index.shards, *([index.graphs] if index.graphs else [])]:
            storage.link_or_copy(scratch / entry["file"], unfinished / entry["file"])
        cache_index.write(unfinished, index)
