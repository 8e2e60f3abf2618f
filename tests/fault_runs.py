"""A sample through its two stages in this process, for tests of faults."""

from pathlib import Path
from typing import Any

from files import recipe, settings
from volume_entropy.compute_entropy import compute_sample
from volume_entropy.convert import convert_sample
from volume_entropy.errors import DataError
from volume_entropy.files import fingerprint, read_json
from volume_entropy.samples import Sample

ENTROPY = {"unit": "bit", "measures": ["predictive_entropy"], "threshold": 0.5, "maps": ["nifti"]}


def ended(folder: Path, probabilities: str, resolved: dict[str, Any] | None = None, **files: str) -> dict[str, Any]:
    """The summary of a sample, as the two stages write it; of a rejected one, its code and words."""
    sample = Sample("s", probabilities, **files)
    made = recipe(sample, {**(resolved or settings()), **ENTROPY})
    made["sources"] = [fingerprint(probabilities)]
    store = folder / "out/p.zarr"
    try:
        convert_sample(sample, store, recipe=made, chunk=64, in_place=True)
    except DataError as error:
        assert not store.exists()
        return {"status": "rejected", **vars(error.rejection("convert"))}
    paths = {"measures_path": folder / "out/m.zarr", "summary_path": folder / "out/s.json"}
    compute_sample(store, recipe=made, maps_dir=folder / "out/maps", threads=1, **paths)
    return read_json(folder / "out/s.json")
