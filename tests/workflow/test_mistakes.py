"""What a new user mistypes in config and table is told before any job, in the product's own words."""

import csv
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from study import ROOT, Study, save, softmax_volume
from volume_entropy.config import conversion_settings, load_config
from volume_entropy.config_text import CONFIG_FILE, read_config
from volume_entropy.errors import ConfigError
from volume_entropy.samples import check_samples

SCHEMAS = ROOT / "workflow/schemas"
COLUMNS = "sample\tprobabilities"


@pytest.fixture
def study(tmp_path):
    study = Study(tmp_path, probabilities={"classes": ["background", "csf", "gm", "wm"]})
    study.add("s", softmax_volume(1), site="A")
    return study


def write(study, name, content):
    path = study.folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def table(content):
    return lambda study: write(study, "config/samples.tsv", content)


def config(content):
    return lambda study: write(study, "config/config.yaml", content)


def rename(old, new):
    return lambda study: (study.folder / old).rename(study.folder / new)


def remove(name):
    return lambda study: (study.folder / name).unlink()


def nothing(study):
    pass


# By the number of the mistake: what is done to a study that runs, and what must be said.
OF_FILES = {
    "1 a misspelt key": (
        config("probabilities: {clases: [a]}\n"),
        ["probabilities.clases: unknown key; did you mean classes?"],
    ),
    "1 a misspelt key without its group": (
        config("clases: [a]\n"),
        ["clases: unknown key; did you mean probabilities.classes"],
    ),
    "2 blanks instead of tabs": (table("sample probabilities\ns p.nii\n"), ["line 1: found blanks", "expected tabs"]),
    "3 a column probs": (table("sample\tprobs\ns\tp.nii\n"), ["column 'probs'", "'probabilities'"]),
    "7 members in the table alone": (table(f"{COLUMNS}\ns\tp_{{member}}.nii\n"), ["line 2", "members is null"]),
    "8 a misspelt preset": (config("preset: fmri-prep\n"), ["'fmri-prep' is not known; did you mean fmriprep?"]),
    "9 commas in a .tsv": (table("sample,probabilities\ns,p.nii\n"), ["line 1: found commas", "expected tabs"]),
    "11 an id twice": (table(f"{COLUMNS}\ns\tp\ns\tq\n"), ["lines 2, 3: s stands twice"]),
    "15 no table": (remove("config/samples.tsv"), ["samples.tsv does not exist"]),
    "17 group Site": (config("group: Site\n"), ["'Site'", "did you mean site?"]),
    "19 classes as a text": (config("probabilities: {classes: 'background, csf'}\n"), ["expected a list"]),
    "23 an id with a blank and a slash": (table(f"{COLUMNS}\na b/c\tp\n"), ["line 2: sample 'a b/c' is no id"]),
    "25 s3 in the table": (table(f"{COLUMNS}\ns\ts3://b/p.nii\n"), ["line 2", "nothing is read from s3://"]),
    "26 a dotted key in the file": (
        config("entropy.unit: nat\n"),
        ["entropy.unit: unknown key; write it as entropy: {unit: …}"],
    ),
    "a key twice": (config("group: site\nentropy: {unit: nat}\ngroup: age\n"), ["line 3: group stands twice"]),
    "tokens without quotes": (config("probabilities: {tokens: [01, 02, 03, 04]}\n"), ["YAML reads 01 as the number 1"]),
    "classes without quotes": (
        config("probabilities: {classes: [yes, no]}\n"),
        ["found true, expected a string", "put it in quotes"],
    ),
    "a whole number with a point": (config("probabilities: {members: 5.0}\n"), ["found 5.0, expected a whole number"]),
    "a number in quotes": (config("probabilities: {members: '5'}\n"), ["a number has no quotes"]),
    "a tolerance that is no number": (config("probabilities: {sum_tolerance: .nan}\n"), ["expected a finite number"]),
    "a NUL in the config": (config('group: "a\\0b"\n'), ["expected text without the character NUL"]),
    "a NUL in a cell": (table(f"{COLUMNS}\ns\tp\0\n"), ["line 2: found a NUL"]),
}


@pytest.mark.parametrize("mistake", OF_FILES)
def test_what_files_say_wrong_is_refused_in_our_words(study, mistake, monkeypatch):
    make, words = OF_FILES[mistake]
    make(study)
    monkeypatch.chdir(study.folder)
    with pytest.raises(ConfigError) as caught:
        loaded = load_config(read_config(CONFIG_FILE), SCHEMAS / "config.schema.yaml", SCHEMAS.parent / "presets")
        conversion = conversion_settings(loaded)
        check_samples(Path(loaded["samples"]), SCHEMAS / "samples.schema.yaml", conversion, loaded["group"])
    for word in words:
        assert word in str(caught.value)


# What Snakemake would answer before us, or has its part in: with the arguments of a dry run.
OF_RUNS = {
    "13 a tab in YAML": (config("probabilities:\n\tmembers: 5\n"), [], ["config.yaml, line 2: found a tab"]),
    "13 a tab in a YAML of --configfile": (
        lambda study: write(study, "own.yaml", "group: a\nprobabilities:\n\tmembers: 5\n"),
        ["--configfile", "own.yaml"],
        ["own.yaml, line 3: found a tab"],
    ),
    "14 no config": (
        remove("config/config.yaml"),
        [],
        ["There is no config", "config/config.yaml does not exist", "To begin"],
    ),
    "16 config.yml": (rename("config/config.yaml", "config/config.yml"), [], ["rename it to config/config.yaml"]),
    "17 group Site": (nothing, ["--config", "group=Site"], ["'Site'", "did you mean site?"]),
    "25 s3 in the config": (
        nothing,
        ["--config", "samples=s3://b/t.tsv"],
        ["samples: found", "nothing is read from s3://"],
    ),
    "26 a key without its group": (
        nothing,
        ["--config", "unit=nat"],
        ["unit: unknown key; did you mean entropy.unit?"],
    ),
    "26 a key that is none": (
        nothing,
        ["--config", "entropy.untit=nat"],
        ["entropy.untit: unknown key; did you mean unit?"],
    ),
    "26 no value": (nothing, ["--config", "entropy.unit"], ["--config takes KEY=VALUE", "entropy.unit=nat"]),
    "27 a value that is none": (nothing, ["--config", 'entropy={"unit":"nats"}'], ["did you mean nat?"]),
    "a config that is no UTF-8": (
        config("group: caf\xe9\n".encode("latin-1")),
        [],
        ["config.yaml, line 1: found the byte 0xE9"],
    ),
    "an empty config": (config(""), [], ["has no keys"]),
    "a column Mask": (table(f"{COLUMNS}\tMask\ns\tp\tm\n"), [], ["column 'Mask'", "'mask'"]),
    "a row longer than the header": (table(f"{COLUMNS}\ns\tp\t\n"), [], ["line 2: found 3 cells, expected 2"]),
    "results with braces": (nothing, ["--config", "results=a{b}"], ["results: found", "without braces"]),
}


@pytest.mark.parametrize("mistake", OF_RUNS)
def test_what_snakemake_meets_first_is_refused_before_any_job_in_our_words(study, mistake, monkeypatch):
    make, arguments, words = OF_RUNS[mistake]
    make(study)
    monkeypatch.chdir(study.folder)
    run = study.run("-n", *arguments)
    assert run.code != 0
    assert not run.jobs
    assert "Traceback" not in run.output
    for word in words:
        assert word in run.output


def test_10_and_20_files_of_other_systems_are_read(study):
    for name in ("config/config.yaml", "config/samples.tsv"):
        content = (study.folder / name).read_text()
        write(study, name, "\ufeff" + content.replace("\n", "\r\n"))
    run = study.run("-n")
    assert run.code == 0 and run.jobs["compute_entropy"] == 1


def test_5_12_and_18_a_dry_run_names_the_files_that_are_not_there(study):
    """A misspelt path, a mask that is not there, and five files of six members."""
    study.configure(probabilities={"members": 6})
    for member in range(5):
        (study.folder / f"data/m{member}.nii.gz").touch()
    study.add("sub-misspelt", probabilities=None)
    study.add("sub-mask", mask="../data/no mask.nii.gz")
    study.rows["sub-members"] = {"sample": "sub-members", "probabilities": "../data/m{member}.nii.gz"}
    study.write_table()
    run = study.run("-n")
    assert run.code == 0
    data = study.folder / "data"
    for sample, name in (("sub-misspelt", "sub-misspelt"), ("sub-mask", "no mask"), ("sub-members", "m5")):
        assert f"{sample}: {data / name}.nii.gz does not exist" in run.output
    assert f"{data}/m4.nii.gz does not" not in run.output and f"{data}/s.nii.gz does not" not in run.output


def test_24_and_26_a_home_is_filled_in_and_a_key_may_have_dots(study, tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    save(softmax_volume(2), home / "data/p.nii.gz")
    save(np.ones((13, 11, 7), np.uint8), home / "data/m.nii.gz")
    study.rows = {"s": {"sample": "s", "probabilities": "~/data/p.nii.gz", "mask": "~/data/m.nii.gz"}}
    study.write_table()
    monkeypatch.setenv("HOME", str(home))
    run = study.run("--config", "entropy.unit=nat", "entropy.threshold=0.25", "results=~/my results")
    assert run.code == 0, run.output
    (row,) = csv_rows(home / "my results/subjects.csv")
    p = softmax_volume(2).astype(np.float64)
    p /= p.sum(-1, keepdims=True)
    expected = -(p * np.log(p)).sum()
    assert row["unit"] == "nat"
    assert float(row["predictive_entropy_total"]) == pytest.approx(expected, rel=1e-5)
    assert not (study.folder / "~").exists() and not (study.folder / "config/~").exists()


def csv_rows(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_names_that_snakemake_would_fill_in_are_read_as_they_are(tmp_path):
    """`<x>` is a variable for paths to Snakemake 9 as `{x}` is a wildcard; each is one sample's matter, or none."""
    study = Study(tmp_path)
    names = ("a<b>", "run<results>/x", "<benchmarks>", "{x} <y>", "a<B>", "plain", "{x", "y}")
    p = softmax_volume(3)
    for number, name in enumerate(names):
        save(p, study.folder / f"data/{name}.nii.gz")
        save(np.ones(p.shape[:3], np.uint8), study.folder / f"data/{name}_mask.nii.gz")
        row = {"probabilities": f"../data/{name}.nii.gz", "mask": f"../data/{name}_mask.nii.gz"}
        study.rows[f"s{number}"] = {"sample": f"s{number}", **row, "image": row["mask"], "reference": "n/a"}
    study.rows["gone"] = {"sample": "gone", "probabilities": "../data/<gone>.nii.gz"}
    study.write_table()
    run = study.run()
    assert run.code == 0, run.output
    totals = [float(row["predictive_entropy_total"]) for row in study.table("subjects")]
    shares = p.astype(np.float64)
    shares /= shares.sum(-1, keepdims=True)
    assert [row["sample"] for row in study.table("subjects")] == [f"s{number}" for number in range(len(names))]
    assert totals == pytest.approx([-(shares * np.log2(shares)).sum()] * len(names), rel=1e-5)
    assert [row["sample"] for row in study.table("rejected")] == ["gone"]
    assert study.run().jobs["compute_entropy"] == 0
    save(softmax_volume(4), study.folder / "data/run<results>/x.nii.gz")
    again = study.run()
    assert again.jobs["convert"] == 1, again.output
    changed = {row["sample"] for row in study.table("subjects") if float(row["predictive_entropy_total"]) not in totals}
    assert changed == {"s1"}


def test_no_pipe_or_socket_is_waited_for(study):
    os.mkfifo(study.folder / "data/pipe.nii.gz")
    with socket.socket(socket.AF_UNIX) as listening:
        # The path of a socket may have 107 bytes.
        before = os.getcwd()
        os.chdir(study.folder / "data")
        listening.bind("socket.nii")
        os.chdir(before)
    study.rows["pipe"] = {"sample": "pipe", "probabilities": "../data/pipe.nii.gz"}
    study.rows["socket"] = {"sample": "socket", "probabilities": "../data/socket.nii"}
    study.write_table()
    run = study.run()
    assert run.code == 0, run.output
    assert {row["sample"]: row["code"] for row in study.table("rejected")} == {
        "pipe": "file_missing",
        "socket": "file_missing",
    }
    assert [row["sample"] for row in study.table("subjects")] == ["s"]
