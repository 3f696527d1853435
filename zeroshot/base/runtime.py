"""Where the stages run: device, worker count, scratch folder. No result depends on it, so no stage tracks it."""

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
    workers: Annotated[int, pydantic.Field(ge=0)]
    scratch: Annotated[str, pydantic.Field(min_length=1)]


def device(settings: Params) -> "torch.device":
    """Return the device to compute on; `auto` is the first GPU where there is one.

    Raises:
        ValueError: if a GPU is asked for and PyTorch finds none.
    """
    # Stages that need no network must not wait seconds for PyTorch's import.
    import torch

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise errors.UserError("runtime.device: is cuda, but PyTorch finds no GPU; use cpu or auto")
    use_gpu = settings.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if use_gpu else "cpu")
