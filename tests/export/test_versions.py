"""A SavedModel folder as it is found on somebody's disk: what is no file is refused by name, nothing waits."""

import os
import socket
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from modelport.__main__ import main
from modelport.errors import FailedPrecondition, ResourceExhausted
from modelport_export import command_line, publish, sources
from modelport_export.sources import Source
from modelport_export.versions import FromSavedModel, Options


@pytest.fixture
def saved(tmp_path):
    module = tf.Module()
    module.words = tf.saved_model.Asset(str(tmp_path / "words.txt"))
    (tmp_path / "words.txt").write_text("a\nb\n")
    call = tf.function(lambda x: {"y": 2.0 * x}, input_signature=[tf.TensorSpec([None], name="x")])
    tf.saved_model.save(module, str(tmp_path / "saved"), {"serving_default": call})
    return tmp_path / "saved"


def fifo(path):
    os.mkfifo(path)
    return "a FIFO"


def device(path):
    path.symlink_to("/dev/zero")
    return "a link to '/dev/zero', a character device"


def folder(path):
    path.symlink_to("..")
    return "a link to '..', a folder"


@pytest.mark.parametrize("make", [fifo, device, folder])
@pytest.mark.parametrize("name", ["saved_model.pb", "assets/words.txt", "variables/variables.index", "assets/more"])
def test_what_is_no_file_is_refused_by_name(saved, tmp_path, make, name):
    """publish hung on a FIFO among the assets, and filled the disk from a device."""
    (saved / name).unlink(missing_ok=True)
    said = make(saved / name)
    with pytest.raises(FailedPrecondition, match=said) as caught:
        publish(saved, name="m", repository=tmp_path / "models")
    assert str(saved / name) in caught.value.message
    assert not (tmp_path / "models").exists()


def test_a_socket_left_by_a_program(saved, monkeypatch):
    monkeypatch.chdir(saved)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("left.sock")
        with pytest.raises(FailedPrecondition, match=r"left\.sock', which is a socket"):
            FromSavedModel(Source(saved), Options())


def test_a_link_out_of_the_folder_is_not_followed(saved, tmp_path):
    """A link to a file that only its owner may read was published as a copy that all may read."""
    secret = tmp_path / "secret"
    secret.write_text("a\n")
    secret.chmod(0o600)
    (saved / "assets" / "more.txt").symlink_to(secret)
    with pytest.raises(FailedPrecondition, match=r"more\.txt', which is a link to .*secret.*cp -rL"):
        publish(saved, name="m", repository=tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_linked_file_is_copied_as_a_file(saved, tmp_path):
    """Weights in a content-addressed store are links; within the folder they are followed."""
    index = saved / "variables" / "variables.index"
    kept = index.rename(saved / "blob")
    index.symlink_to(kept)
    (saved / "assets.extra").mkdir()
    (saved / "assets.extra" / "manifest.json").write_text('{"schema": 1, "model": "old"}')
    FromSavedModel(Source(saved), Options()).write(tmp_path / "copy", "m")
    copied = tmp_path / "copy" / "variables" / "variables.index"
    assert not copied.is_symlink()
    assert copied.read_bytes() == kept.read_bytes()
    assert (tmp_path / "copy" / "assets" / "words.txt").read_text() == "a\nb\n"
    assert not (tmp_path / "copy" / "assets.extra" / "manifest.json").exists()


def test_labels_and_samples_that_would_never_end(saved, tmp_path, capsys):
    os.mkfifo(tmp_path / "fifo")
    for option in ("--labels", "--samples"):
        assert main(["publish", str(saved), "--name", "m", option, str(tmp_path / "fifo")]) == 1
        assert "fifo', which is a FIFO" in capsys.readouterr().err


def test_labels_from_windows(saved, tmp_path, capsys):
    """The first label began with an invisible mark; UTF-16 was a traceback."""

    (tmp_path / "labels.txt").write_bytes("\ufeffKatze\r\nHündin\r\n".encode())
    assert command_line.lines(tmp_path / "labels.txt") == ["Katze", "Hündin"]
    (tmp_path / "labels.txt").write_bytes("Katze\r\n".encode("utf-16"))
    assert main(["publish", str(saved), "--name", "m", "--labels", str(tmp_path / "labels.txt")]) == 1
    assert "its byte-order mark is that of UTF-16" in capsys.readouterr().err


def test_the_files_of_a_run_that_would_never_end(tmp_path):
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(Exception, match=r"run\.json', which is a FIFO"):
        sources.load(tmp_path)
    (tmp_path / "run.json").unlink()
    (tmp_path / "run.json").write_text("{}")
    np.savez(tmp_path / "samples.npz", x=np.zeros(1))
    os.mkfifo(tmp_path / "model.keras")
    with pytest.raises(Exception, match=r"model\.keras', which is no file"):
        sources.load(tmp_path)


def test_a_disk_that_fills_while_a_savedmodel_is_copied(saved, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(disk)], capture_output=True, text=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mount.stderr.strip()}")
    (saved / "assets" / "large.bin").write_bytes(b"x" * 2**20)
    try:
        with pytest.raises(ResourceExhausted, match="No space left on device") as caught:
            publish(saved, name="m", repository=disk / "models")
        assert "\n" not in caught.value.message
        assert [path.name for path in (disk / "models" / "m").iterdir()] == [".allotted"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
