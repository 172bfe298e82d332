"""Runs a model on a device: the emulator in this process, or a board behind a serial port or URL."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError, LinkError, MissingExtraError, OnnxinoError
from onnxino.model import dtype_of, shape_of, tensor_bytes
from onnxino.schema.model import Model

if TYPE_CHECKING:
    from onnxino.camera import Frame
    from onnxino_tools.link import DeviceLink
    from onnxino_tools.transport import Transport


class DeviceBackend:
    """A Backend behind a link. The device gets the model first if it has another one; `cycles` are the device's."""

    cycles: NDArray[np.int64] | None
    link: DeviceLink

    def __init__(self, model: Model, data: bytes, port: str) -> None:
        """port: "emulator", the name of a serial port, or a pyserial URL. data: the .oxm file of `model`.

        Raises LinkError (no such port, no permission, no answer, model refused), MissingExtraError (no emulator).
        """
        if find_spec("onnxino_tools") is None:
            raise LinkError(f"the backend '{port}' needs the package onnxino_tools", "pip install onnxino")
        from onnxino_tools.devices import first_hello
        from onnxino_tools.link import DeviceLink

        self.cycles = None
        self._inputs = [model.tensors[port.tensor] for port in model.inputs]
        self._outputs = [model.tensors[port.tensor] for port in model.outputs]
        self.link = DeviceLink(_emulator(data) if port == "emulator" else _serial_port(port))
        try:
            if port != "emulator":
                first_hello(self.link, port)
            if not self.link.has_model(data):
                self.link.load_model(data)
        except BaseException:
            self.link.close()
            raise

    def run(self, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Sample after sample. Raises LinkError when the device stops answering."""
        self._check(inputs)
        count = len(inputs[0])
        sizes = [tensor_bytes(tensor) for tensor in self._outputs]
        outputs = [np.empty((count, *shape_of(tensor)), dtype_of(tensor)) for tensor in self._outputs]
        self.cycles = np.zeros(count, np.int64)
        for sample in range(count):
            result = self.link.infer([np.ascontiguousarray(array[sample]).tobytes() for array in inputs], sizes)
            self.cycles[sample] = result.cycles
            self._take(result.output, sizes, outputs, sample)
        return outputs

    def run_frame(self, frame: Frame, fit: str, expected: NDArray[Any]) -> list[NDArray[Any]]:
        """Sends a camera's raw frame, which the device converts itself; one sample.

        expected: [1, *tensor.shape], what `frame_input` makes of it: the device compares. Raises LinkError.
        """
        sizes = [tensor_bytes(tensor) for tensor in self._outputs]
        outputs = [np.empty((1, *shape_of(tensor)), dtype_of(tensor)) for tensor in self._outputs]
        result = self.link.frame(frame, fit, sizes, np.ascontiguousarray(expected).tobytes())
        self.cycles = np.array([result.cycles], np.int64)
        self._take(result.output, sizes, outputs, 0)
        return outputs

    def _take(self, data: bytes, sizes: list[int], outputs: list[NDArray[Any]], sample: int) -> None:
        at = 0
        for output, size in zip(outputs, sizes, strict=True):
            output[sample] = np.frombuffer(data[at : at + size], output.dtype).reshape(output.shape[1:])
            at += size

    def run_all(self, inputs: list[NDArray[Any]]) -> NoReturn:
        """A device keeps no intermediate tensors: raises OnnxinoError."""
        raise OnnxinoError(
            "a device gives its outputs only, no intermediate tensors", "use the backend 'numpy' or 'c' for them"
        )

    def close(self) -> None:
        """Frees the port, or the emulator."""
        self.link.close()

    def _check(self, inputs: list[NDArray[Any]]) -> None:
        if len(inputs) != len(self._inputs):
            raise InputError(f"{len(inputs)} inputs were given, the model has {len(self._inputs)}")
        for array, tensor in zip(inputs, self._inputs, strict=True):
            shape, dtype = (len(inputs[0]), *shape_of(tensor)), dtype_of(tensor)
            if array.dtype != dtype or array.shape != shape:
                found = f"{array.dtype} {list(array.shape)}"
                raise InputError(f"input '{tensor.name}' is {found}, expected {dtype} {list(shape)}")


def _emulator(data: bytes) -> Transport:
    """A machine that runs the prebuilt image and already holds the model."""
    if find_spec("unicorn") is None:
        raise MissingExtraError("the emulator", "emulator")
    from onnxino_tools.build import firmware_image
    from onnxino_tools.emulator import EmulatorTransport, Machine

    return EmulatorTransport(Machine(firmware_image(), data))


def _serial_port(port: str) -> Transport:
    from onnxino_tools.transport import open_transport

    return open_transport(port)
