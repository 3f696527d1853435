import pytest
import torch
from torch import nn

from zeroshot.networks import optimisation


def step(recipe, n_steps=1, gradient=1.0):
    """Apply a recipe to the parameters of two layers, all 1; return their values by name after steps with a constant gradient."""
    encoder, head = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 3, 1)
    for parameter in (*encoder.parameters(), *head.parameters()):
        nn.init.ones_(parameter)
    optimizer = recipe.optimizer([*encoder.named_parameters()], [*head.named_parameters(prefix="head")])
    for number in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr(number, n_steps) * group["scale"]
            for parameter in group["params"]:
                parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()
    named = [*encoder.named_parameters(prefix="encoder"), *head.named_parameters(prefix="head")]
    return {name: parameter.detach().unique().tolist() for name, parameter in named}


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_biases_have_their_own_rate_and_no_weight_decay(name):
    """The first step of either optimiser is the learning rate times the gradient, if that is 1."""
    values = step(optimisation.constant(name, 0.1, 2.0, 0.9, 0.0))
    expected = {"encoder.weight": 0.9, "encoder.bias": 0.8, "head.weight": 0.9, "head.bias": 0.8}
    assert values == {key: [pytest.approx(value)] for key, value in expected.items()}
    decayed = step(optimisation.constant(name, 0.1, 2.0, 0.0, 0.5), gradient=0.0)
    weight = {"adam": 0.9, "sgd": 1 - 0.1 * 0.5}[name]
    assert decayed == {key: [pytest.approx(weight if "weight" in key else 1.0)] for key in expected}


def test_the_rate_is_constant_and_sgd_has_momentum():
    values = step(optimisation.constant("sgd", 0.1, 2.0, 0.5, 0.0), n_steps=3)
    # Velocities 1, 1.5 and 1.75.
    assert values["encoder.weight"] == [pytest.approx(1 - 0.1 * 4.25)]
    assert values["head.bias"] == [pytest.approx(1 - 0.2 * 4.25)]


def test_adam_follows_its_definition_with_the_default_betas():
    recipe = optimisation.constant("adam", 0.1, 1.0, 0.0, 0.0)
    assert [recipe.lr(number, 10) for number in (0, 5, 9)] == [0.1, 0.1, 0.1]
    parameter = nn.Parameter(torch.ones(1))
    optimizer = recipe.optimizer([("weight", parameter)], [])
    value, mean, square = 1.0, 0.0, 0.0
    for number, gradient in enumerate((1.0, -3.0, 0.5), 1):
        parameter.grad = torch.tensor([gradient])
        optimizer.step()
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        value -= 0.1 * (mean / (1 - 0.9**number)) / ((square / (1 - 0.999**number)) ** 0.5 + 1e-8)
        assert parameter.item() == pytest.approx(value, rel=1e-5)
