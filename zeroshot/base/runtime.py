"""Where the stages run: device, threads, workers, scratch folder. No result depends on it but by `threads`, so no stage tracks it."""

import typing
from typing import Annotated, Literal

import pydantic

from zeroshot.base import errors, params

if typing.TYPE_CHECKING:
    import torch


@params.section
class Params:
    """The `runtime` section of params.yaml."""

    device: Literal["auto", "cpu", "cuda"]
    threads: params.Count
    workers: Annotated[int, pydantic.Field(ge=0)]
    scratch: Annotated[str, pydantic.Field(min_length=1)]


def start(settings: Params, threads: int = 1) -> "torch.device":
    """Set PyTorch's number of threads and return the device to compute on.

    The number is given, never the machine's: sums are added in an order that depends on it. A stage without a network computes on
    one thread, since its matrices are too small for more.

    Args:
        settings: section `runtime`; `auto` is the first GPU where there is one.
        threads: of PyTorch's operators.

    Raises:
        errors.UserError: if a GPU is asked for and PyTorch finds none.
    """
    # Stages that need no network must not wait seconds for PyTorch's import.
    import torch

    torch.set_num_threads(threads)
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise errors.UserError("runtime.device: is cuda, but PyTorch finds no GPU; use cpu or auto")
    use_gpu = settings.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if use_gpu else "cpu")


def processes(settings: Params, device: "torch.device") -> int:
    """Return how many processes train side by side: `workers` of them, one on a GPU."""
    return 1 if device.type == "cuda" else max(1, settings.workers)
