"""The columns of the samples table that are read, and names by which people call them."""

import difflib
import glob
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence

from .paths import local_path

PATH_COLUMNS = ("probabilities", "image", "mask", "reference", "atlas")
OURS = ("sample", *PATH_COLUMNS)
# What stands in the column of a path where there is none: BIDS, R, pandas, spreadsheets, people.
ABSENT = frozenset(("n/a", "#n/a", "na", "n.a.", "nan", "none", "null", "-", "--", "—", "–"))

# Other names of a column, written as `_plain` writes them. A table with one of them is refused, since a mask that is
# taken for metadata changes every number in silence.
ALIASES: dict[str, str] = {
    "sample": "samples subject subjects subj sub id ids",
    "probabilities": (
        "probability prob probs proba probas probseg probsegs probmap probmaps probabilitymap probabilitymaps "
        "posterior posteriors softmax"
    ),
    "image": "images img imgs t1 t1w t1image t1wimage",
    "mask": "masks msk brainmask brainmasks",
    "reference": "references ref refs gt groundtruth label labels labelmap labelmaps referencesegmentation",
    "atlas": "atlases",
}
# Names that ordinary metadata has as well: taken for ours only where a table lacks that column and these are paths,
# or, for `sample`, where the table has none.
PERHAPS: dict[str, str] = {
    "sample": "sampleid samplename subjectid participant participants participantid patient patientid case caseid name",
    "probabilities": "pred preds prediction predictions sigmoid sigmoids",
    "image": "scan scans anat mri volume volumes",
    "mask": "roi rois brain domain lesionmask",
    "reference": "truth seg segs segmentation segmentations manual annotation annotations expert target",
    "atlas": "parcellation parcellations parc",
}
_OF_FILES = re.compile(r"(?:pathto)?(.+?)(?:paths?|filenames?|files?|nifti|nii|niigz)")
_IMAGE = re.compile(r"\.(nii|nii\.gz|mgz|mgh|npy|npz|zarr|nrrd|mha|h5|tiff?)/?$", re.IGNORECASE)
_NEAR = 0.6

_NAMED = {alias: ours for ours in OURS for alias in (ours, *ALIASES[ours].split())}
_PERHAPS_NAMED = {alias: ours for ours in OURS for alias in PERHAPS[ours].split()}


def misnamed(name: str) -> str | None:
    """Return the column that a name means but does not spell; None for our own names and for metadata."""
    if name in OURS:
        return None
    return _meant(name, _NAMED)


def perhaps_meant(missing: str, names: Sequence[str]) -> str:
    """Return `; is it 'x'?` for the name in a table that may stand for the column that is missing, or nothing."""
    for name in names:
        if name not in OURS and missing in (_meant(name, _PERHAPS_NAMED), _near(name)):
            return f"; is it {name!r}?"
    return ""


def mistaken_for_metadata(cells: Mapping[str, Sequence[str]], base: str) -> Iterator[tuple[str, str]]:
    """Yield columns that hold paths under a name near one of ours, and that name.

    Parameters
    ----------
    cells
        By the name of each column its cells.
    base
        The folder of the table, which paths are relative to.
    """
    for name, column in cells.items():
        if name in OURS:
            continue
        ours = _meant(name, _PERHAPS_NAMED)
        if ours is not None and ours != "sample" and ours not in cells and _mostly(column, _is_image, base):
            yield name, ours
        elif (near := _near(name)) is not None and near != "sample" and _mostly(column, _exists, base):
            yield name, near


def _plain(name: str) -> str:
    """Write a name without case, blanks, underscores and the like: `Brain_Mask ` is `brainmask`."""
    return "".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", name).casefold()))


def _meant(name: str, known: Mapping[str, str]) -> str | None:
    plain = _plain(name)
    if plain in known:
        return known[plain]
    of_files = _OF_FILES.fullmatch(plain)
    ours = known.get(of_files[1]) if of_files else None
    return None if ours == "sample" else ours


def _near(name: str) -> str | None:
    near = difflib.get_close_matches(_plain(name), _NAMED, n=1, cutoff=_NEAR)
    return _NAMED[near[0]] if near else None


def _mostly(cells: Sequence[str], holds: Callable[[str, str], bool], base: str) -> bool:
    """Whether something holds of more than half of the cells that are not empty."""
    filled = [cell for cell in cells if cell and cell.casefold() not in ABSENT]
    return 2 * sum(holds(cell, base) for cell in filled) > len(filled)


def _is_image(cell: str, base: str) -> bool:
    return _IMAGE.search(cell) is not None or _exists(cell, base)


def _exists(cell: str, base: str) -> bool:
    """Whether a cell is the path, or the pattern, of something that exists; `1` and `.` are no paths."""
    if not re.search(r"[/.]", cell.strip("./")):
        return False
    pattern = re.sub(r"\{(?:class|member)\}", "*", glob.escape(local_path(cell, base)))
    return next(glob.iglob(pattern), None) is not None
