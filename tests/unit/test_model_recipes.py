"""What the config's `model` says, without torch."""

import pytest
from volume_entropy.model_recipes import Model

METHODS = ["softmax", "mc_dropout", "ensemble", "bayesian"]


@pytest.mark.parametrize(("checkpoints", "networks"), [([], 3), (["a.pt", "b.pt"], 2)])
def test_how_many_members_a_method_makes(checkpoints: list[str], networks: int) -> None:
    model = Model({"methods": METHODS, "passes": 10, "ensemble": 3, "checkpoints": checkpoints}, {}, {})
    assert [model.n_members(method) for method in METHODS] == [1, 10, networks, 10]
