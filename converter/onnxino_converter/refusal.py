"""How the converter says no: which node, what was found, what is supported, and what to do about it."""

from __future__ import annotations

import re

from onnxino.errors import ConvertError

# In these hints 'model.onnx' stands for the model's own file and 'INPUT', 'OUTPUT' for where it can be cut:
# hints_for() of hints.py fills them in.
QUANTIZE_STATIC = (
    "onnxruntime.quantization.quantize_static(model, output, reader, "
    "quant_format=QuantFormat.QDQ, activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, per_channel=True)"
)
QUANTIZE_HINT = (
    "quantize the whole float model statically: onnxino convert FLOAT.onnx --calibrate DATA.npz; or " + QUANTIZE_STATIC
)

EIGHT_BITS_HINT = (
    "quantize again to 8 bits: onnxruntime.quantization.quantize_static(model, output, reader, "
    "activation_type=QuantType.QInt8, weight_type=QuantType.QInt8)"
)

SIMPLIFY = "pip install onnxsim && python -m onnxsim model.onnx simple.onnx"
CHECK_HINT = "python -c \"import onnx; onnx.checker.check_model('model.onnx', full_check=True)\""
# Where nothing lies between the graph's inputs and the node, this part is left out.
CUT_OFF = (
    "\nor cut the model off before it, and compute the rest on the host: "
    "python -c \"import onnx.utils; onnx.utils.extract_model('model.onnx', 'cut.onnx', ['INPUT'], ['OUTPUT'])\""
)
NOT_SUPPORTED = "the operator is not supported; docs/operators.md lists those that are"
_SUPPORTED_HINT = f"change it where the model is made, or fold what is constant: {SIMPLIFY}{CUT_OFF}"


def escaped(name: str) -> str:
    """For single quotes of Python within double quotes of a shell."""
    return re.sub(r"([\\'\"$`])", r"\\\1", name)


class FinalRefusal(ConvertError):
    """What must not run as a float island either, because it would mean something else than in ONNX Runtime."""


def refusal(
    where: str, found: str, supported: str | None = None, hint: str | None = None, *, final: bool = False
) -> ConvertError:
    """The error for something that cannot be converted: `where: found; supported: ...`.

    Without a hint of its own: where nothing is said to be supported the model is not valid, and the checker tells more.
    """
    if hint is None:
        hint = _SUPPORTED_HINT if supported else CHECK_HINT
    message = f"{where}: {found}"
    if supported:
        message += f"; supported: {supported}"
    return (FinalRefusal if final else ConvertError)(message, hint)
