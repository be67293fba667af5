"""Tables for ``fastbp predict``: as many answers as samples, or the line that is not understood."""

import io
import os

import numpy as np
import pandas
import pytest

import fastbp
from command import ENVIRONMENT, refused, run, said
from fastbp import Network
from fastbp.cli import table

X = np.random.default_rng(0).standard_normal((5, 3))
EITHER = "which may be either; --header or --no-header tells which"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Networks by their number of inputs; "abc" was trained on a frame of these columns."""
    folder = tmp_path_factory.mktemp("models")
    for name, inputs, given in (
        (1, 1, X[:, :1]),
        (3, 3, X),
        ("abc", 3, pandas.DataFrame(X, columns=list("abc"))),
    ):
        net = Network([inputs, 4, 1], output_activation="linear", seed=0)
        net.fit(given, X[:, 0], epochs=1, batch_size=5)
        net.save(folder / str(name))
    return folder


@pytest.fixture
def answers(models, tmp_path):
    """A function that runs `fastbp predict` on a text: status, lines, lines on stderr."""

    def ask(text, *options, model=3):
        path = tmp_path / "data.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return said("predict", models / str(model), path, *options)

    return ask


def numbers(outcome):
    status, lines, err = outcome
    assert (status, err, lines[0]) == (0, [], "value")
    return [float(line) for line in lines[1:]]


def predicted(models, X, model=3):
    return fastbp.load(models / str(model)).predict(np.asarray(X, float)).reshape(-1).tolist()


def text(frame, **options):
    return pandas.DataFrame(frame).to_csv(index=False, **options)


NAMED = pandas.DataFrame(X, columns=["a", "2020", "2021"])


@pytest.mark.parametrize(
    "written",
    [
        text(X, header=False),
        text(NAMED),
        text(NAMED.rename(columns={"2020": "nan", "2021": "c"})),
        text(NAMED.rename(columns={"a": "1_0", "2020": "x y", "2021": ""})),
        text(NAMED.rename(columns={"a": "with, a comma", "2020": 'a "quote"', "2021": "a\nline"})),
        text(NAMED.rename(columns={"a": "tab\tand;semicolon"})),
        text(X, header=False, sep="\t"),
        text(NAMED, sep="\t"),
        text(X, header=False, sep=";"),
        text(NAMED, sep=";"),
        text(X, header=False, sep=" "),
        text(NAMED, sep=" "),
        pandas.DataFrame(X).to_string(header=False, index=False, float_format="%.17g"),
        NAMED.to_string(index=False, float_format="%.17g"),
        text(NAMED, lineterminator="\r\n"),
        text(NAMED, lineterminator="\r"),
        "\n\n" + text(NAMED) + "\n \n",
        text(NAMED).replace("\n", "\n\n"),
        text(NAMED).replace(",", " , "),
        text(NAMED).encode("utf-8-sig"),
        text(X, header=False, float_format="%+.17e"),
    ],
)
def test_five_samples_have_five_answers(answers, models, written):
    assert numbers(answers(written)) == predicted(models, X)


WHOLE = np.array([[0, 1, 2], [3, 5, 4], [2, 2, 2]])


@pytest.mark.parametrize(
    "first",
    [
        "0,1,2",
        "1,2,3",
        "2020,2021,2022",
        ",0,1,2",
        "0,1,x",
        "x,0.5,1",
        "x,2,1",
        "1,NA,x",
        "0.5,x,y",
        "0_0,1,2",
        "1st,2nd,3rd",
        "-1.5.0,4,5",
        " 4 , 5 , 6 ",
    ],
)
def test_a_first_line_that_cannot_be_told_is_refused(answers, models, first):
    refused(answers(f"{first}\n9,7,8\n"), "data.csv, line 1: expected the names of columns or", EITHER)


@pytest.mark.parametrize("sep", [",", ";", "\t", " "])
def test_the_user_tells_whether_there_is_a_header(answers, models, sep):
    written = text(X, sep=sep)  # 0, 1, 2
    assert numbers(answers(written, "--header")) == predicted(models, X)
    assert numbers(answers(text(WHOLE, header=False, sep=sep), "--no-header")) == predicted(models, WHOLE)
    assert numbers(answers(text(X, header=False), "--header")) == predicted(models, X[1:])
    refused(answers(text(NAMED, sep=sep), "--no-header"), "line 1: expected a number in column 1, got 'a'")


def test_other_whole_numbers_are_a_sample(answers, models):
    for first in ([2, 1, 0], [0, 0, 0], [0, 2, 4], [-1, 0, 1]):
        rows = [first, [9, 7, 8]]
        assert numbers(answers(text(rows, header=False))) == predicted(models, rows)


@pytest.mark.parametrize("cell", ["", "NA", "nan", "NULL", "None", "N/A", "inf", "-inf"])
def test_a_row_of_missing_numbers_is_no_header(answers, cell):
    outcome = answers(f"{cell},{cell},{cell}\n{text(X, header=False)}")
    if cell.lower().lstrip("-") in ("nan", "inf"):
        refused(outcome, f"line 1: expected a finite number in column 1, got {cell}")
    else:
        refused(outcome, f"line 1: expected a number in column 1, got {cell!r}")


@pytest.mark.parametrize(
    ("written", "part"),
    [
        (
            "5,6,1_000\n",
            f"expected the names of columns or the numbers of a sample, got '5', '6', '1_000', {EITHER}",
        ),
        ("0.5,1,2\n5,6,1_000\n", "line 2: expected a number in column 3, got '1_000'"),
        ("0.5,1,2\n5,6,\u0661\n", "line 2: expected a number in column 3, got '\u0661'"),
        ("0.5,1,2\n5,6,0x10\n", "line 2: expected a number in column 3, got '0x10'"),
        ("0.5,1,2\n,,\n", "line 2: expected a number in column 1, got ''"),
        ("0.5\t1\t2\n\t\t\n", "line 2: expected a number in column 1, got ''"),
        (
            "0,5;1,5;2,5\n0,5;1,5;2,5\n",
            "line 1: expected the names of columns or the numbers of a sample, got",
        ),
        ("a;b;c\n0,5;1,5;2,5\n", "line 2: expected a number in column 1, got '0,5'"),
        ("a,b\n1,2,3\n", "line 2: expected 2 numbers as above, got 3"),
        ("a,b,c\n", "expected a table of numbers, got none"),
        ("0.5,1,2,\n", "line 1: expected a number in column 4, got ''"),
        ("x" * 200_000 + ",b,c\n1,2,4\n", "line 1: field larger than field limit"),
        ("0.5,1," + "x" * 100_000 + "\n", "got '0.5', '1', 'xxxx"),
        ("0.5,1,2\n0.5,1,1e400\n", "line 2: expected a finite number in column 3, got inf"),
        ('0.5,1,2\n0.5,"1,2\n', "line 2: expected 3 numbers as above, got 2"),
        (text(X, header=False).encode("utf-16"), "expected text in UTF-8"),
    ],
)
def test_what_is_no_number_is_named(answers, written, part):
    outcome = answers(written)
    refused(outcome, part)
    assert len(outcome[2][0]) < 600


def test_one_column(answers, models):
    column = X[:, :1]
    for written in (
        text(column, header=False),
        "a\n" + text(column, header=False),
        "a b\n" + text(column, header=False) + "\n\n",
    ):
        assert numbers(answers(written, model=1)) == predicted(models, column, 1)
    refused(answers("0\n0.5\n", model=1), EITHER)
    assert numbers(answers("0\n0.5\n", "--no-header", model=1)) == predicted(models, [[0], [0.5]], 1)
    assert numbers(answers("7\n8\n", model=1)) == predicted(models, [[7], [8]], 1)
    refused(
        answers("0.5\n\n1.5\n", model=1), "line 3: expected a number in every line, as there is one column"
    )
    refused(answers("\n0.5\n", model=1), "got none in the blank line 1")
    refused(
        answers(text([[0.5], [np.nan], [1.5]], header=False), model=1),
        "line 2: expected a number in column 1",
    )
    refused(answers("0.5\n1.5,2.5\n", model=1), "line 2: expected 1 numbers as above, got 2")


def test_columns_are_found_by_their_names(answers, models):
    frame = pandas.DataFrame(X, columns=list("abc"))
    wanted = predicted(models, X, "abc")
    more = frame.assign(y=1.0)[["y", "c", "a", "b"]]
    for written in (frame, frame[["c", "a", "b"]], more):
        for options in ([], ["--header"]):
            assert numbers(answers(text(written), *options, model="abc")) == wanted
    assert numbers(answers(text(more, sep=";"), model="abc")) == wanted
    assert numbers(answers(frame.to_csv(), model="abc")) == wanted, "the index is another column"
    assert numbers(answers(text(frame).replace("a,b,c", "a, b ,c"), model="abc")) == wanted
    assert numbers(answers(text(X, header=False), model="abc")) == wanted


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (
            "a,b,d",
            "line 1: expected one column 'c', as the network was trained on, got none in 'a', 'b', 'd'",
        ),
        ("a,c,c", "expected one column 'b', as the network was trained on, got none in 'a', 'c', 'c'"),
        ("a,b,c,c", "expected one column 'c', as the network was trained on, got 2 in 'a', 'b', 'c', 'c'"),
        ("A,B,C", "expected one column 'a'"),
        ("0,1,2", EITHER),
    ],
)
def test_a_missing_column_is_named(answers, header, part):
    cells = ",".join("123456"[: len(header.split(","))])
    refused(answers(f"{header}\n{cells}\n", model="abc"), part)


def test_names_that_are_numbers(answers, tmp_path):
    net = Network([3, 4, 1], output_activation="linear", seed=0)
    net.fit(pandas.DataFrame(X, columns=["0", "1", "2"]), X[:, 0], epochs=1, batch_size=5)
    net.save(tmp_path / "net")
    path, wanted = tmp_path / "data.csv", net.predict(X).tolist()
    path.write_text(text(pandas.DataFrame(X[:, ::-1], columns=["2", "1", "0"])))
    refused(said("predict", tmp_path / "net", path), EITHER)
    assert numbers(said("predict", tmp_path / "net", path, "--header")) == wanted
    path.write_text(text(pandas.DataFrame(X, columns=["0", "1", "2"]).assign(y=1)))
    assert numbers(said("predict", tmp_path / "net", path)) == wanted, "y is a name"


def test_a_table_is_no_pipe(models, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(
        said("predict", models / "3", tmp_path / "pipe"), "expected a file, which is read twice, got a pipe"
    )


def test_header_is_for_tables(models, tmp_path):
    np.save(tmp_path / "X.npy", X)
    refused(
        said("predict", models / "3", tmp_path / "X.npy", "--header"),
        "expected a table of text with --header",
    )
    (tmp_path / "idx").write_bytes(b"\0\0\x08\1\0\0\0\1\0")
    refused(said("predict", models / "3", tmp_path / "idx", "--no-header"), "got an IDX file")


def test_answers_in_a_pipe_are_utf_8_as_those_in_a_file(tmp_path):
    net = Network([3, 2], seed=0)
    net.fit(X, ["grün", "中文", "grün", "中文", "grün"], epochs=1, batch_size=5)
    net.save(tmp_path / "net")
    np.savetxt(tmp_path / "rows.csv", X, delimiter=",")
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "cp1252"}
    done = run("predict", tmp_path / "net", tmp_path / "rows.csv", env=environment, encoding="utf-8")
    assert done.stdout.splitlines() == ["label", *net.predict(X)]


def test_every_number_is_read_as_python_reads_it(tmp_path):
    generator = np.random.default_rng(0)
    wanted = generator.standard_normal((200, 3)) * 10.0 ** generator.integers(-300, 300, (200, 3))
    buffer = io.StringIO()
    np.savetxt(buffer, wanted, delimiter=",", fmt="%.17g")
    path = tmp_path / "data.csv"
    path.write_text(buffer.getvalue())
    assert np.array_equal(table.read(str(path), None, []), wanted)
