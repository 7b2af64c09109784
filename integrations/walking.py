"""Walking through a list that changes meanwhile, in the order of its changes. Pure."""

from collections.abc import Sequence
from typing import Any, TypeVar

Time = TypeVar("Time", bound=Any)


def onwards(begin: Time, page: int, times: Sequence[Time]) -> tuple[Time, int]:
    """From when to read on after a page of these times, in whole seconds, and which page of that.

    That is from the last one: by page numbers what changes would go to the end, all behind it would move up, and one would be on no page
    that is read. The next page it is only where all of this one is of one second, or in no order.
    """
    if not times or times[-1] <= begin or list(times) != sorted(times):
        return begin, page + 1
    return times[-1], 1
