"""The roles that section `data` gives to classes, from names to label ids."""

import dataclasses
import difflib
from collections.abc import Iterable

from zeroshot.base import errors
from zeroshot.datasets import layout
from zeroshot.images import label_ids


@dataclasses.dataclass(frozen=True)
class Roles:
    """The label ids of classes with a role of their own, in ascending order; all others are `train_seen` (`splits.Split`)."""

    unseen: tuple[int, ...]
    train_unseen: tuple[int, ...] = ()


def find(classes: tuple[str, ...], settings: layout.Params, faults: errors.Faults) -> Roles:
    """Return the roles of classes (names in label order); names that are wrong are faults."""
    unseen = _labels("unseen", classes, layout.unseen_names(settings), faults)
    train_unseen = _labels("train_unseen", classes, settings.train_unseen, faults)
    for label in sorted({*unseen} & {*train_unseen}):
        faults.add("class that is both unseen and train_unseen (it can have one role)", f"`{classes[label]}`")
    return Roles(unseen, tuple(label for label in train_unseen if label not in unseen))


def _labels(role: str, classes: tuple[str, ...], names: Iterable[str], faults: errors.Faults) -> tuple[int, ...]:
    """Return the label ids, in ascending order, of the classes with a role; names that are wrong are faults."""
    labels = []
    for name in names:
        if name not in classes:
            containing = [class_name for class_name in classes if name and name.lower() in class_name]
            close = containing or difflib.get_close_matches(name, classes, n=1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            faults.add(f"{role} class is not in the class list", f"`{name}`{hint}")
        elif classes.index(name) == label_ids.BACKGROUND:
            faults.add(f"the background (label 0) cannot be {role}", f"`{name}`")
        elif classes.index(name) in labels:
            faults.add(f"{role} class named twice", f"`{name}`")
        else:
            labels.append(classes.index(name))
    return tuple(sorted(labels))
