"""Arguments and help, and that neither needs Numba or NumPy."""

import subprocess
import sys

import pytest

from command import ENVIRONMENT, refused, said


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ("", "COMMAND"),
        ("fly", "'fly'"),
        ("train --fly", "--fly"),
        ("train --epoch 3", "--epoch"),  # no abbreviations
        ("train more.csv", "unrecognized arguments: more.csv; data are named by --data more.csv"),
        ("train --epochs", "--epochs"),
        ("train --epochs 0", "--epochs: expected an integer of at least 1, got '0'"),
        ("train --epochs 1.5", "'1.5'"),
        ("train --batch-size -1", "--batch-size"),
        ("train --learning-rate 0", "--learning-rate: expected a finite number above 0, got '0'"),
        ("train --learning-rate nan", "'nan'"),
        ("train --learning-rate inf", "'inf'"),
        ("train --learning-rate fast", "'fast'"),
        ("train --seed -1", "--seed: expected an integer 0 .. 4294967295, got '-1'"),
        ("train --seed 4294967296", "--seed"),
        ("train --threads 0", "--threads"),
        ("train --threads many", "'many'"),
        ("train --dtype float16", "float16"),
        ("train --compute-dtype float16", "bfloat16"),
        ("train --activation step", "step"),
        ("train --output relu", "--output"),
        ("train --activation softmax", "--activation: invalid choice: 'softmax'"),
        ("train --activation relu step", "'step'"),
        ("train --output-activation step", "--output-activation: invalid choice: 'step'"),
        ("train --cost mse", "--cost: invalid choice: 'mse'"),
        ("train --init zeros", "--init: invalid choice: 'zeros'"),
        ("train --optimizer lbfgs", "--optimizer: invalid choice: 'lbfgs'"),
        ("train --schedule warm", "--schedule: invalid choice: 'warm'"),
        ("train --warmup -1", "--warmup: expected an integer of at least 0, got '-1'"),
        ("train --l2 -1", "--l2: expected a finite number of at least 0, got '-1'"),
        ("train --l1 inf", "--l1: expected a finite number of at least 0, got 'inf'"),
        ("train --dropout 1", "--dropout: expected a number from 0 to below 1, got '1'"),
        ("train --dropout 0.2 nan", "'nan'"),
        ("train --clip-norm 0", "--clip-norm: expected a finite number above 0, got '0'"),
        ("train --class-weight 2", "--class-weight"),
        ("train --frozen x", "--frozen: expected an integer of at least 0, got 'x'"),
        ("train --task regression", "--task"),
        ("train --validation-data some.npz", "--validation-data"),
        ("train --hidden", "--hidden"),
        ("train --hidden 30 0", "--hidden"),
        ("train --sizes 784", "--sizes: expected at least two layers"),
        ("train --sizes 784,x,10", "--sizes: expected an integer of at least 1, got 'x'"),
        ("train --sizes 784,30,10 --hidden 30", "--hidden"),
        ("train --data /nowhere", "--data /nowhere: no such file"),
        (
            f"train --data {__file__}",
            "expected a folder of IDX files, an .npz file or a table (.csv, .tsv, .txt, .parquet), got",
        ),
        ("train --patience 0", "--patience: expected an integer of at least 1, got '0'"),
        ("train --data /nowhere.npz", "/nowhere.npz: No such file"),
        (
            "train --save net.npz",
            "--save net.npz: expected a name that does not end in .npz, such as net.fastbp",
        ),
        ("train --resume", "--resume: expected --checkpoint PATH beside it"),
        ("train --checkpoint /nowhere/net", "--checkpoint /nowhere/net: cannot be written: No such file"),
        ("predict net.fastbp data.npy --proba --outputs", "not allowed with argument --proba"),
        ("predict /nowhere.fastbp data.npy", "/nowhere.fastbp: No such file"),
        ("train --save /nowhere/net.fastbp", "--save /nowhere/net.fastbp: cannot be written: No such file"),
        (f"train --save {__file__}/net.fastbp", "cannot be written"),
        (
            "train --sizes 784,30,5",
            "MNIST, training part: y: expected 5 different labels for 5 outputs, got 10",
        ),
        (
            "train --sizes 783,30,10",
            "shape (samples, 783) for a network of 783 inputs, got (50000, 784)",
        ),
        ("train --hidden 99999999999999", "not enough memory"),
        (f"train --hidden {10**30}", f"network 784,{10**30},10: "),
    ],
)
def test_bad_arguments(arguments, part):
    refused(said(*arguments.split()), part)


def test_help_tells_every_option_and_its_default():
    for arguments, parts in {
        ("--help",): ("train", "info", "--version"),
        ("train", "--help"): (
            *("--data", "--hidden", "--sizes", "--save", "(default: sigmoid)", "(default: float64)"),
            *("--target COLUMN", "--drop COLUMN", "--weights COLUMN", "--scale ", "--patience N"),
            *("--folds K", "--search NAME=VALUE,...", "--report PATH", "scores and searches:"),
            *("(default: 30)", "(default: 10)", "(default: 3.0 ", "(default: 0)", "exit status", "Ctrl-C"),
            *(
                "(default: sgd)",
                "(default: constant)",
                "(default: quadratic",
                "softmax",
                "adamw",
                "he_normal",
            ),
        ),
        ("info", "--help"): ("cache",),
        ("predict", "--help"): ("in any order", "Parquet", "the name of each target"),
    }.items():
        status, out, err = said(*arguments)
        assert (status, err) == (0, [])
        for part in parts:
            assert part in " ".join(" ".join(out).split())


def test_what_needs_no_numbers_imports_none(tmp_path):
    program = """
import sys
from fastbp.cli.main import main
for arguments in ("--version", "train --help", "train --epochs x", "train --data /nowhere",
                  "train --save /nowhere/net.fastbp", "fly"):
    print(main(arguments.split()), file=sys.stderr)
print("numpy" in sys.modules or "numba" in sys.modules, file=sys.stderr)
from fastbp import *
import fastbp
names = dir(fastbp)
print(Network is fastbp.network.Network, "History" in names, hasattr(fastbp, "nothing"), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("fastbp: error: ")]
    assert lines == ["0", "0", "2", "2", "2", "2", "False", "True True False"]
    assert done.returncode == 0
