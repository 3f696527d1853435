"""The processes that share the work of one stage, as `torchrun` starts them; a process that it did not start is the only one.

Each has a rank, from 0, also over several machines. Rank 0 writes files that all ranks share.
"""

import contextlib
import datetime
import os
import typing
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from zeroshot.base import errors

if typing.TYPE_CHECKING:
    import torch

T = TypeVar("T")
# For the first connection, and for every step of a training.
_PATIENCE = datetime.timedelta(minutes=30)
# For `wait`, since another machine may be slower. A rank that dies is noticed earlier, by the process that started it.
_LONG_PATIENCE = datetime.timedelta(days=7)
# The connection of `wait`, while the ranks are connected.
_waiting: Any = None


def rank() -> int:
    """Return the rank of this process."""
    return _of_torchrun("RANK", 0)


def count() -> int:
    """Return the number of ranks."""
    return _of_torchrun("WORLD_SIZE", 1)


def place() -> int:
    """Return the number of this process among those of its machine, which is that of its GPU."""
    return _of_torchrun("LOCAL_RANK", 0)


def by_torchrun() -> bool:
    """Return whether torchrun, or `launching`, started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def _of_torchrun(name: str, alone: int) -> int:
    """Return a number in the environment. Other programs than torchrun use the same names."""
    return int(os.environ[name]) if by_torchrun() else alone


@contextlib.contextmanager
def together(device: "torch.device") -> Iterator[None]:
    """Connect the ranks, by NCCL on GPUs and by Gloo on CPUs, until the context ends. Alone, do nothing.

    Raises:
        errors.UserError: if the connection to another rank breaks.
    """
    global _waiting
    if count() == 1:
        yield
        return
    import torch
    import torch.distributed

    try:
        torch.distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE
        )
        _waiting = torch.distributed.new_group(backend="gloo", timeout=_LONG_PATIENCE)
        yield
    except RuntimeError as error:
        # PyTorch has a class for errors of NCCL and of the connection's start, and none for those of Gloo.
        if not isinstance(error, torch.distributed.DistError) and "gloo" not in str(error):
            raise
        raise errors.UserError(f"the connection to another process broke; did one end? ({error})") from error
    finally:
        _waiting = None
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def wait() -> None:
    """Wait until every rank has called this, for hours if need be."""
    if count() > 1:
        import torch.distributed

        torch.distributed.monitored_barrier(_waiting, timeout=_LONG_PATIENCE)


def total(value: "torch.Tensor") -> "torch.Tensor":
    """Return the sum of a tensor over the ranks, without gradients; alone, the tensor itself."""
    if count() == 1:
        return value
    import torch.distributed

    value = value.detach().clone()
    torch.distributed.all_reduce(value)
    return value


def of_first(value: T) -> T:
    """Return the value that rank 0 gives, which can be pickled."""
    if count() == 1:
        return value
    import torch.distributed

    values = [value]
    torch.distributed.broadcast_object_list(values)
    return values[0]


def check_equal(value: object, text: str) -> None:
    """Check that all ranks give an equal value, which can be pickled.

    Raises:
        errors.UserError: with `text`, on every rank, if they do not.
    """
    if count() == 1:
        return
    import torch.distributed

    values: list[Any] = [None] * count()
    torch.distributed.all_gather_object(values, value)
    if any(other != value for other in values):
        raise errors.UserError(text)


def share(items: Sequence[T]) -> list[T]:
    """Return every n-th of the items, from the place of this rank on, n being the number of ranks."""
    return [*items[rank() :: count()]]


def seed() -> tuple[int, ...]:
    """Return what to add to a seed so that ranks draw different numbers; nothing for rank 0, which draws as a process alone does."""
    return (rank(),) if rank() else ()


def check_batch(batch_size: int, n_images: int, section: str) -> None:
    """Check that the ranks get equal shares of a batch, which has at most all images.

    Args:
        batch_size: the key of this name.
        n_images: number of training images.
        section: the section of the key, for the error.

    Raises:
        errors.UserError: if they do not.
    """
    size = min(batch_size, n_images)
    if size % count():
        cause = "" if size == batch_size else ", which are all training images"
        raise errors.UserError(
            f"{section}.batch_size: {count()} processes cannot share batches of {size} images equally{cause};"
            " change the batch size or runtime.ranks"
        )
