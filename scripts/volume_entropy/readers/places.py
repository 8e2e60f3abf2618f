"""Whether two files of a sample have the same voxels in the same place: compared in voxels, whatever their unit."""

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .base import Geometry, times

# From here on it is another place, in edges of a voxel: a tenth of one moves no border that anybody drew.
TOLERANCE_VOXELS = 0.1
# Of the numbers of a quaternion, three of which NIfTI-1 keeps as float32. Next to a half turn (the usual left-to-right
# order of NIfTI is one) the fourth, which follows from them, is lost: nibabel takes it as 0 where its square is below
# 3.6e-7. That is a turn of up to 1.2e-3 rad, or a voxel at the end of 1000.
_QUATERNION_ROUNDING = 2.5e-7
_UNITS = {1e3: "metres", 1.0: "millimetres", 1e-3: "micrometres", 1e-6: "nanometres"}
_SAVE = "then save it under a new name and correct the samples table"

Matrix = NDArray[np.float64]


def check_same_place(path: str, geometry: Geometry, other_path: str, other: Geometry) -> None:
    """Check that two files of a sample have the same voxels in the same place.

    The voxels at the corners of the one may be at most `TOLERANCE_VOXELS` from those of the other, counted along the
    axes of the other; a file that has no place is compared by its shape alone. What a header's qform loses as float32
    is no other place.

    Raises
    ------
    DataError
        They differ; the message names both files.
    """
    if geometry.shape != other.shape:
        hint = ""
        if sorted(geometry.shape) == sorted(other.shape):
            hint = " The axes look permuted: see `probabilities.axes`."
        elif _could_be_cropped(geometry, other) or _could_be_cropped(other, geometry):
            hint = (
                " An array that is smaller than its image may be cropped: nnU-Net v1 does not revert its cropping in "
                "the .npz, and only its pickle, which is not opened, says where the crop lay; predict with nnU-Net v2."
            )
        raise DataError(
            "shape_mismatch",
            f"{path} has {times(geometry.shape)} voxels, but {other_path} has {times(other.shape)}",
            f"Resample one of the two to the grid of the other, or correct the samples table.{hint}",
        )
    if geometry.placed and other.placed and not _agree(geometry, other):
        raise _elsewhere(path, geometry, other_path, other)


def _could_be_cropped(array: Geometry, image: Geometry) -> bool:
    smaller = all(size <= full for size, full in zip(array.shape, image.shape, strict=True))
    return smaller and image.placed and not array.placed


def _moved(affine: Matrix, other: Matrix, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """How far each corner voxel of `affine` is from its twin of `other`: (8, 3), in voxels along the other's axes.

    Along an axis of one voxel there is nothing to compare but its centre, so that the thickness of a single slice, of
    which many programs write nothing, does not count.
    """
    corners = _corners(shape)
    with np.errstate(all="ignore"):  # absurd transforms overflow, and NaN is not within the tolerance
        places = np.column_stack([corners, np.ones(8)]) @ affine.T
        moved: NDArray[np.float64] = np.linalg.solve(other, places.T).T[:, :3] - corners
    return moved


def _corners(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    return np.array(list(product(*((0, size - 1) for size in shape))), np.float64)


def _fits(affine: Matrix, other: Matrix, shape: tuple[int, int, int]) -> bool:
    return bool((np.abs(_moved(affine, other, shape)) <= TOLERANCE_VOXELS).all())


def _agree(geometry: Geometry, other: Geometry) -> bool:
    shape = geometry.shape
    pairs = product(_readings(geometry), _readings(other))
    if any(_fits(one, another, shape) for one, another in pairs):
        return True
    by_qform = geometry.by_qform or other.by_qform
    return by_qform and _rounded(geometry.affine_mm, other.affine_mm, shape)


def _readings(geometry: Geometry) -> Iterator[Matrix]:
    """Yield the transform of a file and, where its qform is the same but for rounding, that too.

    Programs that read the qform alone write what they read into the sform of a mask.
    """
    yield geometry.affine_mm
    qform = geometry.other_mm
    if qform is not None and _rounded(qform, geometry.affine_mm, geometry.shape):
        yield qform


def _rounded(qform: Matrix, other: Matrix, shape: tuple[int, int, int]) -> bool:
    """Whether a transform is what a qform keeps of another: its rotation to the last bits, its zooms and its origin."""
    from nibabel.quaternions import mat2quat

    turn, other_turn = _rotation(qform), _rotation(other)
    if turn is None or other_turn is None:
        return False
    (rotation, handed), (other_rotation, other_handed) = turn, other_turn
    one, another = mat2quat(rotation), mat2quat(other_rotation)
    another = another if one @ another >= 0 else -another
    if handed != other_handed or np.abs(one - another)[1:].max() > _QUATERNION_ROUNDING:
        return False
    turned = qform.copy()
    turned[:3, :3] = other_rotation * [1, 1, handed] * np.linalg.norm(qform[:3, :3], axis=0)
    return _fits(turned, other, shape)


def _rotation(affine: Matrix) -> tuple[NDArray[np.float64], float] | None:
    """Return the rotation nearest to a transform, and 1 or -1, by which its z axis is turned round; None if absurd."""
    with np.errstate(all="ignore"):
        directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
        handed = float(np.sign(np.linalg.det(directions)))
        if not np.isfinite(directions).all() or handed == 0:
            return None
        left, _, right = np.linalg.svd(directions * [1, 1, handed])
    return left @ right, handed


def _elsewhere(path: str, geometry: Geometry, other_path: str, other: Geometry) -> DataError:
    """Say how far apart two files are, and what may be behind it."""
    shape, moved = geometry.shape, _moved(geometry.affine_mm, other.affine_mm, geometry.shape)
    worst, axis = np.unravel_index(np.argmax(np.nan_to_num(np.abs(moved), nan=np.inf)), moved.shape)
    corner = ", ".join(f"{number:.0f}" for number in _corners(shape)[worst])
    found = (
        f"{path} and {other_path} lie in different places: their voxels ({corner}) are {abs(moved[worst, axis]):.3g} "
        f"voxels apart along {'xyz'[axis]}, expected at most {TOLERANCE_VOXELS:g}"
    )
    known = (path, geometry, other_path, other)
    reason, remedy = _no_place(*known) or _other_transform(*known) or _unit(*known) or _order(*known) or ("", "")
    resample = (
        f"Resample {path} to the grid of {other_path}, masks and labels by nearest neighbour (in nibabel "
        "`nibabel.processing.resample_from_to(image, (like.shape[:3], like.affine), order=0)`); or correct the samples "
        "table."
    )
    return DataError("affine_mismatch", f"{found}{reason and '; '}{reason}", remedy or resample)


def _no_place(path: str, geometry: Geometry, other_path: str, other: Geometry) -> tuple[str, str] | None:
    """Words for a file whose place is only assumed."""
    silent = [(where, word) for where, word in ((geometry, "former"), (other, "latter")) if where.assumed]
    if not silent:
        return None
    reason = "; ".join(f"the {word} does not say its place ({where.assumed})" for where, word in silent)
    if len(silent) == 2:
        return reason, (
            f"Their voxel sizes differ: make {path} and {other_path} again with the header of the image that they "
            "belong to; or correct the samples table."
        )
    mute, placed = (path, other_path) if geometry.assumed else (other_path, path)
    return reason, (
        f"Make {mute} again with a place. Only where its voxels are surely those of {placed}, in the same order (look "
        "at both in a viewer), give it that place: in nibabel `image.set_sform(affine, 1)` with the `affine` of the "
        f"other, {_SAVE}."
    )


def _other_transform(path: str, geometry: Geometry, other_path: str, other: Geometry) -> tuple[str, str] | None:
    """Words for a file of which the qform fits, and the sform, which counts, does not."""
    shape, one, another = geometry.shape, geometry.other_mm, other.other_mm
    if one is not None and _fits(one, other.affine_mm, shape):
        reason, turned = "the qform of the former lies where the latter is, but its sform counts", path
    elif another is not None and _fits(geometry.affine_mm, another, shape):
        reason, turned = "the qform of the latter lies where the former is, but its sform counts", other_path
    elif one is not None and another is not None and _fits(one, another, shape):
        reason, turned = "their qforms agree, but their sforms count", f"{path} and {other_path}"
    else:
        return None
    return reason, (
        f"Find out which transform is right (look at the files in a viewer). If it is the qform, copy it over the "
        f"sform of {turned}, and of every file with the same header: in nibabel `image.set_sform(image.get_qform(), "
        f"1)`, {_SAVE}; or in place, `fslorient -copyqform2sform`."
    )


def _unit(path: str, geometry: Geometry, other_path: str, other: Geometry) -> tuple[str, str] | None:
    """Words for a file of which the numbers fit, but in another unit."""
    files = [(path, geometry, other), (other_path, other, geometry)]
    # What a file leaves open is more likely wrong than what it says.
    for name, where, against in sorted(files, key=lambda file: file[1].says_unit):
        for factor in (1e3, 1e-3, 1e6, 1e-6):
            scaled = where.affine_mm.copy()
            scaled[:3] *= factor
            unit = next((word for size, word in _UNITS.items() if np.isclose(size, where.unit_mm * factor)), None)
            if unit is not None and _fits(scaled, against.affine_mm, where.shape):
                word = "former" if name == path else "latter"
                says = "says its unit as" if where.says_unit else "does not say its unit, which counts as"
                now = next((word for size, word in _UNITS.items() if np.isclose(size, where.unit_mm)), "another one")
                return f"they agree if the numbers of the {word} are {unit}: it {says} {now}", (
                    f"Find out the unit of both files. If the numbers of {name} are {unit}, write that into it: in "
                    "nibabel `image.header.set_xyzt_units('meter' | 'mm' | 'micron')`, in OME-Zarr the `unit` of each "
                    f"axis; {_SAVE}."
                )
    return None


def _order(path: str, geometry: Geometry, other_path: str, other: Geometry) -> tuple[str, str] | None:
    """Words for the same field, its voxels counted in another order or direction; the remedy is to resample."""
    from nibabel.orientations import inv_ornt_aff, io_orientation

    with np.errstate(all="ignore"):
        relative = np.linalg.solve(other.affine_mm, geometry.affine_mm)
    if not np.isfinite(relative).all():
        return None
    turns = io_orientation(relative)
    if np.isnan(turns).any() or tuple(np.array(geometry.shape)[np.argsort(turns[:, 0])]) != other.shape:
        return None
    if not _fits(geometry.affine_mm @ inv_ornt_aff(turns, geometry.shape), other.affine_mm, other.shape):
        return None
    if (turns[:, 0] != range(3)).any():
        return "it is the same field, with the axes of its voxels in another order", ""
    flipped = " and ".join(name for name, (_, sign) in zip("xyz", turns, strict=True) if sign < 0)
    return f"it is the same field, but its voxels are counted along {flipped} in the opposite direction", ""
