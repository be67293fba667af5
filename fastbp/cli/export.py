"""``fastbp export`` writes a saved network for other runtimes."""

import argparse
from typing import Any

from . import saving
from .failure import FAILED, Failure, reason
from .interrupt import Interrupt

_TEXT = """\
Write a saved network as an ONNX model, where OUT ends in .onnx, or as a file of C99 without dependencies,
where it ends in .c.  Its inputs are floats in the units of the training."""


def add_to(commands: Any) -> None:
    export = commands.add_parser(
        "export",
        help="write a saved network as ONNX or C",
        description=_TEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    export.add_argument("model", metavar="MODEL", help="a file that fastbp train or Network.save wrote")
    export.add_argument("out", metavar="OUT", help="the file to write, .onnx or .c")
    export.add_argument("--name", default="predict", help="name of the C function (default: predict)")
    export.add_argument("--header", action="store_true", help="also write the declarations, as OUT's .h")
    export.add_argument(
        "--embedded", action="store_true", help="for microcontrollers: floats alone, in static memory"
    )
    export.set_defaults(run=_run)


def _run(options: argparse.Namespace, interrupt: Interrupt) -> int:
    from ..network import load

    if not options.out.endswith((".onnx", ".c")):
        raise Failure(f"{options.out}: expected a name that ends in .onnx or .c")
    if options.out.endswith(".onnx") and (options.header or options.embedded):
        raise Failure(f"--header, --embedded: expected a file of C, got {options.out}")
    saving.writable("OUT", options.out, {"MODEL": options.model})
    if options.header:
        saving.writable("--header", f"{options.out.removesuffix('.c')}.h", {"MODEL": options.model})
    try:
        net = load(options.model)
    except (OSError, ValueError) as error:
        raise Failure(reason(error)) from error
    from ..export import to_c, to_onnx

    try:
        if options.out.endswith(".c"):
            to_c(net, options.out, name=options.name, header=options.header, embedded=options.embedded)
        else:
            to_onnx(net, options.out)
    except ValueError as error:
        raise Failure(f"{options.model}: {error}") from error
    except (ImportError, OSError) as error:
        raise Failure(reason(error), FAILED) from error
    return 0
