"""One sample's probability files, and its mask, become one Zarr store; or a `DataError` says why they cannot."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .declared_axes import spatial_order
from .errors import DataError, SampleWarning
from .files import fingerprint
from .joblog import logger, phase, processed
from .labels import ReferenceCodes, reference_codes, whole_numbers
from .masks import MaskJudge
from .presets import check_conventions, geometry_files
from .readers import Geometry, Reader, check_same_place, on_scale, one_ahead, open_reader, read_geometry, times
from .readers.assumptions import check_assumed, check_members
from .samples import Sample, probability_files
from .sidecars import check_labels
from .stores.in_place import readable_in_place
from .stores.probabilities import Layout, ProbabilityWriter, choose_layout


@dataclass(frozen=True)
class _Sources:
    """All files of a sample, their headers read and held against each other.

    Attributes
    ----------
    probabilities
        In file order: the first member and the first class that a file holds, and its reader.
    members
        Names.
    geometry
        Of the first file that has a place in space.
    warnings
        What was found by then.
    """

    probabilities: list[tuple[int, int, Reader]]
    mask: Reader | None
    reference: Reader | None
    atlas: Reader | None
    members: list[str]
    geometry: Geometry
    paths: list[str]
    warnings: list[SampleWarning]


def convert_sample(
    sample: Sample,
    output: str | os.PathLike[str],
    *,
    recipe: Mapping[str, Any],
    chunk: int,
    in_place: bool = False,
    predicted: Reader | None = None,
    with_members: bool = True,
) -> None:
    """Write the probability store of a sample, its mask, reference and atlas included.

    Values are stored as the files scale them; nothing is normalised or left out, so that what is odd is counted where
    it is judged. At most two slabs are in memory.

    Parameters
    ----------
    sample
        Its paths.
    output
        The store; it appears when it is whole.
    recipe
        Kept in the store; its `settings` say what the files hold.
    chunk
        Longest edge of a chunk, in voxels.
    in_place
        Whether the store may refer to sources that are Zarr arrays already, instead of holding a copy. Their numbers
        are the same; what is damaged in them is found when they are read.

    predicted
        What makes the members in place of files; see `predict.reader`.
    with_members
        False: the store names its members, but holds none of them.

    Raises
    ------
    DataError
        A file is missing, damaged or not what it should be, or the files do not belong together.
    """
    settings = recipe["settings"]
    n_stored = len(settings["classes"]) - (settings["background"] == "complement")
    with phase("headers"):
        sources = _open_sources(sample, settings, n_stored, predicted)
    x, y, z = sources.geometry.shape
    dtype = np.dtype(settings["dtype"])
    interleaved = any(reader.interleaved for _, _, reader in sources.probabilities)
    layout = choose_layout((z, y, x), n_stored, dtype.itemsize, chunk, interleaved)
    place = None
    if in_place and (found := readable_in_place(sources.probabilities, dtype.itemsize, chunk)) is not None:
        layout, place = found
    logger.info("%d members of %d stored classes, %s", len(sources.members), n_stored, layout)
    codes, attributes = None, _attributes(sources, recipe)
    if sources.reference is not None:
        labels = settings["reference"]
        codes = reference_codes(settings["kind"], labels["labels"], labels["ignore_labels"])
        attributes["reference_classes"] = codes.classes
    with (
        phase("voxels"),
        ProbabilityWriter(
            output,
            layout=layout,
            n_members=len(sources.members) if with_members else 0,
            n_stored_classes=n_stored,
            dtype=dtype.name,
            attributes=attributes,
            with_mask=sources.mask is not None,
            reference_dtype=None if codes is None else codes.dtype,
            with_atlas=sources.atlas is not None,
            in_place=place,
        ) as writer,
    ):
        counts, warnings = {}, list(attributes.get("warnings", []))
        if sources.mask is not None:
            judge = _write_mask(writer, sources.mask, layout, settings.get("mask_threshold"))
            counts["mask_voxels"] = judge.n_inside
            warnings += [[warning.code, warning.message] for warning in judge.warnings()]
        seen: dict[str, Any] = {}
        if sources.reference is not None and codes is not None:
            seen["reference_unlisted"] = _write_reference(writer, sources.reference, codes, layout)
        if sources.atlas is not None:
            _write_atlas(writer, sources.atlas, layout)
        for member, first_class, reader in sources.probabilities if with_members and place is None else ():
            for slab in one_ahead(reader.slabs(*layout.slab)):
                writer.write(member + slab.member, first_class + slab.class_index, slab.z, slab.data, slab.y, slab.x)
        writer.seal({"counts": counts, "warnings": warnings, **seen})
    processed(x * y * z)


def _attributes(sources: _Sources, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the store says of itself; see `stores.probabilities.ProbabilityStore`."""
    settings = recipe["settings"]
    return {
        "classes": list(settings["classes"]),
        "members": sources.members,
        "kind": settings["kind"],
        "complement": settings["background"] == "complement",
        "affine": sources.geometry.affine.tolist(),
        "geometry": sources.geometry.header(),
        "voxel_volume_mm3": sources.geometry.voxel_volume_mm3,
        "source": [fingerprint(path) for path in sources.paths],
        "recipe": dict(recipe),
        "quantum": max(reader.quantum for _, _, reader in sources.probabilities),
        "warnings": [[warning.code, warning.message] for warning in sources.warnings],
    }


def _open_sources(
    sample: Sample, settings: Mapping[str, Any], n_stored: int, predicted: Reader | None = None
) -> _Sources:
    """Read every header before any voxel, so that what cannot be used is found in milliseconds."""
    wanted = probability_files(sample, settings)
    files = [path for _, paths in wanted for path in paths]
    check_conventions(files, settings)
    if predicted is None:
        probabilities, members = _open_probabilities(wanted, settings, n_stored)
    else:
        probabilities, members = [(0, 0, predicted)], [str(number) for number in range(predicted.n_members)]
    # Networks read the arrays of images as x, y, z; what lies on such an image has the same order.
    drawn = predicted is not None and not predicted.geometry.placed
    space = None if drawn else spatial_order(settings["axes"])
    mask, reference, atlas = (
        None if path is None else open_reader(path, n_classes=1, axes=space)
        for path in (sample.mask, sample.reference, sample.atlas)
    )
    others = [reader for reader in (mask, reference, atlas) if reader is not None]
    lenders = geometry_files(files, settings)
    beside = [*(reader.path for reader in others), *([sample.image] if sample.image is not None else []), *lenders]
    stored = [reader for _, _, reader in probabilities]
    warnings = check_assumed(stored if predicted is None else [], others, settings["axes"], beside)
    for _, first_class, reader in probabilities:
        check_labels(reader.path, reader.labels, settings, first_class, reader.n_classes)
    places = [(reader.path, reader.geometry) for reader in stored]
    places += [(path, read_geometry(path)) for path in lenders]
    places += [(reader.path, reader.geometry) for reader in others]
    path, geometry = next((place for place in places if place[1].placed), places[0])
    for other_path, other in places:
        check_same_place(other_path, other, path, geometry)
    if not geometry.placed and sample.image is not None:
        geometry = _lent_by_image(sample.image, space, path, geometry)
    warnings += _unit_warnings(path, geometry)
    paths = [place[0] for place in places]
    return _Sources(probabilities, mask, reference, atlas, members, geometry, paths, warnings)


def _open_probabilities(
    wanted: Sequence[tuple[str | None, Sequence[str]]], settings: Mapping[str, Any], n_stored: int
) -> tuple[list[tuple[int, int, Reader]], list[str]]:
    """Open the files of each member, as `_Sources` has them, and name the members."""
    probabilities: list[tuple[int, int, Reader]] = []
    members: list[str] = []
    for token, paths in wanted:
        n_classes = n_stored if len(paths) == 1 else 1
        readers = [
            open_reader(path, n_classes=n_classes, class_axis=settings["class_axis"], axes=settings["axes"])
            for path in paths
        ]
        readers = [on_scale(reader, settings.get("scale")) for reader in readers]
        probabilities += [(len(members), first_class, reader) for first_class, reader in enumerate(readers)]
        members += _member_names(token, readers, settings)
    return probabilities, members


def _lent_by_image(image: str, space: str | None, path: str, geometry: Geometry) -> Geometry:
    """Return where an image lies, for arrays that have no place themselves; theirs where it cannot say it.

    An image is for the figure, so that one that cannot be used rejects nothing, with one exception: where its shape is
    that of the array in another order, the axes of the array are misread.
    """
    try:
        lent = read_geometry(image, space)
    except (DataError, OSError) as error:
        logger.warning("%s has no place in space, and its image gives it none: %s", path, error)
        return geometry
    if lent.shape != geometry.shape:
        if lent.placed and sorted(lent.shape) == sorted(geometry.shape):
            check_same_place(path, geometry, image, lent)
        found, expected = times(lent.shape), times(geometry.shape)
        logger.warning(
            "%s has no place in space, and its image, %s, gives it none: it has %s voxels, not %s",
            path,
            image,
            found,
            expected,
        )
        return geometry
    return lent


def _unit_warnings(path: str, geometry: Geometry) -> list[SampleWarning]:
    """Say that the voxel size is only assumed to be in millimetres."""
    if not geometry.unitless:
        return []
    size = times(tuple(f"{edge:.6g}" for edge in geometry.zooms))
    return [
        SampleWarning(
            "unit_missing",
            f"{path} gives no unit of length for its axes {', '.join(geometry.unitless)}: millimetres were assumed, so "
            f"that a voxel (x, y, z) is {size} mm; sizes and totals in mm³ are wrong if it is another unit",
        )
    ]


def _member_names(token: str | None, readers: Sequence[Reader], settings: Mapping[str, Any]) -> list[str]:
    """Return the token of a file's member; or, of files with a member axis, the configured tokens or the numbers."""
    first = readers[0]
    for reader in readers[1:]:
        if reader.n_members != first.n_members:
            raise DataError(
                "shape_mismatch",
                f"{reader.path} holds {reader.n_members} members, but {first.path} {first.n_members}",
                "Give every class the same members.",
            )
    if token is not None and first.n_members > 1:
        raise DataError(
            "axes_unclear",
            f"{first.path} holds {first.n_members} members, but is itself one of those that {{member}} names",
            "Give one file a member, or one file with all members and a path without {member}.",
        )
    if token is None:
        n_members = None if settings["members"] is None else len(settings["members"])
        for reader in readers:
            check_members(reader, settings["axes"], n_members)
    if first.n_members == 1:
        return [token or "0"]
    return list(settings["members"] or map(str, range(first.n_members)))


def _write_mask(writer: ProbabilityWriter, mask: Reader, layout: Layout, threshold: float | None) -> MaskJudge:
    """Write 1 inside the mask and 0 outside; return what was seen of it."""
    judge = MaskJudge(mask.path, threshold)
    for slab in one_ahead(mask.slabs(*layout.slab)):
        writer.write_mask(slab.z, judge.inside(slab.data, slab.z), slab.y, slab.x)
    judge.require_mask()
    return judge


def _write_reference(
    writer: ProbabilityWriter, reference: Reader, codes: ReferenceCodes, layout: Layout
) -> tuple[int, ...]:
    """Write the codes of the reference; return the labels of no class that have a code of their own."""
    for slab in one_ahead(reference.slabs(*layout.slab, scaled_only=True)):
        labels = whole_numbers(slab.data, reference.path, slab.z)
        codes = codes.with_unlisted(labels)
        writer.write_reference(slab.z, codes.encode(labels), slab.y, slab.x)
    return codes.found or ()


def _write_atlas(writer: ProbabilityWriter, atlas: Reader, layout: Layout) -> None:
    for slab in one_ahead(atlas.slabs(*layout.slab, scaled_only=True)):
        writer.write_atlas(slab.z, whole_numbers(slab.data, atlas.path, slab.z), slab.y, slab.x)
