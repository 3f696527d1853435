"""YAML as plain values, from text that nobody has checked: no duplicate keys, no tags of objects, a limited size."""

import math
from typing import Any

import yaml

# Limit of the values in a parameter file, with aliases written out: params.yaml has about 200, and a few lines of aliases of aliases
# stand for billions.
MAX_NODES = 100_000


def load(text: str) -> Any:
    """Return the plain values in a YAML text.

    Raises:
        yaml.YAMLError: if the text is not YAML, has a duplicate key in one mapping, or more than `MAX_NODES` values.
        RecursionError: if it has too many brackets or blocks inside of each other.
    """
    return yaml.load(text, Loader=_Loader)


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses duplicate keys, where PyYAML silently uses the last value, and aliases that stand for too much."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _expanded_size(node, {}) > MAX_NODES:
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"with its aliases written out it has more than {MAX_NODES:,} values; write few values without aliases",
            )
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # PyYAML's constructors of numbers and dates raise these on text that is neither: `!!int foo`, `2001-99-99`.
            problem = f"`{node.value!s:.60}` is not a value of type {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key `{key.value}` is given twice", key.start_mark)
        mapping = super().construct_mapping(node, deep)
        for key in mapping:
            if not isinstance(key, str | int | float | None):
                raise yaml.constructor.ConstructorError(None, None, f"key `{key}` is not text", node.start_mark)
        return mapping


def _expanded_size(node: yaml.Node, sizes: dict[int, float]) -> float:
    """Return the number of nodes at and below `node` if every alias is written out; infinity if an alias is inside of its own anchor.

    Args:
        node: of a composed document, where an alias is the same object as its anchor.
        sizes: the results so far by the id of their node.
    """
    if id(node) not in sizes:
        sizes[id(node)] = math.inf
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        flat = [child for item in children for child in (item if isinstance(item, tuple) else (item,))]
        sizes[id(node)] = 1 + sum(_expanded_size(child, sizes) for child in flat)
    return sizes[id(node)]
