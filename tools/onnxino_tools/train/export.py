"""A PyTorch module as an ONNX model."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

import io
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from onnxino.errors import ConvertError, InputError
from onnxino_tools.train.data import device_of
from onnxino_tools.train.graph import read_graph
from onnxino_tools.train.module import OnnxModule

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 17


def from_module(nn_module: nn.Module, example_shape: Sequence[int]) -> ModelProto:
    """The module in evaluation mode as ONNX (opset 17), with an input `image`, an output `logits`, an open batch axis,
    and the module's names for its parameters. Batch normalizations stay, so that they can be trained and pruned by.

    example_shape: of an input with its batch axis, such as (1, 3, 64, 64). The module stays as it is.
    Raises InputError for a shape that the module does not take, ConvertError for one that ONNX cannot express.
    """
    if isinstance(nn_module, OnnxModule):
        return nn_module.to_onnx()
    shape = [int(size) for size in example_shape]
    if len(shape) < 2 or min(shape) < 1:
        raise InputError(
            f"the example's shape is {shape}; expected sizes of 1 or more, the batch first",
            "for example (1, 3, 64, 64)",
        )
    example = torch.zeros(shape, device=device_of(nn_module))
    modes = {module: module.training for module in nn_module.modules()}
    nn_module.eval()
    try:
        with torch.no_grad():
            _try(nn_module, example)
        return read_graph(_export(nn_module, example)).model
    finally:
        for module, mode in modes.items():
            module.training = mode


def _try(module: nn.Module, example: torch.Tensor) -> None:
    try:
        result: object = module(example)
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(
            f"the module does not take an input of {list(example.shape)}: {_first(error)}",
            "give the shape with its batch axis, for example (1, 3, 64, 64)",
        ) from error
    if not isinstance(result, torch.Tensor):
        raise ConvertError(
            f"the module gives a {type(result).__name__}; a classifier gives one tensor of logits", "wrap the module"
        )


def _export(module: nn.Module, example: torch.Tensor) -> bytes:
    file: Any = io.BytesIO()  # the annotation knows paths alone
    with _silence():
        # dynamo=False: the newer exporter needs another package. PRESERVE: EVAL would fold the normalizations.
        try:
            torch.onnx.export(
                module,
                (example,),
                file,
                opset_version=OPSET,
                dynamo=False,
                training=torch.onnx.TrainingMode.PRESERVE,
                do_constant_folding=False,
                input_names=["image"],
                output_names=["logits"],
                dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            )
        except Exception as error:  # its many own classes have no common base
            raise ConvertError(
                f"PyTorch cannot export the module to ONNX: {_first(error)}",
                "change what it names, or export the model yourself and give the .onnx file",
            ) from error
    return file.getvalue()


@contextmanager
def _silence() -> Generator[None]:
    """No warnings, and no graph on stdout where the exporter fails."""
    inner: Any = torch._C  # pyright: ignore[reportPrivateUsage]
    log = inner._jit_onnx_log  # the exporter switches it on itself

    def nothing(*_: object) -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inner._jit_onnx_log = nothing
        try:
            yield
        finally:
            inner._jit_onnx_log = log


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
