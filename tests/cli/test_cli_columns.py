"""Tables to train on: which columns are inputs, what is learned, and what each refusal says."""

import sys

import numpy as np
import polars
import pytest

import fastbp
from command import refused, said
from fastbp.cli import columns
from fastbp.cli.columns import Roles

HEADER = "a,b,y\n"
ROWS = "".join(f"{number},{-number},{number % 2}\n" for number in range(12))
FIXED = "fill missing numbers first"


@pytest.fixture
def loaded(tmp_path):
    """A function that reads a text as a table."""

    def load(text, targets=("y",), **roles):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return columns.load(str(path), Roles(targets, **roles))

    return load


PLAIN = HEADER + ROWS


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.encode("utf-8-sig"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", " , "),
        PLAIN.replace("\n", "\n\n"),
        PLAIN.replace(",", '","').replace("\n", '"\n"')[:-1].join(['"', ""]),
    ],
)
def test_however_a_table_is_written_it_holds_the_same(loaded, text):
    table = loaded(text)
    assert table.inputs == ("a", "b")
    assert table.X.tolist() == [[number, -number] for number in range(12)]
    assert (table.y.tolist(), table.y.dtype, table.weights) == ([0, 1] * 6, np.int64, None)


def test_names_may_be_anything(loaded):
    text = PLAIN.replace("a,b", '"with, a comma","über\nzwei ""Zeilen"""')
    assert loaded(text).inputs == ("with, a comma", 'über\nzwei "Zeilen"')
    assert loaded("1,2,y\n" + ROWS).inputs == ("1", "2")


@pytest.mark.parametrize("cell", ["one; two", "one\ttwo", '"one; two"', '"a\tb;c"'])
def test_cells_may_hold_other_separators(loaded, cell):
    text = PLAIN.replace("\n", f",{cell}\n").replace(cell, "city", 1)
    assert loaded(text, dropped=("city",)).inputs == ("a", "b")


@pytest.mark.parametrize(
    ("first", "second", "targets", "task", "y"),
    [
        ("0,true 1,false 2,true", "3,False 4,True", ("y", "b"), None, [[3, 0], [4, 1]]),
        ("True,1 False,2", "true,3 FALSE,4", ("y",), "values", [1, 0]),
        ("1,1 2,2 x,3", "1,3 2,4", ("y",), "labels", ["1", "2"]),
        ("True,1 False,2", "TRUE,3 FALSE,4", ("y",), None, ["True", "False"]),
        ("true,1 x,2", "true,3 x,4", ("y",), None, ["true", "x"]),
        ("true,1 x,2", "true,3 true,4", ("y",), None, ["true", "true"]),
        ("1,1 0,2 1,3 0,4", "True,3 False,4", ("y",), None, [1, 0]),
    ],
)
def test_another_table_is_read_as_the_first(tmp_path, first, second, targets, task, y):
    paths = [tmp_path / "first.csv", tmp_path / "second.csv"]
    for path, rows in zip(paths, (first, second), strict=True):
        path.write_text("\n".join(["y,b,a", *(f"{row},1" for row in rows.split())]))
    roles = Roles(targets, task=task)
    one = columns.load(str(paths[0]), roles)
    other = columns.load(str(paths[1]), roles, one)
    assert (other.y.tolist(), other.y.dtype.kind) == (y, one.y.dtype.kind)
    paths[1].write_text("y,b,a\n?,?,1\n")
    if one.y.dtype.kind != "U":
        with pytest.raises(ValueError, match=r"second.csv, line 2: expected a number in .*, as"):
            columns.load(str(paths[1]), roles, one)


def test_the_order_of_columns_and_those_left_out(loaded):
    text = "y,id,b,w,a\n" + "".join(f"{number / 3},x{number},1,2,3\n" for number in range(9))
    table = loaded(text, weights="w", dropped=("id",))
    assert (table.inputs, table.X[0].tolist(), table.weights.tolist()) == (("b", "a"), [1, 3], [2.0] * 9)
    assert table.y[1] == 1 / 3


def test_true_and_false_are_numbers_among_inputs_and_labels_as_a_target(loaded):
    table = loaded("a,b,y\n" + "True,1,FALSE\nfalse,2,TRUE\n" * 3)
    assert table.X.tolist() == [[1, 1], [0, 2]] * 3
    assert (set(table.y.tolist()), table.task, table.why) == ({"False", "True"}, "labels", "as y is text")
    table = loaded("a,b,y\n" + "1,True,1\n2,False,0\n" * 3, ("b", "y"))
    assert (table.y.tolist(), table.y.dtype) == ([[1, 1], [0, 0]] * 3, np.int64)
    assert (table.task, table.why) == ("labels", "as the targets are zeros and ones")


@pytest.mark.parametrize(
    ("cells", "task", "learned", "why"),
    [
        (["no", "yes"], None, "labels", "as y is text"),
        ([1, 2], None, "labels", "as y has 2 different whole numbers (--task values would learn numbers)"),
        ([1.0, 2.0], None, "labels", "as y has 2 different whole numbers (--task values would"),
        (range(20), None, "labels", "as y has 20 different whole numbers (--task values would"),
        (range(21), None, "values", "as y has 21 different whole numbers (--task labels would learn"),
        ([0.5, 1], None, "values", "as y has 2 different numbers"),
        ([1, 2], "values", "values", "as --task values says"),
        (range(21), "labels", "labels", "as --task labels says"),
        (["1", "2", "x"], "labels", "labels", "as y is text"),
        (["01234", "80331"], None, "labels", "as y has digits that numbers lose (--task values would"),
        (["01234", "80331"], "labels", "labels", "as y has digits that numbers lose"),
        (["01234", "80331"], "values", "values", "as --task values says"),
        ([2**53, 2**53 + 1], None, "labels", "as y has digits that numbers lose"),
        (range(2**53, 2**53 + 44, 2), None, "values", "as y has 22 different whole numbers"),
        (["true", "False"], "values", "values", "as --task values says"),
    ],
)
def test_what_is_learned(loaded, cells, task, learned, why):
    table = loaded("a,y\n" + "".join(f"1,{cell}\n" for cell in [*cells] * 3), task=task)
    assert table.task == learned
    assert table.why.startswith(why)
    assert table.y.dtype.kind == (
        "f" if learned == "values" else "U" if "text" in why or "lose" in why else "i"
    )
    if "lose" in why:
        assert {*table.y.tolist()} == {*map(str, cells)}


def test_few_rows_of_different_whole_numbers_are_values(loaded):
    assert loaded("a,y\n" + "".join(f"1,{number}\n" for number in range(5))).task == "values"


def test_several_targets_are_values(loaded):
    table = loaded("a,u,v\n" + "".join(f"1,{number},{number / 2}\n" for number in range(5)), ("v", "u"))
    assert (table.task, table.why) == ("values", "as the targets are numbers")
    assert table.y[3].tolist() == [1.5, 3.0]
    assert loaded("a,u,v\n1,0,1\n1,1,0\n", ("u", "v"), task="values").y.dtype == np.float64


TEXTS = HEADER + "1,2,0\n3,Paris,1\n"


@pytest.mark.parametrize(
    ("text", "roles", "parts"),
    [
        ("", {}, ["got an empty file"]),
        (
            "1,2,3\n4,5,6\n",
            {},
            ["line 1: expected the names of the columns, got '1', '2', '3'; add a first line"],
        ),
        ("1.5,true,\n", {}, ["add a first line of names"]),
        (HEADER, {}, ["table.csv: expected rows below the names of the columns, got none"]),
        ("a,a,y\n1,2,3\n", {}, ["line 1: expected names of columns that differ, got 'a' 2 times"]),
        (PLAIN, {"targets": ()}, ["line 1: expected --target and the column to learn, one of 'a', 'b', 'y'"]),
        (PLAIN, {"targets": ("Y",)}, ["--target: expected a column of 'a', 'b', 'y', got 'Y'"]),
        ("price,b\n1,2\n", {"targets": ("prise",)}, ["got 'prise'; did you mean 'price'?"]),
        (PLAIN, {"weights": "w"}, ["--weights: expected a column of 'a', 'b', 'y', got 'w'"]),
        (PLAIN, {"dropped": ("w",)}, ["--drop: expected a column of"]),
        (PLAIN, {"weights": "y"}, ["--weights: expected another column, got 'y', as in --target"]),
        (PLAIN, {"dropped": ("a", "b")}, ["expected columns beside those of the options, got 'a', 'b', 'y'"]),
        (",a,y\n0,1,2\n", {}, ["expected a name of every column, got none of column 1", "--drop ''"]),
        (HEADER + "1,2\n", {}, ["line 2: expected 3 cells, one for each name, got 2"]),
        (
            TEXTS,
            {},
            ["line 3: expected a number in column 'b', got 'Paris'; make a column of zeros and ones"],
        ),
        (TEXTS, {}, ["pandas.get_dummies", "leave the column out: --drop b"]),
        (TEXTS.replace("b", "the city"), {}, ["--drop 'the city'"]),
        (TEXTS.replace("Paris", ""), {}, ["line 3: expected a number in column 'b', got ''", FIXED]),
        (TEXTS.replace("Paris", "NA"), {}, ["got 'NA'", FIXED]),
        (
            TEXTS.replace("Paris", "nan"),
            {},
            ["line 3: expected a finite number in column 'b', got nan", FIXED],
        ),
        (TEXTS.replace("Paris", "inf"), {}, ["line 3: expected a finite number in column 'b', got inf"]),
        (TEXTS.replace("Paris", "2024-02-29"), {}, ["'2024-02-29'; make a number of each date, such as"]),
        (TEXTS.replace("Paris", "29.02.2024 12:00"), {}, ["make a number of each date, such as the days"]),
        (TEXTS.replace("Paris", "29-Feb-2024"), {}, ["make a number of each date, such as the days"]),
        (TEXTS.replace(",", ";").replace("Paris", "0,5"), {}, ["got '0,5'; write decimals with a point"]),
        (HEADER + "1,2,0\n3,4,\n", {}, ["line 3: expected a label or a number in the target 'y', got ''"]),
        (
            HEADER + "1,2,0\n3,4,x\n",
            {},
            ["line 3: expected a number in the target 'y', as in the rows before"],
        ),
        (HEADER + "1,2,x\n3,4,0\n", {}, ["line 3: expected text in the target 'y'", "--task labels reads"]),
        (
            HEADER + "1,2,x\n3,4,z\n",
            {"task": "values"},
            ["expected a number in the target 'y', as --task values"],
        ),
        (
            HEADER + "1,2,.5\n3,4,1\n",
            {"task": "labels"},
            ["line 2: expected a label in the target 'y', got 0.5"],
        ),
        (
            HEADER + "1,2,x\n3,4,x\n",
            {},
            ["expected different values in the target 'y', got 'x' in every row"],
        ),
        (HEADER + "1,2,5\n3,4,5\n", {}, ["got '5.0' in every row: there is nothing to learn"]),
        (
            HEADER + "1,2,0\n3,4,1e999\n",
            {},
            ["line 3: expected a finite number in the target 'y', got '1e999'"],
        ),
        (
            HEADER + "1,2,0\n3,4,1e20\n",
            {"task": "labels"},
            ["line 3: expected a label below 2**53 in the target 'y', got 1e+20"],
        ),
        (TEXTS, {"targets": ("y", "b"), "task": "labels"}, ["in each of several targets", "--target b"]),
        (PLAIN, {"targets": ("y", "a"), "task": "labels"}, ["line 4: expected 0 or 1 in the target 'a'"]),
        (PLAIN, {"weights": "b"}, ["line 3: expected a weight of at least 0 in column 'b', got -1.0"]),
        ("a,w,y\n1,0,2\n2,0,3\n", {"weights": "w"}, ["expected weights above 0 in column 'w', got zeros"]),
        ("a,w,y\n1,x,2\n2,0,3\n", {"weights": "w"}, ["line 2: expected a number in column 'w', got 'x'"]),
        ("a,y\n\xe9,1\n".encode("latin-1"), {}, ["expected text in UTF-8"]),
    ],
)
def test_refusals_name_the_place_and_what_to_do(loaded, text, roles, parts):
    targets = roles.pop("targets", ("y",))
    with pytest.raises(ValueError) as error:
        loaded(text, targets=targets, **roles)
    for part in ("table.csv", *parts):
        assert part in str(error.value)


def test_the_same_refusals_are_a_line_of_the_command(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TEXTS)
    refused(
        said("train", "--data", path, "--target", "y"), f"{path}, line 3: expected a number in column 'b'"
    )
    refused(said("train", "--data", path), "line 1: expected --target and the column to learn")
    refused(
        said("train", "--target", "y"), "--target: expected a table (.csv, .tsv, .txt, .parquet) as --data"
    )
    refused(said("train", "--drop", "y"), "--drop: expected a table")
    refused(said("train", "--data", tmp_path, "--weights", "y"), "--weights: expected a table")
    (tmp_path / "table.csv.gz").write_bytes(b"")
    refused(
        said("train", "--data", tmp_path / "table.csv.gz", "--target", "y"), "or a table (", "another file"
    )
    refused(said("train", "--data", tmp_path / "no.csv", "--target", "y"), "no.csv: No such file")


def test_parquet_is_read_as_csv_is(tmp_path, monkeypatch):
    frame = polars.DataFrame({"a": [1, 2, 3, 4], "b": [0.1, 0.2, 0.3, 1e-7], "c": [True, False] * 2})
    frame = frame.with_columns(polars.Series("y", ["no", "yes"] * 2))
    frame.write_parquet(tmp_path / "table.parquet")
    frame.write_csv(tmp_path / "table.csv")
    one, other = (columns.load(str(tmp_path / f"table.{end}"), Roles(("y",))) for end in ("parquet", "csv"))
    assert np.array_equal(one.X, other.X)
    assert (one.y.tolist(), one.inputs) == (other.y.tolist(), other.inputs)
    net = fastbp.Network([3, 2], seed=0)
    net.save(tmp_path / "net")
    frame.drop("y").write_parquet(tmp_path / "X.parquet")
    status, lines, _ = said("predict", tmp_path / "net", tmp_path / "X.parquet", "--outputs")
    assert (status, len(lines)) == (0, 5)
    refused(said("predict", tmp_path / "net", tmp_path / "X.parquet", "--header"), "got Parquet")
    frame.with_columns(b=None).write_parquet(tmp_path / "holes.parquet")
    outcome = said("train", "--data", tmp_path / "holes.parquet", "--target", "y")
    refused(outcome, "holes.parquet, row 1: expected a number in column 'b', got ''", FIXED)
    (tmp_path / "half.parquet").write_bytes((tmp_path / "table.parquet").read_bytes()[:99])
    refused(
        said("train", "--data", tmp_path / "half.parquet", "--target", "y"), "not a readable Parquet file"
    )
    monkeypatch.setitem(sys.modules, "polars", None)
    outcome = said("train", "--data", tmp_path / "table.parquet", "--target", "y")
    refused(outcome, "expected polars, which reads Parquet; pip install '.[parquet]'", status=1)
    outcome = said("predict", tmp_path / "net", tmp_path / "X.parquet")
    refused(outcome, "expected polars", status=1)
