"""What a producer's convention says of a file beyond its content: what is refused, and what stands beside it."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from .errors import DataError
from .files import fingerprint
from .sidecars import LABELMAP, check_sidecars, sidecar_file, stem, store_of

# A condition that a rule of `probabilities.refuse` may have, and what it is refused with.
Rule = Mapping[str, Any]

_UNMODULATED = (
    "give the maps in native space (`c*` of SPM, `p*` of CAT12) or the unmodulated warped ones (`wc*`, `wp*`), with "
    "the preset of their producer"
)
# Refused whatever the preset is, since nothing else is named like this: probabilities times the volume change of the
# warp, by SPM and CAT12 (mwc1, smwrc2, m0wp1, s6mwp1, avg_mwmwp1r), Clinica, and FSL-VBM. The values pass for
# probabilities, and the totals are wrong by tens of per cent.
MODULATED: tuple[Rule, ...] = (
    {
        "pattern": r"(?:^|[_.-])(?:avg_|s\d*|[wr])*m0?w(?:m0?w|r)*[cp][1-9]",
        "reason": "modulated by the Jacobian of the warp, by its name, so the values are amounts of tissue and not "
        "probabilities",
        "remedy": f"{_UNMODULATED}; a file that is something else needs another name",
    },
    {
        "pattern": r"_modulated-on[_.]|_desc-modulated[_.]|_to_template_[A-Z]+_mod[_.]",
        "reason": "modulated by the Jacobian of the warp, by its name, so the values are amounts of tissue and not "
        "probabilities",
        "remedy": "give the maps in native space or the unmodulated ones",
    },
)
# SPM, its toolboxes and CAT12 leave these words in the header, whatever the file is called later.
_MODULATED_HEADER = "Jac. sc. warped"
_NIFTI = (".nii", ".nii.gz")
# nnU-Net's `fold_0/validation/case.npz` has its `plans.json` two folders up.
_FOLDERS_AROUND = 2
_READ_AT_MOST = 2**24


def check_conventions(paths: Iterable[str], settings: Mapping[str, Any]) -> None:
    """Hold a sample's probability files against the producer's convention, before any of them is read.

    Parameters
    ----------
    paths
        Every probability file of the sample.
    settings
        `config.conversion_settings`; of it `refuse`, `geometry`, `sidecar`, `background`, `kind` and `classes` are
        used.

    Raises
    ------
    DataError
        `refused_by_preset`, or what is wrong with a file beside (`file_missing`, `file_unreadable`,
        `not_this_format`, `class_mismatch`).
    """
    for path in paths:
        refused(path, settings.get("refuse", []), settings.get("geometry"))
        check_sidecars(path, settings)
        check_description(path)


def refused(path: str, rules: Sequence[Rule], geometry: str | None = None) -> None:
    """Raise `refused_by_preset` if one of the rules, or of `MODULATED`, holds for a file; see `refusing_rule`."""
    rule = refusing_rule(path, rules, geometry)
    if rule is not None:
        raise DataError("refused_by_preset", f"{path} is {rule['reason']}", _sentence(rule["remedy"]))


def refusing_rule(path: str, rules: Sequence[Rule], geometry: str | None = None) -> Rule | None:
    """Return the first rule, or of `MODULATED`, of which every condition holds for a file.

    Parameters
    ----------
    path
        A file of probabilities.
    rules
        As in `probabilities.refuse`: `pattern` is searched in the file's name; `beside` and `contains` are names of
        which the first that is near (see `file_around`) contains a text; `unless_geometry` lists orientations, of
        which the NIfTI that lends the geometry has none.
    geometry
        `probabilities.geometry`.

    Raises
    ------
    DataError
        The NIfTI that lends the geometry is missing or damaged.
    """
    return next((rule for rule in (*rules, *MODULATED) if _holds(rule, path, geometry)), None)


def refusal(name: str, rules: Sequence[Rule]) -> Rule | None:
    """Return the first rule, or of `MODULATED`, that refuses a file by its name alone."""
    return next((rule for rule in (*rules, *MODULATED) if _is_by_name(rule) and re.search(rule["pattern"], name)), None)


def check_description(path: str) -> None:
    """Raise `refused_by_preset` if the header of a NIfTI says that its values were modulated, whatever its name."""
    if not path.lower().endswith(_NIFTI):
        return
    from .readers.nifti import read_description

    try:
        description = read_description(path)
    except DataError:
        # Its reader says what is wrong with it.
        return
    if _MODULATED_HEADER in description:
        raise DataError(
            "refused_by_preset",
            f"{path} is modulated by the Jacobian of the warp, as its header says ({description!r}), so the values are "
            "amounts of tissue and not probabilities",
            f"{_sentence(_UNMODULATED)} Where the file is something else, and only its header was copied from such a "
            "map, empty the header's `descrip`.",
        )


def companions(paths: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Name the files that are read beside the probability files: sidecars, and NIfTIs that lend their geometry."""
    paths = list(paths)
    sidecars = [sidecar_file(path) for path in paths] if settings.get("sidecar") == LABELMAP else []
    return [*sidecars, *geometry_files(paths, settings)]


def found_beside(paths: Iterable[str], settings: Mapping[str, Any]) -> list[str] | None:
    """Say what the rules with `beside` find around the files, each once; None where there are no such rules.

    nnU-Net writes `plans.json` anew with every prediction into a folder, so its time tells nothing: what a rule looks
    for in it is what a sample depends on.
    """
    rules = [rule for rule in settings.get("refuse", []) if "beside" in rule]
    if not rules:
        return None
    folders = dict.fromkeys(os.path.dirname(store_of(path)) for path in paths)
    found = (file_containing(folder, rule["beside"], rule["contains"]) for folder in folders for rule in rules)
    return list(dict.fromkeys(f"{os.path.basename(path)} contains {text}" for path, text in filter(None, found)))


def file_containing(folder: str, names: Sequence[str], text: str) -> tuple[str, str] | None:
    """Return the first of the names that is near a folder, and the text, if it contains that; see `file_around`."""
    path = next((path for name in names if (path := file_around(folder, name)) is not None), None)
    return None if path is None or not _contains(path, text, *fingerprint(path)[1:3]) else (path, text)


def file_around(folder: str, name: str) -> str | None:
    """Return a file of a name in the folder, or else in one of the two around it."""
    for _ in range(1 + _FOLDERS_AROUND):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
        folder = os.path.dirname(folder)
    return None


def geometry_files(paths: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Name the NIfTIs that lend the probability files their geometry, each once; none for files with a header."""
    files = (geometry_file(path, settings.get("geometry")) for path in paths)
    return list(dict.fromkeys(file for file in files if file is not None))


def geometry_file(path: str, pattern: str | None) -> str | None:
    """Name the file that lends an array its geometry; None if the file has a header of its own, or no pattern is set.

    In `pattern`, the config's `probabilities.geometry`, `{stem}` stands for the array's name without its suffix; the
    result is relative to the array's folder. If it is not there, and is with the other ending of NIfTI, that is it.
    """
    # What has none of these endings is a Zarr store of another name.
    path = store_of(path)
    if pattern is None or path.endswith((".nii", ".nii.gz", ".mgh", ".mgz", ".ome.zarr")):
        return None
    folder, name = os.path.split(path)
    named = os.path.normpath(os.path.join(folder, pattern.replace("{stem}", stem(name))))
    return next(filter(os.path.lexists, either_ending(named)), named)


def either_ending(name: str) -> list[str]:
    """Return a name and, for a NIfTI, the same name with the other ending: `a.nii.gz` and `a.nii`."""
    if name.endswith(".nii.gz"):
        return [name, name.removesuffix(".gz")]
    return [name, f"{name}.gz"] if name.endswith(".nii") else [name]


def _is_by_name(rule: Rule) -> bool:
    return not {"beside", "unless_geometry"} & set(rule)


def _holds(rule: Rule, path: str, geometry: str | None) -> bool:
    return all(_conditions(rule, path, geometry))


def _conditions(rule: Rule, path: str, geometry: str | None) -> Iterator[bool]:
    """Try one condition after the other; the last one opens a file."""
    if "pattern" in rule:
        yield re.search(rule["pattern"], os.path.basename(store_of(path))) is not None
    if "beside" in rule:
        yield file_containing(os.path.dirname(store_of(path)), rule["beside"], rule["contains"]) is not None
    if "unless_geometry" in rule:
        yield _orientation(path, geometry) not in rule["unless_geometry"]


def _orientation(path: str, geometry: str | None) -> str:
    """Say where the axes of the NIfTI that lends an array its geometry point to, such as RAS; `none` without one."""
    lender = geometry_file(path, geometry)
    if lender is None:
        return "none"
    import nibabel

    from .readers import read_geometry

    return "".join(code or "?" for code in nibabel.aff2axcodes(read_geometry(lender).affine))


@lru_cache(maxsize=4096)
def _contains(path: str, text: str, *version: int | None) -> bool:
    """Whether a text file contains a text; read once for all samples of a folder."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return text in stream.read(_READ_AT_MOST)
    except OSError:
        return False


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
