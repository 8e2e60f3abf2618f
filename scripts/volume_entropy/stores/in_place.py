"""Probabilities that are Zarr arrays already: read where they lie, block by block, and not from a copy."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..files import fingerprint, is_unchanged
from ..readers import BoxReader, Reader, on_scale, open_reader
from .boxes import Index, spans_of
from .layout import Layout, layout_of_bricks
from .sealed import PathLike, StoreError


@dataclass(frozen=True)
class InPlaceArray:
    """Source arrays that are read as the array of a store is, by a member and slices: (member, class, z, y, x).

    Attributes
    ----------
    store
        The store that refers to the sources.
    pieces
        First member and first class of each source, and its reader.
    fingerprints
        Of the sources, when the store was made.
    """

    store: PathLike
    pieces: Sequence[tuple[int, int, BoxReader]]
    fingerprints: Sequence[Sequence[Any]]
    shape: Index
    dtype: np.dtype[Any]
    layout: Layout

    def __getitem__(self, selection: Any) -> NDArray[Any]:
        """Read a box; the values are those that a copy would hold.

        Raises
        ------
        DataError
            A source is damaged.
        StoreError
            A source is not what it was when the store was made.
        """
        (members, classes, z, y, x), dropped = spans_of(selection, self.shape)
        out = np.empty([len(span) for span in (members, classes, z, y, x)], self.dtype)
        try:
            for first_member, first_class, reader in self.pieces:
                of_members, into_members = _shared(members, first_member, reader.n_members)
                of_classes, into = _shared(classes, first_class, reader.n_classes)
                for member, target in zip(of_members, into_members, strict=True) if of_classes else ():
                    reader.read_box(member, of_classes, z, y, x, out[target, into.start : into.stop])
        except DataError:
            self.require_unchanged()
            raise
        result: NDArray[Any] = out[tuple(0 if drop else slice(None) for drop in dropped)]
        return result

    def require_unchanged(self) -> None:
        """Raise `StoreError` if a source is gone, or not what it was when the store was made."""
        _require_unchanged(self.store, self.fingerprints)


def readable_in_place(
    pieces: Sequence[tuple[int, int, Reader]], itemsize: int, chunk: int
) -> tuple[Layout, dict[str, Any]] | None:
    """Say how a sample's sources can be read in place; None if they have to be copied.

    They can be where every one is read by chunks that hold one member and are alike in space, and some of which make
    up a block.

    Parameters
    ----------
    pieces
        First member and first class of each source, and its reader.
    itemsize
        Bytes of a value in a store.
    chunk
        As in `choose_layout`.

    Returns
    -------
    layout, record
        What a store has to keep for `open_in_place`.

    Raises
    ------
    DataError
        A source lacks chunks that it must have.
    """
    first = pieces[0][2]
    if first.brick is None or any(reader.brick != first.brick for _, _, reader in pieces):
        return None
    n_members = max(member + reader.n_members for member, _, reader in pieces)
    n_classes = max(class_index + reader.n_classes for _, class_index, reader in pieces)
    x, y, z = first.geometry.shape
    layout = layout_of_bricks((z, y, x), first.brick, n_classes, itemsize, chunk)
    if layout is None:
        return None
    sources = []
    for member, class_index, reader in pieces:
        place = {"member": member, "class": class_index, "n_classes": reader.n_classes, "axes": reader.roles.letters}
        sources.append({**place, "fingerprint": fingerprint(os.path.abspath(reader.path))})
        cast(BoxReader, reader).note_absent()
    shape = (n_members, n_classes, z, y, x)
    return layout, {"shape": shape, "chunk": layout.chunk, "block": layout.block, "sources": sources}


def open_in_place(store: PathLike, record: Mapping[str, Any], settings: Mapping[str, Any]) -> InPlaceArray:
    """Open the sources that a store refers to.

    Raises
    ------
    StoreError
        One is gone, or not what it was when the store was made.
    """
    fingerprints = [source["fingerprint"] for source in record["sources"]]
    _require_unchanged(store, fingerprints)
    pieces = []
    for source in record["sources"]:
        reader = open_reader(source["fingerprint"][0], n_classes=source["n_classes"], axes=source["axes"])
        reader = on_scale(reader, settings.get("scale"))
        pieces.append((source["member"], source["class"], cast(BoxReader, reader)))
    shape: Index = tuple(record["shape"])
    _, _, depth, height, width = shape
    layout = Layout((depth, height, width), tuple(record["chunk"]), tuple(record["block"]))
    return InPlaceArray(store, pieces, fingerprints, shape, np.dtype(settings["dtype"]), layout)


def _shared(wanted: range, first: int, number: int) -> tuple[range, range]:
    """Return which of a piece's `number` planes from `first` on are wanted: within the piece, and within what is."""
    start, stop = max(wanted.start, first), min(wanted.stop, first + number)
    return range(start - first, stop - first), range(start - wanted.start, stop - wanted.start)


def _require_unchanged(store: PathLike, fingerprints: Sequence[Sequence[Any]]) -> None:
    for given in fingerprints:
        if not is_unchanged(given):
            raise StoreError(store, f"{given[0]}, which it refers to, is not what it was")
