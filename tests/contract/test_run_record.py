"""What a run folder says, to training and export alike."""

import io
import json
import zipfile

import numpy as np
import pytest

from modelport import run_record
from modelport.errors import DataLoss, FailedPrecondition, ModelportError, NotFound
from modelport.run_record import RunRecord, is_target, read, read_npz


def test_what_is_written_is_read(tmp_path):
    fields = {"finished": False, "recipe": "my.recipe", "labels": ["a"], "metrics": {"loss": 1}, "best_epoch": 3}
    run_record.write(tmp_path, fields)
    assert json.loads((tmp_path / "run.json").read_text()) == {"schema": 1, **fields}
    record = RunRecord(finished=False, recipe="my.recipe", labels=["a"], metrics={"loss": 1})
    assert read(tmp_path) == record
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_folder_of_ones_own_making(tmp_path):
    assert read(tmp_path) is None
    (tmp_path / "run.json").write_text('{"recipe": null, "image": null, "metrics": null}')
    assert read(tmp_path) == RunRecord()
    assert read(tmp_path / "run.json") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expected JSON"),
        ("[]", "Expected a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"schema": 99}', "'schema' in .* as 1, the only schema there is. Received: 99"),
        ('{"finished": "yes"}', "'finished' in .* as true or false"),
        ('{"labels": [1]}', "'labels' in .* as a list of strings or null"),
        ('{"metrics": {"loss": "low"}}', "'metrics' in .* as an object of numbers or null"),
        ('{"dataset": "digits"}', "'dataset' in .* as an object"),
        ('{"history": [1]}', "'history' in .* as a list of objects"),
    ],
)
def test_a_record_that_is_none(tmp_path, text, said):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataLoss, match=said) as caught:
        read(tmp_path)
    assert "run.json" in caught.value.message


def test_a_record_that_would_never_end(tmp_path, trap):
    make, said = trap
    make(tmp_path / "run.json")
    with pytest.raises(DataLoss, match=said):
        read(tmp_path)


def test_samples_that_would_never_end(tmp_path, trap):
    """The samples of a run, or of --samples, waited for a FIFO's writer."""
    make, said = trap
    make(tmp_path / "samples.npz")
    with pytest.raises(ModelportError, match="not a zip file" if "bytes" in said else said) as caught:
        read_npz(tmp_path / "samples.npz")
    assert "samples.npz" in caught.value.message


def test_samples_that_unpack_to_more_than_the_memory(tmp_path):
    """An archive of a few bytes that says it holds eight gigabytes."""
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as packed:
        packed.writestr("x.npy", b"small")
    data = (tmp_path / "bomb.npz").read_bytes()
    directory = data.index(b"PK\x01\x02")
    # The same entry twice in the archive's directory, of almost 4 GiB each.
    entry = bytearray(data[directory : data.index(b"PK\x05\x06")])
    entry[24:28] = (2**32 - 2).to_bytes(4, "little")
    end = bytearray(data[data.index(b"PK\x05\x06") :])
    end[8:12] = b"\2\0\2\0"
    end[12:16] = (2 * len(entry)).to_bytes(4, "little")
    (tmp_path / "bomb.npz").write_bytes(data[:directory] + bytes(entry) * 2 + bytes(end))
    with pytest.raises(FailedPrecondition, match="Expected samples of at most 4,294,967,296 bytes"):
        read_npz(tmp_path / "bomb.npz")


def test_an_array_that_lies_about_its_size(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (2**60,)})
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as packed:
        packed.writestr("x.npy", file.getvalue())
    with pytest.raises(DataLoss, match=r"lie\.npz"):
        read_npz(tmp_path / "lie.npz")


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "text"])
def test_samples_that_are_damaged(tmp_path, damage):
    path = tmp_path / "samples.npz"
    np.savez_compressed(path, x=np.arange(10_000))
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(
        {
            "cut": data[:middle],
            "changed": data[:middle] + bytes(byte ^ 255 for byte in data[middle : middle + 50]) + data[middle + 50 :],
            "empty": b"",
            "text": b"no samples\n",
        }[damage]
    )
    with pytest.raises(DataLoss, match=r"samples\.npz"):
        read_npz(path)


def test_samples(tmp_path):
    np.savez(tmp_path / "samples.npz", image=np.zeros((2, 3)), label=np.arange(2), target_price=np.ones(2))
    arrays = read_npz(tmp_path / "samples.npz")
    assert {name: array.shape for name, array in arrays.items()} == {
        "image": (2, 3),
        "label": (2,),
        "target_price": (2,),
    }
    assert [name for name in arrays if is_target(name)] == ["label", "target_price"]
    with pytest.raises(NotFound, match="read the samples"):
        read_npz(tmp_path / "none.npz")
