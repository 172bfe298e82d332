"""What the firmware itself says about its image and its model: the proof that flash holds what was written."""

from __future__ import annotations

import zlib

from onnxino.errors import LinkError
from onnxino_tools.image_mark import read_mark
from onnxino_tools.link import DeviceError, DeviceLink
from onnxino_tools.protocol import Hello, Status

_OLD_FORMAT, _NO_KERNEL = -5, -12  # onnx_status: the firmware is too old for the model


class DiffersError(LinkError):
    """By the CRC-32 that the firmware tells, flash holds something else."""


def is_onnxino(image: bytes) -> bool:
    """Whether an image is a firmware of Onnxino, by its mark; a sketch is not."""
    return read_mark(image) is not None


def check_image_runs(link: DeviceLink, hello: Hello, image: bytes) -> None:
    """Raises LinkError unless the firmware that answers is `image`, by its CRC-32 as built and over flash now."""
    crc = zlib.crc32(image)
    if (hello.image_size, hello.image_crc) != (len(image), crc) or link.image_crc(0, len(image)) != crc:
        raise DiffersError(
            f"firmware {hello.firmware_version} answers, but is not the image that was written: CRC-32 "
            f"0x{hello.image_crc:08x} of {hello.image_size:,} bytes instead of 0x{crc:08x} of {len(image):,}",
            "flash it once more",
        )


def check_model_runs(link: DeviceLink, model: bytes) -> None:
    """Raises LinkError unless the firmware has this model, by its CRC-32 over flash."""
    if link.has_model(model):
        return
    text, hint = _wrong_model(link.hello()), "convert the model again with this version of Onnxino"
    if link.model_crc(0, len(model)) != zlib.crc32(model):
        raise DiffersError(text, "flash it once more")
    raise LinkError(text, hint)


def _wrong_model(hello: Hello) -> str:
    from onnxino_tools.inspect.board import MODEL_STATUS

    status = MODEL_STATUS.get(hello.model_status, f"status {hello.model_status}")
    if hello.model_valid:
        return f"the board says that it holds another model: {hello.model_name}"
    return f"the board does not take the model: {status}"


def too_old(error: DeviceError) -> bool:
    """Whether a newer firmware may take what this one refuses."""
    if error.status == Status.MODEL_REFUSED and len(error.payload) >= 4:
        return int.from_bytes(error.payload[:4], "little", signed=True) in (_OLD_FORMAT, _NO_KERNEL)
    return error.status in (Status.BAD_VERSION, Status.UNKNOWN_COMMAND)
