"""Running a function, or a stage, in two ranks on this machine."""

import os
import pathlib
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch

from zeroshot.base import ranks

ROOT = pathlib.Path(__file__).parents[2]
# Words before a module that run it in two ranks.
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m")


def results(folder: pathlib.Path, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Return what `function(*arguments)`, importable by name, returns in each of two ranks that are connected; `folder` is used."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_run, (port, folder, function, arguments), nprocs=2)
    return [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in range(2)]


def _run(rank: int, port: int, folder: pathlib.Path, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    places = {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2}
    os.environ.update({name: str(value) for name, value in places.items()}, TORCHELASTIC_RUN_ID="test")
    torch.set_num_threads(1)
    with ranks.together(torch.device("cpu")):
        result = function(*arguments)
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps(result))


def start(folder: pathlib.Path, module: str, arguments: dict[str, str], *program: str) -> subprocess.Popen[str]:
    """Start a stage in `folder` as its command line does.

    Args:
        folder: where params.yaml is.
        module: the stage.
        arguments: flag -> value.
        program: words before the module; `python -m` if there are none.
    """
    words = [*(program or (sys.executable, "-m")), module, *(word for pair in arguments.items() for word in pair)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
