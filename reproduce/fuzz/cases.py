"""Cases: the text of a network's, its data's and its recipe's arguments, drawn from a seed.

Arguments are text, so that a case can be printed as the script that was run, and made smaller by leaving out
one after another.
"""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, NamedTuple

from fastbp.options.schedules import SCHEDULES

_SETUP = """\
import numpy as np
{imports}from fastbp import *

random, sizes, n = np.random.default_rng, {sizes}, {n}
X = {X}
y = {y}


def network(**other):
    np.random.seed(0)
    return Network(sizes, **{{**dict({network}), **other}})


def recipe(**other):
    return {{**dict({recipe}), **other}}
"""
_WIDTHS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 40, 65)
_LARGE = 0.02  # the share of cases of more samples than a block's 512
_MOST_STEPS = 40
_HIDDEN = (
    *("'sigmoid'", "'tanh'", "'relu'", "'leaky_relu'", "'elu'", "'gelu'", "'silu'", "'softplus'", "'linear'"),
    *("LeakyReLU(0.2)", "LeakyReLU(-0.1)", "ELU(0.7)", "GELU('tanh')", "'exponential'"),
)
_OWN = "Activation(np.sin, np.cos)"  # of arrays, so that NumPy trains
_OPTIMIZERS = {  # text -> the power of ten of the largest rate
    "'sgd'": -0.5,
    "'momentum'": -1,
    "'nesterov'": -1,
    "'rmsprop'": -2,
    "'adam'": -1.5,
    "'adamw'": -1.5,
    "'irprop'": -1.5,
    "Momentum(0.5)": -1,
    "Nesterov(0.99)": -1.5,
    "RMSprop(0.99, 0.001)": -1.5,
    "Adam(0.8, 0.9, 0.0001, 0.1)": -1.5,
    "Adam(beta_1=0.0)": -1.5,
    "AdamW(0.85, 0.99, weight_decay=0.2)": -1.5,
    "IRprop(1.5, 0.3, 0.0001, 0.1)": -1.5,
}
_SCHEDULES = (
    *("'step'", "'exponential'", "'cosine'", "'one_cycle'", "Constant(warmup=3)", "Step(4, 0.5, warmup=2)"),
    *("Exponential(0.9, warmup=1)", "Exponential(0.8, every=3)", "Cosine(0.1, 11, 5)", "Cosine(warmup=2)"),
    *("OneCycle(0.4, 0.1, 0.01)", "OneCycle(0.5, 0.1, 0.01, 9)", "lambda step: 0.02 / (1 + step)"),
)
_CALLBACKS = (
    "[EarlyStopping('loss', patience=1)]",
    "[EarlyStopping('loss', patience=1, restore_best_weights=True)]",
    "[ReduceLROnPlateau('loss', patience=1, factor=0.5)]",
    "[ReduceLROnPlateau('loss', 0.5, 1), ReduceLROnPlateau('loss', 0.8, 2)]",
)
_COSTS = {  # cost -> the activations of its outputs
    "'quadratic'": ("'sigmoid'", "'tanh'", "'linear'", "'relu'", "'softmax'", "'gelu'", "'softplus'"),
    "'cross_entropy'": ("'sigmoid'", "'softmax'"),
    "CrossEntropy(0.1)": ("'sigmoid'", "'softmax'"),
    "Focal(1.5)": ("'sigmoid'", "'softmax'"),
    "'huber'": ("'linear'", "'tanh'", "'softmax'"),
    "Huber(0.3)": ("'linear'", "'silu'"),
    "'absolute'": ("'linear'", "'sigmoid'"),
    "'log_cosh'": ("'linear'", "'tanh'"),
    "'quantile'": ("'linear'", "'softplus'"),
    "Quantile(0.9)": ("'linear'",),
    "'hinge'": ("'linear'",),
    "'squared_hinge'": ("'linear'",),
    "'gaussian'": ("'linear'",),
    "'poisson'": ("'exponential'", "'softplus'", "'sigmoid'"),
}
_OF_SIDES = ("'hinge'", "'squared_hinge'")
_OF_PROBABILITIES = ("'cross_entropy'", "CrossEntropy(0.1)", "Focal(1.5)")


class Case(NamedTuple):
    """A network of `sizes` and `n` samples; all else is text of Python, arguments by their names."""

    sizes: tuple[int, ...]
    n: int
    X: str
    y: str
    network: dict[str, str]
    recipe: dict[str, str]

    def setup(self) -> str:
        """The script that makes X, y, and the functions network and recipe."""
        modules = ("scipy.sparse", "pandas")
        imports = "".join(f"import {name}\n" for name in modules if f"{name}." in self.X)
        texts = self._asdict() | {name: _arguments(getattr(self, name)) for name in ("network", "recipe")}
        return _SETUP.format(**texts | {"imports": imports, "sizes": list(self.sizes)})


def _arguments(texts: dict[str, str]) -> str:
    return ", ".join(f"{name}={text}" for name, text in texts.items())


def made(case: Case) -> dict[str, Any]:
    """The names that the case's script defines."""
    names: dict[str, Any] = {}
    exec(compile(case.setup(), "case", "exec"), names)
    return names


# ---------------------------------------------------------------- drawn


def draw(seed: int) -> Case:
    """The case of a seed."""
    chance = Random(seed)
    is_large = chance.random() < _LARGE
    widths = (1, 2, 3, 5) if is_large else _WIDTHS
    sizes = [chance.choice(widths) for _ in range(chance.choice((2, 3, 3, 3, 4, 4, 5)))]
    n = chance.randint(513, 1300) if is_large else chance.choice((*range(1, 40), 70))
    cost = chance.choice(list(_COSTS))
    output = chance.choice(_COSTS[cost])
    if output == "'softmax'":
        sizes[-1] = max(2, sizes[-1])
    if cost == "'gaussian'":
        sizes[-1] += sizes[-1] % 2
    y, kind = _targets(chance, cost, output, sizes[-1], n)
    X, is_whole = _samples(chance)
    network = {
        **dict(_activations(chance, len(sizes) - 2)),
        "output_activation": output,
        "cost": cost,
        **dict(_network(chance, len(sizes) - 1, cost, kind)),
    }
    if network.get("activation") == _OWN:
        network.pop("compute_dtype", None)
    if is_whole and "scale_inputs" not in network and chance.random() < 0.9:
        divisors = ("input_divisor", "uint8_divisor") if "uint8" in X else ("input_divisor",)
        network[chance.choice(divisors)] = "255"
    recipe = dict(_recipe(chance, n, kind))
    return Case(tuple(sizes), n, X, y, network, recipe)


def _targets(chance: Random, cost: str, output: str, outputs: int, n: int) -> tuple[str, str]:
    """The text of y, and its kind."""
    if cost == "'poisson'":
        return "random(3).integers(0, 4, (n, sizes[-1])).astype(float)", "counts"
    if cost == "'gaussian'":
        texts = {"rows": "random(3).normal(size=(n, sizes[-1] // 2))"}
        if outputs == 2:
            texts["numbers"] = "random(3).normal(size=n)"
        kind = chance.choice(list(texts))
        return texts[kind], kind
    texts = {"labels": "random(3).integers(0, sizes[-1], n)"}
    if n >= outputs:
        texts["names"] = "np.array([f'of {i}' for i in range(sizes[-1])])[np.arange(n) % sizes[-1]]"
    if outputs == 1:
        texts = {"binary": "random(3).integers(0, 2, n)"}
    if cost in _OF_PROBABILITIES and output == "'softmax'":
        texts["shares"] = "random(3).dirichlet(np.ones(sizes[-1]), n)"
    elif cost in (*_OF_PROBABILITIES, *_OF_SIDES):
        texts["bits"] = "random(3).integers(0, 2, (n, sizes[-1]))"
    else:
        texts |= {"rows": "random(3).normal(size=(n, sizes[-1]))", "values": "random(3).normal(size=(n, 1))"}
        if outputs > 1:
            del texts["values"]
        else:
            texts["numbers"] = "random(3).normal(size=n)"
    kind = chance.choice(list(texts))
    return texts[kind], kind


def _samples(chance: Random) -> tuple[str, bool]:
    """The text of X, and whether its numbers are those of pixels."""
    shape = "(n, sizes[0])"
    normal, pixels = f"random(1).normal(size={shape})", f"random(1).integers(0, 256, {shape})"
    few = f"(random(2).random({shape}) < 0.1)"
    kind = chance.random()
    if kind < 0.35:
        return normal + chance.choice(("", ".astype('float32')")), False
    if kind < 0.5:
        return f"random(1).integers(-9, 10, {shape}) / 8", False
    if kind < 0.6:
        return f"pandas.DataFrame({normal}, columns=[f'of {{i}}' for i in range(sizes[0])])", False
    if kind < 0.7:
        return f"scipy.sparse.csr_matrix({normal} * {few})", False
    if kind < 0.8:
        return f"scipy.sparse.csr_matrix(({pixels} * {few}).astype('uint8'))", True
    return f"{pixels}.astype('{chance.choice(('uint8', 'uint8', 'int64', 'float32'))}')", True


def _activations(chance: Random, hidden: int) -> Iterator[tuple[str, str]]:
    if hidden and chance.random() < 0.8:
        one = _OWN if chance.random() < 0.03 else chance.choice(_HIDDEN)
        several = [chance.choice(_HIDDEN) for _ in range(hidden)]
        yield "activation", f"[{', '.join(several)}]" if chance.random() < 0.4 else one


def _network(chance: Random, layers: int, cost: str, kind: str) -> Iterator[tuple[str, str]]:
    def is_set(share: float) -> bool:
        return chance.random() < share

    if is_set(0.5):
        yield "dtype", "'float32'"
        if is_set(0.1):
            yield "compute_dtype", "'bfloat16'"
    if is_set(0.7):
        yield "seed", str(chance.choice((0, 1, 7, 2**64 - 1)))
    if is_set(0.3):
        yield "init", chance.choice(("'he_normal'", "'orthogonal'", "'lecun_normal'", "'glorot_uniform'"))
    if layers > 1 and is_set(0.3):
        rates = chance.choice(
            ("0.3", "0.7", str([chance.choice((0.0, 0.2, 0.5)) for _ in range(layers - 1)]))
        )
        yield "dropout", rates
    if is_set(0.15):
        yield "frozen", str(chance.randrange(layers))
    if is_set(0.2):
        yield "scale_inputs", "True"
    if kind in ("rows", "values", "numbers") and is_set(0.3):
        yield "scale_outputs", "True"


def _recipe(chance: Random, n: int, kind: str) -> Iterator[tuple[str, str]]:
    def is_set(share: float) -> bool:
        return chance.random() < share

    epochs = chance.randint(1, 4)
    batch = chance.choice((1, 2, 3, 5, 7, 8, 10, 16, 17, 32, n, n + 1))
    if n > 512 and is_set(0.7):
        batch = chance.choice((513, 600, n, 2 * n))
    yield "epochs", str(epochs)
    yield "batch_size", str(max(batch, n * epochs // _MOST_STEPS, 1))
    optimizer = chance.choice(["'sgd'", *_OPTIMIZERS]) if is_set(0.9) else "'sgd'"
    yield "learning_rate", f"{10 ** chance.uniform(-4, _OPTIMIZERS[optimizer]):.2g}"
    if optimizer != "'sgd'" or is_set(0.2):
        yield "optimizer", optimizer
    if is_set(0.3):
        yield "schedule", chance.choice(_SCHEDULES)
    for name, texts in (
        ("l2", ("0.1", "0.003")),
        ("l1", ("0.01", "0.001")),
        ("clip_norm", ("0.05", "0.5", "100.0")),
    ):
        if is_set(0.2):
            yield name, chance.choice(texts)
    if is_set(0.15):
        yield (
            "sample_weight",
            chance.choice(("random(5).uniform(0.1, 2, n)", "1 + random(5).integers(0, 3, n)")),
        )
    if kind in ("labels", "binary") and is_set(0.3):
        yield "class_weight", chance.choice(("'balanced'", "{0: 2.5}", "{1: 0.5, 0: 0}"))
    if is_set(0.15):
        yield "shuffle", "False"
    if is_set(0.1):
        yield "data_seed", "5"
    if is_set(0.2):
        yield "validation_data", "(X, y)"
    elif n >= 10 and is_set(0.15):
        yield "validation_split", "0.3"
    if is_set(0.15):
        yield "metrics", "'mse'"
    if is_set(0.2):
        yield "callbacks", chance.choice(_CALLBACKS)


def schedule_of(recipe: Mapping[str, Any]) -> Any:
    """The schedule of a recipe, an object or a function."""
    schedule = recipe.get("schedule", "constant")
    return SCHEDULES[schedule]() if isinstance(schedule, str) else schedule
