"""The training loop: the ELBO as it is written, early stopping, seeds, and posteriors that feel their prior."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset
from volume_entropy.errors import ModelError
from volume_entropy.predict.randomness import seeded
from volume_entropy.predict.training import TrainingSettings, labels_of, train
from volume_entropy.predict.variational import divergence, make_variational, posterior_widths


def blobs(n=120, seed=0):
    """Three classes of points in the plane, well apart."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    centres = torch.tensor([[0.0, 3.0], [3.0, -2.0], [-3.0, -2.0]])
    return TensorDataset(centres[labels] + torch.randn(n, 2, generator=draw), labels)


def network(seed=0):
    with seeded(seed):
        return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))


def variational(posterior_std=0.05, prior_std=1.0):
    net = network()
    make_variational(net, prior_std=prior_std, posterior_std=posterior_std)
    return net


FAST = TrainingSettings(epochs=25, batch_size=20, learning_rate=0.02)


def test_training_lowers_the_cross_entropy_and_keeps_the_best_epoch():
    net = network()
    history = train(net, blobs(), blobs(60, seed=1), FAST)
    best = min(history.epochs, key=lambda epoch: epoch.validation_loss)
    assert best.epoch == history.best
    assert best.validation_loss < 0.3 * history.epochs[0].training_loss
    inputs, labels = blobs(60, seed=1).tensors
    assert nn.functional.cross_entropy(net(inputs), labels).item() == pytest.approx(best.validation_loss, rel=1e-5)
    assert not net.training


def test_the_seed_reproduces_the_weights_and_another_gives_others():
    def weights(seed):
        net = network()
        train(net, blobs(), blobs(30, seed=1), TrainingSettings(epochs=3, seed=seed))
        return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])

    first = weights(1)
    torch.rand(3)
    assert torch.equal(weights(1), first)
    assert not torch.equal(weights(2), first)


def test_training_stops_after_seven_epochs_without_progress_and_lowers_the_rate_after_three():
    """A rate of nearly zero makes no progress after the first epoch: the loss does not get lower by rounding."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 3))
    history = train(net, blobs(), blobs(30, seed=1), TrainingSettings(epochs=50, learning_rate=1e-30))
    assert (history.best, len(history.epochs)) == (1, 8)
    rates = [epoch.learning_rate for epoch in history.epochs]
    assert rates[:5] == [1e-30] * 5
    assert rates[5] == pytest.approx(1e-31)


def test_any_loss_on_logits_can_be_given():
    def squared(logits, labels):
        return ((logits.softmax(dim=1) - nn.functional.one_hot(labels, 3)) ** 2).sum(dim=1).mean()

    history = train(network(), blobs(), blobs(30, seed=1), FAST, loss=squared)
    assert history.epochs[-1].validation_loss < 0.1


def test_volumes_are_trained_by_the_same_loop():
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(4, 1, 6, 6, 6, generator=draw)
    labels = (images[:, 0] > 0).long()
    examples = TensorDataset(images, labels)
    assert labels_of(examples) == 4 * 6**3
    history = train(nn.Conv3d(1, 2, 1), examples, examples, TrainingSettings(epochs=60, learning_rate=0.1))
    assert history.epochs[-1].validation_loss < 0.2


def test_a_loss_that_is_not_finite_ends_the_training():
    inputs, labels = blobs().tensors
    broken = TensorDataset(inputs * torch.nan, labels)
    with pytest.raises(ValueError, match="not finite"):
        train(network(), broken, broken, FAST)
    with pytest.raises(ValueError, match="0 validation"):
        train(network(), blobs(), TensorDataset(inputs[:0], labels[:0]), FAST)


def test_the_divergence_is_that_of_torch_distributions_summed_over_the_weights():
    net = variational(posterior_std=0.2, prior_std=0.7)
    prior = torch.distributions.Normal(0.0, 0.7)
    expected = 0.0
    for layer in (net[0], net[2]):
        for part in ("weight", "bias"):
            std = torch.log1p(torch.exp(getattr(layer, f"rho_{part}")))
            posterior = torch.distributions.Normal(getattr(layer, f"mu_{part}"), std)
            expected += torch.distributions.kl_divergence(posterior, prior).sum().item()
    assert divergence(net).item() == pytest.approx(expected, rel=1e-5)
    assert posterior_widths(net)[-1].layer == "all"
    assert posterior_widths(net)[-1].n_weights == 2 * 8 + 8 + 8 * 3 + 3
    assert posterior_widths(net)[-1].median == pytest.approx(0.2, rel=1e-5)


def test_the_loss_of_a_variational_network_is_cross_entropy_plus_weighted_divergence():
    """One step of plain gradient descent by hand gives the weights that the loop's objective leads to."""
    settings = TrainingSettings(epochs=1, batch_size=120, kl_weight=3.0, learning_rate=0.01)
    net = variational()
    history = train(net, blobs(), blobs(30, seed=1), settings)
    assert history.epochs[0].divergence_loss == pytest.approx(3.0 * divergence(net).item() / 120, rel=1e-5)
    by_hand = variational()
    inputs, labels = blobs().tensors
    optimiser = torch.optim.Adam(by_hand.parameters(), lr=0.01)
    with seeded(0, 1):
        order = torch.utils.data.DataLoader(blobs(), 120, shuffle=True)
        inputs, labels = next(iter(order))
        loss = nn.functional.cross_entropy(by_hand(inputs), labels) + 3.0 * divergence(by_hand) / 120
    loss.backward()
    optimiser.step()
    for one, other in zip(net.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_larger_kl_weight_ends_with_posteriors_nearer_the_prior():
    medians = []
    for weight in (0.01, 1.0, 100.0):
        settings = TrainingSettings(
            epochs=60, patience=60, plateau_patience=60, learning_rate=0.05, batch_size=60, kl_weight=weight
        )
        history = train(variational(), blobs(), blobs(30, seed=1), settings)
        medians.append(history.epochs[-1].posterior[-1].median)
    assert medians[0] < medians[1] < medians[2] < 1.1
    assert medians[2] > 0.7


@pytest.mark.parametrize(
    "layer", [nn.ConvTranspose3d(1, 2, 3, stride=2, output_padding=1), nn.Conv3d(1, 2, 3, padding_mode="reflect")]
)
def test_layers_that_would_become_others_are_refused(layer):
    with pytest.raises(ModelError, match="BasicUNet"):
        make_variational(nn.Sequential(layer))
    with pytest.raises(ModelError, match="no variational layer"):
        make_variational(nn.Sequential(nn.ReLU()))
