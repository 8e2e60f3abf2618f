"""The config is refused with plain words, completed with defaults, and cut into what each stage uses."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_entropy.config import conversion_settings, entropy_settings, load_config
from volume_entropy.declared_axes import notice_of_older_keys
from volume_entropy.errors import ConfigError

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"
PRESETS = ROOT / "workflow/presets"


def load(given, presets=PRESETS):
    return load_config(given, SCHEMA, presets)


def test_an_empty_config_gets_every_default():
    config = load({})
    assert config["entropy"] == {"unit": "bit", "measures": ["predictive_entropy"], "threshold": 0.5}
    assert config["probabilities"]["classes"] == ["background", "csf", "gm", "wm"]
    assert config["on_rejected"] == "report"


def test_defaults_satisfy_their_own_schema():
    assert load(load({})) == load({})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"sampels": "x"}, ["sampels: unknown key", "did you mean samples?"]),
        ({"probabilities": {"sum_tolerence": 1}}, ["probabilities.sum_tolerence: unknown key", "sum_tolerance"]),
        ({"storage": {"chunk": -64}}, ["storage.chunk: found -64", "at least 8"]),
        ({"storage": {"chunk": "64"}}, ['storage.chunk: found "64"', "a whole number"]),
        ({"entropy": {"unit": "bits"}}, ['entropy.unit: found "bits"', "bit, nat", "did you mean bit?"]),
        ({"entropy": {"measures": ["mutual_informtion"]}}, ["entropy.measures.0", "did you mean mutual_information?"]),
        ({"probabilities": {"classes": "gm"}}, ['probabilities.classes: found "gm"', "a list"]),
        ({"probabilities": []}, ["probabilities: found []", "a group of keys"]),
        ({"figures": {"slices": "some"}}, ["figures.slices"]),
        ({"preset": "fsl"}, ["preset: 'fsl' is not known"]),
        ({"probabilities": {"tokens": ["1"]}}, ["probabilities.tokens: found 1 tokens for 4 classes"]),
        ({"probabilities": {"background": "complement"}}, ["adds that class itself"]),
        ({"probabilities": {"axes": "CZYX"}}, ['probabilities.axes: found "CZYX"', "such as czyx, mczyx, xyzc, cyx"]),
        ({"probabilities": {"axes": "tczyx"}}, ['found "tczyx"', "such as czyx"]),
        ({"probabilities": {"axes": ["c", "z"]}}, ["a string or null"]),
        ({"probabilities": {"axes": "cczyx"}}, ["'cczyx', in which c stands twice"]),
        ({"probabilities": {"axes": "czx"}}, ["'czx', without y", "such as czyx"]),
        ({"probabilities": {"axes": "mc"}}, ["'mc', without y and x"]),
        ({"probabilities": {"axes": "czyx", "class_axis": "last"}}, ["found 'last' beside `axes: czyx`", "leave"]),
        ({"probabilities": {"axes": "mzyx", "class_axis": "first"}}, ["found 'first' beside `axes: mzyx`"]),
        ({"preset": "nnunet", "probabilities": {"class_axis": "last"}}, ["found 'last' beside `axes: czyx`"]),
        ({"probabilities": {"class_axis": "middle"}}, ["one of first, last, null"]),
        (
            {"probabilities": {"classes": ["a"], "background": "complement", "sum_tolerance": None}},
            ["probabilities.sum_tolerance: null", "probabilities.scale"],
        ),
        ({"preset": "fmriprep", "probabilities": {"sum_tolerance": None}}, ["probabilities.sum_tolerance: null"]),
        ({"probabilities": {"scale": 0}}, ["probabilities.scale: found 0, expected more than 0"]),
        ({"probabilities": {"scale": "255"}}, ['probabilities.scale: found "255"']),
        ({"probabilities": {"scale": float("inf")}}, ["probabilities.scale: found inf"]),
        ({"probabilities": {"mask_threshold": float("nan")}}, ["probabilities.mask_threshold: found nan"]),
        ({"model": {"methods": ["softmax"]}, "probabilities": {"scale": 255}}, ["probabilities.scale: it divides"]),
        ({"images": {"table": "m.npz", "folder": "f"}}, ["both `table` and `folder` are given"]),
        ({"images": {"passes": 1}}, ["images.passes: found 1, expected at least 2"]),
        ({"images": {"tabel": "m.npz"}}, ["images.tabel: unknown key; did you mean table?"]),
        ({"probabilities": {"kind": "regions"}, "entropy": {"measures": ["margin"]}}, ["margin is not defined"]),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(config, words):
    with pytest.raises(ConfigError) as caught:
        load(config)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "instead"),
    [
        ({"class_axis": "first"}, "cxyz"),
        ({"class_axis": "last"}, "xyzc"),
        ({"axes": "zyx"}, "zyxc"),
        ({"class_axis": "first", "axes": "zyx"}, "czyx"),
        ({"class_axis": "last", "axes": "xyz"}, "xyzc"),
    ],
)
def test_the_older_keys_work_as_before_with_a_notice_of_what_to_write(keys, instead):
    config = load({"probabilities": keys})
    resolved = conversion_settings(config)
    assert {key: resolved[key] for key in keys} == keys
    assert f"`axes: {instead}`" in notice_of_older_keys(config["probabilities"])
    assert notice_of_older_keys(load({"probabilities": {"axes": instead}})["probabilities"]) is None


def test_there_is_no_notice_where_the_older_keys_are_not_used():
    for config in ({}, {"probabilities": {"axes": "mczyx"}}, {"preset": "nnunet"}, {"preset": "synthseg"}):
        assert notice_of_older_keys(load(config)["probabilities"]) is None
    # Of one class, the order of space is the whole string.
    assert (
        notice_of_older_keys(load({"probabilities": {"axes": "zyx", "classes": ["lesion"]}})["probabilities"]) is None
    )
    # A key that a study had beside its preset is no contradiction where it says the same.
    said = load({"preset": "nnunet", "probabilities": {"class_axis": "first"}})
    assert "can go" in notice_of_older_keys(said["probabilities"])


def test_no_preset_uses_the_older_keys():
    for path in PRESETS.glob("*.yaml"):
        probabilities = yaml.safe_load(path.read_text())["config"]["probabilities"]
        assert "class_axis" not in probabilities, path
        assert probabilities.get("axes") not in ("xyz", "zyx"), path


def test_all_problems_stand_in_one_message():
    with pytest.raises(ConfigError) as caught:
        load({"sampels": 1, "entropy": {"unit": "bits"}, "storage": {"chunk": 0}})
    assert len(str(caught.value).splitlines()) == 4


def test_precedence_is_default_preset_config(tmp_path):
    preset = {"config": {"entropy": {"unit": "nat"}, "probabilities": {"classes": ["a", "b"], "sum_tolerance": 0.5}}}
    (tmp_path / "maker.yaml").write_text(yaml.safe_dump(preset))
    config = load({"preset": "maker", "probabilities": {"sum_tolerance": None}}, presets=tmp_path)
    assert config["entropy"]["unit"] == "nat"
    assert config["probabilities"]["classes"] == ["a", "b"]
    assert config["probabilities"]["sum_tolerance"] is None
    assert config["probabilities"]["kind"] == "softmax"


def test_complement_puts_the_background_first():
    config = load({"probabilities": {"classes": ["gm", "wm"], "tokens": [1, 2], "background": "complement"}})
    settings = conversion_settings(config)
    assert settings["classes"] == ["background", "gm", "wm"]
    assert settings["tokens"] == ["1", "2"]


@given(st.integers(1, 50))
@settings(max_examples=10)
def test_a_count_of_members_becomes_tokens(count):
    assert conversion_settings(load({"probabilities": {"members": count}}))["members"] == [str(i) for i in range(count)]


def test_the_settings_of_numbers_name_neither_chunk_nor_figures():
    first = load({"storage": {"chunk": 32}, "figures": {"slices": 3}})
    second = load({"storage": {"chunk": 64}, "figures": {"slices": "all"}})
    assert entropy_settings(first) == entropy_settings(second)
    assert entropy_settings(first) != entropy_settings(load({"storage": {"dtype": "float16"}}))
    json.dumps(entropy_settings(first), allow_nan=False)


def test_the_shipped_config_names_every_key_with_its_default():
    shipped = (ROOT / "config/config.yaml").read_text()
    _, body = shipped.split("# samples:", 1)
    uncommented = [line[2:] if line.startswith("# ") else line for line in ("# samples:" + body).splitlines()]
    uncommented = [line[2:] + "" if line.startswith("# ") else line for line in uncommented]
    stated = yaml.safe_load("\n".join(line.replace("#  ", "  ", 1) for line in uncommented))
    assert stated == load({})


def test_the_documented_keys_are_those_of_the_schema():
    import document_config

    readme = (ROOT / "config/README.md").read_text(encoding="utf-8")
    assert readme == document_config.documented(readme)
