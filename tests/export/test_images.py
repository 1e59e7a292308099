import numpy as np
import pytest
import tensorflow as tf

from modelport.errors import InvalidArgument
from modelport_export import ImageInput

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
RGB = np.stack([GREY, GREY // 2, 255 - GREY], -1)


def encode(image, form):
    image = image if image.ndim == 3 else image[..., None]
    if form == "png":
        return tf.io.encode_png(image).numpy()
    return tf.io.encode_jpeg(image, quality=100, chroma_downsampling=False).numpy()


def bmp(rgb):
    """A 24 bit BMP file, written by hand: bottom row first, blue before red, rows padded to four bytes."""
    height, width, _ = rgb.shape
    rows = [row[:, ::-1].tobytes().ljust((width * 3 + 3) // 4 * 4, b"\0") for row in rgb[::-1]]
    data = b"".join(rows)
    header = b"BM" + (54 + len(data)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = (40).to_bytes(4, "little") + width.to_bytes(4, "little") + height.to_bytes(4, "little")
    return header + info + (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24) + data


@pytest.mark.parametrize("shape", [(5, 3, 4), (5, 3, 4, 1), (5, 12)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_preprocess_scales_and_shapes_every_raw_layout(shape, dtype):
    image = ImageInput(3, 4, scale=0.5, offset=-1.0, shape=(12,))
    raw = np.arange(60).astype(dtype).reshape(shape)
    got = image.preprocess(raw)
    assert got.dtype == tf.float32
    np.testing.assert_array_equal(got, np.arange(60, dtype=np.float32).reshape(5, 12) * 0.5 - 1)


def test_preprocess_without_shape_gives_height_width_channels():
    assert ImageInput(3, 4).preprocess(np.zeros((2, 3, 4), np.uint8)).shape == (2, 3, 4, 1)
    assert ImageInput(3, 4, 3).preprocess(np.zeros((2, 3, 4, 3), np.uint8)).shape == (2, 3, 4, 3)


def test_preprocess_refuses_another_size():
    with pytest.raises(InvalidArgument, match=r"\(N, 3, 4\).*Received: the shape \(2, 3, 5\)"):
        ImageInput(3, 4).preprocess(np.zeros((2, 3, 5)))


def test_png_is_decoded_exactly():
    np.testing.assert_array_equal(ImageInput(3, 4).decode([encode(GREY, "png")])[0, ..., 0], GREY)
    np.testing.assert_array_equal(ImageInput(3, 4, 3).decode([encode(RGB, "png")])[0], RGB)


def test_bmp_is_decoded_exactly():
    np.testing.assert_array_equal(ImageInput(3, 4, 3).decode([bmp(RGB)])[0], RGB)


def test_jpeg_is_decoded_as_tensorflow_does():
    file = encode(RGB, "jpeg")
    np.testing.assert_array_equal(ImageInput(3, 4, 3).decode([file])[0], tf.io.decode_jpeg(file))


def test_grey_becomes_rgb_and_rgb_becomes_grey():
    as_rgb = ImageInput(3, 4, 3).decode([encode(GREY, "png")])[0].numpy()
    assert all(np.array_equal(as_rgb[..., channel], GREY) for channel in range(3))
    as_grey = ImageInput(3, 4).decode([encode(RGB, "png")])[0, ..., 0].numpy().astype(float)
    np.testing.assert_allclose(as_grey, RGB @ [0.299, 0.587, 0.114], atol=1)


def test_transparency_is_dropped():
    rgba = np.concatenate([RGB, np.full((3, 4, 1), 7, np.uint8)], -1)
    np.testing.assert_array_equal(ImageInput(3, 4, 3).decode([encode(rgba, "png")])[0], RGB)


def test_other_sizes_are_resized_with_antialiasing():
    large = np.repeat(np.repeat(GREY, 8, 0), 8, 1)
    got = ImageInput(3, 4).decode([encode(large, "png")])[0, ..., 0].numpy().astype(int)
    want = tf.image.resize(large[..., None], (3, 4), antialias=True)[..., 0].numpy().round()
    np.testing.assert_array_equal(got, want)
    assert got[0, 0] > 0, "the neighbours are averaged in"


def test_an_empty_batch_and_different_sizes_in_one():
    decode = tf.function(ImageInput(3, 4).decode, input_signature=[tf.TensorSpec([None], tf.string)])
    assert decode(tf.constant([], tf.string)).shape == (0, 3, 4, 1)
    assert decode([encode(GREY, "png"), encode(np.ones((9, 9), np.uint8), "jpeg")]).shape == (2, 3, 4, 1)


def test_bytes_that_are_no_image_fail():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        ImageInput(3, 4).decode([b"hello"])


@pytest.mark.parametrize(
    "arguments",
    [(0, 4), (3, 4, 2), (3, 4, 1, 1.0, 0.0, (13,)), (3, 4, 1, float("nan")), (3.5, 4)],
)
def test_senseless_sizes_are_refused(arguments):
    with pytest.raises(InvalidArgument, match="Received"):
        ImageInput(*arguments)


def test_a_dict_and_back():
    image = ImageInput(3, 4, scale=2.0, shape=(12,))
    assert ImageInput.from_dict(image.to_dict()) == image
    with pytest.raises(InvalidArgument, match="colour"):
        ImageInput.from_dict({"height": 3, "width": 4, "colour": 1})
