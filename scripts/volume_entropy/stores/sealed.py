"""Zarr groups that are whole or not there: sealed when finished, verified when opened, checked when read."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from ..errors import Rejection
from ..files import read_json, replaced_when_whole, write_json
from .layout import Layout, Slices
from .shards import ShardedArray, create_array, layout_of, open_array

PathLike = str | os.PathLike[str]

METADATA = "zarr.json"


class StoreError(RuntimeError):
    """A store is not whole: unsealed, a file of it is missing, or its content is damaged.

    No `DataError`: the sample is fine, its store has to be made again.
    """

    def __init__(self, path: PathLike, problem: str) -> None:
        super().__init__(f"{os.fspath(path)}: {problem}. Delete this store and run again: it is made anew.")
        self._given = path, problem

    def __reduce__(self) -> tuple[type, tuple[PathLike, str]]:
        # As it comes back from another process.
        return type(self), self._given


@dataclass
class Group:
    """A Zarr group, version 3: a folder of arrays, and attributes that JSON can hold."""

    path: Path
    attributes: dict[str, Any]

    def save(self) -> None:
        """Write the attributes, whole or not at all."""
        content = {"zarr_format": 3, "node_type": "group", "attributes": self.attributes}
        write_json(self.path / METADATA, content)


def create_group(path: PathLike, attributes: Mapping[str, Any]) -> Group:
    """Create a Zarr group; it is not sealed yet."""
    group = Group(Path(path), dict(attributes))
    group.path.mkdir()
    group.save()
    return group


def seal(group: Group, attributes: Mapping[str, Any], arrays: Iterable[str] = ()) -> None:
    """Declare a group whole.

    Raises
    ------
    StoreError
        A shard was never written.
    """
    group.attributes.update(attributes)
    sizes = {name: _stored_bytes(group.path, open_array(group.path / name), tidy=True) for name in arrays}
    group.attributes["sealed"] = {"bytes": sizes, "digest": _metadata_digest(group, sizes)}
    group.save()


def open_sealed(path: PathLike) -> Group:
    """Open a group for reading.

    Raises
    ------
    StoreError
        It is absent or not sealed, or its shards are not all there in the size they had.
    """
    if not os.path.isdir(path):
        raise StoreError(path, "there is no store")
    with damage_reported(path):
        group = Group(Path(path), read_json(Path(path) / METADATA)["attributes"])
        sealed: Any = group.attributes.get("sealed")
        if sealed is None:
            raise StoreError(path, "the store was never finished")
        if _metadata_digest(group, sealed["bytes"]) != sealed["digest"]:
            raise StoreError(path, "its metadata are not those that it was finished with")
        for name, size in sealed["bytes"].items():
            found = _stored_bytes(group.path, open_array(group.path / name))
            if found != size:
                raise StoreError(path, f"array {name} has {found} bytes, but had {size} when it was finished")
    return group


@contextmanager
def damage_reported(path: PathLike) -> Iterator[None]:
    """Turn whatever a codec raises on damaged bytes into a `StoreError`; trouble of the machine stays what it is."""
    try:
        yield
    except (StoreError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise
        raise StoreError(path, f"the content is damaged ({type(error).__name__}: {error})") from error


class SealedWriter:
    """A context manager around a store that appears under its name only after `seal`."""

    def __init__(self, path: PathLike, layout: Layout, attributes: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.layout = layout
        self._attributes = dict(attributes)
        self._stack = ExitStack()
        self._sealed = False

    def __enter__(self) -> Self:
        self.location = self._stack.enter_context(replaced_when_whole(self.path))
        # From here on a failure must take the temporary folder away.
        with ExitStack() as undo:
            undo.push(self._stack)
            self._group = create_group(self.location, self._attributes)
            self._arrays: dict[str, ShardedArray] = {}
            self._create_arrays()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None and not self._sealed:
            error = StoreError(self.path, "the store was closed before it was sealed")
            self._stack.__exit__(StoreError, error, None)
            raise error
        self._stack.__exit__(kind, error, traceback)

    def seal(self, extra_attributes: Mapping[str, Any] | None = None) -> None:
        """Declare the store whole, with further attributes; it gets its name when the context ends.

        Raises
        ------
        StoreError
            A block was never written.
        """
        seal(self._group, extra_attributes or {}, self._arrays)
        self._sealed = True

    def _create_arrays(self) -> None:
        """Create the store's arrays by `_create`."""
        raise NotImplementedError

    def _create(self, name: str, dtype: str, before: Mapping[str, int] | None = None) -> None:
        self._arrays[name] = create_array(self._group.path, name, self.layout, dtype, before)

    def _whole_blocks(self, slices: Slices) -> Slices:
        if not self.layout.covers_whole_blocks(slices):
            raise ValueError(f"{slices} does not consist of whole blocks of {self.layout}")
        return slices


class CheckedArray:
    """An array for reading: damage on disk is a `StoreError`."""

    def __init__(self, path: PathLike, name: str) -> None:
        self.path = path
        self.array = open_array(Path(path) / name)
        self.shape = self.array.shape
        self.dtype = self.array.dtype
        self.chunks = self.array.chunks

    @property
    def layout(self) -> Layout:
        """Blocks and chunks that it was created with."""
        return layout_of(self.array)

    def __getitem__(self, selection: Any) -> NDArray[Any]:
        with damage_reported(self.path):
            return self.array[selection]


def write_rejection(path: PathLike, rejection: Rejection, recipe: Mapping[str, Any]) -> None:
    """Write a store, of either sort, that holds only the reason why there is no other content."""
    with replaced_when_whole(path) as temporary:
        record = {"stage": rejection.stage, "code": rejection.code, "message": rejection.message}
        record["remedy"] = rejection.remedy
        seal(create_group(temporary, {}), {"rejection": record, "recipe": dict(recipe)})


def read_rejection(attributes: Mapping[str, Any]) -> Rejection | None:
    """Return the rejection that a store's attributes hold, if they do."""
    record = attributes.get("rejection")
    return None if record is None else Rejection(**record)


def _stored_bytes(path: Path, array: ShardedArray, tidy: bool = False) -> int:
    """Bytes of all shards of an array, each of which must be there; `tidy` removes what a lost task left."""
    found = {entry.name: entry for entry in os.scandir(array.path)}
    total = 0
    for key in array.keys:
        if key not in found:
            raise StoreError(path, f"shard {key} of array {array.path.name} is missing")
        total += found.pop(key).stat().st_size
    if tidy:
        for name in found.keys() - {METADATA}:
            (array.path / name).unlink(missing_ok=True)
    return total


def _metadata_digest(group: Group, arrays: Iterable[str]) -> str:
    """Return a digest of the attributes (without the seal) and of each array's metadata: chunks have their CRC-32C."""
    attributes = {key: value for key, value in group.attributes.items() if key != "sealed"}
    digest = hashlib.sha256(json.dumps(attributes, sort_keys=True, allow_nan=False).encode())
    for name in sorted(arrays):
        digest.update((group.path / name / METADATA).read_bytes())
    return digest.hexdigest()
