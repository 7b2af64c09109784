"""PHP's bracket forms: `leads[add][0][id]=7` is a tree. Kommo sends all its webhooks so (kommo.md 4.3).

Any bytes at all give a tree. The order of the pairs does not matter, except that of two values for one key the later holds.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_plus

Tree = dict[str, "str | Tree"]

# A body of 1 MiB with real entries has at most some 25,000 pairs (40 bytes each, encoded); more is no webhook.
MOST_PAIRS = 50_000
# Kommo's deepest key, a field's value, has 8 steps.
MOST_STEPS = 16

# Keys that are longer, encoded, are nobody's, and not worth remembering.
LONGEST_KNOWN = 200

_STEPS = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class Form:
    """What a body says; `problem` tells what of it was left out, and why."""

    tree: Tree
    problem: str | None = None


def decode(body: bytes) -> Form:
    """The tree in the body. Bytes that are no UTF-8 become replacement characters; nothing raises."""
    pairs = body.decode("utf-8", "replace").split("&", MOST_PAIRS)
    problem = None
    if len(pairs) > MOST_PAIRS:
        problem = f"more than {MOST_PAIRS} pairs: the rest was not read"
        pairs.pop()
    tree: Tree = {}
    listed: Counter[int] = Counter()
    for pair in pairs:
        key, _, value = pair.partition("=")
        steps = _steps(key) if len(key) <= LONGEST_KNOWN else _split(key)
        if len(steps) > MOST_STEPS:
            problem = problem or f"a key with more than {MOST_STEPS} steps was not read"
        elif steps[0]:
            _plant(tree, steps, unquote_plus(value), listed)
    return Form(tree, problem)


def branches(tree: "str | Tree | None") -> list[Tree]:
    """The trees right under this one, as the entries of a list; those that are only text are left out."""
    return [branch for branch in tree.values() if isinstance(branch, dict)] if isinstance(tree, dict) else []


def branch(tree: Tree, key: str) -> Tree:
    """The tree under the key; an empty one where there is none."""
    found = tree.get(key)
    return found if isinstance(found, dict) else {}


def leaf(tree: Tree, key: str) -> str:
    """The text under the key; empty where there is none."""
    found = tree.get(key)
    return found if isinstance(found, str) else ""


def _split(key: str) -> list[str]:
    """`leads[add][0]`, encoded -> leads, add, 0. What follows the last bracket is no part of the key, as in PHP."""
    name, bracket, rest = unquote_plus(key).partition("[")
    return [name, *_STEPS.findall(bracket + rest)] if bracket else [name]


# Webhooks have the same few keys again and again.
_steps = lru_cache(maxsize=2_000)(_split)


def _plant(tree: Tree, steps: list[str], value: str, listed: Counter[int]) -> None:
    for step in steps[:-1]:
        name = step or _next(tree, listed)
        under = tree.setdefault(name, {})
        if isinstance(under, str):  # a value where others have a tree below: the tree says more
            under = tree[name] = {}
        tree = under
    last = steps[-1] or _next(tree, listed)
    if not isinstance(tree.get(last), dict):
        tree[last] = value


def _next(tree: Tree, listed: Counter[int]) -> str:
    """A free index for `a[]`. `listed` remembers how far each tree is, or a long list would be searched again and again."""
    while str(listed[id(tree)]) in tree:
        listed[id(tree)] += 1
    return str(listed[id(tree)])
