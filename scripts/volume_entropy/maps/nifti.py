"""Maps as compressed NIfTI files, written in z-order and in parallel, to the same bytes on every run."""

import math
import struct
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np
from isal import isal_zlib
from numpy.typing import ArrayLike, NDArray

# Pieces are compressed apart from each other. Their size is fixed, since it shows in the bytes.
PIECE_BYTES = 4 * 2**20
# Pieces waiting for their compression, and to be written, per map.
MAX_WAITING = 4
LEVEL = 2

# RFC 1952: deflate, no name, no time, unknown operating system.
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LAST_BLOCK = b"\x03\x00"

FLOAT32, ESTIMATE, MILLIMETRE = 16, 1001, 2
NIFTI1_LONGEST_AXIS = 32767
NIFTI1 = struct.Struct("<i10s18sihcB8h3f4h8f3fhBB4f2i80s24s2h3f3f12f16s4s")
NIFTI2 = struct.Struct("<i8s2h8q3d8dq2d2d2d2q80s24s2i3d3d12d3i16sB15s")
NO_EXTENSION = bytes(4)


class GzipStream:
    """A gzip file of one member, compressed in pieces by the threads of `pool`, and written by one of its own.

    The system's copy of a map that is hardly compressed takes a third of the pass that makes it.

    Parameters
    ----------
    stream
        Where the bytes go, in order.
    pool
        Compresses; ISA-L releases the GIL.
    """

    def __init__(self, stream: BinaryIO, pool: Executor) -> None:
        self._stream = stream
        self._pool = pool
        self._rest = b""
        self._writer = ThreadPoolExecutor(1)
        self._waiting: deque[Future[int]] = deque()
        self._crc = 0
        self._size = 0
        stream.write(GZIP_HEADER)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes; they are copied, so that a piece that waits does not keep a whole slab in memory."""
        view = memoryview(data)
        self._crc = isal_zlib.crc32(view, self._crc)
        self._size += len(view)
        if len(self._rest) + len(view) < PIECE_BYTES:
            self._rest += bytes(view)
            return
        taken = PIECE_BYTES - len(self._rest)
        self._submit(self._rest + bytes(view[:taken]))
        while len(view) - taken >= PIECE_BYTES:
            self._submit(bytes(view[taken : taken + PIECE_BYTES]))
            taken += PIECE_BYTES
        self._rest = bytes(view[taken:])

    def close(self) -> None:
        """Wait for all pieces and write the trailer; the underlying stream stays open."""
        self._submit(self._rest)
        self._drain(0)
        self._writer.shutdown()
        self._stream.write(LAST_BLOCK + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))

    def _submit(self, piece: bytes) -> None:
        coded = self._pool.submit(compress_piece, piece)
        self._waiting.append(self._writer.submit(lambda: self._stream.write(coded.result())))
        self._drain(MAX_WAITING)

    def _drain(self, allowed: int) -> None:
        while len(self._waiting) > allowed:
            self._waiting.popleft().result()


def compress_piece(piece: bytes) -> bytes:
    """Deflate blocks of one piece, up to a byte boundary: pieces can be joined.

    ISA-L at level 2: 35 MB of a brain in 35 ms, where zlib's run lengths and Huffman codes alone (Z_RLE) take 150 and
    its level 1 280, all to 23 % of the size; values everywhere in 2 ms a MB, to 93 %; maps of 8-bit probabilities in a
    seventh of the time of zlib's level 1, to the same size. Up to this level its bytes are the same on any x86-64 that
    numpy runs on (seen with SSE 4.2, AVX, AVX2 and AVX-512; level 3 differs), and others on ARM.
    """
    # Window bits below 0 leave out zlib's own header and trailer.
    compressor = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
    return compressor.compress(piece) + compressor.flush(isal_zlib.Z_SYNC_FLUSH)


class NiftiMap:
    """A float32 NIfTI file, written from z-slabs in order.

    Parameters
    ----------
    stream
        A new binary file.
    pool
        Threads that compress.
    header
        Of `nifti_header`.
    """

    def __init__(self, stream: BinaryIO, pool: Executor, header: bytes) -> None:
        self._gzip = GzipStream(stream, pool)
        self._gzip.write(header)

    def write(self, slab: NDArray[np.float32]) -> None:
        """Append planes, (z, y, x)."""
        self._gzip.write(np.ascontiguousarray(slab, "<f4").reshape(-1).view(np.uint8).data)

    def close(self) -> None:
        """Write what is left; the file stays open."""
        self._gzip.close()


def nifti_header(
    geometry: Mapping[str, Any], *, description: str = "", intent: str = "", highest: float = 0.0
) -> bytes:
    """Everything in front of the voxels of a 3-D float32 NIfTI file.

    NIfTI-1, or NIfTI-2 where an axis is longer than 32 767 voxels.

    Parameters
    ----------
    geometry
        `Geometry.header()` of the source: the map gets its shape, affine, qform, codes and units.
    description, intent
        ASCII; up to 79 and 15 characters are kept.
    highest
        `cal_max`, the upper end of the display window, which starts at 0; 0 leaves the window to the viewer.
    """
    shape = [int(n) for n in geometry["shape"]]
    affine = np.asarray(geometry["affine"], np.float64)
    codes = [int(geometry["qform_code"]), int(geometry["sform_code"])]
    qform = affine if geometry["qform"] is None else np.asarray(geometry["qform"], np.float64)
    *quatern, qfac = quaternion_of(qform) if codes[0] > 0 else (0.0,) * 6 + (1.0,)
    dim = [3, *shape, 1, 1, 1, 1]
    pixdim = [qfac, *(float(zoom) for zoom in geometry["zooms"]), 1.0, 1.0, 1.0, 1.0]
    rows = [float(value) for value in affine[:3].ravel()]
    # Without the unit of a time axis, which the map has not. Where the source has none, volumes are counted in mm.
    units = int(geometry["xyzt_units"]) & 7 or MILLIMETRE
    text, name = description.encode("ascii", "replace")[:79], intent.encode("ascii", "replace")[:15]
    if max(shape) <= NIFTI1_LONGEST_AXIS:
        start = NIFTI1.size + len(NO_EXTENSION)
        header = NIFTI1.pack(
            NIFTI1.size, b"", b"", 0, 0, b"r", 0, *dim, 0.0, 0.0, 0.0, ESTIMATE, FLOAT32, 32, 0, *pixdim, float(start),
            1.0, 0.0, 0, 0, units, highest, 0.0, 0.0, 0.0, 0, 0, text, b"", *codes, *quatern, *rows, name, b"n+1\0",
        )  # fmt: skip
    else:
        start = NIFTI2.size + len(NO_EXTENSION)
        header = NIFTI2.pack(
            NIFTI2.size, b"n+2\0\r\n\x1a\n", FLOAT32, 32, *dim, 0.0, 0.0, 0.0, *pixdim, start, 1.0, 0.0, highest, 0.0,
            0.0, 0.0, 0, 0, text, b"", *codes, *quatern, *rows, 0, units, ESTIMATE, name, 0, b"",
        )  # fmt: skip
    return header + NO_EXTENSION


def affine_mm(affine: ArrayLike, geometry: Mapping[str, Any]) -> NDArray[np.float64]:
    """Give an affine (4, 4) in the unit of a file's `Geometry.header()` as one from voxel (x, y, z) to mm."""
    scaled = np.array(affine, np.float64)
    scaled[:3] *= geometry["unit_mm"]
    return scaled


def quaternion_of(matrix: NDArray[np.float64]) -> tuple[float, ...]:
    """(b, c, d, x, y, z, qfac) of a transform (4, 4): the nearest rotation, without zooms and shears, and the offset.

    In scalar arithmetic, since the last bits of LAPACK depend on the CPU, and a map's bytes must not. Source:
    nifti1.h, `nifti_mat44_to_quatern`; the polar decomposition is Newton's iteration (Higham 1986).
    """
    columns = [[float(matrix[row, column]) for row in range(3)] for column in range(3)]
    x, y, z = ([value / (math.hypot(*column) or 1.0) for value in column] for column in columns)
    for _ in range(30):
        # The rows of the inverse are cross products over the determinant: their transpose is what is averaged.
        determinant = _dot(x, _cross(y, z))
        inverse = (_cross(y, z), _cross(z, x), _cross(x, y))
        x, y, z = (
            [(a + b / determinant) / 2 for a, b in zip(one, other, strict=True)]
            for one, other in zip((x, y, z), inverse, strict=True)
        )
    qfac = 1.0 if _dot(x, _cross(y, z)) > 0 else -1.0
    z = [qfac * value for value in z]
    squares = [1 + x[0] + y[1] + z[2], 1 + x[0] - y[1] - z[2], 1 - x[0] + y[1] - z[2], 1 - x[0] - y[1] + z[2]]
    products = [
        [squares[0], y[2] - z[1], z[0] - x[2], x[1] - y[0]],
        [y[2] - z[1], squares[1], x[1] + y[0], z[0] + x[2]],
        [z[0] - x[2], x[1] + y[0], squares[2], y[2] + z[1]],
        [x[1] - y[0], z[0] + x[2], y[2] + z[1], squares[3]],
    ]
    # 4 times each product of two of (a, b, c, d): the row of the largest is the least rounded.
    largest = squares.index(max(squares))
    scale = 2 * math.sqrt(squares[largest])
    a, b, c, d = (value / scale for value in products[largest])
    sign = -1.0 if a < 0 else 1.0
    return (sign * b, sign * c, sign * d, *(float(value) for value in matrix[:3, 3]), qfac)


def _cross(one: list[float], other: list[float]) -> list[float]:
    (a, b, c), (d, e, f) = one, other
    return [b * f - c * e, c * d - a * f, a * e - b * d]


def _dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
