"""The options of ``fastbp train``, and its help."""

import argparse
from collections.abc import Callable, Collection
from typing import Any

from ..options.activations import ACTIVATIONS, OUTPUT_ACTIVATIONS
from ..options.costs import COSTS
from ..options.initializers import INITIALIZERS
from ..options.optimizers import OPTIMIZERS
from ..options.schedules import SCHEDULES
from . import arguments

BOOK_LEARNING_RATE = 3.0  # of the book's recipe: sigmoids, the quadratic cost, plain SGD
SEARCHED = (  # options that --search may vary
    *("hidden", "activation", "output_activation", "cost", "label_smoothing", "init", "dropout", "dtype"),
    *("epochs", "batch_size"),
    *("optimizer", "learning_rate", "schedule", "warmup", "l2", "l1", "clip_norm", "class_weight"),
)

_DESCRIPTION = """\
Train a fully connected network by mini-batch gradient descent and show how well it does.

Without --data it learns the handwritten digits of MNIST, which are part of the package: 50,000 to train on,
10,000 for validation after every epoch, 10,000 for the test at the end.  By default it uses sigmoids, the
quadratic cost and plain SGD."""

_EPILOG = """\
your own data:
  A table, .csv, .tsv, .txt or .parquet, whose first line names the columns.  --target names the column to
  learn, or several; the others are the inputs, but for those of --weights and --drop.  Inputs are numbers, or
  true and false.  Text is learned as labels, digits with leading zeros as text, and whole numbers of which
  there are few different ones as labels, too; other numbers are values.  Several targets are values, or zeros
  and ones (several labels at once).  The network keeps the names: fastbp predict finds the columns by them,
  in any order, and names its answers.
  Or a folder of IDX files under MNIST's names (train-images-idx3-ubyte, train-labels-idx1-ubyte and, for the
  test part, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte; each plain or .gz), or a file written by
  numpy.savez(path, X=..., y=..., X_test=..., y_test=...), the last two where there is a test part.  Its y
  holds a label per sample, integers or text, or a row of zeros and ones (several labels at once), or values.
  A tenth of the training samples, drawn by the seed with the same share of each label, or of small and large
  values, is held out for validation after every epoch, and another tenth for the test at the end where there
  is no test part.
  There is an output for each different label of the training part.  Pixels, which MNIST and IDX folders hold,
  are divided by 255; other samples are used unchanged, unless --scale is given.

scores and searches:
  --folds K trains K networks, each on all samples but a K-th part, on which it is scored: by accuracy, or by
  R^2 of values, weighted by --weights and --class-weight.  Folds are drawn as held-out parts are.  No sample
  is held out for a test, and no network is left behind, unless --save is given: then one more is trained on
  everything.
  --search 'learning_rate=0.001,0.01 hidden=32,64/32' trains by each combination, lists the scores, by the
  folds or else by the validation part, and then trains by the best as usual.  A slash is between layers.

saved networks:
  fastbp.load, fastbp predict and fastbp info read them, in any process.  The safetensors library reads their
  arrays, which are named weights.0, biases.0, weights.1 ... and equal Network.weights and Network.biases.

checkpoints:
  --checkpoint also saves the state of the training itself: every half minute, at its end, and when a signal
  ends it.  The same command with --resume continues from there with bit-identical results, or starts anew
  if the file does not exist yet.

Ctrl-C ends training early: the network learned so far is tested, and saved if --save was given.  So does
SIGTERM, and SIGHUP unless it is ignored, as under nohup.

exit status: 0 done, 1 training diverged or another failure (nothing is saved), 2 bad arguments or files,
  128 + n ended by signal n (130 by Ctrl-C), 141 the reader of the output has gone (saved, as after Ctrl-C)"""


def add_to(commands: Any) -> argparse.ArgumentParser:
    """Adds the command with its options, and returns its parser."""
    train: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="train a network, on MNIST or on your own data, such as a CSV file",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    train.add_argument("surplus", nargs="*", help=argparse.SUPPRESS)  # refused, with a hint
    _add_data(train.add_argument_group("data"))
    network = train.add_argument_group("network")
    _add_layers(network)
    _add_arithmetic(network)
    training = train.add_argument_group("training")
    _add_steps(training)
    _add_reproducibility(training)
    _add_scores(train.add_argument_group("scores and searches"))
    _add_files(train.add_argument_group("files"))
    return train


def _choose(group: Any, option: str, choices: Collection[str], text: str, **more: Any) -> None:
    """Adds an option that takes one of the names, which its help lists."""
    listed = f"{', '.join(choices)}: {text}"
    group.add_argument(option, choices=choices, metavar="NAME", help=listed, **more)


def _add(group: Any, option: str, type_: Callable[[str], Any], metavar: str, text: str, **more: Any) -> None:
    """Adds an option that takes a value, whose help ends in its default."""
    default = " (default: %(default)s)" if "default" in more else ""
    group.add_argument(option, type=type_, metavar=metavar, help=text + default, **more)


def _add_data(group: Any) -> None:
    group.add_argument(
        "--data",
        metavar="PATH",
        help="a table (.csv, .tsv, .txt, .parquet), a folder of IDX files or an .npz file (default: the "
        "included MNIST)",
    )
    group.add_argument(
        "--target", nargs="+", default=[], metavar="COLUMN", help="columns of the table that are learned"
    )
    group.add_argument("--weights", metavar="COLUMN", help="column of the table that weighs the samples")
    group.add_argument(
        "--drop", nargs="+", default=[], metavar="COLUMN", help="columns of the table that are left out"
    )
    group.add_argument(
        "--test-data",
        metavar="PATH",
        help="another table with these columns, for the test at the end (default: a tenth of the rows)",
    )
    group.add_argument(
        "--task",
        choices=("labels", "values"),
        help="kind of y (default: of a table as described below; else labels if its dtype is integer, bool "
        "or text, values if it is float)",
    )
    group.add_argument(
        "--validation-data",
        choices=("none",),
        help="skip the validation after every epoch (default: the validation part of the data, or a tenth "
        "of the training samples)",
    )


def _add_layers(group: Any) -> None:
    layers = group.add_mutually_exclusive_group()
    layers.add_argument(
        "--hidden",
        type=arguments.whole(1),
        nargs="+",
        default=[30],
        metavar="N",
        help="neurons in each hidden layer, such as 100 50; the data give the other layers (default: 30)",
    )
    layers.add_argument(
        "--sizes", type=arguments.sizes, metavar="N,N,...", help="neurons in every layer, such as 784,30,10"
    )
    _choose(
        group,
        "--activation",
        ACTIVATIONS,
        "of all hidden layers, or one name per hidden layer (default: sigmoid)",
        nargs="+",
        default=["sigmoid"],
    )
    _choose(
        group,
        "--output-activation",
        OUTPUT_ACTIVATIONS,
        "of the last layer (default: linear for values and with --cost hinge or squared_hinge, exponential "
        "with --cost poisson; sigmoid for labels, softmax with --cost cross_entropy or focal and more than "
        "two classes)",
    )
    _choose(
        group,
        "--cost",
        COSTS,
        "the cost to minimise (default: quadratic, or cross_entropy for several labels at once)",
    )
    _choose(
        group,
        "--init",
        INITIALIZERS,
        "initial weights (default: normal for sigmoids with the quadratic cost, otherwise chosen by the "
        "activation)",
    )


def _add_arithmetic(group: Any) -> None:
    group.add_argument(
        "--dtype",
        choices=("float64", "float32"),
        default="float64",
        help="of weights and arithmetic; float32 is faster (default: float64)",
    )
    group.add_argument(
        "--compute-dtype",
        choices=("bfloat16",),
        help="of what products read, with --dtype float32 (default: that of the weights)",
    )
    _add(
        group,
        "--dropout",
        arguments.share,
        "RATE",
        "share of hidden neurons left out at random of every step; one rate, or one per hidden layer",
        nargs="+",
    )
    _add(
        group,
        "--input-divisor",
        arguments.positive,
        "D",
        "divides every sample (default: 255 for pixels, else 1)",
    )
    for what, of in (("inputs", "samples"), ("outputs", "values")):
        text = f"scale every column of {of} to mean 0 and standard deviation 1"
        group.add_argument(f"--scale-{what}", action="store_const", const=True, help=text)
    group.add_argument(
        "--scale",
        action="store_true",
        help="--scale-inputs, and --scale-outputs where values are learned with linear outputs",
    )
    _add(
        group,
        "--frozen",
        arguments.whole(0),
        "L",
        "layers that keep their initial weights and biases; 0 is the first",
        nargs="+",
    )


def _add_steps(group: Any) -> None:
    _add(group, "--epochs", arguments.whole(1), "N", "passes over the training data", default=30)
    _add(group, "--batch-size", arguments.whole(1), "N", "samples in a mini-batch", default=10)
    _add(
        group,
        "--patience",
        arguments.whole(1),
        "N",
        "stop when the cost of the validation part has not fallen for N epochs, and keep the best weights",
    )
    _choose(group, "--optimizer", OPTIMIZERS, "turns a gradient into a step (default: sgd)")
    _add(
        group,
        "--learning-rate",
        arguments.positive,
        "RATE",
        f"step size along a mini-batch's mean gradient (default: {BOOK_LEARNING_RATE} for sigmoids with the "
        "quadratic cost and sgd, else the optimizer's usual one)",
    )
    _choose(group, "--schedule", SCHEDULES, "of the learning rate, per step (default: constant)")
    _add(
        group,
        "--warmup",
        arguments.whole(0),
        "STEPS",
        "steps over which the learning rate first rises to its value",
    )
    _add(group, "--l2", arguments.at_least_0, "C", "adds C/2 times the sum of squared weights to the cost")
    _add(group, "--l1", arguments.at_least_0, "C", "adds C times the sum of absolute weights to the cost")
    _add(
        group, "--clip-norm", arguments.positive, "NORM", "scales down a gradient whose global norm is larger"
    )
    group.add_argument(
        "--class-weight",
        choices=("balanced",),
        help="gives every class the same total weight, however rare it is",
    )
    _add(
        group,
        "--label-smoothing",
        arguments.share,
        "SHARE",
        "share by which targets move towards even odds, with --cost cross_entropy",
    )


def _add_reproducibility(group: Any) -> None:
    _add(
        group,
        "--seed",
        arguments.whole(0, 2**32 - 1),
        "N",
        "of the initial weights, the orders of samples, dropout and the samples held out",
        default=0,
    )
    _add(
        group,
        "--threads",
        arguments.threads,
        "N",
        "a number, or auto; the network is the same for any number",
        default="auto",
    )


def _add_scores(group: Any) -> None:
    _add(group, "--folds", arguments.whole(2), "K", "score by cross-validation in K folds")
    group.add_argument(
        "--search",
        nargs="+",
        action="extend",
        metavar="NAME=VALUE,...",
        help=f"train by every combination of values, then by the best; names are {', '.join(SEARCHED)}",
    )


def _add_files(group: Any) -> None:
    group.add_argument("--save", metavar="PATH", help="save the network to this file (default: not saved)")
    group.add_argument(
        "--checkpoint",
        metavar="PATH",
        help="save the state of the training to this file, which may exist only with --resume",
    )
    group.add_argument(
        "--report",
        metavar="PATH",
        help="write an HTML page of data, recipe, curves, test and importance of columns (needs matplotlib)",
    )
    group.add_argument("--resume", action="store_true", help="continue from the checkpoint if it exists")
