"""How the converter says no: which node, what was found, what is supported, and what to do about it."""

from __future__ import annotations

from onnxino.errors import ConvertError

QUANTIZE_HINT = (
    "quantize the whole model statically, for example: onnxruntime.quantization.quantize_static(model, output, reader, "
    "quant_format=QuantFormat.QDQ, activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, per_channel=True)"
)

EIGHT_BITS_HINT = (
    "quantize again to 8 bits: onnxruntime.quantization.quantize_static(model, output, reader, "
    "activation_type=QuantType.QInt8, weight_type=QuantType.QInt8)"
)

SIMPLIFY = "pip install onnxsim, then python -m onnxsim model.onnx simple.onnx"
CHECK_HINT = "python -c \"import onnx; onnx.checker.check_model('MODEL.onnx', full_check=True)\""
_SUPPORTED_HINT = (
    f"change it where the model is made, or fold what is constant: {SIMPLIFY}; what stays can be cut off and computed "
    "on the host: onnx.utils.extract_model('model.onnx', 'cut.onnx', ['INPUT'], ['OUTPUT'])"
)


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
