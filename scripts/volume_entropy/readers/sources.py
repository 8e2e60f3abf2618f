"""The bytes of a file, in order, plain or gzip-compressed; what is wrong with them is a `DataError`."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import BadGzipFile
from typing import BinaryIO, Protocol

from isal import igzip, igzip_lib

from ..errors import DataError
from ..files import PLAIN_FILE, found_at

# Deflate cannot make more than this out of one byte.
DEFLATE_RATIO = 1032
# The stubs of isal call it an instance.
IsalError: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]
_SKIP_BYTES = 2**20
# The remedy for damage.
REMAKE = "Copy the file again from where it was made, or make it again."


class Source(Protocol):
    """A file's content as a stream, to be read once to its end; then `footer` is what followed it."""

    path: str
    footer: bytes

    def expect(self, n_bytes: int, footer: int = 0) -> None:
        """Declare how long the content has to be; fails where the size of the file already rules it out.

        Up to `footer` further bytes may follow, of which the header says nothing.
        """
        ...

    def readinto(self, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes that follow."""
        ...

    def finish(self) -> None:
        """Check that the content ends here, but for its footer, and is undamaged."""
        ...


class ByteStream:
    """What plain and compressed files share: the position, and the complaint that the content ends too early."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self._position = 0
        self._expected: int | None = None
        self._longest_footer = 0
        self.footer = b""
        self.stored_bytes = os.fstat(file.fileno()).st_size
        if self.stored_bytes == 0:
            raise DataError("not_this_format", f"{path} is an empty file", REMAKE)

    def readinto(self, buffer: memoryview) -> None:
        """See `Source`."""
        buffer = buffer.cast("B") if buffer.nbytes else buffer
        filled = 0
        while filled < len(buffer):
            count = self._some(buffer[filled:])
            if count == 0:
                raise self._truncated()
            filled += count
            self._position += count

    def finish(self) -> None:
        """See `Source`; only past the last voxel are checksum and length of a compressed content compared."""
        rest = memoryview(bytearray(self._longest_footer + 1))
        found = 0
        while found < len(rest) and (count := self._some(rest[found:])):
            found += count
        if found > self._longest_footer:
            raise self._oversized(f"more than {self._position + self._longest_footer} bytes after decompression")
        self.footer = bytes(rest[:found])

    def _some(self, buffer: memoryview) -> int:
        return self._file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]

    def _truncated(self) -> DataError:
        promise = "" if self._expected is None else f", but its header promises {self._expected}"
        return DataError("file_truncated", f"{self.path} ends after {self._position} bytes{promise}", REMAKE)

    def _oversized(self, found: str) -> DataError:
        return DataError(
            "file_oversized",
            f"{self.path} holds {found}, but its header promises {self._expected} bytes",
            "The header does not describe this file (a volume or a class may be missing in it); " + REMAKE.lower(),
        )


class PlainSource(ByteStream):
    """An uncompressed file: its size says at once whether the header tells the truth."""

    def expect(self, n_bytes: int, footer: int = 0) -> None:
        """See `Source`."""
        self._expected, self._longest_footer = n_bytes, footer
        if self.stored_bytes < n_bytes:
            self._position = self.stored_bytes
            raise self._truncated()
        if self.stored_bytes > n_bytes + footer:
            raise self._oversized(f"{self.stored_bytes} bytes")


class GzipSource(ByteStream):
    """A gzip file of one or several members, decoded with ISA-L and checked to the last trailer."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        super().__init__(path, file)
        if file.peek(2)[:2] != b"\x1f\x8b":  # type: ignore[attr-defined]
            raise DataError(
                "not_this_format",
                f"{path} is named .gz, but its content is not gzip",
                "Correct the name if the file is not compressed, else make it again.",
            )
        self._decoder = igzip.IGzipFile(fileobj=file, mode="rb")

    def expect(self, n_bytes: int, footer: int = 0) -> None:
        """See `Source`."""
        self._expected, self._longest_footer = n_bytes, footer
        if n_bytes > self.stored_bytes * DEFLATE_RATIO:
            raise DataError(
                "header_invalid",
                f"{self.path} promises {n_bytes} bytes in its header, more than its {self.stored_bytes} compressed "
                "bytes can hold",
                REMAKE,
            )

    def _some(self, buffer: memoryview) -> int:
        try:
            count: int = self._decoder.readinto(buffer)
        except EOFError:
            message = f"{self.path} ends in the middle of its gzip stream, after {self._position} bytes of content"
            raise DataError("file_truncated", message, REMAKE) from None
        except (BadGzipFile, IsalError) as error:
            raise DataError("file_corrupt", f"{self.path} is damaged: its gzip stream says {error}", REMAKE) from None
        return count


@contextmanager
def opened(path: str) -> Iterator[Source]:
    """Open a file as a stream of its content; a name that ends in `gz` is gzip.

    Raises
    ------
    DataError
        There is no such file, it may not be read, is empty, or is not gzip where its name says so.
    """
    with open_binary(path) as file:
        yield GzipSource(path, file) if path.lower().endswith("gz") else PlainSource(path, file)


def skip(source: Source, n_bytes: int) -> None:
    """Read over a part of the content."""
    buffer = memoryview(bytearray(min(n_bytes, _SKIP_BYTES)))
    while n_bytes > 0:
        source.readinto(buffer[: min(n_bytes, len(buffer))])
        n_bytes -= len(buffer)


def open_binary(path: str) -> BinaryIO:
    """Open a source file; only what a user can mend is a `DataError`, not a failing disk.

    Raises
    ------
    DataError
        `file_missing` or `file_unreadable`.
    """
    try:
        # Opening a pipe would wait for somebody to write into it.
        if (found := found_at(path)) == PLAIN_FILE:
            return open(path, "rb")
    except OSError as error:
        if _OPEN_ERRORS.get(error.errno or 0) != "file_missing":
            raise unreadable(path, error) from None
        found = "a directory" if os.path.isdir(path) else "a dangling link" if os.path.islink(path) else "no such file"
    raise DataError(
        "file_missing",
        f"{path} cannot be read: found {found}, expected a file",
        "Correct the path in the samples table, or bring the file to its place.",
    )


def unreadable(path: str, error: OSError) -> Exception:
    """Return the error to raise where a file or a folder may not be read; that of a failing disk is what it was."""
    if _OPEN_ERRORS.get(error.errno or 0) != "file_unreadable":
        return error
    return DataError(
        "file_unreadable",
        f"{path} cannot be read: {error.strerror}",
        "Give read permission to the account that runs the workflow.",
    )


_OPEN_ERRORS = {
    errno.ENOENT: "file_missing",
    errno.ENOTDIR: "file_missing",
    errno.EISDIR: "file_missing",
    errno.ELOOP: "file_missing",
    errno.ENXIO: "file_missing",
    errno.ENAMETOOLONG: "file_missing",
    errno.EACCES: "file_unreadable",
    errno.EPERM: "file_unreadable",
}
