"""Starting the ranks of a stage on this machine, for `dvc repro`, whose commands do not name `torchrun`."""

import logging
import signal
import sys

from zeroshot.base import errors

_LOGGERS = "torch.distributed.elastic"


def launch(n_ranks: int) -> None:
    """Run the command line of this process in several ranks, and wait for them.

    Args:
        n_ranks: number of processes, on a machine with GPUs at most that of its GPUs.

    Raises:
        errors.UserError: if one fails; the text has its rank, and how it ended. The others are ended.
        KeyboardInterrupt: if this process gets a signal to end, which PyTorch passes on to the ranks.
    """
    from torch.distributed.elastic.multiprocessing import api as elastic
    from torch.distributed.elastic.multiprocessing import errors as elastic_errors
    from torch.distributed.launcher import api

    spec = sys.modules["__main__"].__spec__
    if spec is None:
        raise errors.UserError("runtime.ranks: start the stage as a module, as dvc.yaml does (`python -m stages.NAME`)")
    # Our message has what their lines say. Some of them have a level of their own.
    for name in [_LOGGERS, *(name for name in logging.root.manager.loggerDict if name.startswith(f"{_LOGGERS}."))]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    config = api.LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=n_ranks,
        run_id=spec.name,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.5,
    )
    try:
        api.elastic_launch(config, sys.executable)("-m", spec.name, *sys.argv[1:])
    except elastic_errors.ChildFailedError as error:
        # A rank that loses its connection to a killed one ends at almost the same time, with a status of its own.
        rank, failure = min(error.failures.items(), key=lambda entry: (entry[1].exitcode >= 0, entry[1].timestamp))
        raise errors.UserError(f"rank {rank} of {n_ranks} {_end(failure.exitcode)}; the others were ended") from None
    except elastic.SignalException:
        raise KeyboardInterrupt from None


def _end(status: int) -> str:
    """Return how a process with an exit status ended."""
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}, see above"
