"""Trainings that are given trouble end with the bits of others, and a mismatch is told."""

import pytest

from reproduce import soak

pytestmark = pytest.mark.skipif(not hasattr(soak.os, "fork"), reason="no fork")


@pytest.fixture(autouse=True)
def three_threads(monkeypatch):
    monkeypatch.setenv("FASTBP_NUM_THREADS", "3")


@pytest.mark.sampled
@pytest.mark.parametrize("name", soak.TROUBLES)
def test_each_trouble(name, monkeypatch, full, capsys):
    monkeypatch.setattr(soak, "TROUBLES", {name: soak.TROUBLES[name]})
    report, cases = soak.Report(), 20 if full else 1
    for seed in range(cases):
        soak.check(seed, report)
    assert not report.wrong
    assert report.counts == {name: cases}


def test_other_bits_are_told(monkeypatch, capsys):
    monkeypatch.setattr(soak, "TROUBLES", {"threads": soak.in_threads})
    digest = soak.digest
    monkeypatch.setattr(
        soak,
        "digest",
        lambda case, *keepers, threads: digest(case, *keepers, threads=threads) + b"2" * (threads == 2),
    )
    report = soak.Report()
    soak.check(5, report)
    assert [line.split(":")[0] for line in report.wrong] == ["threads"]
    assert report.wrong[0].endswith("other bits (--seed 5)")
    assert "1 mismatches (threads 1)" in str(report)


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        (lambda: b"done", 0, b"done"),
        (lambda: soak.sys.exit(143), 143, b""),
        (lambda: soak.os.kill(soak.os.getpid(), 9), -9, b""),
        (lambda: soak.time.sleep(60), None, b""),
        (
            lambda: soak.os.stat("/no/such/file"),
            75,
            b"FileNotFoundError: [Errno 2] No such file or directory",
        ),
    ],
)
def test_how_a_child_ends(call, code, said, monkeypatch):
    monkeypatch.setattr(soak, "_SECONDS", 1.0)
    found, result = soak.Child(call).result()
    assert found == code and result.startswith(said)
