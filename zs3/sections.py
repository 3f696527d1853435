"""Every section of params.yaml at once: `python -m zs3.sections params.yaml` finds a wrong key before hours of work, not after."""

import sys

from zs3 import (
    backbone,
    baselines,
    classifier,
    embeddings,
    errors,
    evaluation,
    examples,
    feature_plan,
    gmmn,
    params,
    pseudo_labels,
    runtime,
    self_training,
    self_training_network,
    toy,
)
from zs3.dataset import conversion, voc

SECTIONS = {
    "toy": toy.Params,
    "labels": conversion.Params,
    "data": voc.Params,
    "embeddings": embeddings.Params,
    "backbone": backbone.Params,
    "features": feature_plan.Params,
    "gmmn": gmmn.Params,
    "classifier": classifier.Params,
    "pseudo_labels": pseudo_labels.Params,
    "self_training": self_training.Params,
    "self_training_network": self_training_network.Params,
    "baseline": baselines.Params,
    "evaluation": evaluation.Params,
    "visualise": examples.Params,
    "runtime": runtime.Params,
}


def check(path: str) -> None:
    """Load every section of the parameter file at `path`.

    Raises:
        params.ParamsError: with all faults of all sections, and the sections that no stage knows.
    """
    faults = []
    for name, cls in SECTIONS.items():
        try:
            params.load(path, name, cls)
        except params.ParamsError as error:
            faults.append(str(error))
    unknown = [name for name in params.read(path) if name not in SECTIONS]
    if unknown:
        faults.append(f"{path}: unknown sections: {', '.join(unknown)}; known are {', '.join(SECTIONS)}")
    if faults:
        raise params.ParamsError("\n".join(faults))


@errors.reported
def main() -> None:
    """Check the file on the command line."""
    check(sys.argv[1] if len(sys.argv) > 1 else "params.yaml")


if __name__ == "__main__":
    main()
