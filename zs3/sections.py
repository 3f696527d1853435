"""Every section of params.yaml at once: `python -m zs3.sections params.yaml` finds a wrong key before hours of work, not after."""

import sys

from zs3 import embeddings, errors, evaluation, examples, params, runtime
from zs3.classifiers import baselines, classifier, self_training
from zs3.dataset import conversion, voc
from zs3.features import plan
from zs3.generators import gmmn
from zs3.network import backbone, self_training_network
from zs3.pseudo_labels import selection
from zs3.toy import scenes

SECTIONS = {
    "toy": scenes.Params,
    "labels": conversion.Params,
    "data": voc.Params,
    "embeddings": embeddings.Params,
    "backbone": backbone.Params,
    "features": plan.Params,
    "gmmn": gmmn.Params,
    "classifier": classifier.Params,
    "pseudo_labels": selection.Params,
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
    path = sys.argv[1] if len(sys.argv) > 1 else "params.yaml"
    check(path)
    print(f"{path}: all {len(SECTIONS)} sections are right")


if __name__ == "__main__":
    main()
