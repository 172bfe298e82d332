"""Whether there is anything that can be pruned as it is asked for: found out before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onnxino.errors import InputError
from onnxino_tools import ui
from onnxino_tools.compress.options import PruneOptions
from onnxino_tools.compress.verdict import KEEP_NORMALIZATION

if TYPE_CHECKING:
    from onnx import ModelProto

    from onnxino_converter.prune import Skipped

SHOWN = 3  # layers that the error names


def check_prunable(model: ModelProto, options: PruneOptions) -> None:
    """Raises InputError where a ratio above 0 is asked for, and every layer would be skipped; what prune() raises for
    layers that are not there."""
    from onnxino_converter.prune import prune

    if not _asked(options.ratio):
        return
    # Which layers can lose something does not depend on how important their channels are, but for what `bn` looks at.
    criterion = options.criterion if options.criterion in ("bn", "l1-next") else "l1"
    kwargs: dict[str, Any] = {"nm": options.kept_of()} if options.granularity == "n:m" else {"ratio": {}}
    result = prune(
        model,
        granularity=options.granularity,  # type: ignore[arg-type]
        criterion=criterion,  # type: ignore[arg-type]
        exclude=options.exclude,
        **kwargs,
    )
    # A network that cannot be pruned may keep to targets as it is: the search finds out.
    searched = options.ratio is None and options.granularity == "channel" and criterion != "bn"
    if not result.changes and not searched:
        raise nothing(model, options, result.skipped)


def _asked(ratio: object) -> bool:
    """Whether any layer may lose something; None is a ratio that is searched for, or that of n:m."""
    if isinstance(ratio, Mapping):
        return any(ratio.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    return ratio is None or ratio == "auto" or bool(ratio)


def nothing(model: ModelProto, options: PruneOptions, skipped: Sequence[Skipped]) -> InputError:
    """The error: why, and what helps."""
    if options.criterion == "bn" and not any(node.op_type == "BatchNormalization" for node in model.graph.node):
        return InputError(
            "nothing can be pruned by the criterion 'bn': the model has no BatchNormalization (an exporter folds it "
            "into the convolutions)",
            f"--criterion l1-next; or {KEEP_NORMALIZATION}",
        )
    reasons = "; ".join(f"{one.node}: {one.reason}" for one in skipped[:SHOWN])
    more = f"; and {ui.counted(len(skipped) - SHOWN, 'other')}" if len(skipped) > SHOWN else ""
    found = (
        f"none of its {ui.counted(len(skipped), 'layer')} can lose anything: {reasons}{more}"
        if skipped
        else ("it has no layers with weights that could lose anything")
    )
    if options.exclude:
        hint = "exclude fewer layers: --exclude"
    elif options.granularity == "channel":
        hint = "--granularity weight sets single weights to zero; or leave pruning away: 8 bits alone take a quarter"
    else:
        hint = "leave pruning away: 8 bits alone take a quarter of the bytes"
    return InputError(f"nothing of the model can be pruned: {found}", hint)
