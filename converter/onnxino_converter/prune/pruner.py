"""prune(): from a float model to a smaller or sparser one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from numpy.typing import NDArray

from onnxino.errors import InputError
from onnxino_converter.prune import options
from onnxino_converter.prune.channels import prune_channels
from onnxino_converter.prune.options import Criterion, Granularity, Scope
from onnxino_converter.prune.prepare import prepare
from onnxino_converter.prune.result import Pruned
from onnxino_converter.prune.weights import prune_n_of_m, prune_weights

if TYPE_CHECKING:
    from onnx import ModelProto


def prune(
    model: str | Path | bytes | ModelProto,
    *,
    granularity: Granularity,
    ratio: float | Mapping[str, float] | None = None,
    criterion: Criterion = "l1",
    scope: Scope = "layer",
    nm: tuple[int, int] = (2, 4),
    scores: Mapping[str, NDArray[Any]] | None = None,
    exclude: Collection[str] = (),
    multiple: int = 1,
) -> Pruned:
    """Remove channels, or set weights to zero, of a float32 model. The model that is given is not changed.

    model: path, bytes or onnx.ModelProto. granularity: `channel` takes whole channels out of the graph, which becomes
    smaller; `weight` zeroes single weights; `n:m` zeroes all but nm[0] of each nm[1] along the input dimension.
    ratio: the share that goes, 0 <= ratio < 1, of each layer's channels or weights; a dictionary by layer prunes only
    those that it names (by node, by weights or, for channels, by group). scope `global`: of all layers together, the
    least important first. Of n:m it follows, and may be left out.
    criterion: l1 or l2, the norm of a channel's filters or the magnitude of a weight; for channels only l1-next, the
    norm of the weights that read it, and bn, |gamma| of BatchNormalization; or taylor: `scores`, an array of the
    weight's shape for each initializer. exclude: layers that are left as they are. multiple: channel counts stay
    multiples of this, rounded up; a layer that has fewer channels keeps them. Each layer keeps one channel at least.

    Raises InputError for options out of range and unknown layers, ConvertError for a model that cannot be pruned
    (quantized, with control flow, not readable).
    """
    options.check_choice("granularity", granularity, options.GRANULARITIES)
    options.check_choice("scope", scope, options.SCOPES)
    options.check_criterion(criterion, granularity, scores)
    options.check_multiple(multiple)
    options.check_exclude(exclude)
    if granularity == "n:m":
        _check_nm(nm, ratio)
    else:
        _check_ratio(granularity, ratio, scope, multiple)
    graph = prepare(model)
    if granularity == "n:m":
        return prune_n_of_m(graph, nm, criterion, scores or {}, exclude)
    share = 0.0 if ratio is None else ratio
    if granularity == "weight":
        return prune_weights(graph, share, criterion, scope, scores or {}, exclude)
    return prune_channels(graph, share, criterion, scope, scores or {}, exclude, multiple)


def _check_ratio(granularity: str, ratio: object, scope: str, multiple: int) -> None:
    """Whatever can be told without the model."""
    if ratio is None:
        raise InputError(f"ratio is missing; granularity '{granularity}' needs the share to remove", "ratio=0.5")
    if isinstance(ratio, Mapping):
        if scope == "global":
            raise InputError("ratio is given for each layer, and scope is 'global'", "scope='layer'; or one ratio")
    else:
        options.check_ratio(ratio)
    if multiple != 1 and granularity != "channel":
        raise InputError(f"multiple is {multiple}, which is for channels; granularity is '{granularity}'")


def _check_nm(nm: object, ratio: object) -> None:
    numbers = list(cast("Collection[Any]", nm)) if isinstance(nm, tuple | list) else []
    if len(numbers) != 2 or not all(type(k) is int for k in numbers):
        raise InputError(f"nm is {nm!r}; expected two whole numbers, such as (2, 4)")
    n, m = numbers
    if not 0 < n < m:
        raise InputError(f"nm is {n}:{m}; expected N of each M with 0 < N < M", "nm=(2, 4)")
    if ratio is not None and ratio != 1 - n / m:
        raise InputError(f"ratio is {ratio!r}, but {n}:{m} removes {1 - n / m:g}", "leave ratio out")
