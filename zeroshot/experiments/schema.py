"""The dataclass of every section of params.yaml, and a check of all sections before any stage runs."""

import pathlib

from zeroshot.base import params, runtime
from zeroshot.cache import shard_plan
from zeroshot.datasets import conversion, layout
from zeroshot.datasets.toy import scenes
from zeroshot.evaluation import example_images, protocols
from zeroshot.networks import backbone
from zeroshot.words import class_embeddings
from zeroshot.zs3net import self_training_network
from zeroshot.zs3net.classifiers import baselines, fine_tuning, self_training
from zeroshot.zs3net.generators import registry
from zeroshot.zs3net.pseudo_labels import selection

SECTIONS = {
    "toy": scenes.Params,
    "labels": conversion.Params,
    "data": layout.Params,
    "embeddings": class_embeddings.Params,
    "backbone": backbone.Params,
    "features": shard_plan.Params,
    "gmmn": registry.Params,
    "classifier": fine_tuning.Params,
    "pseudo_labels": selection.Params,
    "self_training": self_training.Params,
    "self_training_network": self_training_network.Params,
    "baseline": baselines.Params,
    "evaluation": protocols.Params,
    "visualise": example_images.Params,
    "runtime": runtime.Params,
}


def check(path: str | pathlib.Path) -> None:
    """Load every section of the parameter file at `path`.

    Raises:
        params.ParamsError: with all errors of all sections, and the unknown sections.
    """
    faults = []
    for name, cls in SECTIONS.items():
        try:
            params.load(path, name, cls)
        except params.ParamsError as error:
            faults.append(str(error))
    unknown = [name for name in params.read(path) if name not in SECTIONS]
    if unknown:
        faults.append(f"{path}: unknown sections: {', '.join(unknown)}; choose from {', '.join(SECTIONS)}")
    if faults:
        raise params.ParamsError("\n".join(faults))
