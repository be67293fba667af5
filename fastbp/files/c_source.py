"""A network as a file of C99 that depends on nothing but the standard library."""

import math
import os
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import __version__
from . import durable
from .exported import Exported, Layer, exported

_PER_LINE = 8  # numbers
_IN_NAMES = str.maketrans(".+-", "_pm")  # a number's characters that no name has

# The body of a function of z: {f} is the suffix of math.h's functions and of literals in that type.
_ACTIVATIONS = {
    "sigmoid": "{real} e = exp{f}(-fabs{f}(z));\n    return (z < 0 ? e : 1) / (1 + e);",
    "tanh": "return tanh{f}(z);",
    "relu": "return z > 0 ? z : 0;",
    "leaky_relu": "return z > 0 ? z : {number} * z;",
    "elu": "return z > 0 ? z : {number} * expm1{f}(z);",
    "gelu": "return z * ({half} * erfc{f}(z * {root}));",
    "gelu_tanh": "return {half} * z * (1 + tanh{f}({c} * z * (1 + {cubic} * z * z)));",
    "silu": "{real} e = exp{f}(-fabs{f}(z));\n    return z * (z < 0 ? e : 1) / (1 + e);",
    "softplus": "return (z > 0 ? z : 0) + log1p{f}(exp{f}(-fabs{f}(z)));",
    "exponential": "return exp{f}(z);",
}
_C_WORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int "
    "long main register restrict return short signed sizeof static struct switch typedef union unsigned "
    "void volatile while "
    "x outputs"  # the function's own arguments
)
_LAYER = """\
static void {name}_layer(const {real} *w, const {real} *b, const {real} *x, {real} *z, int n_in, int n_out)
{{
    for (int j = 0; j < n_out; j++) {{
        {real} sum = b[j];
        for (int k = 0; k < n_in; k++)
            sum += w[(long)j * n_in + k] * x[k];
        z[j] = sum;
    }}
}}
"""
_SOFTMAX = """\
static void {name}_softmax({real} *z, int outputs)
{{
    {real} largest = z[0], sum = 0;
    for (int j = 1; j < outputs; j++)
        largest = z[j] > largest ? z[j] : largest;
    for (int j = 0; j < outputs; j++)
        sum += z[j] = exp{f}(z[j] - largest);
    for (int j = 0; j < outputs; j++)
        z[j] /= sum;
}}
"""


def to_c(net: Any, path: str | os.PathLike[str], *, name: str = "predict") -> None:
    """Writes a network as one file of C99, for programs and microcontrollers without Python.

    The file has the weights as constants and allocates nothing.  It defines::

        void predict(const T *x, U *outputs);   /* one sample */
        int predict_label(const T *x);          /* where the network tells labels: the place of one, from 0 */
        const char *const predict_labels[];     /* and their names */

    T is float or double, the network's type; U is T, or double where values are scaled.  x has what the
    network was trained on, in its units, not yet divided by `input_divisor`; what `uint8_divisor` divides,
    is to be divided before.
    The stack holds two layers' activations.

    Sums are taken in ascending order without fused multiply-add, and exp and the like are the C library's, so
    outputs agree with `Network.outputs` but for rounding.

    Parameters
    ----------
    net : Network
        With activations of its names; a cost may be a user's own.
    path : str or path-like
        Compile it by ``cc -std=c99 -c`` and link with ``-lm``.
    name : str
        Of the function, and the beginning of every other name, so that several networks fit in one program;
        none that the C library has.

    Raises
    ------
    ValueError
        For a name that is none in C, an activation of a user's own, weights that are not finite, or scaling
        that `fit` has not learnt.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastbp import Network
    >>> path = pathlib.Path(tempfile.mkdtemp(), "xor.c")
    >>> to_c(Network([2, 3, 1], seed=0), path, name="xor")
    >>> [line for line in path.read_text().splitlines() if line.startswith("void")]
    ['void xor(const double *x, double *outputs)']
    """
    name = _checked_name(name)
    text = "\n".join(_file(exported(net), name))
    with durable.writing(path) as file:
        file.write(text.encode())


def _checked_name(name: Any) -> str:
    """Returns the name of a function, which C must allow."""
    if (
        not isinstance(name, str)
        or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
        or name in _C_WORDS.split()
    ):
        raise ValueError(f"name: expected a name in C, such as 'predict', got {name!r}")
    return name


def _file(parts: Exported, name: str) -> Iterable[str]:
    sizes, real = ", ".join(map(str, parts.sizes)), _type(parts.dtype)
    yield f"/* A network of [{sizes}] neurons in {real}, written by fastbp {__version__}.  Link with -lm. */"
    yield "#include <math.h>\n"
    for number, layer in enumerate(parts.layers):
        yield _array(f"{name}_w{number}", layer.weights)
        yield _array(f"{name}_b{number}", layer.biases)
    for what, scaling in (("input", parts.inputs), ("output", parts.outputs)):
        if scaling is not None:
            yield _array(f"{name}_{what}_mean", scaling.mean)
            factor = 1.0 / scaling.deviation if what == "input" else scaling.deviation
            yield _array(f"{name}_{what}_factor", factor)
    suffix = "f" if real == "float" else ""
    yield _LAYER.format(name=name, real=real)
    for function in dict.fromkeys(_function(layer, name, parts.dtype) for layer in parts.layers):
        if function:
            yield function
    if any(layer.activation == "softmax" for layer in parts.layers):
        yield _SOFTMAX.format(name=name, real=real, f=suffix)
    yield from _predict(parts, name)
    if parts.classes:
        yield from _label(parts, name)


def _type(dtype: np.dtype) -> str:
    return "float" if dtype == np.float32 else "double"


def _literal(number: Any) -> str:
    """The shortest decimal number that is this one to the bit."""
    text = str(number)
    return f"{text}f" if isinstance(number, np.float32) else text


def _array(name: str, numbers: np.ndarray) -> str:
    flat = list(map(_literal, numbers.ravel()))
    rows = [", ".join(flat[first : first + _PER_LINE]) for first in range(0, len(flat), _PER_LINE)]
    lines = ",\n".join(f"    {row}" for row in rows)
    return f"static const {_type(numbers.dtype)} {name}[{len(flat)}] = {{\n{lines}\n}};\n"


def _function_name(layer: Layer, name: str) -> str:
    """The name of an activation's function in C; includes its number if its body has one."""
    has_number = "{number}" in _ACTIVATIONS[layer.activation]
    number = f"_{layer.number!r}" if has_number else ""
    return f"{name}_{layer.activation}{number.translate(_IN_NAMES)}"


def _function(layer: Layer, name: str, dtype: np.dtype) -> str:
    """An activation in C; empty if it is not a function of a single number, such as the softmax."""
    if layer.activation not in _ACTIVATIONS:
        return ""
    real = _type(dtype)
    body = _ACTIVATIONS[layer.activation].format(
        real=real,
        f="f" if real == "float" else "",
        number=_literal(dtype.type(layer.number)),
        half=_literal(dtype.type(0.5)),
        root=_literal(dtype.type(-math.sqrt(0.5))),
        c=_literal(dtype.type(math.sqrt(2 / math.pi))),
        cubic=_literal(dtype.type(0.044715)),
    )
    return f"static {real} {_function_name(layer, name)}({real} z)\n{{\n    {body}\n}}\n"


def _predict(parts: Exported, name: str) -> Iterable[str]:
    """The function itself, whose layers take turns with two arrays."""
    real, sizes = _type(parts.dtype), parts.sizes
    longest = {"even": 0, "odd": 0}
    lines = []
    current = "x"
    if parts.inputs is not None:
        current, longest["even"] = "even", sizes[0]
        lines.append(f"for (int k = 0; k < {sizes[0]}; k++)")
        lines.append(
            f"    even[k] = ({real})(((double)x[k] - {name}_input_mean[k]) * {name}_input_factor[k]);"
        )
    for number, layer in enumerate(parts.layers):
        n_in, n_out = sizes[number : number + 2]
        if number == len(parts.layers) - 1 and parts.outputs is None:
            target = "outputs"
        else:
            target = ("odd", "even")[number % 2]
            longest[target] = max(longest[target], n_out)
        arrays = f"{name}_w{number}, {name}_b{number}, {current}, {target}"
        lines.append(f"{name}_layer({arrays}, {n_in}, {n_out});")
        if layer.activation == "softmax":
            lines.append(f"{name}_softmax({target}, {n_out});")
        elif layer.activation != "linear":
            lines.append(f"for (int j = 0; j < {n_out}; j++)")
            lines.append(f"    {target}[j] = {_function_name(layer, name)}({target}[j]);")
        current = target
    if parts.outputs is not None:
        lines.append(f"for (int j = 0; j < {sizes[-1]}; j++)")
        lines.append(
            f"    outputs[j] = (double){current}[j] * {name}_output_factor[j] + {name}_output_mean[j];"
        )
    arrays = ", ".join(f"{array}[{length}]" for array, length in longest.items() if length)
    yield f"void {name}(const {real} *x, {_type(parts.output_dtype)} *outputs)\n{{"
    yield from (f"    {line}" for line in ([f"{real} {arrays};"] if arrays else []) + lines)
    yield "}\n"


def _label(parts: Exported, name: str) -> Iterable[str]:
    real, outputs = _type(parts.dtype), parts.sizes[-1]
    names = ", ".join(f'"{_escaped(str(label))}"' for label in parts.classes)
    yield f"const char *const {name}_labels[{len(parts.classes)}] = {{{names}}};\n"
    yield f"int {name}_label(const {real} *x)\n{{"
    yield f"    {real} outputs[{outputs}];"
    yield f"    {name}(x, outputs);"
    if outputs == 1:
        yield f"    return outputs[0] >= {_literal(parts.dtype.type(0.5))};"
    else:
        yield "    int best = 0;"
        yield f"    for (int j = 1; j < {outputs}; j++)"
        yield "        best = outputs[j] > outputs[best] ? j : best;"
        yield "    return best;"
    yield "}\n"


def _escaped(text: str) -> str:
    """The inside of a string literal: octal escapes, of three digits, for all but plain characters."""
    plain = {byte: chr(byte) for byte in range(32, 127) if chr(byte) not in '"\\?'}
    return "".join(plain.get(byte, f"\\{byte:03o}") for byte in text.encode())
