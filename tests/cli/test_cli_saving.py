"""``fastbp train --save``: what is written, and where it is refused."""

import errno
import os
import shutil
import socket
import stat
from pathlib import Path

from command import FEW, MNIST, POINTS, POSIX, network, refused, said, write
from fastbp.files import durable


def test_a_place_that_cannot_be_written_is_found_before_training(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    refused(said("train", "--data", POINTS, "--save", folder), folder, "expected a file, got")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if not os.access(locked, os.W_OK):  # root may write anywhere
        refused(said("train", "--data", POINTS, "--save", locked / "net.fastbp"), "Permission denied")
    assert sorted(tmp_path.rglob("*")) == [folder, locked]


@POSIX
def test_what_is_no_file_is_never_replaced(tmp_path):
    fifo, device, server = tmp_path / "fifo", tmp_path / "device", socket.socket(socket.AF_UNIX)
    os.mkfifo(fifo)
    device.symlink_to("/dev/null")
    server.bind(str(tmp_path / "socket"))
    server.close()
    for path, kind in ((fifo, "a FIFO"), (device, "a device"), (tmp_path / "socket", "a socket")):
        refused(said("train", "--data", POINTS, "--save", path), f"{path}: expected a file, got {kind}")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert stat.S_ISFIFO(fifo.stat().st_mode)


@POSIX
def test_the_data_are_never_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "points.npz")
    os.symlink(path, "symbolic.npz")
    os.link(path, "hard")
    os.symlink("hard", "soft")
    content = Path(path).read_bytes()
    for spelling in ("hard", "./hard", "soft"):
        for option in ("--save", "--checkpoint"):
            refused(
                said("train", "--data", path, option, spelling),
                f"{option} {spelling}: expected another file, got {path}",
            )
    refused(
        said("train", "--data", "symbolic.npz", "--save", "hard"),
        "--save hard: expected another file, got symbolic.npz",
    )
    refused(said("train", "--data", path, "--save", path), "expected a name that does not end in .npz")

    os.mkdir("folder")
    for kind in ("images-idx3", "labels-idx1"):
        shutil.copy(MNIST / f"t10k-{kind}-ubyte.gz", f"folder/train-{kind}-ubyte.gz")
    labels = os.path.join("folder", "train-labels-idx1-ubyte.gz")
    os.link(labels, "folder/labels")
    refused(said("train", "--data", "folder", "--save", "folder/labels"), f"got {labels}, which --data")
    assert Path(path).read_bytes() == content


@POSIX
def test_saving_keeps_mode_and_owner(tmp_path):
    saved = tmp_path / "net.fastbp"
    saved.touch()
    owner = (12345, 23456) if os.getuid() == 0 else (os.getuid(), os.getgid())
    os.chown(saved, *owner)
    saved.chmod(0o640)
    assert said("train", "--data", POINTS, *FEW, "--save", saved)[0] == 0
    found = saved.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (*owner, 0o640)
    assert network(saved).sizes == [5, 20, 3]


@POSIX
def test_an_owner_that_cannot_be_kept_is_found_before_training(tmp_path, monkeypatch):
    saved = tmp_path / "net.fastbp"
    saved.touch()

    def anothers(path):
        own = os.stat(path)
        return os.stat_result((*own[:4], own.st_uid + 1, *own[5:]))

    def forbidden(*arguments):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(durable, "status", anothers)
    monkeypatch.setattr(os, "fchown", forbidden)
    refused(said("train", "--data", POINTS, "--save", saved), "its owner and group cannot be kept")
    assert list(tmp_path.iterdir()) == [saved]


def test_saving_replaces_the_file_whole_or_not_at_all(tmp_path, monkeypatch):
    saved = tmp_path / "net.fastbp"
    link = tmp_path / "link"
    saved.write_bytes(b"before")
    link.symlink_to(saved)
    true = os.fsync

    def full(file):
        true(file)
        assert saved.read_bytes() == b"before"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    status, _, err = said("train", "--data", POINTS, *FEW, "--save", link)
    assert (status, err) == (1, [f"fastbp: error: --save {link}: No space left on device; not saved"])
    assert (saved.read_bytes(), len(list(tmp_path.iterdir()))) == (b"before", 2)

    monkeypatch.undo()
    assert said("train", "--data", POINTS, *FEW, "--save", link)[0] == 0
    assert network(saved).sizes == [5, 20, 3]
    assert (link.is_symlink(), len(list(tmp_path.iterdir()))) == (True, 2)
    umask = os.umask(0)
    os.umask(umask)
    assert saved.stat().st_mode & 0o777 == 0o666 & ~umask
