"""``fastbp train --save``: what is written, and where it is refused."""

import errno
import os

import numpy as np

from command import FEW, POINTS, network, refused, said


def test_a_place_that_cannot_be_written_is_found_before_training(tmp_path):
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    refused(said("train", "--data", POINTS, "--save", folder), folder, "cannot be written")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if not os.access(locked, os.W_OK):  # root may write anywhere
        refused(said("train", "--data", POINTS, "--save", locked / "net.npz"), "Permission denied")
    assert sorted(tmp_path.rglob("*")) == [folder, locked]


def test_saving_replaces_the_file_whole_or_not_at_all(tmp_path, monkeypatch):
    saved = tmp_path / "net.npz"
    link = tmp_path / "link.npz"
    saved.write_bytes(b"before")
    link.symlink_to(saved)
    true = np.savez

    def full(file, **arrays):
        true(file, **arrays)
        assert saved.read_bytes() == b"before"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
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
