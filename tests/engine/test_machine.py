"""The machine's CPUs and cache, on which no bit depends."""

import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import fastbp
from command import ENVIRONMENT, POINTS, refused, run, said
from experiments import Case, bits, in_new_process
from fastbp.engine import machine, packed
from fastbp.engine.machine import Cache, cpus, free_cpus, second_level_cache
from fastbp.options.optimizers import OPTIMIZERS


def test_cpus_are_what_the_environment_says_within_reason(monkeypatch):
    most = 4 * os.cpu_count()
    monkeypatch.delenv("FASTBP_NUM_THREADS", raising=False)
    available = cpus()
    assert 1 <= available <= os.cpu_count()
    said = {"1": 1, "3": 3, str(most + 1): most, "1000000000": most, "1" + "0" * 4000: most, "": available}
    for text, expected in said.items():
        monkeypatch.setenv("FASTBP_NUM_THREADS", text)
        assert cpus() == expected, text


@pytest.mark.parametrize("text", ["x", "0", "-1", "many", "2.5", " ", "9" * 5000])
def test_a_number_of_threads_that_is_none_is_refused_where_it_counts(text, monkeypatch):
    monkeypatch.setenv("FASTBP_NUM_THREADS", text)
    expected = r"^FASTBP_NUM_THREADS: expected a whole number of at least 1, got '.{1,50}'; unset it"
    net, X, y = fastbp.Network([30, 40, 2], seed=0), np.zeros((20_000, 30)), np.zeros(20_000, int)
    before = net.fingerprint()
    for call in (
        cpus,
        free_cpus,
        lambda: net.predict(X),
        lambda: net.fit(X, y, epochs=1, batch_size=200, threads=2),
        lambda: net.fit(X, y, epochs=1, batch_size=20_000),
        lambda: net.value_and_gradient(X, y, threads=2),
    ):
        with pytest.raises(ValueError, match=expected):
            call()
    assert net.fingerprint() == before
    net.predict(X[:1])  # a row takes one thread, whatever there may be


def trained_in_many_ways():
    """The bits of what each way of training and of computing gives."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  the global generator
    X = np.linspace(-1, 1, 240).reshape(60, 4)
    y, pairs = (X[:, 0] > X[:, 1]).astype(np.int64), [(x[:, None], np.ones((2, 1))) for x in X]
    net, options = fastbp.Network([4, 5, 2]), {"epochs": 2, "batch_size": 7}
    net.fit(X, y, validation_data=(X, y), **options)
    net.fit([(X, y)], **options)
    net.fit(X, y, shuffle=False, **options)
    net.SGD(pairs, 2, 7, 0.1)
    net.update_mini_batch(pairs, 0.1)
    together = fastbp.Ensemble(3, [4, 5, 2], seed=0)
    together.fit(X, y, validation_split=0.2, **options)
    return [
        net.fingerprint(), together.parameters.tobytes(),
        net.outputs(X).tobytes(), together.outputs(X).tobytes(), net.predict(X).tolist(),
        net.score(X, y), net.value_and_gradient(X, y)[1].tobytes(),
        net.input_gradient(X, y).tobytes(),
    ]  # fmt: skip


def test_numpys_default_integers_may_have_32_bits(monkeypatch):
    """As on Windows: with NumPy 1 all, and with NumPy 2 those of its older random numbers."""
    expected = trained_in_many_ways()

    def narrow(make):
        def made(*arguments, dtype=None, **options):
            array = make(*arguments, dtype=dtype, **options)
            return array.astype(np.int32) if dtype is None and array.dtype == np.int64 else array

        return made

    permutation = np.random.permutation
    monkeypatch.setattr(np.random, "permutation", lambda n: permutation(n).astype(np.int32))
    monkeypatch.setattr(np, "arange", narrow(np.arange))
    assert trained_in_many_ways() == expected


def test_threads_that_a_library_has_replaced_make_no_team():
    """As gevent's, which would wait for each other on one thread of the system."""
    code = (
        "import _thread; start = _thread.start_new_thread; "
        "green = lambda *arguments: start(*arguments); green.__module__ = 'gevent.thread'; "
        "_thread.start_new_thread = green; from fastbp.engine.machine import cpus; print(cpus())"
    )
    environment = {**os.environ, "FASTBP_NUM_THREADS": "3"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS"])
def test_the_variables_of_others_are_not_ours_to_refuse(name, monkeypatch):
    monkeypatch.delenv("FASTBP_NUM_THREADS", raising=False)
    available = free_cpus()
    monkeypatch.setenv(name, "garbage")
    assert free_cpus() == available


def test_schedulers_leave_fewer_cpus_to_what_takes_as_many_as_there_are(monkeypatch):
    monkeypatch.setattr(machine, "cpus", lambda: 6)
    for name in ("FASTBP_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert free_cpus() == 6
    for numba, omp, expected in [
        ("2", "", 2),
        ("", "3", 3),
        ("4", "3", 3),
        ("9", "", 6),
        ("0", "x", 6),
        ("", "4,2", 4),
    ]:
        monkeypatch.setenv("NUMBA_NUM_THREADS", numba)
        monkeypatch.setenv("OMP_NUM_THREADS", omp)
        assert free_cpus() == expected
    monkeypatch.setenv("FASTBP_NUM_THREADS", "6")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert free_cpus() == 6


GROUPS = {  # name -> lines of /proc/self/cgroup, files below /sys/fs/cgroup, CPUs of eight
    "none": (["0::/"], {}, 8),
    "unlimited": (["0::/"], {"cpu.max": "max 100000"}, 8),
    "its own": (["0::/"], {"cpu.max": "350000 100000"}, 3),
    "less than one": (["0::/"], {"cpu.max": "10000 100000"}, 1),
    "more than there are": (["0::/"], {"cpu.max": "9000000 100000"}, 8),
    "the one above": (["0::/a/b"], {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2),
    "a container's": (["0::/docker/0123"], {"cpu.max": "200000 100000"}, 2),
    "version 1": (
        ["7:cpuset:/", "3:cpu,cpuacct:/a", "0::/"],
        {"cpu,cpuacct/a/cpu.cfs_quota_us": "400000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
        4,
    ),
    "version 1, unlimited": (
        ["1:cpu:/"],
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        8,
    ),
    "damaged": (["0::/", "nonsense"], {"cpu.max": "lots"}, 8),
}


@pytest.mark.survives("few CPUs")
@pytest.mark.parametrize("name", GROUPS)
def test_a_quota_of_control_groups_is_kept_to(name, tmp_path, monkeypatch):
    lines, files, expected = GROUPS[name]
    for path, text in {**files, "own": "\n".join(lines)}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{text}\n")
    monkeypatch.setattr(machine, "_GROUPS", str(tmp_path))
    monkeypatch.setattr(machine, "_OWN_GROUPS", str(tmp_path / "own"))
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("FASTBP_NUM_THREADS", raising=False)
    assert cpus() == expected


def in_group(folder):
    """Team and bits of a fit in a control group that allows one CPU."""
    (Path(folder) / "cgroup.procs").write_text(str(os.getpid()))
    net = fastbp.Network([6, 9, 3], seed=0)
    history = net.fit(np.eye(6), np.arange(6) % 3, epochs=2, batch_size=3)
    return cpus(), history.threads, net.fingerprint()


@pytest.fixture
def group():
    """A control group of one CPU, where this process may make one."""
    for top, name, text in (
        ("/sys/fs/cgroup", "cpu.max", "100000 100000"),
        ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "100000"),
    ):
        folder = Path(top, f"fastbp-{os.getpid()}")
        with suppress(OSError):
            if Path(top, "cgroup.procs").exists():
                folder.mkdir()
                (folder / name).write_text(text)
                break
    else:
        pytest.skip("this process may make no control group")
    yield folder
    folder.rmdir()


@pytest.mark.survives("few CPUs")
def test_a_real_control_group_of_one_cpu(group):
    net = fastbp.Network([6, 9, 3], seed=0)
    net.fit(np.eye(6), np.arange(6) % 3, epochs=2, batch_size=3)
    found = in_new_process(f"test_machine.in_group({str(group)!r})", FASTBP_NUM_THREADS="")
    assert found == [1, [1, 1], net.fingerprint()]


def without_libgomp():
    """Whether a team trains to the bits of one thread, and libraries of OpenMP that it has loaded."""
    found = []
    for threads in (1, 2):
        net = fastbp.Network([6, 9, 3], seed=0)
        net.fit(np.eye(6), np.arange(6) % 3, epochs=2, batch_size=3, threads=threads)
        found.append(net.fingerprint())
    maps = Path("/proc/self/maps").read_text()
    return found[0] == found[1], [name for name in ("libgomp", "libomp", "libiomp", "libtbb") if name in maps]


@pytest.mark.survives("few CPUs")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_library_of_threads_is_needed():
    assert in_new_process("test_machine.without_libgomp()", FASTBP_NUM_THREADS="2") == [True, []]


@pytest.fixture
def asked(monkeypatch):
    """Asks the system again, and clears the cached answer afterwards."""
    monkeypatch.delenv("FASTBP_L2", raising=False)
    second_level_cache.cache_clear()
    yield second_level_cache
    second_level_cache.cache_clear()


@pytest.fixture
def sysfs(tmp_path, monkeypatch):
    """A system with these caches of its first CPU: (level, size, CPUs that share it)."""

    def with_caches(*caches):
        for number, cache in enumerate(caches):
            folder = tmp_path / "cpu3" / "cache" / f"index{number}"
            folder.mkdir(parents=True)
            for name, text in zip(("level", "size", "shared_cpu_list"), cache, strict=True):
                (folder / name).write_text(text + "\n")

    monkeypatch.setattr(machine, "_CPUS", tmp_path)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {5, 3}, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    return with_caches


@pytest.mark.parametrize(
    ("size", "shared", "bytes_"),
    [
        ("512K", "3", 512 << 10),
        ("2M", "2-3", 1 << 20),
        ("4096K", "0-3,8-11", 512 << 10),
        ("65536", "3", 65536),
    ],
)
def test_a_cache_is_told_by_the_system(size, shared, bytes_, sysfs, asked):
    sysfs(("1", "32K", "3"), ("2", size, shared), ("3", "32M", "0-15"))
    assert asked() == Cache(bytes_, "the system")


@pytest.mark.parametrize("size", ["", "many", "0K", "-1", "1K"])
def test_a_cache_is_assumed_where_nobody_tells(size, sysfs, asked):
    sysfs(("2", size, "3"))
    assert asked() == Cache() == (512 << 10, "assumed, for the system does not tell")


def test_a_machine_without_such_folders(sysfs, asked):
    assert asked() == Cache()


def test_the_environment_says_more_than_the_system(sysfs, asked, monkeypatch):
    sysfs(("2", "1M", "3"))
    monkeypatch.setenv("FASTBP_L2", "256K")
    assert asked() == Cache(256 << 10, "FASTBP_L2")


@pytest.mark.parametrize("text", ["much", "512KB", "0", "1K", "-512K", "K", "3T", "9" * 30 + "M"])
def test_a_size_of_a_cache_that_is_none_is_refused(text, sysfs, asked, monkeypatch):
    sysfs(("2", "1M", "3"))
    monkeypatch.setenv("FASTBP_L2", text)
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"^FASTBP_L2: expected a size of at least 4K, such as 512K.*'; unset"
        ):
            asked()
    monkeypatch.delenv("FASTBP_L2")
    assert asked() == Cache(1 << 20, "the system")


@pytest.mark.parametrize(
    ("text", "bytes_"), [("4K", 1 << 12), ("512k", 512 << 10), ("2M", 2 << 20), ("65536", 1 << 16)]
)
def test_a_size_of_a_cache(text, bytes_, asked, monkeypatch):
    monkeypatch.setenv("FASTBP_L2", text)
    assert asked() == Cache(bytes_, "FASTBP_L2")


@pytest.mark.parametrize("name", ["FASTBP_NUM_THREADS", "FASTBP_L2"])
@pytest.mark.parametrize(
    "arguments", [("info",), ("train", "--data", POINTS), ("predict", "no.fastbp", POINTS)]
)
def test_the_command_refuses_them_in_one_line(arguments, name, monkeypatch):
    monkeypatch.setenv(name, "x")
    refused(said(*arguments), f"{name}: expected ", "got 'x'")


def test_the_package_is_imported_all_the_same():
    done = run("--version", env={**ENVIRONMENT, "FASTBP_NUM_THREADS": "x", "FASTBP_L2": "x"})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("optimizer", [None, "adam"])
def test_no_bit_depends_on_the_size_of_a_cache(optimizer, members, dtype, monkeypatch):
    """Caches from one that holds no panel to one that holds all."""
    case = Case((70, 150, 90, 3), 33, 80, ("tanh", "relu", "sigmoid"))
    recipe = {"optimizer": OPTIMIZERS[optimizer]} if optimizer else {}
    found = set()
    for size in (1 << 12, 1 << 14, 1 << 16, 1 << 20, 1 << 30):
        monkeypatch.setattr(packed, "second_level_cache", lambda size=size: Cache(size))
        packed._prepare.cache_clear()
        found.add(bits(case, dtype, members, **recipe))
    packed._prepare.cache_clear()
    assert len(found) == 1
