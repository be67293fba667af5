"""``python -m bench.microcontroller``: an exported network on a Cortex-M4, its memory and its labels.

Compiles the embedded C file of a network of digits by arm-none-eabi-gcc, prints the bytes of flash and RAM
that the linker counts, with what the file needs of the C library, and has the program tell labels on the
board mps2-an386, which QEMU simulates.  They must be those of `Network.predict`.  Debian's packages are
gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from fastbp import Network
from fastbp.datasets import load_mnist
from fastbp.export import to_c

COMPILER, SIZE, BOARD = "arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm"
CPU = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
FLAGS = (*CPU, "-std=c99", "-O2", "-Wall", "-Wextra", "-Wdouble-promotion", "-Werror", "-ffunction-sections")
PROGRAM = """\
#include <stdint.h>
#include <stdio.h>
#include "digit.h"

extern void _start(void);

static void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* the floating-point unit */
    __asm volatile("dsb\\nisb");
    _start();
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))0x20400000, /* the end of RAM, where the stack begins */
    reset,
};

int main(void)
{
    static float x[DIGIT_INPUTS];
    FILE *file = fopen("digits.bin", "rb");
    while (fread(x, sizeof x, 1, file) == 1)
        printf("%d\\n", digit_label(x));
    return 0;
}
"""


def trained(sizes: list[int], epochs: int) -> Network:
    """A network of digits in float32."""
    net = Network(
        sizes,
        activation="relu",
        output_activation="softmax",
        cost="cross_entropy",
        input_divisor=255,
        dtype="float32",
        seed=0,
    )
    training, *_ = load_mnist()
    net.fit(training.X, training.y, epochs=epochs, batch_size=32, optimizer="adam")
    return net


def call(folder: Path, *command: str) -> str:
    """Runs a command in that folder; returns what it prints."""
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def memory(folder: Path) -> tuple[int, int]:
    """Bytes of flash and of static RAM: of the exported file and of what it needs of the C library."""
    linked = ("-nostartfiles", "-Wl,--gc-sections", "-Wl,--entry=digit_label", "--specs=nosys.specs", "-lm")
    call(folder, COMPILER, *FLAGS, "digit.c", "-o", "digit.elf", *linked)
    text, data, bss, *_ = call(folder, SIZE, "digit.elf").splitlines()[1].split()
    return int(text) + int(data), int(data) + int(bss)


def labels_on_the_board(folder: Path, digits: np.ndarray) -> np.ndarray:
    """The labels that the simulated board tells."""
    (folder / "digits.bin").write_bytes(digits.astype("<f4").tobytes())
    (folder / "main.c").write_text(PROGRAM, "ascii")
    linked = ("--specs=rdimon.specs", "-Wl,--section-start=.vectors=0", "-lm")
    call(folder, COMPILER, *FLAGS, "main.c", "digit.c", "-o", "main.elf", *linked)
    board = ("-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none", "-semihosting")
    return np.array(call(folder, BOARD, *board, "-kernel", "main.elf").split(), int)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--hidden", type=int, nargs="+", default=[30])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--digits", type=int, default=1000)
    options = parser.parse_args()
    if missing := [name for name in (COMPILER, SIZE, BOARD) if not shutil.which(name)]:
        print(f"skipped: there is no {', no '.join(missing)}")
        return
    net = trained([784, *options.hidden, 10], options.epochs)
    digits = load_mnist().test.X[: options.digits]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        to_c(net, folder / "digit.c", name="digit", header=True, embedded=True)
        flash, ram = memory(folder)
        told = labels_on_the_board(folder, digits)
    equal = int((told == net.predict(digits)).sum())
    parameters = len(net.parameters)
    print(f"{parameters:,} parameters: {4 * parameters:,} bytes; flash {flash:,} bytes, RAM {ram:,} bytes")
    print(f"{equal:,} of {len(digits):,} labels are equal")
    sys.exit(equal != len(digits))


if __name__ == "__main__":
    main()
