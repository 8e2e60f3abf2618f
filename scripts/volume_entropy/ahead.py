"""Work that overlaps: the next item is made while this one is used."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def one_ahead(items: Generator[Item]) -> Iterator[Item]:
    """Yield from `items`, none of which is None, while a thread already makes the next one."""
    with ThreadPoolExecutor(1) as pool:
        try:
            coming = pool.submit(next, items, None)
            while (item := coming.result()) is not None:
                coming = pool.submit(next, items, None)
                yield item
        finally:
            # A generator cannot be closed while the thread still runs it.
            pool.shutdown(wait=True)
            items.close()
