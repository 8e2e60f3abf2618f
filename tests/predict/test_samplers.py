"""What a member is: one network, drawn once, the same bits for the same seed; and what a method refuses."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from volume_entropy import uncertainty
from volume_entropy.errors import ModelError
from volume_entropy.predict.samplers import (
    check_class_counts,
    check_draws,
    make_sampler,
    probabilities_of,
    sample_members,
)
from volume_entropy.predict.variational import make_variational, variational_layers


def network(classes=3, dropout=0.3, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv3d(1, 6, 3, padding=1),
            nn.BatchNorm3d(6),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv3d(6, classes, 1),
        )


def volume(seed=1):
    return torch.randn(2, 1, 6, 5, 4, generator=torch.Generator().manual_seed(seed))


def members(method, networks, **settings):
    sampler = make_sampler(method, networks, **settings)
    return torch.stack(list(sample_members(sampler, volume()))).numpy()


def bayesian(std=0.2):
    net = network(dropout=0.0)
    make_variational(net, posterior_std=std)
    return net


def test_passes_of_mc_dropout_differ_and_the_seed_reproduces_them_bit_by_bit():
    p = members("mc_dropout", [network()], passes=4, seed=7)
    assert len({values.tobytes() for values in p}) == 4
    torch.rand(5)  # whatever else the process draws
    assert members("mc_dropout", [network()], passes=4, seed=7).tobytes() == p.tobytes()
    assert members("mc_dropout", [network()], passes=4, seed=8).tobytes() != p.tobytes()


def test_a_member_does_not_depend_on_how_many_others_there_are():
    few, many = (members("mc_dropout", [network()], passes=n, seed=7) for n in (2, 5))
    assert many[:2].tobytes() == few.tobytes()


def test_sampling_leaves_the_state_of_the_process_as_it_was():
    before = torch.get_rng_state()
    members("mc_dropout", [network()], passes=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_batch_norm_stays_frozen_and_only_dropout_is_active():
    net = network().train()
    before = copy.deepcopy(net[1].state_dict())
    members("mc_dropout", [net], passes=3)
    assert all(torch.equal(value, before[key]) for key, value in net[1].state_dict().items())
    assert [layer.training for layer in net] == [False, False, False, True, False]


def test_mc_dropout_keeps_the_mean_of_what_dropout_scales():
    """A linear layer behind the dropout: the mean over many passes is the pass without, to the sampling error."""
    net = network(classes=1)
    sampler = make_sampler("mc_dropout", [net], passes=400)
    passes = torch.stack([sampler.logits(member, volume()[:1]) for member in range(400)])
    plain = make_sampler("softmax", [net]).logits(0, volume()[:1])
    standard_error = passes.std(dim=0) / 400**0.5
    assert ((passes.mean(dim=0) - plain).abs() < 5 * standard_error + 1e-6).all()


@pytest.mark.parametrize("dropout", [None, 0.0])
def test_mc_dropout_without_active_dropout_layers_is_refused(dropout):
    net = network(dropout=dropout or 0.0)
    if dropout is None:
        net = nn.Sequential(*(layer for layer in net if not isinstance(layer, nn.Dropout)))
    with pytest.raises(ModelError, match="every pass would be the same"):
        make_sampler("mc_dropout", [net], passes=3)


# Deprecated, but people have such files.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_traced_network_whose_dropout_is_built_in_is_refused():
    """Else its mutual information would be 0 everywhere, without a word."""
    net, example = network().eval(), volume()[:1]
    traced, scripted = torch.jit.trace(net, example), torch.jit.script(net)
    trained = torch.jit.trace(net.train(), example, check_trace=False)
    check_draws(make_sampler("mc_dropout", [scripted], passes=2), example, ["s.ts"])
    check_draws(make_sampler("ensemble", [traced, scripted]), example, ["t.ts", "s.ts"])
    check_draws(make_sampler("bayesian", [bayesian()], passes=2), example, ["b.pt"])
    with pytest.raises(ModelError, match=r"every pass of t\.ts is the same"):
        check_draws(make_sampler("mc_dropout", [traced], passes=2), example, ["t.ts"])
    with pytest.raises(ModelError, match=r"t\.ts gives another result each time"):
        check_draws(make_sampler("softmax", [trained]), example, ["t.ts"])


def test_an_ensemble_has_a_member_a_network():
    networks = [network(seed=seed) for seed in range(3)]
    p = members("ensemble", networks)
    for one, net in zip(p, networks, strict=True):
        np.testing.assert_array_equal(one, members("softmax", [net])[0])


def test_members_that_disagree_in_their_classes_are_refused_by_name():
    sampler = make_sampler("ensemble", [network(3), network(4)])
    with pytest.raises(ModelError, match=r"disagree.*a\.pt gives 3, b\.pt gives 4"):
        check_class_counts(sampler, volume(), 3, ["a.pt", "b.pt"])
    with pytest.raises(ModelError, match=r"other classes: a\.pt gives 3; .* names 4"):
        check_class_counts(make_sampler("softmax", [network(3)]), volume(), 4, ["a.pt"])
    check_class_counts(make_sampler("softmax", [network(3)]), volume(), 3, ["a.pt"])


@pytest.mark.parametrize(("method", "count"), [("ensemble", 1), ("softmax", 2), ("mc_dropout", 2), ("bayesian", 2)])
def test_a_number_of_networks_that_a_method_cannot_use_is_refused(method, count):
    with pytest.raises(ModelError, match=str(count)):
        make_sampler(method, [network()] * count)


def test_unknown_methods_no_passes_and_point_weights_are_refused():
    with pytest.raises(ModelError, match="known are softmax"):
        make_sampler("laplace", [network()])
    with pytest.raises(ModelError, match="found 0"):
        make_sampler("mc_dropout", [network()], passes=0)
    with pytest.raises(ModelError, match="the network has none"):
        make_sampler("bayesian", [network()], passes=3)


def test_posterior_draws_differ_and_are_reproduced():
    p = members("bayesian", [bayesian()], passes=3, seed=1)
    assert len({values.tobytes() for values in p}) == 3
    assert members("bayesian", [bayesian()], passes=3, seed=1).tobytes() == p.tobytes()


def test_a_posterior_draw_has_the_same_weights_in_every_window():
    sampler = make_sampler("bayesian", [bayesian()], passes=2, seed=1)
    whole = volume()
    together, apart = sampler.logits(1, whole), torch.cat([sampler.logits(1, whole[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(apart, together, rtol=1e-5, atol=1e-6)


def test_a_posterior_without_variance_has_no_mutual_information():
    net = bayesian()
    for layer in variational_layers(net).values():
        layer.rho_kernel.data.fill_(-torch.inf)
        layer.rho_bias.data.fill_(-torch.inf)
    p = members("bayesian", [net], passes=4)
    maps = uncertainty(p, member_axis=0, class_axis=2)
    assert (maps["mutual_information"] == 0).all()
    assert maps["predictive_entropy"].min() > 0
    assert uncertainty(members("bayesian", [bayesian()], passes=4), 0, 2)["mutual_information"].max() > 1e-3


def test_outputs_become_probabilities():
    logits = torch.tensor([[3.0, 1.0, -3.0]])
    assert [round(p, 2) for p in probabilities_of(logits, "softmax")[0].tolist()] == [0.88, 0.12, 0.0]
    torch.testing.assert_close(probabilities_of(logits, "sigmoid"), 1 / (1 + torch.exp(-logits)))
    assert torch.equal(probabilities_of(logits, "none"), logits)
    with pytest.raises(ValueError, match="sigmod"):
        probabilities_of(logits, "sigmod")
