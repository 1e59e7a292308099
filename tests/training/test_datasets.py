"""Sources of data: the digits, the idx format, the published sets and their digests."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.errors import DataLoss, InvalidArgument, ModelportError, NotFound, Unavailable
from modelport_training import Dataset, load_dataset
from modelport_training.datasets import fashion_mnist, fetch, idx, mnist
from modelport_training.datasets.digits import upscale
from modelport_training.datasets.idx_set import FILES, Files, IdxSet, Source

# Of the arrays that scikit-learn's digits become. Another value means other data: take every figure anew.
DIGITS = "16831b2688f3f0818bf63709c3c50a9d1967f446434b87566b2e77ff16b33663"


def tiny_files() -> dict[str, bytes]:
    images = np.arange(3 * 28 * 28, dtype=np.uint16).astype(np.uint8).reshape(3, 28, 28)
    labels = np.array([0, 1, 1], np.uint8)
    return dict(zip(FILES, map(idx.encode, (images, labels, images[:2], labels[:2])), strict=True))


def tiny_set(*sources: Source, files: Files | None = None) -> IdxSet:
    md5 = {name: hashlib.md5(data).hexdigest() for name, data in (files or tiny_files()).items()}  # noqa: S324
    return IdxSet("tiny_idx", "none", ("a", "b"), md5, sources)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "modelport" / "tiny_idx"


def absent() -> Files:
    raise Unavailable("it is closed today.")


def unexpected() -> Files:
    raise AssertionError("this source was not needed")


class TestDigits:
    def test_shape_dtype_and_range(self) -> None:
        digits = load_dataset("digits")
        for images in (digits.train.inputs, digits.test.inputs):
            assert images.dtype == np.uint8
            assert images.shape[1:] == (28, 28)
            assert (images.min(), images.max()) == (0, 255)
        assert digits.train.targets.dtype == np.int64
        assert digits.class_names == tuple("0123456789")

    def test_the_split_is_stratified_and_whole(self) -> None:
        digits = load_dataset("digits")
        train, test = np.bincount(digits.train.targets), np.bincount(digits.test.targets)
        assert (train + test).sum() == 1797
        np.testing.assert_allclose(test / (train + test), 0.2, atol=0.005)

    def test_no_image_is_in_both_splits(self) -> None:
        digits = load_dataset("digits")
        seen = {image.tobytes() for image in digits.train.inputs}
        assert not [image for image in digits.test.inputs if image.tobytes() in seen]

    def test_fingerprint(self) -> None:
        assert load_dataset("digits").fingerprint == DIGITS

    def test_upscaling_is_bilinear_with_half_pixel_centres(self) -> None:
        images = np.random.default_rng(0).integers(0, 17, (2, 8, 8)).astype(np.float64)
        centres = np.clip((np.arange(28) + 0.5) * 8 / 28 - 0.5, 0, 7)
        for image, scaled in zip(images, upscale(images), strict=True):
            rows = np.array([np.interp(centres, np.arange(8), row) for row in image])
            both = np.array([np.interp(centres, np.arange(8), column) for column in rows.T]).T
            np.testing.assert_allclose(scaled, both * 255 / 16, atol=0.5 + 1e-9)

    def test_upscaling_keeps_black_and_white(self) -> None:
        assert (upscale(np.zeros((1, 8, 8))) == 0).all()
        assert (upscale(np.full((1, 8, 8), 16)) == 255).all()


class TestDataset:
    def test_fingerprint_depends_on_every_array(self, tiny: Dataset) -> None:
        changed = tiny.test.targets.copy()
        changed[0] = 1 - changed[0]
        other = Dataset.of((tiny.train.inputs, tiny.train.targets), (tiny.test.inputs, changed))
        assert other.fingerprint != tiny.fingerprint

    @pytest.mark.parametrize(
        ("labels", "said"),
        [
            (np.array([0, 1, 2], np.int64), "labels 0..1.*Received: 0..2"),
            (np.array([0, -1, 1], np.int64), "Received: -1..1"),
            (np.array([0, 1], np.int64), r"one row for each example.*'inputs': 3, 'targets': 2"),
            (np.array([0, 2, 1], np.int32), "Received: 0..2"),
        ],
    )
    def test_labels_that_do_not_fit(self, labels: np.ndarray, said: str) -> None:
        images = np.zeros((3, 28, 28), np.uint8)
        good = np.zeros(3, np.int64)
        with pytest.raises(InvalidArgument, match=said):
            Dataset("bad", "", "", ("a", "b"), images, labels, images, good)

    def test_splits_of_different_shapes(self) -> None:
        labels = np.zeros(1, np.int64)
        with pytest.raises(InvalidArgument, match="one shape in both splits"):
            Dataset("bad", "", "", ("a",), np.zeros((1, 28, 28)), labels, np.zeros((1, 8, 8)), labels)

    def test_no_examples(self) -> None:
        labels = np.zeros(0, np.int64)
        with pytest.raises(InvalidArgument, match="N > 0 examples in the train split"):
            Dataset("bad", "", "", ("a",), np.zeros((0, 28, 28)), labels, np.zeros((1, 28, 28)), np.zeros(1, np.int64))

    @pytest.mark.parametrize(("name", "near"), [("mnits", "mnist"), ("fashion-mnist", "fashion_mnist")])
    def test_unknown_names_the_nearest(self, name: str, near: str) -> None:
        with pytest.raises(NotFound, match=f"digits, mnist, fashion_mnist, tfds:NAME.*Did you mean '{near}'"):
            load_dataset(name)


class TestIdx:
    @given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.randoms(use_true_random=False))
    def test_decode_reads_what_encode_writes(self, shape: list[int], random: object) -> None:
        array = np.random.default_rng(len(shape)).integers(0, 256, shape, np.uint8)
        np.testing.assert_array_equal(idx.decode(idx.encode(array), "x"), array)

    def test_the_header_is_the_published_one(self) -> None:
        assert idx.encode(np.zeros((2, 28, 28), np.uint8))[:16].hex(" ") == (
            "00 00 08 03 00 00 00 02 00 00 00 1c 00 00 00 1c"
        )

    def test_every_truncation_is_noticed(self) -> None:
        whole = idx.encode(np.arange(6, dtype=np.uint8).reshape(2, 3))
        for length in range(len(whole)):
            with pytest.raises(DataLoss, match="'cut'"):
                idx.decode(whole[:length], "cut")

    @pytest.mark.parametrize("data", [b"\x1f\x8b\x08\x00rest", b"\0\0\x0d\x01\0\0\0\0", b"\0\0\x08\0", b"<html>"])
    def test_other_formats(self, data: bytes) -> None:
        with pytest.raises(DataLoss, match="beginning with 00 00 08"):
            idx.decode(data, "other")

    def test_too_long(self) -> None:
        with pytest.raises(DataLoss, match=r"declares the shape \(2,\). Received: 11"):
            idx.decode(idx.encode(np.zeros(2, np.uint8)) + b"x", "long")

    def test_encode_takes_bytes_only(self) -> None:
        with pytest.raises(InvalidArgument, match="Received: int64"):
            idx.encode(np.zeros(2, np.int64))


class TestIdxSet:
    def test_the_first_source_that_has_it_fills_the_cache(self, cache: Path) -> None:
        found = tiny_set(Source("closed", absent), Source("open", tiny_files), Source("last", unexpected)).load()
        assert (found.train.inputs.shape, found.test.targets.tolist()) == ((3, 28, 28), [0, 1])
        assert sorted(path.name for path in cache.iterdir()) == sorted(FILES)
        again = tiny_set(Source("never", unexpected)).load()
        assert again.fingerprint == found.fingerprint

    def test_a_damaged_cache_is_replaced(self, cache: Path) -> None:
        tiny_set(Source("open", tiny_files)).load()
        (cache / FILES[0]).write_bytes(b"half of")
        tiny_set(Source("open", tiny_files)).load()
        assert (cache / FILES[0]).read_bytes() == tiny_files()[FILES[0]]

    def test_none_has_it(self, cache: Path) -> None:
        with pytest.raises(Unavailable) as caught:
            tiny_set(Source("the shop", absent)).load()
        assert "there is no" in caught.value.message
        assert "the shop: it is closed today." in caught.value.message
        assert "'--dataset digits'" in caught.value.message

    def test_a_source_with_other_bytes_is_not_believed(self, cache: Path) -> None:
        changed = tiny_files()
        changed[FILES[1]] = idx.encode(np.array([1, 1, 1], np.uint8))
        with pytest.raises(Unavailable, match=f"Expected the md5 [0-9a-f]+ of '{FILES[1]}'. Received: [0-9a-f]+"):
            tiny_set(Source("changed", lambda: changed)).load()
        assert not cache.exists()

    def test_check_names_a_missing_file(self) -> None:
        with pytest.raises(DataLoss, match=f"Expected the file '{FILES[0]}'"):
            tiny_set().check({})

    def test_a_cache_that_cannot_be_written_is_no_hindrance(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert tiny_set(Source("open", tiny_files)).load().name == "tiny_idx"

    @pytest.mark.parametrize("published", [mnist.MNIST, fashion_mnist.FASHION_MNIST])
    def test_the_published_sets_have_a_digest_for_every_file(self, published: IdxSet) -> None:
        assert sorted(published.md5) == sorted(FILES)
        assert {len(digest) for digest in published.md5.values()} == {32}


class TestPackagers:
    def test_a_command_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="'no-such-packager' is not on the PATH"):
            fetch.run(["no-such-packager"], tmp_path)

    def test_a_command_that_fails(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="failed with code 3 and said: the reason"):
            fetch.run(["sh", "-c", "echo the reason >&2; exit 3"], tmp_path)

    def test_a_command_that_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fetch, "COMMAND_SECONDS", 0.2)
        with pytest.raises(Unavailable, match="gave no answer"):
            fetch.run(["sleep", "30"], tmp_path)

    def test_installed_fashion_files(self, tmp_path: Path) -> None:
        for name, data in tiny_files().items():
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
        assert fashion_mnist.from_installed(tmp_path) == tiny_files()

    def test_an_installed_file_that_is_cut_short(self, tmp_path: Path) -> None:
        for name, data in tiny_files().items():
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data)[:-9])
        with pytest.raises(DataLoss, match="cannot be unpacked"):
            fashion_mnist.from_installed(tmp_path)

    def test_nothing_installed(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="apt install dataset-fashion-mnist"):
            fashion_mnist.from_installed(tmp_path / "empty")


@pytest.mark.parametrize(
    ("published", "source"),
    [(published, source) for published in (mnist.MNIST, fashion_mnist.FASHION_MNIST) for source in published.sources],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_real_source_has_the_published_files(published: IdxSet, source: Source) -> None:
    """This one goes out to the network, and skips with the source's own answer where it cannot be reached."""
    try:
        files = source.read()
    except ModelportError as error:
        pytest.skip(f"{source.name}: {error.message}")
    published.check(files)
    assert idx.decode(files[FILES[0]], FILES[0]).shape == (60000, 28, 28)
