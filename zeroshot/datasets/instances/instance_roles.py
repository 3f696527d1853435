"""Seen and unseen classes of a data set of instances: published splits, or the names of section `data`, in an explicit order."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import pydantic

from zeroshot.base import errors, params
from zeroshot.datasets import layout, published
from zeroshot.datasets.instances import class_list

_OneOrMore = pydantic.Field(min_length=1)


@params.section
class Params:
    """The `data` section of zsi/params.yaml, which documents every key."""

    annotations: params.DataPath
    train: Annotated[tuple[layout.Inside, ...], _OneOrMore]
    val: layout.Inside
    train_images: params.DataPath
    val_images: params.DataPath
    published: Literal["coco_48_17", "coco_65_15"] | None
    unseen: tuple[layout.Name, ...] | None
    seen: Annotated[tuple[layout.Name, ...], _OneOrMore] | None

    @pydantic.field_validator("unseen", "seen")
    @classmethod
    def _named_if_not_published(
        cls, value: tuple[str, ...] | None, info: pydantic.ValidationInfo
    ) -> tuple[str, ...] | None:
        name = info.data.get("published")
        if name and value is not None:
            raise ValueError(f"must be null where `published` is given (published is {name})")
        if "published" in info.data and not name and value is None and info.field_name == "unseen":
            raise ValueError("must be a list of class names where `published` is null ([] for no unseen class)")
        return value


def find(options: Params, categories: Mapping[int, str], faults: errors.Faults) -> class_list.InstanceClasses:
    """Return the classes in label order: that of the published split, or of the lists. Names that are wrong are faults, and left out.

    Without a list of seen classes, all that are not unseen are seen, by their category ids. The order never depends on that of a file.

    Args:
        options: section `data`.
        categories: category id -> name.
        faults: receives names that are wrong.
    """
    if options.published:
        split = published.ZSI[options.published]
        seen = _known(options.published, split.seen, categories, faults)
        unseen = _known(options.published, split.unseen, categories, faults)
    else:
        unseen = _known("data.unseen", options.unseen or (), categories, faults)
        rest = [categories[id] for id in sorted(categories) if categories[id] not in unseen]
        seen = rest if options.seen is None else _known("data.seen", options.seen, categories, faults)
        for name in (name for name in seen if name in unseen):
            faults.add("class that is both seen and unseen (it can have one role)", f"`{name}`")
        if not rest and categories:
            faults.add("no class is left to be seen, so nothing can be learnt (declare fewer unseen)", "data.unseen")
    ids = {name: id for id, name in categories.items()}
    return class_list.of_roles([(name, ids[name]) for name in seen], [(name, ids[name]) for name in unseen])


def _known(where: str, names: Sequence[str], categories: Mapping[int, str], faults: errors.Faults) -> list[str]:
    """Return those of `names` that are categories, each once; others are faults, unless there are no categories at all."""
    known, all_names = dict[str, None](), list(categories.values())
    for name in names:
        if name in known:
            faults.add(f"class named twice in {where}", f"`{name}`")
        elif name in all_names:
            known[name] = None
        elif all_names:
            close = difflib.get_close_matches(name, all_names, n=1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            faults.add(f"class of {where} that is no category of the annotation files", f"`{name}`{hint}")
    return list(known)
