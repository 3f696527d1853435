import os
import struct
import zlib

import numpy as np
import PIL.ExifTags
import PIL.Image
import pytest

from zeroshot.images import image_files, label_ids


def save(path, mode="RGB", colour=None, size=(5, 4), **options):
    PIL.Image.new(mode, size, colour if colour is not None else 0).save(path, **options)
    return path


def png_claiming(path, width, height):
    """Write a small PNG whose header claims the given size."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("L", 7, (7, 7, 7)),
        ("RGBA", (1, 2, 3, 255), (1, 2, 3)),
    ],
)
def test_images_are_converted_to_rgb(tmp_path, mode, colour, expected):
    pixels = image_files.read_image(save(tmp_path / "a.png", mode, colour))
    assert pixels.shape == (4, 5, 3) and pixels.dtype == np.uint8
    assert (pixels == expected).all()


def test_masks_are_read_as_written_and_have_the_colours_of_voc(tmp_path):
    mask = np.random.default_rng(0).permutation(np.array([*range(255), 65535], np.uint16)).reshape(16, 16)
    image_files.write_mask(tmp_path / "m.png", mask)
    read = image_files.read_mask(tmp_path / "m.png")
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, mask)
    np.testing.assert_array_equal(image_files.read_image(tmp_path / "m.png"), label_ids.palette()[mask])


def test_mask_with_ids_below_255_is_stored_in_8_bits_as_vocs_masks_are(tmp_path):
    mask = np.array([[0, 1, 20], [254, 65535, 7]], np.uint16)
    image_files.write_mask(tmp_path / "m.png", mask)
    stored = PIL.Image.open(tmp_path / "m.png")
    assert stored.mode == "P"
    np.testing.assert_array_equal(np.array(stored), [[0, 1, 20], [254, 255, 7]])
    assert np.array(stored.convert("RGB"))[1, 1].tolist() == [224, 224, 192]


@pytest.mark.parametrize("values", [[0, 255], [255, 65535], [256, 3], [299, 65534], [65535, 300]])
def test_mask_with_other_ids_is_stored_in_16_bits(tmp_path, values):
    mask = np.array([values] * 2, np.uint16)
    image_files.write_mask(tmp_path / "m.png", mask)
    stored = PIL.Image.open(tmp_path / "m.png")
    assert stored.mode == "I;16"
    np.testing.assert_array_equal(np.array(stored), mask)
    np.testing.assert_array_equal(image_files.read_mask(tmp_path / "m.png"), mask)


def test_255_is_ignored_in_8_bits_and_a_label_in_16_bits(tmp_path):
    PIL.Image.fromarray(np.array([[3, 255]], np.uint8)).save(tmp_path / "8.png")
    PIL.Image.fromarray(np.array([[3, 255, 65535]], np.uint16)).save(tmp_path / "16.png")
    assert image_files.read_mask(tmp_path / "8.png").tolist() == [[3, 65535]]
    assert image_files.read_mask(tmp_path / "16.png").tolist() == [[3, 255, 65535]]
    assert image_files.read_stored_ids(tmp_path / "8.png")[0].tolist() == [[3, 255]]


def test_equal_masks_are_written_byte_identically_without_temporary_files(tmp_path):
    mask = np.arange(12, dtype=np.uint16).reshape(3, 4)
    for name in ("a.png", "b.png"):
        image_files.write_mask(tmp_path / name, mask)
    image_files.write_mask(tmp_path / "b.png", np.asfortranarray(mask))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_grey_masks_and_other_palettes_keep_their_label_ids(tmp_path):
    ids = np.array([[0, 1, 2, 15]], dtype=np.uint8)
    grey = PIL.Image.fromarray(ids)
    grey.save(tmp_path / "grey.png")
    grey.putpalette([9] * 48)
    grey.save(tmp_path / "four_bits.png", bits=4)
    for name in ("grey.png", "four_bits.png"):
        np.testing.assert_array_equal(image_files.read_mask(tmp_path / name), ids)


@pytest.mark.parametrize("mode", ["RGB", "1", "LA"])
def test_png_without_label_ids_is_refused_as_mask(tmp_path, mode):
    path = save(tmp_path / "m.png", mode)
    with pytest.raises(image_files.ImageError, match="m.png: mode .* stores no label ids"):
        image_files.read_mask(path)


def test_jpeg_is_refused_as_mask(tmp_path):
    with pytest.raises(image_files.ImageError, match="m.jpg: is a JPEG file; a mask must be a PNG"):
        image_files.read_mask(save(tmp_path / "m.jpg", "L"))


def test_grey_of_16_bits_becomes_8_bits(tmp_path):
    for suffix in ("png", "tif"):
        PIL.Image.fromarray(np.array([[0, 257, 514, 65535]], np.uint16)).save(tmp_path / f"a.{suffix}")
        assert image_files.read_image(tmp_path / f"a.{suffix}")[0, :, 0].tolist() == [0, 1, 2, 255]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_image_with_32_bits_is_refused(tmp_path, dtype):
    PIL.Image.fromarray(np.ones((2, 2), dtype)).save(tmp_path / "a.tif")
    with pytest.raises(image_files.ImageError, match="a.tif: has 32 bits per channel"):
        image_files.read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["bmp", "tif", "webp"])
def test_other_formats_of_photographs(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(image_files.read_image(tmp_path / f"a.{suffix}"), pixels)
    assert image_files.read_size(tmp_path / f"a.{suffix}") == (5, 7)


def test_transparent_pixels_are_laid_over_white(tmp_path):
    pixels = np.array([[[200, 100, 0, 255], [200, 100, 0, 0]]], np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "a.png")
    assert image_files.read_image(tmp_path / "a.png").tolist() == [[[200, 100, 0], [255, 255, 255]]]


@pytest.mark.parametrize(("width", "height"), [(9000, 9000), (100_000, 100_000)])
@pytest.mark.parametrize("read", [image_files.read_image, image_files.read_mask])
def test_small_file_that_claims_a_huge_size_is_refused_before_decoding(tmp_path, read, width, height):
    with pytest.raises(image_files.ImageError, match=r"bomb\.png: .*image bomb"):
        read(png_claiming(tmp_path / "bomb.png", width, height))


def test_pixel_limit_is_max_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "MAX_PIXELS", 20)
    assert image_files.read_image(save(tmp_path / "a.png", size=(5, 4))).shape == (4, 5, 3)
    with pytest.raises(image_files.ImageError, match="claims 7 x 3 pixels; more than 20 are refused"):
        image_files.read_image(save(tmp_path / "b.png", size=(7, 3)))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_truncated_file_is_named(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    whole = tmp_path / f"whole.{suffix}"
    PIL.Image.fromarray(noise).save(whole)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(image_files.ImageError, match=rf"cut\.{suffix}: cannot be decoded: .*truncated"):
        image_files.read_image(cut)


def test_missing_files_text_files_and_other_formats_are_named(tmp_path):
    with pytest.raises(image_files.ImageError, match=r"none\.png: No such file"):
        image_files.read_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(
        image_files.ImageError, match=r"text\.png: cannot be decoded: is no JPEG, PNG, BMP, TIFF or WEBP file"
    ):
        image_files.read_mask(tmp_path / "text.png")
    with pytest.raises(image_files.ImageError, match=r"a\.png: cannot be decoded"):
        image_files.read_image(save(tmp_path / "a.png", format="GIF"))


@pytest.mark.parametrize(
    "mask", [np.zeros((2, 2), np.int64), np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3), np.uint16)]
)
def test_only_two_dimensional_uint16_masks_are_written(tmp_path, mask):
    with pytest.raises(ValueError, match=r"m\.png: a mask must be \(H, W\) uint16, found"):
        image_files.write_mask(tmp_path / "m.png", mask)
    assert not list(tmp_path.iterdir())


def exif(orientation):
    tags = PIL.Image.Exif()
    tags[PIL.ExifTags.Base.Orientation] = orientation
    return tags


# What viewers do to the stored pixels, by the definition of the tag: where the stored first row and first column are displayed.
UPRIGHT = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x.swapaxes(0, 1)[:, ::-1],
    7: lambda x: x.swapaxes(0, 1)[::-1, ::-1],
    8: lambda x: x.swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_images_and_sizes_follow_the_exif_orientation(tmp_path, suffix, orientation):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
    image, path = PIL.Image.fromarray(pixels), tmp_path / f"a.{suffix}"
    image.save(path)
    stored = image_files.read_image(path)
    image.save(path, exif=exif(orientation))
    read = image_files.read_image(path)
    np.testing.assert_array_equal(read, UPRIGHT[orientation](stored))
    assert image_files.read_size(path) == read.shape[:2]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_masks_follow_the_exif_orientation(tmp_path, dtype):
    ids = np.arange(12, dtype=dtype).reshape(3, 4) * 20
    PIL.Image.fromarray(ids).save(tmp_path / "m.png", exif=exif(6))
    for mask in (image_files.read_mask(tmp_path / "m.png"), image_files.read_stored_ids(tmp_path / "m.png")[0]):
        np.testing.assert_array_equal(mask, UPRIGHT[6](ids))


@pytest.mark.parametrize("read", [image_files.read_image, image_files.read_mask, image_files.read_size])
def test_pipes_devices_and_folders_are_refused_and_do_not_block(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe", "zero", "folder"):
        with pytest.raises(image_files.ImageError, match=rf"{name}\.png: is a .*; it must be a regular file"):
            read(tmp_path / f"{name}.png")


def test_broken_exif_data_are_ignored(tmp_path):
    path = save(tmp_path / "a.jpg", exif=b"Exif\0\0no TIFF header")
    assert image_files.read_image(path).shape == (4, 5, 3) and image_files.read_size(path) == (4, 5)


def test_palettes_are_read_with_masks(tmp_path):
    ids = np.array([[0, 1, 2], [3, 254, 65535]], np.uint16)
    image_files.write_mask(tmp_path / "m.png", ids)
    mask, colours = image_files.read_coloured_mask(tmp_path / "m.png")
    np.testing.assert_array_equal(mask, ids)
    assert colours == {label: label_ids.palette()[label].tolist() for label in (*range(255), 65535)}
    image_files.write_mask(tmp_path / "16.png", ids + np.uint16(300))
    for path in (save(tmp_path / "grey.png", "L"), tmp_path / "16.png"):
        assert image_files.read_coloured_mask(path)[1] is None
    image = PIL.Image.new("P", (2, 2))
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.save(tmp_path / "short.png", exif=exif(6))
    _, colours = image_files.read_coloured_mask(tmp_path / "short.png")
    black = dict.fromkeys((*range(255), 65535), [0, 0, 0])
    assert colours == black | {0: [1, 2, 3], 1: [4, 5, 6]}
