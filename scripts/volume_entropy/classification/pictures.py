"""One PNG file → numbers: checked as a whole, grey or RGB, 0 … 1."""

import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

Picture = NDArray[np.float32]

# A header may promise any size; 8192 × 8192 is more than any network here takes.
MAX_PIXELS = 2**26
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AGAIN = "Save the image again as PNG, or take it out of the folder."
_WIDEST = {"I;16": 65535.0, "I;16B": 65535.0, "I": 65535.0}


def read_picture(path: str | os.PathLike[str], channels: int, size: Sequence[int] | None = None) -> Picture:
    """Read one PNG file.

    Parameters
    ----------
    path
        8 or 16 bit, grey, RGB or palette, without transparency.
    channels
        1: grey (of colours the luma, ITU-R 601); 3: RGB.
    size
        (height, width) to which it is brought by area averaging and bilinear interpolation; None leaves it as it is.

    Returns
    -------
    numpy.ndarray
        (channel, height, width) float32, 0 (black) … 1 (white).

    Raises
    ------
    DataError
        The file is missing, no PNG, damaged, huge, animated or transparent.
    """
    from PIL import Image

    name = os.fspath(path)
    _check_chunks(_content(path), name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=["PNG"]) as image:
                image.load()
                pixels = _pixels(image, channels, name)
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error, struct.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError("file_corrupt", f"{name} cannot be decoded: {error}", _AGAIN) from None
    if size is not None and pixels.shape[1:] != tuple(size):
        height, width = size
        planes = [Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR) for plane in pixels]
        pixels = np.stack([np.asarray(plane, np.float32) for plane in planes])
    return pixels


def _content(path: str | os.PathLike[str]) -> bytes:
    name = os.fspath(path)
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise DataError("file_missing", f"{name} is no file", "Check the path.") from None
    except OSError as error:
        raise DataError("file_unreadable", f"{name}: {error.strerror}", "Check its permissions.") from None


def _check_chunks(data: bytes, name: str) -> None:
    """Go through all chunks and their checksums before any pixel is decoded; a decoder forgives what is missing."""
    if not data.startswith(_SIGNATURE):
        what = "is empty" if not data else "does not begin as a PNG file does"
        raise DataError("not_this_format", f"{name} {what}", _AGAIN)
    place, kinds = len(_SIGNATURE), []
    while place < len(data):
        head = data[place : place + 8]
        if len(head) < 8 or place + 12 + int.from_bytes(head[:4]) > len(data):
            raise DataError("file_truncated", f"{name} ends within a chunk, after {len(data)} bytes", _AGAIN)
        length, kind = int.from_bytes(head[:4]), head[4:]
        end = place + 8 + length
        if zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4]):
            raise DataError("file_corrupt", f"{name}: the checksum of chunk {_printable(kind)} is wrong", _AGAIN)
        if kind == b"IHDR" and length >= 8:
            width, height = struct.unpack(">II", data[place + 8 : place + 16])
            if width * height > MAX_PIXELS or 0 in (width, height):
                raise DataError(
                    "header_invalid",
                    f"{name} promises {width} × {height} pixels, at most {MAX_PIXELS} are read",
                    _AGAIN,
                )
        kinds.append(kind)
        place = end + 4
        if kind == b"IEND":
            break
    if kinds[-1:] != [b"IEND"] or kinds[0] != b"IHDR":
        raise DataError("file_truncated", f"{name} has no end", _AGAIN)
    if b"acTL" in kinds:
        raise DataError("type_unsupported", f"{name} is animated", "Save one frame as PNG.")


def _printable(kind: bytes) -> str:
    return kind.decode("ascii", "replace") if kind.isalpha() else kind.hex()


def _pixels(image: Any, channels: int, name: str) -> Picture:
    if "A" in image.getbands() or "transparency" in image.info:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema()[0] < 255:
            raise DataError("type_unsupported", f"{name} is transparent", "Put it on a background and save it again.")
    if image.mode in _WIDEST:
        grey = np.asarray(image, np.float32) / np.float32(_WIDEST[image.mode])
        return np.repeat(grey[None], channels, axis=0)
    if channels == 1:
        return np.asarray(image.convert("L"), np.float32)[None] / np.float32(255)
    return np.moveaxis(np.asarray(image.convert("RGB"), np.float32), 2, 0) / np.float32(255)
