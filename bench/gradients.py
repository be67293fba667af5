"""``python -m bench.gradients``: how far gradients are from central differences, at most.

For every activation (of the hidden layers, or of the outputs), cost, dtype and regulariser, relative to the
gradient's norm.  tests/engine/test_gradient_check.py holds them, and compares with a reference as well.
"""

import sys
from pathlib import Path

# Modules of tests/support import each other by bare names, as pytest's pythonpath lets them.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from differences import HIDDEN, PAIRS, REGULARISERS, largest_differences
from fastbp.options.costs import COSTS


def main() -> None:
    worst: dict[tuple[str, str, str, str], float] = {}
    for regulariser in REGULARISERS:
        for cost, output in PAIRS:
            for hidden in HIDDEN:
                for dtype, found in largest_differences(hidden, output, cost, regulariser).items():
                    for activation in {hidden, output}:
                        place = dtype, regulariser, activation, cost
                        worst[place] = max(worst.get(place, 0.0), found)
    for dtype in ("float64", "float32"):
        for regulariser in REGULARISERS:
            print(f"\n{f'{dtype}, {regulariser}':<18}" + "".join(f"{cost:>15}" for cost in COSTS))
            for activation in [*HIDDEN, "softmax"]:
                cells = [worst.get((dtype, regulariser, activation, cost)) for cost in COSTS]
                shown = "".join(f"{'' if cell is None else f'{cell:.1e}':>15}" for cell in cells)
                print(f"{activation:<18}{shown}")
        print(f"\n{dtype}: {max(value for place, value in worst.items() if place[0] == dtype):.1e} at most")


if __name__ == "__main__":
    main()
