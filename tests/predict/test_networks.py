"""Checkpoints in every form: each gives what the network in memory gives, and a pickle that could run code does not."""

import json
import os

import pytest
import torch
from torch import nn
from volume_entropy.errors import ModelError
from volume_entropy.predict.networks import build_network, load_network, save_network

SPEC = {
    "name": "BasicUNet",
    "arguments": {
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 3,
        "features": [4, 4, 4, 4, 4, 4],
        "dropout": 0.1,
        "upsample": "nontrainable",
    },
    "variational": None,
}
INPUTS = torch.randn(1, 1, 32, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network():
    return build_network(SPEC, seed=3).eval()


def agrees(loaded, network):
    with torch.no_grad():
        torch.testing.assert_close(loaded(INPUTS), network(INPUTS), rtol=1e-5, atol=1e-5)


def test_a_trained_network_comes_back_with_what_builds_it(tmp_path, network):
    save_network(tmp_path / "n.pt", network, SPEC, {"seed": [0, 1]})
    agrees(load_network(tmp_path / "n.pt", None).eval(), network)


@pytest.mark.parametrize("wrapped", [None, "state_dict", "network_weights"])
def test_plain_weights_need_the_network_that_they_belong_to(tmp_path, network, wrapped):
    state = network.state_dict()
    torch.save(state if wrapped is None else {wrapped: state, "epoch": 3}, tmp_path / "n.pt")
    agrees(load_network(tmp_path / "n.pt", SPEC).eval(), network)
    with pytest.raises(ModelError, match="holds weights alone"):
        load_network(tmp_path / "n.pt", None)
    with pytest.raises(ModelError, match="do not fit"):
        other = {**SPEC, "arguments": {**SPEC["arguments"], "out_channels": 4}}
        load_network(tmp_path / "n.pt", other)


# Deprecated, but people have such files; tracing warns of each shape that it takes for constant.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_torchscript_and_programs_of_torch_export_load(tmp_path, network):
    torch.jit.trace(network, INPUTS).save(tmp_path / "traced.ts")
    agrees(load_network(tmp_path / "traced.ts", None), network)
    torch.export.save(torch.export.export(network, (INPUTS,)), tmp_path / "program.pt2")
    agrees(load_network(tmp_path / "program.pt2", None), network)


def test_a_monai_bundle_loads(tmp_path, network):
    (tmp_path / "configs").mkdir()
    (tmp_path / "models").mkdir()
    definition = {"_target_": SPEC["name"], **SPEC["arguments"]}
    (tmp_path / "configs/inference.json").write_text(json.dumps({"network_def": definition}))
    torch.save(network.state_dict(), tmp_path / "models/model.pt")
    agrees(load_network(tmp_path, None).eval(), network)
    (tmp_path / "models/model.pt").unlink()
    with pytest.raises(ModelError, match="is no MONAI bundle"):
        load_network(tmp_path, None)


class Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_refused_before_it_can_run(tmp_path):
    torch.save({"state_dict": {}, "more": Trap(tmp_path / "ran")}, tmp_path / "trap.pt")
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pt")
    for name in ("trap.pt", "whole.pt"):
        with pytest.raises(ModelError, match="more than weights"):
            load_network(tmp_path / name, SPEC)
    assert not (tmp_path / "ran").exists()


def test_what_is_no_checkpoint_is_refused_by_name(tmp_path):
    (tmp_path / "text.pt").write_text("not a network")
    (tmp_path / "text.pt2").write_text("not a program")
    with pytest.raises(ModelError, match=r"gone\.pt does not exist"):
        load_network(tmp_path / "gone.pt", None)
    for name, words in (("text.pt", "more than weights|is no checkpoint"), ("text.pt2", "is no program")):
        with pytest.raises(ModelError, match=words):
            load_network(tmp_path / name, SPEC)
    with pytest.raises(ModelError, match="has no network 'BasicNet'"):
        build_network({**SPEC, "name": "BasicNet"})
