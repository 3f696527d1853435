"""Device, threads, ranks, workers and scratch folder of the stages, which no stage tracks.

Device and threads can change the last digits of a result. Several ranks train a network with other dropout.
"""

import contextlib
import ctypes
import typing
from typing import Annotated, Literal

import pydantic

from zeroshot.base import errors, params, ranks

if typing.TYPE_CHECKING:
    import torch


@params.section
class Params:
    """The `runtime` section of params.yaml."""

    device: Literal["auto", "cpu", "cuda"]
    threads: params.Count
    ranks: params.Count
    workers: Annotated[int, pydantic.Field(ge=0)]
    scratch: Annotated[str, pydantic.Field(min_length=1)]


def start(settings: Params, threads: int = 1) -> "torch.device":
    """Set PyTorch's number of threads and return the device to compute on.

    The number never follows the machine, because the order of summation depends on it. A stage without a network computes on one
    thread, because its matrices are too small for more.

    Args:
        settings: section `runtime`; device `auto` is the first GPU, or the CPU if there is no GPU. Each rank has a GPU of its own.
        threads: number of threads of PyTorch's operators.

    Raises:
        errors.UserError: if the device is `cuda` and PyTorch finds no GPU, or if this machine has more ranks than GPUs.
    """
    # PyTorch takes seconds to import, and stages that read only the section do not need it.
    import torch

    torch.set_num_threads(threads)
    _keep_freed_memory()
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise errors.UserError("runtime.device: is cuda, but PyTorch finds no GPU; use cpu or auto")
    use_gpu = settings.device != "cpu" and torch.cuda.is_available()
    if use_gpu and ranks.count() > 1:
        if ranks.place() >= torch.cuda.device_count():
            raise errors.UserError(
                f"runtime.ranks (or torchrun): PyTorch finds {torch.cuda.device_count()} GPUs, and each rank needs one"
            )
        torch.cuda.set_device(ranks.place())
    return torch.device("cuda" if use_gpu else "cpu")


# Numbers of options of the GNU C library, in malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next tensor.

    By default it returns blocks beyond 32 MiB to the system, which clears their pages again and again: on real images that took as long
    as the forward pass itself.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        # Libraries before 2.35 refuse more than 32 MiB. The first option that is set ends the library's own choice of both.
        if library.mallopt(_M_MMAP_THRESHOLD, 2**30) or library.mallopt(_M_MMAP_THRESHOLD, 2**25):
            library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def processes(settings: Params, device: "torch.device") -> int:
    """Return the number of processes that train in parallel: `workers`, at least 1; one on a GPU."""
    return 1 if device.type == "cuda" else max(1, settings.workers)
