"""What to do about operators that cannot be converted: a hint for each kind of them."""

from __future__ import annotations

from onnxino_converter.refusal import CUT_OFF, EIGHT_BITS_HINT, QUANTIZE_HINT, SIMPLIFY

_DYNAMIC = "the model is quantized dynamically: scales depend on the input; " + QUANTIZE_HINT
_QONNX = (
    "this is QONNX: export the model again in QCDQ style, with QuantizeLinear and DequantizeLinear: "
    "brevitas.export.export_onnx_qcdq(model, args=example, export_path='qcdq.onnx')"
)
_OPTIMIZED = (
    "ONNX Runtime wrote this operator for one machine when it optimized the graph: give the model from before "
    "(SessionOptions.optimized_model_filepath and onnxruntime.transformers.optimizer write such graphs)"
)
_RECURRENT = (
    "replace the recurrent layer by convolutions over time (torch.nn.Conv1d), or export its cell unrolled: "
    "MatMul, Add, Sigmoid, Tanh and Mul for each step"
)
_CONTROL = (
    "export without control flow: torch.onnx.export(model.eval(), example, 'model.onnx') of a traced model; where the "
    f"condition is constant, fold it: {SIMPLIFY}"
)
_SEQUENCE = (
    "export without lists of tensors: torch.split with fixed sizes, torch.cat and indexing with constants; "
    f"sequences of known length can be folded: {SIMPLIFY}"
)
_CONDITION = (
    "write the condition as arithmetic: torch.clamp, minimum, maximum, relu, or a product with a mask of 0 and 1"
)
_TRANSPOSED = (
    "upsample by the nearest pixel and convolve: torch.nn.Upsample(scale_factor=2) followed by torch.nn.Conv2d, "
    "in place of torch.nn.ConvTranspose2d"
)
_EINSUM = "write it as transposes and a product of matrices: torch.matmul in place of torch.einsum"

_BY_OPERATOR = {
    **dict.fromkeys(
        (
            *("DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul"),
            *("MatMulIntegerToFloat", "DynamicQuantizeLSTM"),
        ),
        _DYNAMIC,
    ),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _RECURRENT),
    **dict.fromkeys(("If", "Loop", "Scan"), _CONTROL),
    **dict.fromkeys(
        (
            *("SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase", "SequenceLength"),
            *("SequenceMap", "SplitToSequence", "ConcatFromSequence", "Optional", "OptionalGetElement"),
        ),
        _SEQUENCE,
    ),
    **dict.fromkeys(
        ("Where", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not", "Xor", "IsNaN"),
        _CONDITION,
    ),
    "ConvTranspose": _TRANSPOSED,
    "Einsum": _EINSUM,
    "Quant": _QONNX,
    "MatMulNBits": EIGHT_BITS_HINT,
    "MatMulBnb4": EIGHT_BITS_HINT,
}


def advice(domain: str, operator: str) -> str:
    """The hint for an operator without a handler."""
    if domain.startswith("qonnx"):
        return _QONNX
    if operator in _BY_OPERATOR and domain in ("", "ai.onnx", "com.microsoft"):
        return _BY_OPERATOR[operator]
    if domain in ("com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"):
        return _OPTIMIZED
    if domain not in ("", "ai.onnx"):
        return f"operators of domain '{domain}' cannot be converted; export with standard ONNX operators"
    near = _near(operator) if domain in ("", "ai.onnx") else None
    if near is not None:
        return f"ONNX has no operator '{operator}': did you mean {near}?"
    return f"express it by operators that are supported{CUT_OFF}"


def _near(operator: str) -> str | None:
    """The supported operator that was meant, where ONNX has none of this name."""
    import difflib

    from onnx import defs

    from onnxino_converter.importer.handlers import ONNX

    if defs.has(operator):
        return None
    return next(iter(difflib.get_close_matches(operator, ONNX, n=1, cutoff=0.75)), None)
