"""A network as a file of C99 that depends on nothing but the standard library."""

import math
import os
import pathlib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import __version__
from ..data.arrays import check_finite
from . import durable
from .exported import Exported, Layer, exported

_PER_LINE = 8  # numbers
_IN_NAMES = str.maketrans(".+-", "_pm")  # a number's characters that no name has

_PLAIN = {chr(byte) for byte in range(32, 127)} - {*'"\\?*'}  # what literals and comments have as it is

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
_WORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int "
    "long main register restrict return short signed sizeof static struct switch typedef union unsigned "
    "void volatile while "
    "alignas alignof and asm bitand bitor bool catch class compl constexpr decltype delete explicit export "
    "false friend mutable namespace new noexcept not nullptr operator or private protected public template "
    "this throw true try typeid typename using virtual xor "  # of C++, which may include the header
    "x outputs"  # the function's own arguments
)
_MATH = (  # in math.h; most have forms that end in f and l
    "acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim "
    "floor fma fmax fmin fmod frexp hypot ilogb isfinite isinf isnan isnormal ldexp lgamma llrint llround "
    "log log10 log1p log2 logb lrint lround modf nan nearbyint nextafter nexttoward pow remainder remquo "
    "rint round scalbln scalbn signbit sin sinh sqrt tan tanh tgamma trunc"
)
_TAKEN = {*_WORDS.split(), *(word + suffix for word in _MATH.split() for suffix in ("", "f", "l"))}
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


def to_c(
    model: Any,
    path: str | os.PathLike[str],
    *,
    name: str = "predict",
    header: bool = False,
    embedded: bool = False,
) -> None:
    """Writes a network as one file of C99, for programs and microcontrollers without Python.

    The file has the weights as constants and allocates nothing.  It begins with a comment that has the
    prototypes, what the numbers are, and an example call.  It defines::

        void predict(const T *x, U *outputs);   /* one sample */
        int predict_label(const T *x);          /* where the network tells labels: the place of one, from 0 */
        const char *const predict_labels[];     /* and their names */

    T is float or double, the network's type; U is T, or double where values are scaled.  x has what the
    model was trained on, in its units, not yet divided by `input_divisor` or scaled by a pipeline; samples
    that `uint8_divisor` divides must be divided beforehand.  The stack holds two layers' activations.

    Sums are taken in ascending order without fused multiply-add, and exp and the like are the C library's, so
    outputs agree with `Network.outputs` but for rounding.

    Parameters
    ----------
    model : Network, estimator of fastbp.sklearn, or Pipeline
        With activations of its names; a cost may be a user's own.  The steps of a pipeline before its
        estimator may be StandardScaler, MinMaxScaler and SimpleImputer, which the file applies itself.
    path : str or path-like
        Compile it by ``cc -std=c99 -c`` and link with ``-lm``.
    name : str
        Name of the function and prefix of all other names, so that several networks fit in one program; must
        not be a name of the C library.
    header : bool
        If True, also writes the declarations, to a file whose name ends in .h instead of .c.
    embedded : bool
        If True, all numbers are float, which halves a network in float64, and the activations lie in static
        memory instead of the stack, so that the linker tells all memory; the function is not reentrant then.

    Raises
    ------
    ValueError
        For a name that is none in C or is taken by C, C++ or math.h, an activation of a user's own, weights
        that are not finite, scaling that `fit` has not learnt, a step that cannot be folded in, or, with
        `header`, a path that ends in .h.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from fastbp import Network
    >>> path = pathlib.Path(tempfile.mkdtemp(), "gate.c")
    >>> to_c(Network([2, 3, 1], seed=0), path, name="gate")
    >>> [line for line in path.read_text().splitlines() if line.startswith("void")]
    ['void gate(const double *x, double *outputs)']
    """
    name = _checked_name(name)
    source = pathlib.Path(path)
    declarations = source.with_suffix(".h") if header else None
    if declarations == source:
        raise ValueError(
            f"path: expected a name that does not end in .h, for the header has it, got {source}"
        )
    parts = exported(model)
    if embedded:
        parts = _narrow(parts)
    texts = {source: "\n".join(_file(parts, name, embedded, declarations))}
    if declarations:
        texts[declarations] = "\n".join(_header(parts, name, embedded))
    for file_path, text in texts.items():
        with durable.writing(file_path) as file:
            file.write(text.encode())


def _narrow(parts: Exported) -> Exported:
    """The same network in float32."""
    with np.errstate(over="ignore"):
        layers = [
            layer._replace(weights=layer.weights.astype(np.float32), biases=layer.biases.astype(np.float32))
            for layer in parts.layers
        ]
        for what, scaling in (("input scaling", parts.inputs), ("output scaling", parts.outputs)):
            mean, deviation = scaling or (np.zeros(1), np.ones(1))
            for numbers in (mean, deviation, 1 / deviation):
                check_finite(numbers.astype(np.float32)[:, None], np.dtype(np.float32), what)
    for number, layer in enumerate(layers):
        check_finite(layer.weights, layer.weights.dtype, f"weights[{number}]")
        check_finite(layer.biases[:, None], layer.biases.dtype, f"biases[{number}]")
    return parts._replace(layers=layers, dtype=np.dtype(np.float32))


def _checked_name(name: Any) -> str:
    """Returns the name of a function, which C must allow."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in _TAKEN:
        raise ValueError(
            f"name: expected a name in C, such as 'predict', that C, C++ and math.h leave free, got {name!r}"
        )
    return name


def _file(parts: Exported, name: str, embedded: bool, declarations: pathlib.Path | None) -> Iterable[str]:
    real, wide = _type(parts.dtype), np.dtype(np.float32 if embedded else np.float64)
    yield from _comment(parts, name, embedded)
    yield "#include <math.h>"
    yield f'#include "{declarations.name}"\n' if declarations else ""
    for number, layer in enumerate(parts.layers):
        yield _array(f"{name}_w{number}", layer.weights)
        yield _array(f"{name}_b{number}", layer.biases)
    if parts.fills is not None:
        yield _array(f"{name}_input_fill", parts.fills.astype(wide if parts.inputs else parts.dtype))
    for what, scaling in (("input", parts.inputs), ("output", parts.outputs)):
        if scaling is not None:
            yield _array(f"{name}_{what}_mean", scaling.mean.astype(wide))
            factor = 1.0 / scaling.deviation if what == "input" else scaling.deviation
            yield _array(f"{name}_{what}_factor", factor.astype(wide))
    yield _LAYER.format(name=name, real=real)
    for function in dict.fromkeys(_function(layer, name, parts.dtype) for layer in parts.layers):
        if function:
            yield function
    if any(layer.activation == "softmax" for layer in parts.layers):
        yield _SOFTMAX.format(name=name, real=real, f="f" if real == "float" else "")
    yield from _predict(parts, name, embedded)
    if parts.classes:
        yield from _label(parts, name)


def _comment(parts: Exported, name: str, embedded: bool) -> Iterable[str]:
    """The beginning of a file: its prototypes, what the numbers are, and an example."""
    sizes, inputs, outputs = parts.sizes, parts.sizes[0], parts.sizes[-1]
    real, result = _type(parts.dtype), _type(_output_type(parts, embedded))
    layers = ", ".join(map(str, sizes))
    yield f"/* A network of [{layers}] neurons in {real}, written by fastbp {__version__}."
    yield "   Compile it by cc -std=c99 -c, and link with -lm.\n"
    yield from (f"       {line}" for line in _prototypes(parts, name, embedded))
    filled = "" if parts.fills is None else ", or NaN where one is missing"
    yield f"\n   x        {inputs} numbers, in the units of the training, neither scaled nor divided{filled}"
    for number, column in enumerate(parts.columns):
        yield f"            {number}: {''.join(c if c in _PLAIN else '_' for c in column)}"
    yield f"   outputs  {outputs} numbers: {_meaning(parts)}"
    if parts.classes:
        yield f"   {name}_label gives the place of the label in {name}_labels, which has {len(parts.classes)}"
    if embedded:
        yield "   Activations are in static memory: one call at a time."
    yield f"\n       {real} x[{inputs}] = {{0}};"
    yield f"       {result} outputs[{outputs}];"
    yield f"       {name}(x, outputs);"
    if parts.classes:
        yield f"       puts({name}_labels[{name}_label(x)]);"
    yield "*/"


def _header(parts: Exported, name: str, embedded: bool) -> Iterable[str]:
    """The declarations, and the numbers of inputs and outputs as macros."""
    guard = f"{name.upper()}_H"
    yield from _comment(parts, name, embedded)
    yield f"#ifndef {guard}\n#define {guard}\n"
    yield f"#define {name.upper()}_INPUTS {parts.sizes[0]}"
    yield f"#define {name.upper()}_OUTPUTS {parts.sizes[-1]}\n"
    yield '#ifdef __cplusplus\nextern "C" {\n#endif'
    yield from _prototypes(parts, name, embedded)
    yield "#ifdef __cplusplus\n}\n#endif\n\n#endif\n"


def _output_type(parts: Exported, embedded: bool) -> np.dtype:
    """The type of the outputs: double if they are scaled, because their mean may be far from 0."""
    return parts.dtype if parts.outputs is None or embedded else np.dtype(np.float64)


def _meaning(parts: Exported) -> str:
    activation = parts.layers[-1].activation
    probable = activation in ("softmax", "sigmoid")
    if parts.is_paired:
        values = "a mean and a log variance v for each value, in the units of the training"
        return f"{values}; its deviation is exp(v / 2)"
    match parts.task:
        case "value" | "values":
            return "values, in the units of the training"
        case "binary":
            return f"{'the probability' if probable else 'the output'} of the second label"
        case "labels" if activation == "sigmoid":
            return "the sigmoid of each label, which predict_proba divides by their sum"
    return f"{'the probability' if probable else 'the output'} of each label"


def _prototypes(parts: Exported, name: str, embedded: bool) -> Iterable[str]:
    real = _type(parts.dtype)
    yield f"void {name}(const {real} *x, {_type(_output_type(parts, embedded))} *outputs);"
    if parts.classes:
        yield f"int {name}_label(const {real} *x);"
        yield f"extern const char *const {name}_labels[{len(parts.classes)}];"


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


def _predict(parts: Exported, name: str, embedded: bool) -> Iterable[str]:
    """The function itself, whose layers take turns with two arrays."""
    real, sizes = _type(parts.dtype), parts.sizes
    result = _type(_output_type(parts, embedded))
    longest = {"even": 0, "odd": 0}
    lines = []
    current = "x"
    if parts.inputs is not None or parts.fills is not None:
        current, longest["even"] = "even", sizes[0]
        lines.append(f"for (int k = 0; k < {sizes[0]}; k++)")
        lines.append(f"    even[k] = {_input(parts, name, embedded)};")
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
        scaled = f"({result}){current}[j] * {name}_output_factor[j] + {name}_output_mean[j]"
        lines.append(f"    outputs[j] = {scaled};")
    arrays = ", ".join(f"{array}[{length}]" for array, length in longest.items() if length)
    memory = [f"{'static ' * embedded}{real} {arrays};"] if arrays else []
    yield f"void {name}(const {real} *x, {result} *outputs)\n{{"
    yield from (f"    {line}" for line in memory + lines)
    yield "}\n"


def _input(parts: Exported, name: str, embedded: bool) -> str:
    """An input as the first layer reads it: filled where it is missing, then scaled."""
    wide = parts.inputs is not None and not embedded  # scaled in double
    value = "(double)x[k]" if wide else "x[k]"
    if parts.fills is not None:
        value = f"(isnan(x[k]) ? {name}_input_fill[k] : {value})"
    if parts.inputs is None:
        return value
    scaled = f"({value} - {name}_input_mean[k]) * {name}_input_factor[k]"
    return f"({_type(parts.dtype)})({scaled})" if wide else scaled


def _label(parts: Exported, name: str) -> Iterable[str]:
    real, outputs = _type(parts.dtype), parts.sizes[-1]
    names = ", ".join(f'"{_escaped(str(label))}"' for label in parts.classes)
    yield f"const char *const {name}_labels[{len(parts.classes)}] = {{{names}}};\n"
    yield f"int {name}_label(const {real} *x)\n{{"
    yield f"    {real} outputs[{outputs}];"
    yield f"    {name}(x, outputs);"
    if outputs == 1:
        yield f"    return outputs[0] >= {_literal(parts.dtype.type(parts.threshold))};"
    else:
        yield "    int best = 0;"
        yield f"    for (int j = 1; j < {outputs}; j++)"
        yield "        best = outputs[j] > outputs[best] ? j : best;"
        yield "    return best;"
    yield "}\n"


def _escaped(text: str) -> str:
    """The inside of a string literal: octal escapes, of three digits, for all but plain characters."""
    return "".join(chr(byte) if chr(byte) in _PLAIN else f"\\{byte:03o}" for byte in text.encode())
