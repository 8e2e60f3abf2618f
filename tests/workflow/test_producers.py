"""Every preset from end to end: the producer's tree, discovery by its command, conversion, entropy, right numbers."""

import numpy as np
import producers
import pytest
import yaml
from preset_runs import PRESETS, PresetStudy, assert_numbers_of, expected
from producers import PRODUCERS, probabilities

CLASSES = {name: classes for name, (_, classes) in PRODUCERS.items()}


@pytest.fixture
def study(tmp_path):
    """Make the study of a preset."""

    def of(preset, **config):
        return PresetStudy(tmp_path / "my study", {"preset": preset, **config})

    return of


@pytest.mark.parametrize("name", sorted(PRODUCERS))
def test_two_subjects_of_a_producer_give_the_numbers_of_the_reference(name, study, tmp_path):
    """SynthSeg's 33 classes, SPM's bytes, nnU-Net's turned axes, ivadomed's twenty members, …"""
    write, classes = PRODUCERS[name]
    study, tree = study(name), tmp_path / "out put é"
    written = {subject: write(tree, probabilities(classes, seed), subject) for seed, subject in enumerate(SUBJECTS)}
    said = study.discover(tree)
    assert "2 samples below" in said
    samples = study.samples()
    assert len(samples) == 2
    content = yaml.safe_load((PRESETS / f"{name}.yaml").read_text())["config"]["probabilities"]["content"]
    for sample, (subject, source) in zip(samples.values(), written.items(), strict=True):
        assert sample.id.startswith(subject)
        summary, entropy = study.process(sample)
        quantum = 1 / 255 if name == "spm" else 0.0
        assert_numbers_of(
            summary, entropy, expected(source.stored, study.conversion, source.mask, quantum), source.affine
        )
        assert [structure["class"] for structure in summary["structures"]] == study.conversion["classes"]
        assert summary["content"] == content
        assert summary["n_members"] == len(source.stored)
    assert not list(tree.rglob("*was opened"))


SUBJECTS = ("sub-01", "sub-02")
