"""One sample's probability files, and its mask, become one Zarr store; or a `DataError` says why they cannot."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import DataError
from .files import fingerprint
from .joblog import logger, phase, processed
from .labels import ReferenceCodes, reference_codes, whole_numbers
from .masks import MaskJudge
from .presets import check_conventions, geometry_files
from .readers import Geometry, Reader, check_same_place, on_scale, one_ahead, open_reader, read_geometry
from .samples import Sample, probability_files
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
    """

    probabilities: list[tuple[int, int, Reader]]
    mask: Reader | None
    reference: Reader | None
    atlas: Reader | None
    members: list[str]
    geometry: Geometry
    paths: list[str]


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
        if sources.reference is not None and codes is not None:
            _write_reference(writer, sources.reference, codes, layout)
        if sources.atlas is not None:
            _write_atlas(writer, sources.atlas, layout)
        for member, first_class, reader in sources.probabilities if with_members and place is None else ():
            for slab in one_ahead(reader.slabs(*layout.slab)):
                writer.write(member + slab.member, first_class + slab.class_index, slab.z, slab.data, slab.y, slab.x)
        writer.seal({"counts": counts, "warnings": warnings})
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
    }


def _open_sources(
    sample: Sample, settings: Mapping[str, Any], n_stored: int, predicted: Reader | None = None
) -> _Sources:
    """Read every header before any voxel, so that what cannot be used is found in milliseconds."""
    wanted = probability_files(sample, settings)
    files = [path for _, paths in wanted for path in paths]
    check_conventions(files, settings)
    probabilities: list[tuple[int, int, Reader]] = []
    members: list[str] = []
    if predicted is not None:
        probabilities.append((0, 0, predicted))
        members += _member_names(None, [predicted], settings)
    for token, paths in wanted:
        n_classes = n_stored if len(paths) == 1 else 1
        readers = [
            open_reader(path, n_classes=n_classes, class_axis=settings["class_axis"], axes=settings["axes"])
            for path in paths
        ]
        readers = [on_scale(reader, settings.get("scale")) for reader in readers]
        probabilities += [(len(members), first_class, reader) for first_class, reader in enumerate(readers)]
        members += _member_names(token, readers, settings)
    mask, reference, atlas = (
        None if path is None else open_reader(path, n_classes=1, axes=settings["axes"])
        for path in (sample.mask, sample.reference, sample.atlas)
    )
    places = [(reader.path, reader.geometry) for _, _, reader in probabilities]
    places += [(path, read_geometry(path)) for path in geometry_files(files, settings)]
    places += [(reader.path, reader.geometry) for reader in (mask, reference, atlas) if reader is not None]
    if sample.image is not None:
        places.append((sample.image, read_geometry(sample.image)))
    path, geometry = next((place for place in places if place[1].placed), places[0])
    for other_path, other in places:
        check_same_place(other_path, other, path, geometry)
    return _Sources(probabilities, mask, reference, atlas, members, geometry, [place[0] for place in places])


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
    if first.n_members == 1:
        return [token or "0"]
    if token is not None:
        raise DataError(
            "axes_unclear",
            f"{first.path} holds {first.n_members} members, but is itself one of those that {{member}} names",
            "Give one file a member, or one file with all members and a path without {member}.",
        )
    names = settings["members"] or [str(number) for number in range(first.n_members)]
    if len(names) != first.n_members:
        raise DataError(
            "shape_mismatch",
            f"{first.path} holds {first.n_members} members, expected {len(names)}",
            "Correct `probabilities.members`, or set it to null for however many a file holds.",
        )
    return list(names)


def _write_mask(writer: ProbabilityWriter, mask: Reader, layout: Layout, threshold: float | None) -> MaskJudge:
    """Write 1 inside the mask and 0 outside; return what was seen of it."""
    judge = MaskJudge(mask.path, threshold)
    for slab in one_ahead(mask.slabs(*layout.slab)):
        writer.write_mask(slab.z, judge.inside(slab.data, slab.z), slab.y, slab.x)
    judge.require_mask()
    return judge


def _write_reference(writer: ProbabilityWriter, reference: Reader, codes: ReferenceCodes, layout: Layout) -> None:
    for slab in one_ahead(reference.slabs(*layout.slab, scaled_only=True)):
        labels = whole_numbers(slab.data, reference.path, slab.z)
        writer.write_reference(slab.z, codes.encode(labels), slab.y, slab.x)


def _write_atlas(writer: ProbabilityWriter, atlas: Reader, layout: Layout) -> None:
    for slab in one_ahead(atlas.slabs(*layout.slab, scaled_only=True)):
        writer.write_atlas(slab.z, whole_numbers(slab.data, atlas.path, slab.z), slab.y, slab.x)
