"""The C backend: built once, kept in the cache, and clear about what is missing."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import engine_models as em
import numpy as np
import pytest

from onnxino import compile_cache
from onnxino.backends import c as backend
from onnxino.backends.c import CBackend
from onnxino.errors import ModelError, OnnxinoError
from onnxino.model import load_model
from onnxino.schema.codec import encode

IMAGE = np.random.default_rng(1).integers(-128, 128, (5, 1, 6, 5, 3), np.int8)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache folder whose path has a space and Chinese letters."""
    folder = tmp_path / "cache 缓存"
    monkeypatch.setenv("ONNXINO_CACHE_DIR", str(folder))
    backend.load_library.cache_clear()
    yield folder
    backend.load_library.cache_clear()


def zoo() -> CBackend:
    data = encode(em.zoo())
    return CBackend(load_model(data), data)


def test_compiles_once_and_keeps_the_library(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo()
    kept = list(empty_cache.iterdir())
    assert len(kept) == 1
    backend.load_library.cache_clear()
    monkeypatch.setattr(compile_cache.subprocess, "run", lambda *_, **__: pytest.fail("compiled again"))
    zoo()
    assert list(empty_cache.iterdir()) == kept


def test_without_a_compiler(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(OnnxinoError, match="no C compiler found") as caught:
        zoo()
    assert caught.value.hint is not None
    assert "onnxino[toolchain]" in caught.value.hint


def test_a_compile_error_is_shown(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", f'"{sys.executable}" -c "import sys; sys.exit(\'mock.c:1: error: no\')"')
    with pytest.raises(OnnxinoError, match=r"mock\.c:1: error: no"):
        zoo()


def test_ziglang_gives_the_same_bytes(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ziglang")
    expected = zoo().run([IMAGE])
    backend.load_library.cache_clear()
    monkeypatch.setenv("CC", f'"{sys.executable}" -m ziglang cc')
    for found, wanted in zip(zoo().run([IMAGE]), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert len(list(empty_cache.iterdir())) == 2


def test_the_library_cannot_be_loaded(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = empty_cache.parent / "broken.so"
    path.write_bytes(b"nothing")
    monkeypatch.setattr(backend, "shared_library", lambda *_: path)
    with pytest.raises(OnnxinoError, match="cannot load the compiled C runtime") as caught:
        zoo()
    assert str(path) in str(caught.value.hint)


def test_the_runtime_refuses_what_python_did_not_see() -> None:
    data = encode(em.zoo())
    with pytest.raises(ModelError, match=r"refuses the model: .*CRC-32 differs \(status -7"):
        CBackend(load_model(data), data[:-1] + b"\1")


def test_wrong_inputs_never_reach_c() -> None:
    runner = zoo()
    for wrong in (IMAGE[:, :, :5], IMAGE.astype(np.int16), IMAGE.view(np.uint8)):
        with pytest.raises(ValueError, match=r"expected int8 \(5, 1, 6, 5, 3\)"):
            runner.run([wrong])  # pyright: ignore[reportArgumentType]


def test_non_contiguous_inputs() -> None:
    runner = zoo()
    np.testing.assert_array_equal(runner.run([np.asfortranarray(IMAGE)])[0], runner.run([IMAGE])[0])


def test_a_large_batch_runs_in_pieces() -> None:
    many = np.random.default_rng(2).integers(-128, 128, (2 * backend.CHUNK + 3, 1, 6, 5, 3), np.int8)
    runner = zoo()
    whole = runner.run([many])
    every = runner.run_all([many])
    for i in (0, backend.CHUNK - 1, backend.CHUNK, 2 * backend.CHUNK + 2):
        alone = runner.run([many[i : i + 1]])
        for port, (large, single) in zip((13, 14), zip(whole, alone, strict=True), strict=True):
            np.testing.assert_array_equal(large[i], single[0])
            np.testing.assert_array_equal(every[port][i], single[0])


def test_an_empty_batch() -> None:
    assert [y.shape for y in zoo().run([IMAGE[:0]])] == [(0, 1, 6), (0, 1, 1, 1, 8)]


def test_closed() -> None:
    runner = zoo()
    runner.close()
    with pytest.raises(OnnxinoError, match="closed"):
        runner.run([IMAGE])


def test_other_threads_go_on_while_it_runs() -> None:
    runner = zoo()
    many = np.repeat(IMAGE, 20000, axis=0)
    thread = threading.Thread(target=runner.run, args=([many],))
    turns = 0
    thread.start()
    while thread.is_alive():
        time.sleep(0.005)
        turns += 1
    assert turns > 5


def test_sessions_share_nothing() -> None:
    first, second = zoo(), zoo()
    alone = first.run([IMAGE])
    second.run([IMAGE[::-1].copy()])
    np.testing.assert_array_equal(first.run([IMAGE])[0], alone[0])


def test_sources_are_found_inside_the_package() -> None:
    names = {path.name for path in backend.engine_sources()}
    assert {"model.c", "session.c", "structure.c", "plan.c", "conv2d.c", "transpose.c"} <= names
    assert all(path.is_relative_to(Path(backend.__file__).parent.parent) for path in backend.engine_sources())
