"""Optimizer steps and the moving average of the weights."""

import pytest
import torch
from torch import nn

from voice_training.trainer.optimizer import ClippedAdamW, MovingAverage, add_prefix, average_weights, select_prefix


def regression(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(8, 3)


def loss_of(module, step):
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(step))
    return (module(x) - x[:, :3] * 2).square().mean()


def optimizer_of(module):
    return ClippedAdamW(module, weight_decay=0.0, betas=(0.9, 0.98), max_norm=1.0)


def test_the_loss_falls_and_large_gradients_are_clipped():
    module = regression()
    optimizer = optimizer_of(module)
    first = loss_of(module, 0).item()
    norms = [float(optimizer.step(100 * loss_of(module, step), 0.02)) for step in range(200)]
    assert norms[0] > 1.0  # the norm before clipping
    assert loss_of(module, 999).item() < first / 20


def test_a_resumed_training_continues():
    unbroken = regression()
    optimizer = optimizer_of(unbroken)
    for step in range(60):
        optimizer.step(loss_of(unbroken, step), 0.01)
    state = optimizer.state()
    resumed = regression(seed=1)
    second = optimizer_of(resumed)
    second.resume(state)
    losses = [loss_of(resumed, 999).item()]
    assert losses[0] == pytest.approx(loss_of(unbroken, 999).item(), rel=1e-3)
    for step in range(60, 90):
        second.step(loss_of(resumed, step), 0.01)
        losses.append(loss_of(resumed, 999).item())
    # Without second moments, the first steps would be too large and raise the loss.
    assert max(losses) == losses[0]
    assert losses[-1] < 0.9 * losses[0]


def test_the_average_follows_slowly_but_quickly_at_first():
    module = regression()
    average = MovingAverage(module, decay=0.99)
    before = average.module.weight.clone()
    with torch.no_grad():
        module.weight.add_(1.0)
    average.update(module, step=0)
    assert torch.allclose(average.module.weight, before + 0.9, atol=1e-5)
    average.update(module, step=100_000)
    assert torch.allclose(average.module.weight, before + 0.9 + 0.1 * 0.01, atol=1e-5)
    assert not average.module.weight.requires_grad


def test_the_average_is_exported_in_half_precision():
    module = nn.BatchNorm1d(4)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    exported = average_weights(nn.BatchNorm1d(4), MovingAverage(module, 0.9).state())
    assert exported["weight"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert exported["weight"].dtype is torch.float16
    assert exported["running_mean"].dtype is torch.float32


def test_parts_of_a_state_are_selected_by_prefix():
    state = add_prefix("a.", {"x": torch.ones(1)}) | add_prefix("b.", {"x": torch.zeros(1)})
    assert select_prefix("b.", state) == {"x": torch.zeros(1)}


def test_the_state_of_another_module_is_refused():
    with pytest.raises(ValueError, match="resume with the recipe that it was made with"):
        optimizer_of(nn.Linear(4, 4)).resume(optimizer_of(regression()).state())
