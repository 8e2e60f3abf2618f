"""Slices are chosen where the object is, and shown the same way up whatever the file's orientation."""

from itertools import permutations, product

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from volume_entropy.figures.cuts import cut
from volume_entropy.figures.slices import SliceCounts, choose_slices, orientation_of, peak_slice, plane_of

SHAPE = (5, 6, 7)
PLANES = ("sagittal", "coronal", "axial")
ORIENTATIONS = [
    np.array([[axis, flip] for axis, flip in zip(axes, flips, strict=True)], float)
    for axes in permutations(range(3))
    for flips in product((1, -1), repeat=3)
]


def affine_of(orientation: np.ndarray, voxel_mm: tuple[float, ...] = (1, 1, 1)) -> np.ndarray:
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for voxel_axis, (anatomical, sign) in enumerate(orientation):
        affine[int(anatomical), voxel_axis] = sign * voxel_mm[voxel_axis]
    return affine


def rotation(degrees: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        i, j = (a for a in range(3) if a != axis)
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda o: "".join(nibabel.orientations.ornt2axcodes(o)))
def test_the_orientation_of_any_oblique_affine_is_nibabels(orientation):
    affine = affine_of(orientation, (0.8, 1.2, 5))
    affine[:3, :3] = rotation((11, -7, 16)) @ affine[:3, :3]
    found = orientation_of(affine)
    expected = nibabel.orientations.io_orientation(affine)
    assert list(found.anatomical) == expected[:, 0].tolist()
    assert [1 if forwards else -1 for forwards in found.forwards] == expected[:, 1].tolist()
    np.testing.assert_allclose(found.voxel_mm, (0.8, 1.2, 5))


def test_obliqueness_is_the_angle_to_the_nearest_axis():
    affine = np.eye(4)
    assert orientation_of(affine).obliqueness == pytest.approx(0, abs=1e-6)
    affine[:3, :3] = rotation((0, 0, 14))
    assert orientation_of(affine).obliqueness == pytest.approx(14)


@pytest.mark.parametrize("name", PLANES)
def test_every_orientation_of_a_volume_shows_the_same_slices(name):
    volume = np.arange(np.prod(SHAPE)).reshape(SHAPE)  # x, y, z in RAS+
    canonical = nibabel.Nifti1Image(volume.astype(np.int16), np.diag([2, 3, 4, 1.0]))
    shown = []
    for orientation in ORIENTATIONS:
        turned = canonical.as_reoriented(nibabel.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], orientation))
        data = np.asanyarray(turned.dataobj).T
        plane = plane_of(name, orientation_of(turned.affine), data.shape)
        indices = list(range(data.shape[2 - plane.axis]))
        indices = indices[::-1] if plane.descending else indices
        shown.append((plane, cut([(0, data)], data.shape, [plane], {name: indices})[name]))
    for plane, stack in shown:
        np.testing.assert_array_equal(stack, shown[0][1])
        assert (plane.size, plane.shape, plane.edges) == (shown[0][0].size, shown[0][0].shape, shown[0][0].edges)


def test_the_patients_right_front_and_head_come_first():
    volume = np.arange(np.prod(SHAPE)).reshape(SHAPE)  # x, y, z in RAS+
    orientation = orientation_of(np.eye(4))
    first = {}
    for name in PLANES:
        plane = plane_of(name, orientation, volume.T.shape)
        assert plane.descending
        first[name] = cut([(0, volume.T)], volume.T.shape, [plane], {name: [0]})[name][0], plane
    axial, sagittal, coronal = (first[name] for name in ("axial", "sagittal", "coronal"))
    assert axial[0][0, 0] == volume[-1, -1, 0]
    assert axial[0][0, -1] == volume[0, -1, 0]
    assert axial[1].edges == ("R", "L", "A", "P")
    assert sagittal[0][0, 0] == volume[0, -1, -1]
    assert sagittal[1].edges == ("A", "P", "S", "I")
    assert coronal[0][0, 0] == volume[-1, 0, -1]
    assert coronal[1].edges == ("R", "L", "S", "I")


def test_voxel_lengths_follow_their_axes():
    orientation = np.array([[1, -1], [2, 1], [0, 1]])
    plane = plane_of("axial", orientation_of(affine_of(orientation, (1, 2, 5))), (10, 20, 30))
    assert plane.axis == 1
    assert plane.shape == (30, 10)
    assert plane.size == (30.0, 50.0)


@given(thickness=st.integers(1, 5), name=st.sampled_from(PLANES), seed=st.integers(0, 9))
def test_how_a_volume_is_cut_into_slabs_changes_nothing(thickness, name, seed):
    rng = np.random.default_rng(seed)
    volume = rng.random(SHAPE)
    plane = plane_of(name, orientation_of(np.eye(4)), SHAPE)
    chosen = {name: sorted(rng.choice(SHAPE[2 - plane.axis], 3, replace=False).tolist())}
    slabs = [(z, volume[z : z + thickness]) for z in range(0, SHAPE[0], thickness)]
    whole = cut([(0, volume)], SHAPE, [plane], chosen)[name]
    np.testing.assert_array_equal(cut(slabs[::-1], SHAPE, [plane], chosen)[name], whole)
    counts = SliceCounts(SHAPE)
    for start, slab in slabs:
        counts.add(start, slab > 0.5)
    for axis in range(3):
        expected = (volume > 0.5).sum(axis=tuple(a for a in range(3) if a != 2 - axis))
        np.testing.assert_array_equal(counts.along(axis), expected)


@given(
    voxels=st.lists(st.integers(0, 50), min_size=1, max_size=40).map(lambda n: np.array(n, float)),
    n=st.integers(1, 12),
    data=st.data(),
)
def test_chosen_slices_lie_in_the_object_and_hold_the_peak(voxels, n, data):
    peaks = [data.draw(st.one_of(st.none(), st.integers(0, voxels.size - 1))) for _ in range(2)]
    chosen = choose_slices(voxels, n, peaks)
    assert chosen == sorted(set(chosen))
    assert 1 <= len(chosen) <= n
    assert peaks[0] is None or peaks[0] in chosen
    assert peaks[1] is None or peaks[1] in chosen or len(chosen) == 1
    assert len(chosen) == len(choose_slices(voxels, n, []))
    occupied = np.flatnonzero(voxels >= max(1, 0.05 * voxels.max()))
    if occupied.size:
        assert all(occupied[0] <= index <= occupied[-1] for index in chosen if index not in peaks)


def test_slices_are_spread_evenly_over_the_object_and_not_over_strays():
    voxels = np.zeros(100)
    voxels[20:70] = 1000
    voxels[95] = 3
    assert choose_slices(voxels, 5, []) == [25, 35, 45, 55, 65]
    assert choose_slices(voxels, 5, [41]) == [25, 35, 41, 55, 65]
    assert choose_slices(voxels, 5, [41, 43]) == [25, 41, 43, 55, 65]
    assert choose_slices(voxels, 1, [60, 30]) == [60]
    assert choose_slices(voxels, "all", [60]) == list(range(100))
    assert choose_slices(voxels[20:23], 5, []) == [0, 1, 2]
    assert choose_slices(np.zeros(10), 2, []) == [2, 7]


def test_the_peak_slice_has_the_highest_mean_of_those_with_enough_voxels():
    voxels = np.array([1.0, 100.0, 80.0, 0.0])
    assert peak_slice(np.array([5.0, 50.0, 48.0, 0.0]), voxels) == 2
    assert peak_slice(np.zeros(4), np.zeros(4)) is None
