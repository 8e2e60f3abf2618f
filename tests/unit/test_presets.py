"""Every preset is sound data, and each producer's convention is kept: what is refused, and what stands beside."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml
from jsonschema import Draft202012Validator
from preset_runs import PRESETS, SCHEMAS, configured, rejected, settings_of
from producers import PRODUCERS, Poison, probabilities
from volume_entropy.config import read_preset
from volume_entropy.discovery.enlisting import enlist
from volume_entropy.discovery.search import discover
from volume_entropy.errors import ConfigError
from volume_entropy.presets import check_conventions, companions, geometry_file, geometry_files, refused
from volume_entropy.samples import Sample, check_samples, probability_files, read_samples, source_paths
from volume_entropy.sidecars import stem, stored_classes

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in PRESETS.glob("*.yaml"))


def schema(name):
    return Draft202012Validator(yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8")))


def test_every_preset_has_a_producer_that_writes_its_tree():
    assert sorted(PRODUCERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_satisfies_its_schema_and_its_config_that_of_configs(name):
    preset = read_preset(name, PRESETS)
    assert [error.message for error in schema("preset").iter_errors(preset)] == []
    assert [error.message for error in schema("config").iter_errors(preset["config"])] == []
    settings = settings_of(name)
    assert settings["refuse"] == preset["refuse"]
    json.dumps(settings, allow_nan=False)


def test_the_readme_lists_every_preset():
    readme = (ROOT / "config/README.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"| `{name}` | {read_preset(name, PRESETS)['description']} |\n" in readme


def test_a_preset_that_fills_a_reference_is_refused_by_the_schema():
    preset = read_preset("fast", PRESETS)
    preset["discover"]["files"][0]["reference"] = ["{name}_pveseg.nii.gz"]
    assert list(schema("preset").iter_errors(preset))


@pytest.mark.parametrize("name", NAMES)
def test_a_producers_tree_is_found_and_its_table_passes_every_check(name, tmp_path):
    write, classes = PRODUCERS[name]
    tree = tmp_path / "out put é"
    written = write(tree, probabilities(classes))
    settings = settings_of(name)
    found = discover(read_preset(name, PRESETS), tree, settings)
    assert len(found.samples) == 1, dict(found.left_out)
    table = tmp_path / "samples.tsv"
    enlist(found.samples, table)
    check_samples(table, SCHEMAS / "samples.schema.yaml", settings)
    (sample,) = read_samples(table).values()
    assert sample.reference is None
    assert sample.image == (None if written.image is None else str(written.image))
    assert sample.mask == (None if written.mask is None else str(written.mask))
    assert all(Path(path).is_file() for path in source_paths(sample, settings))
    members = probability_files(sample, settings)
    assert len(members) == len(written.stored)
    files = [file for _, member_files in members for file in member_files]
    check_conventions(files, settings)
    n_files = {1, len(stored_classes(settings))}
    assert all(len(member_files) in n_files for _, member_files in members)
    assert written.stored.shape[-1] == len(stored_classes(settings))
    assert not list(tree.rglob("*was opened"))


def read_independently(path, settings):
    """A file as (x, y, z, class) float64, by nibabel or numpy and the preset's word on its axes."""
    if path.endswith(".npz"):
        with np.load(path) as arrays:
            (values,) = (np.float64(arrays[key]) for key in arrays.files)
    else:
        values = nibabel.load(path).get_fdata()
    order = settings["axes"] or "xyzc"
    return values.transpose([order.index(axis) for axis in "xyzc"]) if values.ndim == 4 else values[..., None]


@pytest.mark.parametrize("name", NAMES)
def test_the_axes_and_scaling_that_a_preset_states_are_those_of_its_producer(name, tmp_path):
    write, classes = PRODUCERS[name]
    written = write(tmp_path, probabilities(classes))
    settings = settings_of(name)
    (found,) = discover(read_preset(name, PRESETS), tmp_path, settings).samples
    members = probability_files(Sample("x", found.probabilities), settings)
    values = [np.concatenate([read_independently(path, settings) for path in files], axis=-1) for _, files in members]
    np.testing.assert_array_equal(np.stack(values), written.stored)
    lender = geometry_files([path for _, files in members for path in files], settings)
    first = nibabel.load(lender[0] if lender else members[0][1][0])
    np.testing.assert_allclose(first.affine, written.affine, atol=1e-6)
    assert first.shape[:3] == written.stored.shape[1:4]


@pytest.mark.parametrize("suffix", [".nii", ".mgz", ".npz"])
def test_synthseg_in_its_other_formats(suffix, tmp_path):
    written = PRODUCERS["synthseg"][0](tmp_path, probabilities(33), suffix=suffix)
    settings = settings_of("synthseg")
    (found,) = discover(read_preset("synthseg", PRESETS), tmp_path, settings).samples
    assert found.probabilities.endswith(suffix)
    np.testing.assert_array_equal(read_independently(found.probabilities, settings), written.stored[0])


def test_spm_stores_bytes_with_a_slope(tmp_path):
    PRODUCERS["spm"][0](tmp_path, probabilities(6))
    image = nibabel.load(tmp_path / "c1sub-01_T1w.nii")
    assert image.get_data_dtype() == np.uint8
    assert image.dataobj.slope == np.float32(1 / 255)
    assert image.dataobj.inter == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_decoys_beside_the_maps_are_refused_with_a_reason(name, tmp_path):
    write, classes = PRODUCERS[name]
    write(tmp_path, probabilities(classes))
    preset, settings = read_preset(name, PRESETS), settings_of(name)
    found = discover(preset, tmp_path, settings)
    left_out = [item for items in found.left_out.values() for item in items]
    decoys = [
        str(path.relative_to(tmp_path))
        for path in tmp_path.rglob("*")
        if any(
            word in path.name
            for word in (
                "dseg",
                "pveseg",
                "_seg.",
                "mixeltype",
                "mwc",
                "swc",
                "mwp",
                "m0wp",
                "p0",
                "modulated-on",
                "dartelinput",
                ".pkl",
                "_unc",
                "_soft",
            )
        )
        and "probseg" not in path.name
    ]
    assert set(decoys) <= set(left_out)
    for decoy in decoys:
        error = rejected(refused, decoy, settings["refuse"])
        assert error.code == "refused_by_preset"
        assert decoy in error.message
        assert error.remedy.endswith(".")


@pytest.mark.parametrize(
    ("preset", "file"),
    [
        ("fmriprep", "sub-01_dseg.nii.gz"),
        ("fmriprep", "sub-01_label-GM_desc-smoothed_probseg.nii.gz"),
        ("bids_probseg", "sub-01_label-GM_probseg.nii.gz"),
        ("fast", "T1_pveseg.nii.gz"),
        ("fast", "T1_seg.nii.gz"),
        ("fast", "T1_seg_0.nii.gz"),
        ("fast", "T1_mixeltype.nii.gz"),
        ("fast", "T1_prob_0.nii.gz"),
        ("fast_prob", "T1_pve_0.nii.gz"),
        ("atropos", "BrainSegmentation.nii.gz"),
        ("spm", "mwc1T1.nii"),
        ("spm", "smwc1T1.nii"),
        ("spm", "mwrc2T1.nii"),
        ("spm", "mrc2T1.nii"),
        ("spm", "s8mwc3T1.nii.gz"),
        ("spm", "swc1T1.nii.gz"),
        ("spm", "s8wc1T1.nii"),
        ("spm", "mwp1T1.nii"),
        ("spm", "m0wp3T1.nii.gz"),
        ("spm", "smwp2T1.nii"),
        ("spm", "s6wp2T1.nii"),
        ("cat12", "mwp1T1.nii"),
        ("cat12", "m0wp1T1.nii"),
        ("cat12", "s6mwp2T1.nii.gz"),
        ("cat12", "mwp1rT1.nii"),
        ("cat12", "avg_mwmwp1rT1.nii"),
        ("cat12", "swp1T1.nii"),
        ("cat12", "p0T1.nii"),
        ("cat12", "wp0T1.nii.gz"),
        ("cat12", "rp0T1_affine.nii"),
        ("cat12", "mwc1T1.nii"),
        ("clinica", "sub-1_T1w_segm-csf_space-Ixi549Space_modulated-on_probability.nii.gz"),
        ("clinica", "sub-1_T1w_segm-csf_space-Ixi549Space_modulated-off_fwhm-8mm_probability.nii.gz"),
        ("clinica", "sub-1_T1w_segm-csf_dartelinput.nii.gz"),
        ("synthseg", "T1_synthseg.nii.gz"),
        ("dipy", "tissue_classified.nii.gz"),
        ("nnunet", "case.pkl"),
        ("nnunet_v1", "case.nii.gz"),
        ("totalsegmentator", "probs.pkl"),
        ("monai", "T1_seg.nii.gz"),
        ("ivadomed", "sub-01_soft.nii.gz"),
        ("ivadomed", "sub-01_unc-vox.nii.gz"),
        ("ivadomed", "sub-01_pred.nii.gz"),
        ("ivadomed", "sub-01_pred_03_painted.nii.gz"),
    ],
)
def test_what_is_no_probability_is_refused_whatever_its_folder(preset, file):
    settings = settings_of(preset)
    assert rejected(check_conventions, [f"/data/x y/{file}"], settings).code == "refused_by_preset"


@pytest.mark.parametrize(
    ("preset", "file"),
    [
        ("fmriprep", "sub-01_label-GM_probseg.nii.gz"),
        ("fast", "sub-01_seg-x_pve_0.nii.gz"),
        ("fast", "dseg/T1_pve_0.nii.gz"),
        ("spm", "c1T1.nii"),
        ("spm", "wc1T1.nii"),
        ("spm", "c1smwc1.nii"),
        ("spm", "c1T1.nii.gz"),
        ("spm", "s01c1.nii"),
        ("cat12", "p1T1.nii"),
        ("cat12", "p1s6mwp1.nii"),
        ("cat12", "wp2T1.nii.gz"),
        ("cat12", "rp3T1_affine.nii"),
        ("clinica", "sub-1_T1w_segm-csf_space-Ixi549Space_modulated-off_probability.nii.gz"),
        ("ivadomed", "sub-01_pred_03.nii.gz"),
        ("nnunet", "case.npz"),
    ],
)
def test_what_is_a_probability_is_not_refused(preset, file):
    check_conventions([f"/unc-vox/_pveseg.nii/{file}"], settings_of(preset))


def without_preset(**probabilities):
    return settings_of(None, classes=["gm", "wm", "csf"], background="complement", **probabilities)


MODULATED = [
    "mwp1sub.nii", "mwp2sub.nii.gz", "m0wp1sub.nii", "smwp1sub.nii", "s6mwp3sub.nii", "mwp1rsub.nii", "mwmwp1rsub.nii",
    "avg_mwp1rsub.nii", "m0wrp1sub.nii", "mwc1sub.nii", "smwc2sub.nii.gz", "mwrc1sub.nii", "sub-01_mwp1.nii.gz",
    "sub-1_T1w_segm-csf_space-Ixi549Space_modulated-on_probability.nii.gz", "T1_GM_to_template_GM_mod.nii.gz",
    "sub-1_space-MNI152NLin2009cAsym_desc-modulated_label-GM_probseg.nii.gz",
]  # fmt: skip


@pytest.mark.parametrize("settings", [without_preset(), settings_of("monai"), settings_of("cat12", refuse=[])])
def test_what_is_modulated_by_its_name_is_refused_whatever_the_config_says(settings):
    for file in MODULATED:
        error = rejected(check_conventions, [f"/d/{file}"], settings)
        assert error.code == "refused_by_preset"
        assert "Jacobian" in error.message


def test_other_names_are_left_to_the_presets():
    names = [
        "wp1sub.nii", "p1sub.nii", "c1mwp1.nii", "swc1.nii", "mw_p1.nii", "mwpass-1.nii", "mwp0sub.nii", "gmwp1.nii",
        "framework2.nii", "MWP1_site.nii", "sub-mwc_p1.nii", "sub-1_modulated-off_probability.nii", "m1p1.nii",
        "mwp1/p1sub.nii",
    ]  # fmt: skip
    check_conventions([f"/d/{name}" for name in names], without_preset())


@pytest.mark.parametrize(
    "description", ["Jac. sc. warped tissue class 1", "CAT12.8(Jac. sc. warped non-lin only) < SPM"]
)
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_modulated_map_is_known_by_its_header_under_any_name(description, kind, ending, tmp_path):
    path = tmp_path / f"sub-01_label-GM_probseg{ending}"
    image = kind(np.zeros((3, 3, 3), np.float32), np.eye(4))
    image.header["descrip"] = description
    nibabel.save(image, path)
    for settings in (without_preset(), settings_of("fmriprep")):
        error = rejected(check_conventions, [str(path)], settings)
        assert error.code == "refused_by_preset"
        assert description in error.message
    image.header["descrip"] = "Warped tissue class 1"
    nibabel.save(image, path)
    check_conventions([str(path)], without_preset())


def test_rules_of_the_config_replace_those_of_the_preset():
    assert settings_of("fast", refuse=[])["refuse"] == []
    near = {"beside": ["plans.json"], "contains": "x", "unless_geometry": ["RAS"], "reason": "a", "remedy": "b"}
    assert settings_of("fast", refuse=[near])["refuse"] == [near]
    for wrong in ({"reason": "a", "remedy": "b"}, {"beside": ["p"], "reason": "a", "remedy": "b"}, {**near, "x": 1}):
        with pytest.raises(ConfigError, match=r"probabilities\.refuse\.0"):
            settings_of("fast", refuse=[wrong])
    with pytest.raises(ConfigError, match=r"probabilities\.refuse\.0\.pattern.*no regular expression"):
        settings_of("fast", refuse=[{"pattern": "(", "reason": "x", "remedy": "y"}])
    with pytest.raises(ConfigError, match=r"remedy"):
        settings_of("fast", refuse=[{"pattern": "x", "reason": "x"}])


def test_a_preset_overrides_defaults_and_is_overridden():
    assert configured("spm")["probabilities"]["background"] == "complement"
    assert settings_of("spm")["classes"] == ["background", "gm", "wm", "csf", "bone", "soft_tissue"]
    own = settings_of("spm", classes=["gm", "wm", "csf"], tokens=[1, 2, 3])
    assert own["classes"] == ["background", "gm", "wm", "csf"]
    assert own["tokens"] == ["1", "2", "3"]


def test_synthseg_has_33_structures_with_the_background_first():
    classes = settings_of("synthseg")["classes"]
    assert len(classes) == len(set(classes)) == 33
    assert classes[0] == "background"
    left = [name.removeprefix("left_") for name in classes if name.startswith("left_")]
    right = [name.removeprefix("right_") for name in classes if name.startswith("right_")]
    assert left == right


def test_the_stem_is_the_name_without_the_suffix_of_its_format():
    assert [stem(name) for name in ("a.b.nii.gz", "a.nii", "a.mgz", "a.npz", "a.npy", "a.ome.zarr", "a.zarr", "a")] == [
        "a.b", "a", "a", "a", "a", "a", "a", "a",
    ]  # fmt: skip


def test_only_an_array_without_header_borrows_its_geometry():
    assert geometry_file("/d/case.npz", "{stem}.nii.gz") == "/d/case.nii.gz"
    assert geometry_file("/d/a/case.npy", "../grid/{stem}.nii") == "/d/grid/case.nii"
    assert geometry_file("/d/case.nii.gz", "{stem}.nii.gz") is None
    assert geometry_file("/d/case.ome.zarr", "{stem}.nii.gz") is None
    assert geometry_file("/d/case.npz", None) is None
    settings = {"geometry": "grid.nii", "sidecar": "none"}
    assert geometry_files(["/d/0.npy", "/d/1.npy"], settings) == ["/d/grid.nii"]


def test_the_nifti_that_lends_its_geometry_may_have_either_ending(tmp_path):
    array = str(tmp_path / "case.npz")
    assert geometry_file(array, "{stem}.nii.gz") == str(tmp_path / "case.nii.gz")
    (tmp_path / "case.nii").touch()
    assert geometry_file(array, "{stem}.nii.gz") == str(tmp_path / "case.nii")
    (tmp_path / "case.nii.gz").touch()
    assert geometry_file(array, "{stem}.nii.gz") == str(tmp_path / "case.nii.gz")
    (tmp_path / "case.nii").unlink()
    assert geometry_file(array, "{stem}.nii") == str(tmp_path / "case.nii.gz")


def test_what_stands_beside_is_a_source_of_the_sample():
    assert companions(["/d/case.npz"], settings_of("nnunet")) == ["/d/case.nii.gz"]
    assert companions(["/d/a_probseg.nii.gz"], settings_of("bids_probseg")) == ["/d/a_probseg.json"]
    assert companions(["/d/a_probseg.nii.gz"], settings_of("monai")) == []
    sample = Sample("x", "/d/case.npz", mask="/d/mask.nii")
    assert source_paths(sample, settings_of("nnunet")) == ["/d/case.npz", "/d/case.nii.gz", "/d/mask.nii"]


def test_the_poisoned_pickle_would_tell_if_it_were_opened(tmp_path):
    import pickle

    pickle.loads(pickle.dumps(Poison(tmp_path / "x was opened")))
    assert list(tmp_path.rglob("*was opened"))
