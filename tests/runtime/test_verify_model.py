"""Models that state what cannot be true: Python says what was found, expected and where; C refuses them too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import model_builder as mb
import numpy as np
import pytest
from broken_models import CASES
from changed_models import changed, i32, identity, network, node, operator, out, port, u32

from onnxino.errors import ModelError
from onnxino.model import Lifetime, lifetimes, load_model, tensor_bytes
from onnxino.schema import model as s
from onnxino.schema.codec import decode, encode


def c_refuses(data: bytes) -> bool:
    from onnxino.backends.c import CBackend

    try:
        CBackend(decode(data), data).close()
    except ModelError:
        return True
    return False


@pytest.mark.parametrize("name", CASES)
def test_refused_and_told(name: str) -> None:
    make, message = CASES[name]
    with pytest.raises(ModelError) as error:
        load_model(encode(make()))
    assert message in error.value.message
    assert error.value.message.startswith("the model is damaged: ")
    assert error.value.hint == "convert the ONNX file again"


@pytest.mark.parametrize("name", CASES)
def test_c_refuses_it_too(name: str, c_backend_missing: str | None) -> None:
    if c_backend_missing:
        pytest.skip(c_backend_missing)
    assert c_refuses(encode(CASES[name][0]()))


def in_place_add() -> s.Model:
    model = mb.single(s.Add(scale_a=1.0, scale_b=1.0), [[1, 20], [1, 20]], [1, 20])
    model.tensors[0].offset, model.tensors[2].offset = 32, 16
    model.tensors[1].offset = 64
    model.arena_size = 84
    return model


def twice_the_same() -> s.Model:
    model = mb.single(s.Mul(scale=1.0), [[1, 20]], [1, 20])
    model.operators[0].inputs = u32(0, 0)
    model.tensors[1].offset, model.arena_size = 0, 20
    return model


def unread() -> s.Model:
    """Nobody reads tensor 2: it lives while it is written, and what comes after may take its place."""
    model = mb.single(identity(), [[1, 20]], [1, 20])
    model.tensors.append(mb.tensor("unread", [1, 20], 64))
    model.operators.insert(0, operator("first", identity(), [0], 2))
    model.arena_size = 84
    return model


ACCEPTED: dict[str, Callable[[], s.Model]] = {
    "all": network,
    "in place, output begins before the input": in_place_add,
    "both operands the same, in place": twice_the_same,
    "written and never read": unread,
    "scratch without size lies anywhere": node(0, scratch_offset=7),
    "scratch beside": node(2, scratch_size=16, scratch_offset=96),
    "an alias's port": out(tensor=6, shape=i32(1, 16)),
    "a constant's port": out(tensor=9, shape=i32(5)),
    "no dimension names": port(dimension_names=[]),
    "tensor that nobody uses": changed(
        lambda m: m.tensors.append(mb.tensor("idle", [16], 0, type=s.ElementType.Int32))
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_by_both(name: str, c_backend_missing: str | None) -> None:
    data = encode(ACCEPTED[name]())
    load_model(data)
    assert c_backend_missing or not c_refuses(data)


# ------------------------------------------------------------------------------------------------- helpers


def test_lifetimes() -> None:
    assert lifetimes(network()) == {
        0: Lifetime(-1, 0),
        1: Lifetime(0, 1),
        2: Lifetime(1, 3),
        3: Lifetime(2, 4),
        4: Lifetime(3, 4),
        5: Lifetime(4, 5),
        7: Lifetime(5, 6),
        8: Lifetime(6, 7),
        10: Lifetime(7, 8),
    }


@pytest.mark.parametrize(("kind", "size"), [("Int8", 6), ("UInt16", 12), ("Int32", 24), ("Float32", 24)])
def test_tensor_bytes(kind: str, size: int) -> None:
    assert tensor_bytes(mb.tensor("t", [1, 2, 3], type=s.ElementType[kind])) == size


def test_random_changes_get_the_same_verdict(c_backend_missing: str | None) -> None:
    """Single fields set to values that may or may not fit: Python and C agree on each."""
    if c_backend_missing:
        pytest.skip(c_backend_missing)
    rng = np.random.default_rng(17)
    refused = 0
    for _ in range(400):
        model = network()
        choice = rng.integers(5)
        if choice == 0:
            model.tensors[rng.integers(11)].offset = int(rng.integers(0, 12)) * 16
        elif choice == 1:
            target = model.tensors[rng.integers(11)]
            target.shape = target.shape.copy()
            target.shape[rng.integers(len(target.shape))] += rng.integers(-1, 2)
        elif choice == 2:
            where = model.operators[rng.integers(8)]
            where.scratch_size, where.scratch_offset = int(rng.integers(0, 60)), int(rng.integers(0, 10)) * 16
        elif choice == 3:
            where = model.operators[rng.integers(8)]
            where.inputs = where.inputs.copy()
            where.inputs[rng.integers(len(where.inputs))] = rng.integers(0, 12)
        else:
            kernel: Any = model.operators[rng.integers(4)].kernel
            field = rng.choice(list(s.Window2D.__slots__))
            setattr(kernel.window, field, int(rng.integers(0, 4)))
        model.arena_size = max(
            t.offset + tensor_bytes(t) for t in model.tensors if t.data is None
        )  # so that other rules decide
        data = encode(model)
        try:
            load_model(data)
            ours = False
        except ModelError:
            ours = True
        assert ours == c_refuses(data)
        refused += ours
    assert 40 < refused < 390
