"""The processes that share the work of one stage, as `torchrun` starts them; a process that it did not start is the only one.

Each has a rank, from 0, also over several machines. Rank 0 writes files that all ranks share.
"""

import contextlib
import datetime
import os
import typing
from collections.abc import Iterator, Sequence
from typing import TypeVar

from zeroshot.base import errors

if typing.TYPE_CHECKING:
    import torch

T = TypeVar("T")
# The others may wait for one that reads or writes for hours. A rank that dies is noticed by the process that started it.
_PATIENCE = datetime.timedelta(days=7)


def rank() -> int:
    """Return the rank of this process."""
    return int(os.environ.get("RANK", "0"))


def count() -> int:
    """Return the number of ranks."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def place() -> int:
    """Return the number of this process among those of its machine, which is that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@contextlib.contextmanager
def together(device: "torch.device") -> Iterator[None]:
    """Connect the ranks, by NCCL on GPUs and by Gloo on CPUs, until the context ends. Alone, do nothing.

    Raises:
        errors.UserError: if the connection to another rank breaks.
    """
    if count() == 1:
        yield
        return
    import torch
    import torch.distributed

    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield
    except RuntimeError as error:
        # PyTorch has a class for errors of NCCL and of the connection's start, and none for those of Gloo.
        if not isinstance(error, torch.distributed.DistError) and "gloo" not in str(error):
            raise
        raise errors.UserError(f"the connection to another process broke; did one end? ({error})") from error
    finally:
        torch.distributed.destroy_process_group()


def wait() -> None:
    """Wait until every rank has called this."""
    if count() > 1:
        import torch.distributed

        torch.distributed.barrier()


def total(value: "torch.Tensor") -> "torch.Tensor":
    """Return the sum of a tensor over the ranks, without gradients; alone, the tensor itself."""
    if count() == 1:
        return value
    import torch.distributed

    value = value.detach().clone()
    torch.distributed.all_reduce(value)
    return value


def share(items: Sequence[T]) -> list[T]:
    """Return every n-th of the items, from the place of this rank on, n being the number of ranks."""
    return [*items[rank() :: count()]]


def seed() -> tuple[int, ...]:
    """Return what to add to a seed so that ranks draw different numbers; nothing for rank 0, which draws as a process alone does."""
    return (rank(),) if rank() else ()


def check_batch(batch_size: int, key: str) -> None:
    """Check that the ranks get equal shares of a batch.

    Args:
        batch_size: images of a batch.
        key: the parameter that sets it, for the error.

    Raises:
        errors.UserError: if they do not.
    """
    if batch_size % count():
        raise errors.UserError(
            f"{key}: a batch has {batch_size} images, which {count()} processes cannot share equally; set a multiple of {count()}"
        )
