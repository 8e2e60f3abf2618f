"""A column that means one of ours is never taken for metadata, and metadata is never taken for one of ours."""

from pathlib import Path

import pytest
from volume_entropy.column_names import ALIASES, OURS, PATH_COLUMNS, misnamed
from volume_entropy.errors import ConfigError
from volume_entropy.samples import check_samples, read_samples

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/samples.schema.yaml"
SETTINGS = {"members": ["0", "1"], "tokens": ["GM", "WM"]}

METADATA = (
    *("age", "stage", "task", "rank", "site", "sex", "scanner", "split", "diagnosis", "session", "group", "score"),
    *("imaging_date", "image_date", "mask_type", "method", "batch", "modality", "field_strength", "manufacturer"),
    *("voxel_size", "acquisition", "run", "subject_group", "label_source", "rater", "weight", "handedness", "mass"),
    *("marks", "tasks", "preference", "refresh", "tag", "version", "identity", "paths_checked", "sub_type", "idx"),
    *("probability_threshold", "t1_time", "echo_time", "image_quality", "mask_volume", "profile", "grade", "message"),
)


def variants(name):
    yield from (name.upper(), name.title(), f"{name}_", f" {name.title()} ", f"-{name}", f"{name}_path", f"{name}File")
    if not name.endswith("s"):
        yield f"{name}s"


def write(tmp_path, columns, *rows):
    path = tmp_path / "samples.tsv"
    path.write_text("\n".join(["\t".join(columns), *("\t".join(row) for row in rows)]) + "\n")
    return path


def refused(path):
    with pytest.raises(ConfigError) as caught:
        check_samples(path, SCHEMA, SETTINGS)
    return str(caught.value)


@pytest.mark.parametrize("ours", PATH_COLUMNS[1:])
def test_our_names_with_other_case_blanks_plural_or_underscore_are_refused(tmp_path, ours):
    for name in (*variants(ours), *ALIASES[ours].split()):
        message = refused(write(tmp_path, ["sample", "probabilities", name], ["a", "p", "nowhere"]))
        assert f"line 1: column {name!r} is read only under the name {ours!r}" in message


@pytest.mark.parametrize("ours", OURS[:2])
def test_a_required_column_under_another_name_is_named(tmp_path, ours):
    other = OURS[1] if ours == OURS[0] else OURS[0]
    names = [*ALIASES[ours].split(), ours.upper(), f"{ours} (x)".title().replace("(X)", "")]
    for name in names:
        message = refused(write(tmp_path, [name, other], ["a", "a"]))
        assert f"column {name!r} is read only under the name {ours!r}" in message
        assert "there is no column" not in message


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("participant_id", "sample"),
        ("Patient", "sample"),
        ("case", "sample"),
        ("probabilties", "probabilities"),
        ("prediction", "probabilities"),
    ],
)
def test_a_name_that_others_have_too_is_a_guess_where_ours_is_missing(tmp_path, name, ours):
    other = OURS[1] if ours == OURS[0] else OURS[0]
    assert f"no column {ours}; found '{name}', '{other}'; is it {name!r}?" in refused(
        write(tmp_path, [name, other], ["a", "a"])
    )


@pytest.mark.parametrize(
    "alias", ["subject", "id", "gt", "label", "t1", "prob", "Brain Mask", "brainmask", "GroundTruth"]
)
def test_an_alias_beside_our_own_name_is_refused_too(tmp_path, alias):
    columns = [*OURS, alias]
    assert f"column {alias!r} is read only under" in refused(write(tmp_path, columns, ["a", "p", "", "", "", "", "x"]))


def test_metadata_passes_with_any_content(tmp_path):
    (tmp_path / "1").touch()
    for cell in ("1", "n/a", "", "A/B", "0.5", "~", "$5", "s3 mini", "."):
        columns = ["sample", "probabilities", *METADATA, "participant_id", "case", "truth", "roi", "scan"]
        path = write(tmp_path, columns, ["a", "p", *[cell] * (len(columns) - 2)])
        check_samples(path, SCHEMA, SETTINGS)
        assert read_samples(path)["a"].metadata["age"] == cell


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("maks", "mask"),
        ("mask1", "mask"),
        ("brain_msk", "mask"),
        ("refrence", "reference"),
        ("m\u0430sk", "mask"),
        ("imgae", "image"),
        ("T1_image", "image"),
        ("atlas_labels", "reference"),
    ],
)
def test_a_name_near_ours_is_refused_where_most_of_its_cells_are_paths_that_exist(tmp_path, name, ours):
    (tmp_path / "a b.nii").touch()
    (tmp_path / "pass-1_GM.nii").touch()
    rows = [["a", "p", '"a b.nii"'], ["b", "p", "pass-{member}_{class}.nii"], ["c", "p", "n/a"], ["d", "p", "gone.nii"]]
    path = write(tmp_path, ["sample", "probabilities", name], *rows)
    if misnamed(name):
        assert f"only under the name {ours!r}" in refused(path)
        return
    assert f"line 1: column {name!r} holds paths and is not read; did you mean" in refused(path)
    check_samples(write(tmp_path, ["sample", "probabilities", name], *rows[1:], ["e", "p", "5"]), SCHEMA, SETTINGS)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("truth", "reference"),
        ("segmentation", "reference"),
        ("roi", "mask"),
        ("parcellation", "atlas"),
        ("scan", "image"),
    ],
)
def test_a_name_of_metadata_with_images_below_it_is_refused_where_our_column_is_missing(tmp_path, name, ours):
    path = write(tmp_path, ["sample", "probabilities", name], ["a", "p", "../moved/x.nii.gz"], ["b", "p", "n/a"])
    assert f"did you mean {ours!r}?" in refused(path)
    check_samples(
        write(tmp_path, ["sample", "probabilities", ours, name], ["a", "p", "", "../moved/x.nii.gz"]), SCHEMA, SETTINGS
    )
