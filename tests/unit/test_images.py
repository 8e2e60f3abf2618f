"""NIfTI maps: what nibabel reads is what was written, and the bytes depend on the values alone."""

import gzip
import hashlib
import io
import platform
import zlib
from concurrent.futures import ThreadPoolExecutor

import nibabel
import numpy as np
import pytest
from nibabel.quaternions import quat2mat
from scipy.spatial.transform import Rotation
from volume_entropy.maps.nifti import (
    PIECE_BYTES,
    GzipStream,
    NiftiMap,
    compress_piece,
    nifti_header,
    quaternion_of,
)
from volume_entropy.readers.base import Geometry

AFFINE = np.array([[0.0, -1.5, 0.0, 7], [2.0, 0.0, 0.0, -8], [0.0, 0.0, 3.0, 9], [0, 0, 0, 1]])


def geometry(shape, **fields):
    zooms = tuple(float(edge) for edge in np.linalg.norm(AFFINE[:3, :3], axis=0))
    return Geometry(shape, AFFINE, zooms, **{"qform_code": 0, "sform_code": 2, "xyzt_units": 10, **fields}).header()


def written(slabs, header=b"", threads=1):
    stream = io.BytesIO()
    with ThreadPoolExecutor(threads) as pool:
        image = NiftiMap(stream, pool, header)
        for slab in slabs:
            image.write(slab)
        image.close()
    return stream.getvalue()


def measure(shape, seed=0):
    """Values with long runs of 0, few distinct values, and noise."""
    rng = np.random.default_rng(seed)
    values = rng.random(shape, np.float32)
    values[: shape[0] // 3] = 0
    values[shape[0] // 2 :] = np.round(values[shape[0] // 2 :] * 16) / 16
    return values


def loaded(content, tmp_path):
    path = tmp_path / "map.nii.gz"
    path.write_bytes(content)
    return nibabel.load(path)


def test_nibabel_reads_what_was_written(tmp_path):
    values = measure((9, 7, 5))
    values[4, 3, 2] = np.nan
    header = nifti_header(geometry((5, 7, 9)), description="predictive_entropy [bit]", intent="PE", highest=2.0)
    image = loaded(written([values[:4], values[4:]], header), tmp_path)
    np.testing.assert_array_equal(np.asarray(image.dataobj), values.T)
    np.testing.assert_allclose(image.affine, AFFINE)
    assert image.header.get_intent() == ("estimate", (), "PE")
    assert image.header["descrip"] == b"predictive_entropy [bit]"
    assert (float(image.header["cal_min"]), float(image.header["cal_max"])) == (0, 2)
    assert image.header.get_xyzt_units() == ("mm", "unknown")
    assert image.header.get_zooms() == (2.0, 1.5, 3.0)


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 4), (1, 2)])
def test_the_codes_and_both_transforms_of_the_source_are_kept(codes, tmp_path):
    qform = np.eye(4)
    qform[:3, :3] = Rotation.from_euler("xyz", [10, -20, 30], degrees=True).as_matrix() @ np.diag([2.0, 1.5, -3.0])
    qform[:3, 3] = 4, 5, 6
    header = nifti_header(geometry((5, 7, 9), qform=qform, qform_code=codes[0], sform_code=codes[1]))
    image = loaded(written([np.zeros((9, 7, 5), np.float32)], header), tmp_path)
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == codes
    if codes[0]:
        np.testing.assert_allclose(image.get_qform(), qform, atol=1e-5)
    else:
        assert image.header["pixdim"][0] == 1
    if codes[1]:
        np.testing.assert_allclose(image.get_sform(), AFFINE)


def test_an_axis_too_long_for_nifti_1_makes_nifti_2(tmp_path):
    header = nifti_header(geometry((40000, 1, 1), qform=AFFINE, qform_code=1), intent="PE", highest=1.0)
    values = measure((1, 1, 40000))
    image = loaded(written([values], header), tmp_path)
    assert isinstance(image, nibabel.Nifti2Image)
    np.testing.assert_array_equal(np.asarray(image.dataobj), values.T)
    np.testing.assert_allclose(image.affine, AFFINE)
    assert image.header.get_intent()[2] == "PE"
    assert float(image.header["cal_max"]) == 1.0


def test_quaternions_are_those_of_the_rotation():
    for rotation in Rotation.random(200, rng=np.random.default_rng(0)).as_matrix():
        for flip in (1.0, -1.0):
            matrix = np.eye(4)
            matrix[:3, :3] = rotation @ np.diag([0.7, 1.0, 2.5 * flip])
            b, c, d, *offset, qfac = quaternion_of(matrix)
            a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
            np.testing.assert_allclose(
                quat2mat([a, b, c, d]) @ np.diag([1, 1, qfac]), rotation @ np.diag([1, 1, flip]), atol=1e-7
            )
            assert (offset, qfac) == ([0, 0, 0], flip)


@pytest.mark.parametrize("half_turn", [np.diag([1, -1, -1]), np.diag([-1, 1, -1]), np.diag([-1, -1, 1])])
def test_half_turns_have_a_quaternion(half_turn):
    matrix = np.eye(4)
    matrix[:3, :3] = half_turn
    assert sorted(np.abs(quaternion_of(matrix)[:3])) == [0, 0, 1]


def test_bytes_depend_on_neither_slabs_nor_threads():
    values = measure((50, 170, 190))
    assert values.nbytes > PIECE_BYTES * 1.5
    header = nifti_header(geometry((190, 170, 50)))
    whole = written([values], header)
    for depth, threads in ((1, 1), (7, 2), (13, 4), (49, 2)):
        slabs = [values[z : z + depth] for z in range(0, len(values), depth)]
        assert written(slabs, header, threads) == whole
    assert gzip.decompress(whole) == header + values.tobytes()


def test_the_gzip_header_has_no_time_and_no_name():
    content = written([measure((3, 3, 3))])
    assert content[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def test_an_empty_stream_is_a_gzip_file():
    assert gzip.decompress(written([])) == b""


def pieces():
    """Noise, noise with gaps, few different values, nothing: as bytes, and to what share they should at most come."""
    rng = np.random.default_rng(0)
    noise = np.ldexp(rng.integers(2**23, 2**24, 2**18).astype(np.float32), rng.integers(-60, -23, 2**18))
    gaps = np.where(rng.random(noise.size) < 0.5, np.float32(0), noise)
    repeats = rng.integers(0, 50, noise.size).astype(np.float32) / np.float32(50)
    return {
        "noise": (noise.tobytes(), 0.98),
        "gaps": (gaps.tobytes(), 0.7),
        "repeats": (repeats.tobytes(), 0.4),
        "nothing": (np.zeros(1000, np.float32).tobytes(), 0.05),
    }


@pytest.mark.parametrize("name", pieces())
def test_a_piece_becomes_smaller_and_is_read_by_zlib(name):
    piece, most = pieces()[name]
    content = compress_piece(piece)
    assert zlib.decompressobj(-zlib.MAX_WBITS).decompress(content) == piece
    assert len(content) < most * len(piece)


def test_a_piece_is_the_same_bytes_on_every_cpu_of_an_architecture():
    # Taken with SSE 4.2, AVX, AVX2 and AVX-512, and on ARM: other bytes are other maps of the same volume.
    digest = hashlib.sha256(b"".join(compress_piece(piece) for piece, _ in pieces().values())).hexdigest()
    assert digest[:16] == {"x86_64": "4ac5556596483d93", "aarch64": "3d240aadecb1d6f2"}[platform.machine()]


def test_an_error_of_the_disk_is_not_swallowed():
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell() > 1000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    with ThreadPoolExecutor(1) as pool, pytest.raises(OSError, match="No space"):
        stream = GzipStream(Full(), pool)
        stream.write(measure((50, 170, 190)).tobytes())
        stream.close()
