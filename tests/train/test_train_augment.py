"""Augmentation: each kind changes images as it says, keeps shape and range, and is drawn from the given generator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino.errors import InputError  # noqa: E402
from onnxino_tools.train import AUGMENTATIONS, Training  # noqa: E402
from onnxino_tools.train.augment import ANGLE, COLOUR, ERASE_AREA, SHIFT, Augmenter  # noqa: E402


def changed(images: Any, seed: int = 0, **settings: Any) -> Any:
    settings = Training(**settings)
    labels = torch.arange(len(images))
    return Augmenter(settings, images)(images, labels, np.random.default_rng(seed))


def pictures(count: int = 64, channels: int = 3, height: int = 16, width: int = 16) -> Any:
    """Smooth images of -1..2, each another one."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = rng.uniform(1, 6, (count, channels, 2, 1, 1))
    images = np.sin(waves[:, :, 0] * y + waves[:, :, 1] * x) * 1.5 + 0.5
    return torch.from_numpy(images.astype(np.float32))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shape_range_and_seed(name: str) -> None:
    images = pictures()
    before = images.clone()
    first, again, other = (changed(images, seed, augment=(name,)).images for seed in (1, 1, 2))
    assert torch.equal(images, before)
    assert first.shape == images.shape
    assert first.dtype == torch.float32
    assert first.is_contiguous()
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert images.min() - 1e-4 <= first.min()
    assert first.max() <= images.max() + 1e-4
    moved = sum(not torch.equal(a, b) for a, b in zip(first, images, strict=True))
    assert 16 <= moved <= 64


@pytest.mark.parametrize(("name", "axis"), [("flip", 3), ("flip-vertical", 2)])
def test_flips(name: str, axis: int) -> None:
    images = pictures()
    result = changed(images, augment=(name,)).images
    turned = images.flip(axis)
    kinds = [(torch.equal(r, a), torch.equal(r, b)) for r, a, b in zip(result, images, turned, strict=True)]
    assert {(True, False), (False, True)} == set(kinds)


def test_shift_moves_by_whole_pixels() -> None:
    images = torch.zeros(200, 1, 16, 24)
    images[:, :, 8, 12] = 1
    result = changed(images, augment=("shift",)).images
    places = result.flatten(1).argmax(1)
    rows, columns = places // 24 - 8, places % 24 - 12
    assert (result.flatten(1).sum(1) == 1).all()
    assert set(rows.tolist()) == set(range(-int(16 * SHIFT), int(16 * SHIFT) + 1))
    assert set(columns.tolist()) == set(range(-int(24 * SHIFT), int(24 * SHIFT) + 1))


def test_shift_repeats_the_edge() -> None:
    images = torch.ones(50, 2, 16, 16)
    assert torch.equal(changed(images, augment=("shift",)).images, images)


def test_rot90_turns() -> None:
    images = pictures()
    result = changed(images, augment=("rot90",)).images
    turns = [
        next(k for k in range(4) if torch.equal(r, torch.rot90(a, k, [1, 2])))
        for r, a in zip(result, images, strict=True)
    ]
    assert set(turns) == {0, 1, 2, 3}


def test_rotate_turns_by_few_degrees() -> None:
    """In an image that is not square, too: the angle of a line through the middle tells."""
    y, x = np.mgrid[0:33, 0:65]
    dots = np.exp(-((y - 16) ** 2 + (x - 48) ** 2) / 8)  # right of the middle
    images = torch.from_numpy(np.repeat(dots[None, None].astype(np.float32), 40, 0))
    result = changed(images, augment=("rotate",)).images[:, 0].numpy()
    mass = result.sum((1, 2))
    down = (result * (y - 16)).sum((1, 2)) / mass
    right = (result * (x - 32)).sum((1, 2)) / mass
    angles = np.rad2deg(np.arctan2(down, right))
    np.testing.assert_allclose(np.hypot(down, right), 16, rtol=0.03)
    assert np.abs(angles).max() <= ANGLE + 0.5
    assert angles.min() < -8
    assert angles.max() > 8


def test_crop_enlarges() -> None:
    y, x = np.mgrid[0:32, 0:32]
    ramp = torch.from_numpy(np.stack([y, x]).astype(np.float32))[None].repeat(100, 1, 1, 1)
    result = changed(ramp, augment=("crop",)).images
    high = (result[:, 0, 24, 16] - result[:, 0, 8, 16]) / 16  # of the image: the share that is seen
    wide = (result[:, 1, 16, 24] - result[:, 1, 16, 8]) / 16
    area = high * wide
    assert 0.6 - 1e-3 <= float(area.min()) < 0.7
    assert 0.9 < float(area.max()) <= 1 + 1e-3
    assert float((wide / high).min()) < 0.9
    assert float((wide / high).max()) > 1.1


def test_colour_changes_brightness_in_the_range() -> None:
    images = pictures(400)
    low, high = float(images.min()), float(images.max())
    grey = torch.full((400, 3, 16, 16), (low + high) / 2)
    grey[0], grey[1] = low, high  # the range is that of the data
    result = (changed(grey, augment=("colour",)).images[2:] - low) / (high - low)
    assert result.std((1, 2, 3)).max() < 1e-4  # no contrast and no colour to change
    factors = result.mean((1, 2, 3)) / 0.5
    assert 1 - COLOUR <= float(factors.min()) < 1 - 0.8 * COLOUR
    assert 1 + 0.8 * COLOUR < float(factors.max()) <= 1 + COLOUR


def test_erase_puts_noise_into_a_rectangle() -> None:
    images = pictures(300)
    result = changed(images, augment=("erase",)).images
    shares: list[float] = []
    for one, other in zip(result, images, strict=True):
        different = (one != other).any(0).numpy()
        if different.any():
            rows, columns = np.flatnonzero(different.any(1)), np.flatnonzero(different.any(0))
            assert different[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
            shares.append(different.mean())
    assert 100 < len(shares) < 200
    assert min(shares) < 0.05
    assert max(shares) < ERASE_AREA[1] * 1.4


def test_mixup_mixes_images_and_labels_alike() -> None:
    images = pictures(32)
    for seed in range(10):
        mixed = changed(images, seed, mixup=0.4)
        assert mixed.others is not None
        assert 0.5 <= mixed.ratio <= 1
        expected = images * mixed.ratio + images[mixed.others] * (1 - mixed.ratio)
        torch.testing.assert_close(mixed.images, expected)


def test_cutmix_puts_a_part_of_another_image_in() -> None:
    images = torch.rand(32, 3, 16, 12)
    for seed in range(10):
        mixed = changed(images, seed, cutmix=1.0)
        assert mixed.others is not None
        own = (mixed.images == images).all(1)
        other = (mixed.images == images[mixed.others]).all(1)
        assert (own | other).all()
        for k in range(32):
            if mixed.others[k] != k:
                assert float(own[k].float().mean()) == pytest.approx(mixed.ratio, abs=1e-6)


def test_mixup_and_cutmix_take_turns() -> None:
    images = torch.rand(8, 3, 16, 16)
    cut = [bool((changed(images, seed, mixup=1, cutmix=1).images[0] == images[0]).any()) for seed in range(40)]
    assert 8 < sum(cut) < 32


def test_the_loss_of_mixed_images_weighs_both_labels() -> None:
    from onnxino_tools.train.augment import Mixed
    from onnxino_tools.train.losses import label_loss

    logits = torch.tensor([[2.0, 0.0, 1.0], [0.5, 0.5, -1.0]])
    labels, others = torch.tensor([0, 1]), torch.tensor([2, 2])
    shares = torch.log_softmax(logits, 1)
    expected = -(0.7 * (shares[0, 0] + shares[1, 1]) + 0.3 * (shares[0, 2] + shares[1, 2])) / 2
    torch.testing.assert_close(label_loss(logits, labels, Mixed(logits, others, 0.7), 0.0), expected)
    smooth = 0.9 * -(shares[0, 0] + shares[1, 1]) / 2 - 0.1 * shares.mean()
    torch.testing.assert_close(label_loss(logits, labels, Mixed(logits, None, 1.0), 0.1), smooth)


def test_channels_last() -> None:
    first = pictures()
    last = first.permute(0, 2, 3, 1).contiguous()
    everything: dict[str, Any] = {"augment": AUGMENTATIONS, "cutmix": 1.0}
    for layout in ("auto", "nhwc"):
        result = changed(last, augment=AUGMENTATIONS, cutmix=1.0, layout=layout).images
        assert result.is_contiguous()
        torch.testing.assert_close(result.permute(0, 3, 1, 2), changed(first, **everything).images)
    narrow = torch.rand(4, 8, 8, 3)
    with pytest.raises(InputError, match="rot90 is for square images; these are 8x3"):
        changed(narrow, augment=("rot90",), layout="nchw")


def test_mistakes() -> None:
    with pytest.raises(InputError, match=r"augmentation is for images .*; these are \[4, 9\]"):
        changed(torch.zeros(4, 9), augment=("flip",))
    with pytest.raises(InputError, match=r"augmentation is for images"):
        changed(torch.zeros(4, 9), cutmix=1.0)
    assert changed(torch.ones(4, 9), mixup=1.0).images.shape == (4, 9)
    with pytest.raises(InputError, match="rot90 is for square images; these are 8x16") as caught:
        changed(torch.zeros(4, 3, 8, 16), augment=("rot90",))
    assert caught.value.hint == "take rotate, or flip"
