"""Discovery finds what is whole, names it without collisions, extends the table, and says what it left out and why."""

import os
import time
from collections import defaultdict
from pathlib import Path

import producers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from producers import probabilities
from volume_entropy.config import conversion_settings, load_config, read_preset
from volume_entropy.discovery.enlisting import Table, assign_ids, enlist, natural
from volume_entropy.discovery.search import Found, discover
from volume_entropy.errors import ConfigError
from volume_entropy.samples import check_samples, read_samples

ROOT = Path(__file__).parents[2]
PRESETS = ROOT / "workflow/presets"
SAMPLES_SCHEMA = ROOT / "workflow/schemas/samples.schema.yaml"


def settings_of(preset, **given):
    config = load_config(
        {"preset": preset, "probabilities": given}, ROOT / "workflow/schemas/config.schema.yaml", PRESETS
    )
    return conversion_settings(config)


def found_in(root, preset="fast", only=(), **given):
    return discover(read_preset(preset, PRESETS), root, settings_of(preset, **given), only)


def enlisted(root, preset="fast", table=None, only=(), **given):
    """Discover, write the table, check it as a run would, and return its rows."""
    path = table or root.parent / "samples.tsv"
    result = enlist(found_in(root, preset, only, **given).samples, path)
    check_samples(path, SAMPLES_SCHEMA, settings_of(preset, **given))
    return result, read_samples(path)


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def fast(folder, base="T1", classes=(0, 1, 2)):
    touch(*(folder / f"{base}_pve_{index}.nii.gz" for index in classes))


def reasons(found):
    return " | ".join(f"{reason}: {', '.join(items)}" for reason, items in found.left_out.items())


@pytest.fixture(scope="module")
def sessions_and_spaces(tmp_path_factory):
    root = tmp_path_factory.mktemp("fmriprep") / "derivatives"
    p = probabilities(4)
    for subject in ("sub-2", "sub-10"):
        for session in ("ses-1", "ses-2"):
            for space in ("", "space-MNI152NLin2009cAsym_res-1"):
                producers.fmriprep(root, p, subject, session, space)
    return root


def test_sessions_and_spaces_do_not_collide(sessions_and_spaces, tmp_path):
    _, samples = enlisted(sessions_and_spaces, "fmriprep", tmp_path / "samples.tsv")
    assert list(samples) == [
        f"{subject}_{session}{space}"
        for subject in ("sub-2", "sub-10")
        for session in ("ses-1", "ses-2")
        for space in ("", "_space-MNI152NLin2009cAsym_res-1")
    ]
    for name, sample in samples.items():
        for path, ending in (
            (sample.probabilities, "label-{class}_probseg.nii.gz"),
            (sample.image, "desc-preproc_T1w.nii.gz"),
            (sample.mask, "desc-brain_mask.nii.gz"),
        ):
            assert Path(path).name == f"{name}_{ending}"
        assert sample.reference is None


def test_an_entity_that_does_not_vary_is_not_in_the_id(sessions_and_spaces, tmp_path):
    only = ["space=MNI152NLin2009cAsym", "ses=1", "ses=ses-2"]
    _, samples = enlisted(sessions_and_spaces, "fmriprep", tmp_path / "samples.tsv", only)
    assert list(samples) == ["sub-2_ses-1", "sub-2_ses-2", "sub-10_ses-1", "sub-10_ses-2"]
    assert all("space-MNI" in sample.probabilities for sample in samples.values())


def test_native_is_the_space_without_a_name(sessions_and_spaces):
    found = found_in(sessions_and_spaces, "fmriprep", ["space=native"])
    assert len(found.samples) == 4
    assert not any("space-" in sample.probabilities for sample in found.samples)
    assert len(found.left_out["not asked for"]) == 4


def test_what_is_asked_for_must_be_possible(sessions_and_spaces):
    with pytest.raises(ConfigError, match=r"no name below .* has run; known are res, ses, space, sub"):
        found_in(sessions_and_spaces, "fmriprep", ["run=1"])
    with pytest.raises(ConfigError, match="expected entity=value"):
        found_in(sessions_and_spaces, "fmriprep", ["space"])
    with pytest.raises(ConfigError, match="is no folder"):
        found_in(sessions_and_spaces / "absent", "fmriprep")


@pytest.mark.parametrize(
    ("only", "words"),
    [
        (["space=MNI152NLin6Asym"], r"has space=MNI152NLin6Asym; did you mean MNI152NLin2009cAsym\?"),
        (["space=fsnative"], r"has space=fsnative; did you mean native\?"),
        (["space=T1w"], "has space=T1w; known are MNI152NLin2009cAsym, native"),
        (["res=2", "space=native"], "has res=2; known are 1, none"),
        (["sub=3"], "has sub=3; known are 10, 2"),
    ],
)
def test_what_no_name_has_is_refused_with_what_they_have(sessions_and_spaces, only, words):
    with pytest.raises(ConfigError, match=words):
        found_in(sessions_and_spaces, "fmriprep", only)


def test_one_of_several_that_no_name_has_is_a_remark(sessions_and_spaces):
    found = found_in(sessions_and_spaces, "fmriprep", ["space=native", "space=T1w", "sub=2", "sub=11"])
    assert len(found.samples) == 2
    assert found.remarks == {
        "asked for, but no name has it": [
            "space=T1w; known are MNI152NLin2009cAsym, native",
            "sub=11; did you mean 10?",
        ]
    }
    assert not found_in(sessions_and_spaces, "fmriprep", ["sub=2", "space=native"]).remarks


def test_a_space_found_later_gets_an_id_of_its_own(sessions_and_spaces, tmp_path):
    table = tmp_path / "samples.tsv"
    enlisted(sessions_and_spaces, "fmriprep", table, ["space=MNI152NLin2009cAsym", "sub=2", "ses=1"])
    before = table.read_text()
    _, samples = enlisted(sessions_and_spaces, "fmriprep", table, ["sub=2", "ses=1"])
    assert table.read_text().startswith(before)
    assert list(samples) == ["sub-2_ses-1", "sub-2_ses-1_res-none_space-native"]


def test_extending_keeps_rows_their_order_and_extra_columns(tmp_path):
    tree = tmp_path / "data"
    fast(tree, "b"), fast(tree, "a10"), fast(tree, "a9")
    table = tmp_path / "samples.tsv"
    rows = "zzz\t/elsewhere/p.nii\tOslo \t=1+1\nB0\tdata/b_pve_{class}.nii.gz\tRome\t\n"
    table.write_text("sample\tprobabilities\tsite\tremark\n" + rows)
    result, samples = enlisted(tree, table=table)
    assert list(samples) == ["zzz", "B0", "a9", "a10"]
    assert table.read_text().split("\n", 1)[1].startswith(rows)
    assert len(result.known) == 1
    again, _ = enlisted(tree, table=table)
    assert not again.added


def test_a_table_without_image_column_gets_one_only_if_an_image_is_found(tmp_path):
    tree = tmp_path / "data"
    fast(tree, "a")
    table = tmp_path / "samples.tsv"
    table.write_text("sample\tprobabilities\nold\t/x.nii\n")
    enlisted(tree, table=table)
    assert table.read_text().splitlines()[0] == "sample\tprobabilities"
    fast(tree, "b"), touch(tree / "b.nii.gz")
    _, samples = enlisted(tree, table=table)
    assert table.read_text().splitlines()[0] == "sample\tprobabilities\timage"
    assert samples["old"].image is None
    assert samples["b"].image == str(tree / "b.nii.gz")


def test_a_dry_run_writes_nothing(tmp_path):
    fast(tmp_path / "data")
    result = enlist(found_in(tmp_path / "data").samples, tmp_path / "config/samples.tsv", dry_run=True)
    assert list(result.added) == ["T1"]
    assert not (tmp_path / "config").exists()


def test_paths_are_relative_below_the_table_and_absolute_elsewhere(tmp_path):
    fast(tmp_path / "study/data"), fast(tmp_path / "study-2/data")
    table = tmp_path / "study/samples.tsv"
    enlist(found_in(tmp_path / "study").samples, table)
    enlist(found_in(tmp_path / "study-2").samples, table)
    cells = Table.read(table).column("probabilities")
    assert cells == ["data/T1_pve_{class}.nii.gz", f"{tmp_path}/study-2/data/T1_pve_{{class}}.nii.gz"]
    assert [Path(sample.probabilities).parts[-3] for sample in read_samples(table).values()] == ["study", "study-2"]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "sample\tprobabilities\na\tb\tc\n"])
def test_a_file_that_is_no_table_is_not_overwritten(tmp_path, text):
    fast(tmp_path / "data")
    table = tmp_path / "samples.tsv"
    table.write_text(text)
    with pytest.raises(ConfigError):
        enlist(found_in(tmp_path / "data").samples, table)
    assert table.read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        "sample\tprobabilities\tMask\na\tp.nii\tm.nii\n",
        "Sample\tprobabilities\na\tp.nii\n",
        "sample\tprobabilities\tage\na\tp.nii\n",
        "sample\tprobabilities\tbrain_msk\na\tp.nii\tdata\n",
    ],
)
def test_a_table_that_a_run_refuses_is_not_extended(tmp_path, text):
    fast(tmp_path / "data"), (tmp_path / "m.nii").touch()
    table = tmp_path / "samples.tsv"
    table.write_text(text.replace("\tdata", "\tm.nii"))
    before = table.read_text()
    with pytest.raises(ConfigError, match="line"):
        enlist(found_in(tmp_path / "data").samples, table)
    assert table.read_text() == before


def test_a_table_of_a_spreadsheet_is_known_by_what_its_cells_say(tmp_path):
    fast(tmp_path / "data"), fast(tmp_path / "data", "b")
    table = tmp_path / "samples.tsv"
    rows = '\n"sample"\tprobabilities\t"remark, long"\n T1 \t"data/T1_pve_{class}.nii.gz" \tn/a\n'
    table.write_text(rows)
    result, samples = enlisted(tmp_path / "data", table=table)
    assert list(samples) == ["T1", "b"] and len(result.known) == 1
    assert table.read_text().startswith(rows.strip("\n"))


@pytest.mark.parametrize("name", ["~", "~root", " lead", "'q'", '"q"', "$HOME"])
def test_a_path_is_written_so_that_it_is_read_back(tmp_path, name):
    fast(tmp_path / name)
    _, samples = enlisted(tmp_path, table=tmp_path / "samples.tsv")
    assert [sample.probabilities for sample in samples.values()] == [f"{tmp_path}/{name}/T1_pve_{{class}}.nii.gz"]


def test_a_table_from_another_system_is_extended(tmp_path):
    fast(tmp_path / "data")
    table = tmp_path / "samples.tsv"
    table.write_bytes("\ufeffsample\tprobabilities\r\né-1\tp.nii".encode())
    enlist(found_in(tmp_path / "data").samples, table)
    assert Table.read(table).column("sample") == ["é-1", "T1"]


def test_an_incomplete_sample_is_listed_and_not_written(tmp_path):
    fast(tmp_path / "whole"), fast(tmp_path / "half", classes=(0, 2))
    found = found_in(tmp_path)
    assert [Path(sample.probabilities).parent.name for sample in found.samples] == ["whole"]
    assert "a class is missing: half/T1_pve_{class}.nii.gz: has 0 2, expected 0 1 2, missing 1" in reasons(found)


def test_a_further_class_is_refused_unless_the_background_takes_it_in(tmp_path):
    fast(tmp_path, classes=(0, 1, 2, 3))
    assert "a class that is not configured; set probabilities.tokens" in reasons(found_in(tmp_path))
    found = found_in(tmp_path, background="complement")
    assert len(found.samples) == 1
    assert list(found.remarks) == ["class 3 is not configured, and counts as background"]


def test_members_that_are_not_configured_are_named(tmp_path):
    producers.ivadomed(tmp_path, probabilities(2), members=12)
    found = found_in(tmp_path, "ivadomed")
    assert not found.samples
    assert "has 00 01 02 … 11 (12), expected 00 01 02 … 19 (20)" in reasons(found)
    tokens = [f"{member:02d}" for member in range(12)]
    assert len(found_in(tmp_path, "ivadomed", members=tokens).samples) == 1
    assert "set probabilities.members" in reasons(found_in(tmp_path, "ivadomed", members=tokens[:11]))


def test_a_member_that_lacks_a_class_is_no_member(tmp_path):
    pattern = r"(?P<name>.+)_pass-(?P<member>\d)_label-(?P<class>\w+)\.nii"
    preset = {"discover": {"id": "name", "files": [{"pattern": pattern}]}}
    settings = settings_of("fast", classes=["a", "b"], tokens=None, members=2)
    touch(*(tmp_path / f"x_pass-{member}_label-{token}.nii" for member in (0, 1) for token in "ab"))
    touch(tmp_path / "y_pass-0_label-a.nii", tmp_path / "y_pass-0_label-b.nii", tmp_path / "y_pass-1_label-a.nii")
    found = discover(preset, tmp_path, settings)
    assert [Path(sample.probabilities).name for sample in found.samples] == ["x_pass-{member}_label-{class}.nii"]
    assert "a member that lacks a class: y_pass" in reasons(found)


def test_spm_spaces_become_samples_and_modulated_maps_do_not(tmp_path):
    touch(*(tmp_path / f"{prefix}c{index}T1.nii" for prefix in ("", "w", "r", "mw") for index in range(1, 6)))
    touch(tmp_path / "T1.nii", tmp_path / "wT1.nii")
    _, samples = enlisted(tmp_path, "spm", tmp_path / "samples.tsv")
    assert sorted(samples) == ["T1", "T1_space-imported", "T1_space-warped"]
    assert samples["T1"].image == str(tmp_path / "T1.nii")
    assert samples["T1_space-warped"].image is None
    assert [Path(sample.probabilities).name for sample in found_in(tmp_path, "spm", ["space=warped"]).samples] == [
        "wc{class}T1.nii"
    ]


def test_compressed_maps_of_spm_are_found(tmp_path):
    producers.spm(tmp_path, probabilities(6), ending=".nii.gz")
    _, samples = enlisted(tmp_path, "spm", tmp_path / "samples.tsv")
    assert samples["sub-01_T1w"].probabilities == str(tmp_path / "c{class}sub-01_T1w.nii.gz")
    assert samples["sub-01_T1w"].image == str(tmp_path / "msub-01_T1w.nii.gz")


def test_fewer_classes_than_configured_are_told_with_the_keys_that_read_them(tmp_path):
    producers.spm(tmp_path, probabilities(6), classes=3)
    found = found_in(tmp_path, "spm")
    assert not found.samples
    (reason,) = (reason for reason in found.left_out if reason.startswith("a class is missing"))
    assert 'probabilities.classes: ["gm", "wm", "csf"] and probabilities.tokens: ["1", "2", "3"]' in reason
    assert len(found_in(tmp_path, "spm", classes=["gm", "wm", "csf"], tokens=["1", "2", "3"]).samples) == 1
    fast(tmp_path / "fast", classes=(0, 2))
    assert "a class is missing" in found_in(tmp_path / "fast").left_out


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_cat12_gives_native_and_unmodulated_maps_with_their_images(tmp_path, ending):
    producers.cat12(tmp_path, probabilities(4), ending=ending, warped=True)
    mri = tmp_path / "sub-01/mri"
    touch(*(mri / f"rp{tissue}sub-01_T1w_{space}{ending}" for tissue in (1, 2, 3) for space in ("affine", "rigid")))
    _, samples = enlisted(tmp_path, "cat12", tmp_path / "samples.tsv")
    spaces = [f"sub-01_T1w{space}" for space in ("", "_space-affine", "_space-rigid", "_space-warped")]
    assert list(samples) == spaces
    assert [Path(sample.probabilities).name for sample in samples.values()] == [
        f"{name}{ending}"
        for name in (
            "p{class}sub-01_T1w",
            "rp{class}sub-01_T1w_affine",
            "rp{class}sub-01_T1w_rigid",
            "wp{class}sub-01_T1w",
        )
    ]
    images = [sample.image for sample in samples.values()]
    assert images == [f"{tmp_path}/sub-01/sub-01_T1w{ending}", None, None, f"{mri}/wmsub-01_T1w{ending}"]
    touch(mri / f"msub-01_T1w{ending}")
    assert found_in(tmp_path, "cat12", ["space=native"]).samples[0].image == f"{mri}/msub-01_T1w{ending}"


def test_cat12_as_a_bids_app_and_hyperintensities_of_their_own(tmp_path):
    mri = tmp_path / "derivatives/CAT12.9/sub-01/ses-1/mri"
    touch(*(mri / f"p{tissue}sub-01_ses-1_T1w.nii" for tissue in (0, 1, 2, 3, 7)))
    _, samples = enlisted(tmp_path, "cat12", tmp_path / "samples.tsv")
    assert list(samples) == ["sub-01_ses-1_T1w"]
    assert list(found_in(tmp_path, "cat12").remarks) == ["class 7 is not configured, and counts as background"]
    own = {"classes": ["gm", "wm", "csf", "wmh"], "tokens": [1, 2, 3, 7]}
    assert not found_in(tmp_path, "cat12", **own).remarks


def test_clinica_gives_native_normalised_and_group_maps(tmp_path):
    producers.clinica(tmp_path, probabilities(4), warped=True)
    spm = tmp_path / "subjects/sub-01/ses-M00/t1/spm"
    name = "sub-01_ses-M00_T1w_segm-{}_space-Ixi549Space_modulated-off_probability.nii.gz"
    touch(*(spm / "dartel/group-all" / name.format(tissue) for tissue in ("graymatter", "whitematter", "csf")))
    _, samples = enlisted(tmp_path, "clinica", tmp_path / "samples.tsv")
    assert {name: Path(sample.probabilities).parent.name for name, sample in samples.items()} == {
        "sub-01_ses-M00": "native_space",
        "group-all_sub-01_ses-M00_space-Ixi549Space": "group-all",
        "normalized_space_sub-01_ses-M00_space-Ixi549Space": "normalized_space",
    }
    image = spm / "segmentation/normalized_space/sub-01_ses-M00_space-Ixi549Space_T1w.nii.gz"
    assert [sample.image for sample in samples.values() if sample.image] == [str(image)]


def test_one_name_in_many_folders_is_told_apart_by_the_folders(tmp_path):
    for folder in ("sub-1/ses-1", "sub-1/ses-2", "sub-2/ses-1"):
        fast(tmp_path / folder)
    fast(tmp_path / "pilot", "T1_first")
    _, samples = enlisted(tmp_path, table=tmp_path / "samples.tsv")
    assert list(samples) == ["sub-1_ses-1_T1", "sub-1_ses-2_T1", "sub-2_ses-1_T1", "T1_first"]


def test_one_file_in_two_formats_is_left_to_the_user(tmp_path):
    for suffix in ("nii", "nii.gz"):
        touch(*(tmp_path / f"T1_pve_{index}.{suffix}" for index in range(3)))
    found = found_in(tmp_path)
    result = enlist(found.samples, tmp_path / "samples.tsv")
    assert not result.added
    assert [len(items) for items in result.left_out.values()] == [2]


def test_an_nnunet_array_needs_the_nifti_that_lends_its_geometry(tmp_path):
    producers.nnunet(tmp_path, probabilities(2))
    (tmp_path / "case_001.nii.gz").unlink()
    found = found_in(tmp_path, "nnunet")
    assert not found.samples
    assert "no file that lends its geometry: case_001.npz: case_001.nii.gz is not there" in reasons(found)
    assert len(found_in(tmp_path, "nnunet", geometry=None).samples) == 1


@pytest.mark.parametrize("reader", ["NibabelIOWithReorient", "SimpleITKIOWithReorient"])
def test_arrays_of_a_reorienting_reader_are_not_taken_for_native(tmp_path, reader):
    producers.nnunet(tmp_path, probabilities(2), reader=reader)
    found = found_in(tmp_path, "nnunet")
    assert not found.samples
    assert "stays in RAS" in reasons(found)


def test_a_labelmap_that_does_not_fit_is_said_before_a_run(tmp_path):
    producers.bids_probseg(tmp_path, probabilities(4), labels=["BG", "WM", "GM", "CSF"])
    assert "the same classes in another order" in reasons(found_in(tmp_path, "bids_probseg"))
    assert len(found_in(tmp_path, "bids_probseg", classes=["BG", "WM", "GM", "CSF"]).samples) == 1


def test_a_name_that_is_not_bids_is_left_out(tmp_path):
    touch(*(tmp_path / f"anat/T1_label-{label}_probseg.nii.gz" for label in ("GM", "WM", "CSF")))
    assert "no chain of BIDS entities" in reasons(found_in(tmp_path, "fmriprep"))


def test_spaces_quotes_and_unicode_work_and_ids_are_plain(tmp_path):
    names = ["Müller 1", 'x\' "y" $(id)', "#5", "日本 T1", "a{b}c", " lead"]
    for name in names:
        fast(tmp_path / "a b" / "é 'q'", name)
    _, samples = enlisted(tmp_path / "a b", table=tmp_path / "samples.tsv")
    assert sorted(samples) == sorted(["Muller-1", "x-y-id", "5", "T1", "a-b-c", "lead"])
    for sample in samples.values():
        assert Path(sample.probabilities.replace("{class}", "0")).is_file()


def test_what_cannot_stand_in_a_table_is_left_out(tmp_path):
    for name in ("tab\there", "line\nhere", "has{class}inside", "has{member}inside", "\u2028x"):
        fast(tmp_path, name)
    fast(tmp_path / os.fsdecode(b"latin-\xe9"), "T1")
    fast(tmp_path, "good")
    found = found_in(tmp_path)
    assert [Path(sample.probabilities).name for sample in found.samples] == ["good_pve_{class}.nii.gz"]
    assert sum(map(len, found.left_out.values())) == 6


def test_a_name_of_which_nothing_is_left_takes_its_folders_or_is_left_out(tmp_path):
    fast(tmp_path / "sub-1", "日本")
    _, samples = enlisted(tmp_path, table=tmp_path / "samples.tsv")
    assert list(samples) == ["sub-1"]
    lost = Found("/日/本/中_pve_{class}.nii", {"name": "中"})
    left_out = defaultdict(list)
    assert assign_ids([lost], [lost], [], left_out) == {}
    assert len(left_out) == 1


def test_links_that_loop_end_and_files_are_found_once(tmp_path):
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    fast(tree / "sub-1"), fast(outside / "sub-2", "other")
    (tree / "loop").symlink_to(tree)
    (tree / "sub-1/up").symlink_to(tmp_path)
    (tree / "self").symlink_to(tree / "self")
    (tree / "linked").symlink_to(outside)
    (tree / "linked-twice").symlink_to(outside / "sub-2")
    (outside / "back").symlink_to(tree)
    (outside / "around").symlink_to(outside)
    found = found_in(tree)
    assert sorted(os.path.relpath(sample.probabilities, tree) for sample in found.samples) == [
        "linked/sub-2/other_pve_{class}.nii.gz",
        "sub-1/T1_pve_{class}.nii.gz",
    ]
    assert sorted(found.left_out["a link to a folder that is walked anyway, or around it"]) == [
        "linked-twice", "linked/around", "linked/back", "loop", "sub-1/up",
    ]  # fmt: skip


def test_a_link_to_nothing_is_named(tmp_path):
    fast(tmp_path, classes=(0, 1))
    (tmp_path / "T1_pve_2.nii.gz").symlink_to(tmp_path / ".git/annex/absent")
    (tmp_path / "T1.nii.gz").symlink_to("absent")
    found = found_in(tmp_path)
    assert "a link to nothing" in reasons(found)
    assert "T1_pve_2.nii.gz" in reasons(found)
    (tmp_path / "T1_pve_2.nii.gz").unlink()
    fast(tmp_path, classes=(2,))
    assert [sample.image for sample in found_in(tmp_path).samples] == [""]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    fast(tmp_path / "open"), fast(tmp_path / "shut")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = found_in(tmp_path)
    assert len(found.samples) == 1
    assert "a folder that cannot be read (Permission denied): shut" in reasons(found)


def test_hidden_folders_and_stores_are_not_entered(tmp_path):
    fast(tmp_path / ".git/annex"), fast(tmp_path / "p.zarr/c"), fast(tmp_path / "x", ".T1")
    found = found_in(tmp_path)
    assert not found.samples
    assert not found.left_out


def test_numbers_sort_as_numbers():
    names = ["sub-10", "sub-2", "a", "sub-2_ses-10", "sub-2_ses-9", "10", "9", "sub-02"]
    assert sorted(names, key=natural) == ["9", "10", "a", "sub-02", "sub-2", "sub-2_ses-9", "sub-2_ses-10", "sub-10"]


@given(
    st.lists(st.text(min_size=1, max_size=8), max_size=12, unique=True), st.lists(st.sampled_from("aAbB1"), max_size=3)
)
def test_ids_are_plain_unique_and_never_taken_twice(names, taken):
    found = [Found(f"/d/{number % 2}/{name}", {"name": name}) for number, name in enumerate(names)]
    left_out = defaultdict(list)
    ids = assign_ids(found, found, taken, left_out)
    assert len({name.casefold() for name in ids}) == len(ids)
    assert not {name.casefold() for name in ids} & {name.casefold() for name in taken}
    assert all(character.isascii() and (character.isalnum() or character in "_-") for name in ids for character in name)
    assert len(ids) + sum(map(len, left_out.values())) == len(found)


def test_the_order_of_the_tree_does_not_change_the_ids(tmp_path, monkeypatch):
    for folder in ("a", "b", "c"):
        fast(tmp_path / folder), fast(tmp_path / folder, f"T1 {folder}")
    first = enlist(found_in(tmp_path).samples, tmp_path / "1.tsv").added
    scandir = os.scandir

    class Reversed:
        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = list(entries)[::-1]

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Reversed)
    second = enlist(found_in(tmp_path).samples, tmp_path / "2.tsv").added
    assert list(first.items()) == list(second.items())


def test_the_command_says_what_it_found_and_what_it_left_out(tmp_path, monkeypatch, capsys):
    import discover as command

    monkeypatch.chdir(tmp_path)
    producers.fast(tmp_path / "out", probabilities(3))
    fast(tmp_path / "out", "half", classes=(1,))
    command.main(["fast", "out", "--dry-run"])
    said = capsys.readouterr().out
    assert "1 sample below out" in said
    assert "1 × would be added to config/samples.tsv" in said
    assert "1 × a class is missing" in said
    assert "_pveseg.nii.gz" in said
    assert not (tmp_path / "config").exists()
    command.main(["fast", "out"])
    assert len(read_samples(tmp_path / "config/samples.tsv")) == 1
    assert "1 in the table already" not in capsys.readouterr().out
    command.main(["fast", "out"])
    assert "1 in the table already" in capsys.readouterr().out


def test_the_command_takes_classes_from_the_studys_config(tmp_path, monkeypatch, capsys):
    import discover as command

    monkeypatch.chdir(tmp_path)
    fast(tmp_path / "out", classes=range(4))
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(
        "preset: fast\nsamples: mine.tsv\nprobabilities: {classes: [a, b, c, d], tokens: [0, 1, 2, 3]}\n"
    )
    command.main(["fast", "out"])
    assert list(read_samples(tmp_path / "mine.tsv")) == ["T1"]


@pytest.mark.parametrize(("preset", "root"), [(None, "out"), ("fast", None), (None, None), ("fast", "absent")])
def test_the_workflows_target_ends_with_plain_words(tmp_path, preset, root):
    import discover as command

    given = {
        "preset": preset,
        "root": root,
        "only": [],
        "table": str(tmp_path / "t.tsv"),
        "settings": settings_of("fast"),
    }
    text, code = command.from_workflow(given)
    assert code == 1
    assert "is no folder" in text if root == "absent" else "in the config" in text


@pytest.mark.parametrize("arguments", [["fsl", "."], ["fast", "absent"], ["fast", ".", "--config", "bad.yaml"]])
def test_the_command_ends_with_plain_words(tmp_path, monkeypatch, arguments):
    import discover as command

    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("preset: fast\nprobabilites: {}\n")
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert isinstance(caught.value.code, str)


def said_of(tree, preset):
    import discover as command

    return command.report(preset, str(tree), str(tree.parent / "t.tsv"), settings_of(preset), [], dry_run=True)


@pytest.mark.parametrize(
    ("write", "asked", "line"),
    [
        ("cat12", "spm", "3 files look like preset cat12: sub-01/mri/p1sub-01_T1w.nii, sub-01/mri/p2sub-01_T1w.nii, "),
        ("spm", "cat12", "5 files look like preset spm: c1sub-01_T1w.nii, c2sub-01_T1w.nii, c3sub-01_T1w.nii, …"),
        (
            "clinica",
            "spm",
            "3 files look like preset clinica: subjects/sub-01/ses-M00/t1/spm/segmentation/native_space/",
        ),
        ("fmriprep", "fast", "3 files look like preset fmriprep: sub-01/anat/sub-01_label-CSF_probseg.nii.gz, "),
        ("fast", "fmriprep", "3 files look like preset fast: "),
        ("fast", "atropos", "3 files look like preset fast_prob: "),
        ("atropos_nipype", "dipy", "4 files look like preset atropos_nipype: "),
        ("synthseg", "monai", "1 file looks like preset synthseg: sub-01_T1w_posteriors.nii.gz"),
        ("nnunet", "ivadomed", "1 file looks like preset nnunet or nnunet_regions or nnunet_v1: case_001.npz"),
        ("ivadomed", "nnunet_v1", "20 files look like preset ivadomed: pred_masks/sub-01_T2w_pred_00.nii.gz, "),
    ],
)
def test_where_nothing_is_found_other_presets_are_tried(tmp_path, write, asked, line):
    write, classes = producers.PRODUCERS[write]
    write(tmp_path / "out", probabilities(max(classes, 4)))
    said = said_of(tmp_path / "out", asked)
    assert "0 samples below" in said
    assert line in said


def test_where_nothing_is_found_the_kinds_of_names_are_counted(tmp_path):
    for number in range(40):
        subject = tmp_path / f"out/sub-{number:03d}/ses-{number % 2}"
        touch(
            subject / f"sub-{number:03d}_T1w.nii.gz",
            subject / f"scan {number}.json",
            subject / f"kind{'abcdefghijklmno'[number % 15]}.txt",
        )
    said = said_of(tmp_path / "out", "fast").splitlines()
    assert "Names that it does not read:" in said
    start = said.index("Names that it does not read:")
    assert said[start + 1] == "  40 × sub-*_T1w.nii.gz"
    assert said[start + 2] == "      sub-000/ses-0/sub-000_T1w.nii.gz"
    assert "  40 × scan *.json" in said
    assert any(line.startswith("  … and 5 other kinds of names, ") for line in said)
    assert len(said) < 100
    assert "look" not in "\n".join(said[:start])


def test_the_workflows_target_that_finds_nothing_ends_well_and_says_what_there_is(tmp_path):
    import discover as command

    producers.cat12(tmp_path / "out", probabilities(4))
    given = {"preset": "spm", "root": str(tmp_path / "out"), "only": [], "table": str(tmp_path / "t.tsv")}
    text, code = command.from_workflow({**given, "settings": settings_of("spm")})
    assert code == 0
    assert "look like preset cat12" in text
    assert not (tmp_path / "t.tsv").exists()


def test_names_that_would_act_on_a_terminal_are_shown_by_their_numbers(tmp_path):
    touch(tmp_path / "out/a\x1b[2J\n0 samples.nii", tmp_path / os.fsdecode(b"out/latin-\xe9.nii"))
    said = said_of(tmp_path / "out", "spm")
    assert "1 × a\\x1b[*J\\n* samples.nii" in said
    assert said.encode("utf-8")
    assert "\x1b" not in said


def test_an_empty_folder_and_one_of_refused_files_are_told_apart(tmp_path):
    (tmp_path / "empty/below").mkdir(parents=True)
    assert "There is no file in this folder" in said_of(tmp_path / "empty", "spm")
    touch(*(tmp_path / f"modulated/mri/mwp{tissue}T1.nii" for tissue in (1, 2, 3)))
    for preset in ("cat12", "spm", "fast"):
        said = said_of(tmp_path / "modulated", preset)
        assert "0 samples" in said
        assert "3 × modulated by the Jacobian" in said
        assert "look like" not in said


def test_a_tree_of_two_producers_says_what_else_there_is(tmp_path):
    tree = tmp_path / "out"
    producers.cat12(tree / "cat", probabilities(4)), producers.spm(tree / "spm", probabilities(6))
    assert "5 files look like preset spm: spm/c1sub-01_T1w.nii" in said_of(tree, "cat12")
    assert "3 files look like preset cat12: cat/sub-01/mri/p1sub-01_T1w.nii" in said_of(tree, "spm")
    assert "This preset reads" not in said_of(tree, "spm")
    # One number alone may be a subject's.
    touch(tmp_path / "fsl/p1_brain_restore.nii.gz", tmp_path / "fsl/c2.x.nii")
    fast(tmp_path / "fsl", "p1_brain")
    assert "look" not in said_of(tmp_path / "fsl", "fast").split("Notes")[0]


def test_stores_count_as_files_and_folders_do_not(tmp_path):
    (tmp_path / "out/a.ome.zarr/0").mkdir(parents=True), (tmp_path / "out/c1_results.nii").mkdir()
    (tmp_path / "out/mwp1").mkdir(), (tmp_path / "out/gone.nii").symlink_to(tmp_path / "absent")
    found = found_in(tmp_path / "out", "spm")
    assert sorted(found.unread) == ["a.ome.zarr", "gone.nii"]
    assert not found.left_out


def test_thousands_of_subjects_take_seconds(tmp_path):
    count = 2_000
    tree = tmp_path / "derivatives"
    for number in range(count):
        anat = tree / f"sub-{number:05d}/anat"
        anat.mkdir(parents=True)
        names = [f"label-{label}_probseg.nii.gz" for label in ("GM", "WM", "CSF")]
        names += ["desc-preproc_T1w.nii.gz", "desc-brain_mask.nii.gz", "dseg.nii.gz", "desc-preproc_T1w.json"]
        for name in names:
            os.close(os.open(anat / f"sub-{number:05d}_{name}", os.O_CREAT))
    started = time.process_time()
    result = enlist(found_in(tree, "fmriprep").samples, tmp_path / "samples.tsv")
    assert len(result.added) == count
    # Measured: 0.7 s of a busy core, and 3.4 s for ten thousand. What grows with the square would take minutes.
    assert time.process_time() - started < 4
