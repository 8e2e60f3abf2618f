"""Arrays in a zip file (`.npz`): nnU-Net's probabilities, SynthSeg's posteriors, or whatever has one array.

The member is streamed, stored or deflated, and its CRC compared at its end. zipfile reads the central directory; the
member itself is read here, since zipfile does not hold its own header against the directory, and inflates slower.
"""

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO

from isal import igzip_lib, isal_zlib

from ..errors import DataError
from .arrays import LABEL_KEYS, ArrayReader
from .npy import NpyHeader, array_reader, read_header, read_text
from .sources import DEFLATE_RATIO, REMAKE, ByteStream, IsalError, Source, open_binary, skip

# nnU-Net v2 and TotalSegmentator, nnU-Net v1, SynthSeg.
KNOWN_ARRAYS = ("probabilities", "softmax", "vol_data")
_SUFFIX = ".npy"
_READ_BYTES = 2**18
_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_SIZE_ELSEWHERE = 0xFFFFFFFF
_ENCRYPTED, _SIZES_FOLLOW = 0x1, 0x8
# All that zipfile raises on a damaged directory.
_ZIP_ERRORS = (
    zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OverflowError, EOFError, IndexError, OSError,
)  # fmt: skip


def open_reader(path: str, *, n_classes: int | None, class_axis: str | None, axes: str | None) -> ArrayReader:
    """See `readers.open_reader`."""
    with _member(path) as source:
        header = read_header(source)
        source.expect(header.n_bytes)
    return array_reader(path, header, partial(_content, path, header), n_classes, class_axis, axes, _labels(path))


def _labels(path: str) -> list[str] | None:
    """Read the names of the classes from an array of text beside the probabilities, if there is one."""
    with open_binary(path) as file:
        infos, end = _infos(path, file)
        for info in infos:
            if info.filename.removesuffix(_SUFFIX) in LABEL_KEYS:
                labels = read_text(ZipMember(path, file, info, _start(path, file, info, end)))
                if labels is not None:
                    return labels
    return None


@contextmanager
def _content(path: str, header: NpyHeader) -> Iterator[Source]:
    with _member(path) as source:
        source.expect(header.n_bytes)
        skip(source, header.length)
        yield source


@contextmanager
def _member(path: str) -> Iterator["ZipMember"]:
    """Open the array of a zip file that holds the probabilities."""
    with open_binary(path) as file:
        ByteStream(path, file)  # complains of an empty file
        info, end = _find(path, file)
        yield ZipMember(path, file, info, _start(path, file, info, end))


class ZipMember(ByteStream):
    """One member of a zip file as a stream, checked by its CRC.

    Parameters
    ----------
    start
        Where in the file the member's bytes begin.
    """

    def __init__(self, path: str, file: BinaryIO, info: zipfile.ZipInfo, start: int) -> None:
        super().__init__(path, file)
        file.seek(start)
        self._info = info
        self._left = info.compress_size
        self._crc = 0
        self._decoder = None
        if info.compress_type == zipfile.ZIP_DEFLATED:
            self._decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)

    def expect(self, n_bytes: int, footer: int = 0) -> None:
        """See `Source`."""
        self._expected, self._longest_footer = n_bytes, footer
        size = self._info.file_size
        if n_bytes > self._info.compress_size * (1 if self._decoder is None else DEFLATE_RATIO):
            raise DataError(
                "header_invalid",
                f"{self.path} promises {n_bytes} bytes for its array {self._info.filename!r}, more than its "
                f"{self._info.compress_size} stored bytes can hold",
                REMAKE,
            )
        if size < n_bytes:
            self._position = size
            raise self._truncated()
        if size > n_bytes + footer:
            raise self._oversized(f"{size} bytes in its array {self._info.filename!r}")

    def finish(self) -> None:
        """See `Source`; the CRC is that of the zip's directory."""
        super().finish()
        if self._crc != self._info.CRC:
            raise self._damaged(f"its CRC is {self._crc:#010x}, but the zip's directory says {self._info.CRC:#010x}")
        if self._left or (self._decoder is not None and not (self._decoder.eof and not self._decoder.unused_data)):
            raise self._damaged("its compressed stream does not end where it should")

    def _some(self, buffer: memoryview) -> int:
        n_bytes = len(buffer)
        part = self._stored(n_bytes) if self._decoder is None else self._inflated(self._decoder, n_bytes)
        buffer[: len(part)] = part
        self._crc = isal_zlib.crc32(part, self._crc)
        return len(part)

    def _stored(self, n_bytes: int) -> bytes:
        part = self._file.read(min(n_bytes, self._left, _READ_BYTES))
        self._left -= len(part)
        return part

    def _inflated(self, decoder: igzip_lib.IgzipDecompressor, n_bytes: int) -> bytes:
        part = b""
        while not part and not decoder.eof:
            fresh = self._stored(_READ_BYTES) if decoder.needs_input else b""
            if decoder.needs_input and not fresh:
                raise self._damaged("its compressed stream ends too early")
            try:
                part = decoder.decompress(fresh, min(n_bytes, 4 * _READ_BYTES))
            except IsalError as error:
                raise self._damaged(f"its compressed stream says {error}") from None
        return part

    def _damaged(self, found: str) -> DataError:
        return DataError("file_corrupt", f"{self.path} is damaged: of array {self._info.filename!r} {found}", REMAKE)


def _find(path: str, file: BinaryIO) -> tuple[zipfile.ZipInfo, int]:
    """Find the array to read; and where the directory begins, before which its bytes end."""
    infos, end = _infos(path, file)
    names = [info.filename.removesuffix(_SUFFIX) for info in infos]
    known = [name for name in KNOWN_ARRAYS if name in names]
    chosen = known if known or len(names) != 1 else names
    if len(chosen) != 1 or names.count(chosen[0]) != 1:
        listed = ", ".join(repr(name) for name in names[:10]) or "none"
        raise DataError(
            "not_this_format",
            f"{path} holds the arrays {listed}; expected exactly one of {', '.join(KNOWN_ARRAYS)}, or a single array",
            "Save the probabilities alone, or under the name `probabilities`.",
        )
    return infos[names.index(chosen[0])], end


def _infos(path: str, file: BinaryIO) -> tuple[list[zipfile.ZipInfo], int]:
    """List the arrays of a zip file, and where its directory begins."""
    try:
        archive = zipfile.ZipFile(file)
    except _ZIP_ERRORS as error:
        file.seek(0)
        if file.read(4) == b"PK\3\4":
            message = f"{path} is a zip file without a whole directory at its end ({error}); it was cut or damaged"
            raise DataError("file_truncated", message, REMAKE) from None
        raise DataError(
            "not_this_format", f"{path} is no zip file, which an .npz has to be", "Correct the path or the name."
        ) from None
    return [info for info in archive.infolist() if info.filename.endswith(_SUFFIX)], archive.start_dir


def _start(path: str, file: BinaryIO, info: zipfile.ZipInfo, end: int) -> int:
    """Hold the header in front of a member against the directory; return where the member's bytes begin."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & _ENCRYPTED:
        how = "encrypted" if info.flag_bits & _ENCRYPTED else f"compressed by method {info.compress_type}"
        raise DataError(
            "type_unsupported",
            f"{path} holds its array {info.filename!r} {how}, expected it stored or deflated",
            "Save it with numpy.savez or numpy.savez_compressed.",
        )
    try:
        file.seek(info.header_offset)
    except (OSError, ValueError, OverflowError):
        raise _contradiction(path, info, "offset") from None
    fixed = file.read(_LOCAL.size)
    if len(fixed) < _LOCAL.size or fixed[:4] != b"PK\3\4":
        raise _contradiction(path, info, "offset")
    _, _, flags, method, _, _, crc, stored, size, name_length, extra_length = _LOCAL.unpack(fixed)
    name, extra = file.read(name_length), file.read(extra_length)
    if stored == size == _SIZE_ELSEWHERE:
        # zip64, as numpy writes every array: an extra field of id 1 has the size, then the stored size.
        zip64 = struct.pack("<HHQQ", 1, 16, info.file_size, info.compress_size)
        stored, size = (info.compress_size, info.file_size) if zip64 in extra else (-1, -1)
    start: int = info.header_offset + _LOCAL.size + name_length + extra_length
    checks = {
        "name": name == info.orig_filename.encode("utf-8" if flags & 0x800 else "cp437", "replace"),
        "method": method == info.compress_type and not flags & _ENCRYPTED,
        "CRC": crc == info.CRC or bool(flags & _SIZES_FOLLOW),
        "sizes": (stored, size) == (info.compress_size, info.file_size) or bool(flags & _SIZES_FOLLOW),
        "end": start + info.compress_size <= end,
        "stored size": info.compress_type != zipfile.ZIP_STORED or info.compress_size == info.file_size,
    }
    for what, agrees in checks.items():
        if not agrees:
            raise _contradiction(path, info, what)
    return start


def _contradiction(path: str, info: zipfile.ZipInfo, what: str) -> DataError:
    return DataError(
        "file_corrupt",
        f"{path} is damaged: the directory of the zip file and the header of its array {info.filename!r} contradict "
        f"each other ({what})",
        REMAKE,
    )
