"""The references beside PyTorch, where it is installed."""

import numpy as np
import pytest
from test_reference import VARIANTS, drawn, hidden, targets_for

from reference_functions import COSTS, costs_from_logits, delta_of
from reference_training import OPTIMIZERS, train_reference

torch = pytest.importorskip("torch")


def torch_activation(name):
    functions = torch.nn.functional
    return (
        {
            "linear": lambda z: z,
            "exponential": torch.exp,
            "leaky_relu, 0.3": lambda z: functions.leaky_relu(z, 0.3),
            "elu, 2": lambda z: functions.elu(z, 2.0),
            "gelu_tanh": lambda z: functions.gelu(z, approximate="tanh"),
            "a user's": torch.sin,
        }.get(name)
        or getattr(functions, name, None)
        or getattr(name)
    )


@hidden
def test_activation_is_that_of_pytorch(name):
    z = np.linspace(-5, 5, 41)
    given = torch.tensor(z, requires_grad=True)
    found = torch_activation(name)(given)
    found.sum().backward()
    np.testing.assert_allclose(VARIANTS[name].function(z), found.detach().numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(VARIANTS[name].derivative(z), given.grad.numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", COSTS)
def test_cost_is_that_of_pytorch(name):
    functions = torch.nn.functional
    z = np.random.default_rng(0).normal(size=(6, 4 if name == "gaussian" else 3))
    cost, _, output = name.partition(", ")
    output = output or ("exponential" if cost == "poisson" else "linear")
    y = targets_for(cost, 6)
    logits, wanted = torch.tensor(z, requires_grad=True), torch.tensor(y)
    margin = (1 - (2 * wanted - 1) * logits).clamp(min=0) if "hinge" in name else None

    def focal(of_each):
        return ((1 - torch.exp(-of_each)) ** 2 * of_each).sum()

    loss = {
        "quadratic": lambda: 0.5 * functions.mse_loss(logits, wanted, reduction="sum"),
        "huber": lambda: functions.huber_loss(logits, wanted, reduction="sum"),
        "absolute": lambda: functions.l1_loss(logits, wanted, reduction="sum"),
        "log_cosh": lambda: torch.log(torch.cosh(logits - wanted)).sum(),
        "quantile": lambda: 0.5 * functions.l1_loss(logits, wanted, reduction="sum"),
        "poisson": lambda: functions.poisson_nll_loss(logits, wanted, log_input=True, reduction="sum"),
        "hinge": lambda: margin.sum(),
        "squared_hinge": lambda: (margin**2).sum(),
        "gaussian": lambda: functions.gaussian_nll_loss(
            logits[:, ::2], wanted, logits[:, 1::2].exp(), eps=0.0, reduction="sum"
        ),
        "focal, sigmoid": lambda: focal(
            functions.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        ),
        "focal, softmax": lambda: focal(functions.cross_entropy(logits, wanted, reduction="none")),
        "cross_entropy, sigmoid": lambda: functions.binary_cross_entropy_with_logits(
            logits, wanted, reduction="sum"
        ),
        "cross_entropy, softmax": lambda: functions.cross_entropy(logits, wanted, reduction="sum"),
    }[name]()
    loss.backward()
    assert costs_from_logits(z, y, output, cost).sum() == pytest.approx(loss.item(), rel=1e-12)
    np.testing.assert_allclose(delta_of(z, y, output, cost), logits.grad.numpy(), rtol=1e-10, atol=1e-13)


def torch_optimizer(name, weights, biases, rate):
    """Biases do not decay."""
    both, optim = [*weights, *biases], torch.optim
    return {
        "sgd": lambda: optim.SGD(both, rate),
        "momentum": lambda: optim.SGD(both, rate, momentum=0.9),
        "nesterov": lambda: optim.SGD(both, rate, momentum=0.9, nesterov=True),
        "rmsprop": lambda: optim.RMSprop(both, rate, alpha=0.9),
        "adam": lambda: optim.Adam(both, rate),
        "adam, decay": lambda: optim.Adam(
            [{"params": weights, "weight_decay": 0.1}, {"params": biases}], rate
        ),
        "adamw": lambda: optim.AdamW(
            [{"params": weights, "weight_decay": 0.01}, {"params": biases, "weight_decay": 0.0}], rate
        ),
        "irprop": lambda: optim.Rprop(both, rate),
    }[name]()


@pytest.mark.parametrize("name", [*OPTIMIZERS, "adam, decay"])
def test_a_hundred_steps_are_those_of_pytorch(name):
    weights, biases, X = drawn(n=40)
    Y = targets_for("cross_entropy", 40)
    batch, rate = (40, 0.01) if name == "irprop" else (10, 0.01)
    orders = [np.random.default_rng(epoch).permutation(40) for epoch in range(100 * batch // 40)]
    found = train_reference(
        weights,
        biases,
        X,
        Y,
        orders,
        batch_size=batch,
        rates=rate,
        activations="gelu",
        output_activation="softmax",
        cost="cross_entropy",
        optimizer=name.partition(",")[0],
        options={"weight_decay": 0.1} if "decay" in name else {},
        l2=0.003,
    )
    tensors_w, tensors_b = (
        [torch.tensor(a, requires_grad=True) for a in arrays] for arrays in (weights, biases)
    )
    optimizer = torch_optimizer(name, tensors_w, tensors_b, rate)
    X, Y = torch.tensor(X), torch.tensor(Y)
    for order in orders:
        for rows in torch.tensor(order).split(batch):
            a = X[rows]
            for layer, (w, b) in enumerate(zip(tensors_w, tensors_b, strict=True)):
                z = a @ w.T + b.T
                a = torch.nn.functional.gelu(z) if layer < 2 else z
            loss = torch.nn.functional.cross_entropy(a, Y[rows]) + 0.0015 * sum(
                (w * w).sum() for w in tensors_w
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for ours, theirs in zip([*found.weights, *found.biases], [*tensors_w, *tensors_b], strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-9, atol=1e-11)
