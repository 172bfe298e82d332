"""selftest: what is in its file, that it finds wrong results, and that the owner's model is put back."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from onnxino.errors import LinkError, OnnxinoError
from onnxino.schema.codec import encode
from onnxino_tools import devices, selftest
from onnxino_tools.link import DeviceLink
from onnxino_tools.selftest_models import selftest_models
from tests.tools.conftest import Command
from tests.tools.models import tiny_model

pytest.importorskip("unicorn")


def test_models_are_the_same_each_time() -> None:
    assert [m.content for m in selftest_models()] == [m.content for m in selftest_models()]
    assert [m.name for m in selftest_models()] == ["digits", "layers"]


def test_the_file(onnxino: Command, tmp_path: Path) -> None:
    file = tmp_path / "sub" / "self.json"
    code, out, _ = onnxino("selftest", "--port", "emulator", "-o", file)
    assert code == 0
    assert "digits:" in out
    text = file.read_text("utf-8")
    assert "0123456789ABCDEF" not in text.upper()  # the chip's number stays at home
    result = json.loads(text)
    assert (result["format"], result["ok"], result["board"]["emulated"]) == (1, True, True)
    assert result["board"]["mark"] == selftest.board_mark("0123456789ABCDEF")
    assert result["board"]["own_image"]
    for model in result["models"]:
        assert (model["bytes_different"], model["operators_different"]) == (0, 0)
        for operator in model["operators"]:
            # In the emulator, measured is estimated.
            assert operator["cycles"] == pytest.approx(operator["estimated_0_wait_states"], rel=0.01)
            assert operator["estimated_2_wait_states"] > operator["estimated_0_wait_states"]
    assert {m["memory"] for m in result["memory"]} == {"flash", "ram"}
    assert all(m["cycles"] > m["words"] for m in result["memory"])
    assert result["faults"] == {"since_power_on": 0, "last": None}
    assert result["line"]["device"]["bad_frames"] == 0


def test_a_wrong_result_fails(onnxino: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = selftest.reference_hashes
    monkeypatch.setattr(selftest, "reference_hashes", lambda *args: [value ^ 1 for value in right(*args)])
    code, out, err = onnxino("selftest", "--port", "emulator", "--json")
    assert code == 1
    assert json.loads(out)["models"][0]["operators_different"] > 0
    assert "error: the board computes other bytes than the reference" in err


def test_the_owners_model_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    own = encode(tiny_model())
    with devices.open_device("emulator") as link:
        link.load_model(own)
        assert selftest.selftest(link)["ok"]
        assert link.has_model(own)
        monkeypatch.setattr(selftest, "selftest_models", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            selftest.selftest(link)
        assert link.has_model(own)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONNXINO_CACHE_DIR", str(tmp_path / "my cache"))
    return tmp_path / "my cache"


def _stop_after(monkeypatch: pytest.MonkeyPatch, link: DeviceLink, requests: int, error: BaseException) -> None:
    """From then on, nothing gets through."""
    write, left = link.transport.write, iter(range(requests))

    def cut(data: bytes) -> None:
        if next(left, None) is None:
            raise error
        write(data)

    monkeypatch.setattr(link.transport, "write", cut)


@pytest.mark.parametrize("requests", [6, 20, 60])
def test_the_owners_model_outlives_a_cut(cache: Path, monkeypatch: pytest.MonkeyPatch, requests: int) -> None:
    """The cut is never undone here: the file is what remains. The next selftest finds it and puts it back."""
    own = encode(tiny_model())
    with devices.open_device("emulator") as link:
        link.load_model(own)
        with monkeypatch.context() as patch:
            _stop_after(patch, link, requests, LinkError("the line was cut"))
            with pytest.raises(
                LinkError, match="the line was cut; the board's own model could not be put back"
            ) as error:
                selftest.selftest(link)
        (file,) = cache.glob("model-of-*.oxm")
        assert file.read_bytes() == own
        assert f"onnxino flash '{file}' --port emulator" in str(error.value.hint)
        said: list[str] = []
        assert selftest.selftest(link, say=said.append)["ok"]
        assert str(file) in said[0]
        assert link.has_model(own)
        assert not file.exists()


def test_the_file_goes_after_all_is_well(cache: Path) -> None:
    with devices.open_device("emulator") as link:
        link.load_model(encode(tiny_model()))
        said: list[str] = []
        assert selftest.selftest(link, say=said.append)["ok"]
    assert said == [
        f"the board's own model is kept in {next(iter(cache.parent.glob('my cache')))}"
        f"/model-of-{selftest.board_mark('0123456789ABCDEF')}.oxm until it is put back"
    ]
    assert not list(cache.glob("model-of-*"))


def test_nothing_changes_where_the_model_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ONNXINO_CACHE_DIR", str(tmp_path / "file" / "sub"))
    with devices.open_device("emulator") as link:
        link.load_model(own := encode(tiny_model()))
        with pytest.raises(OnnxinoError, match="cannot be written"):
            selftest.selftest(link)
        assert link.has_model(own)


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send SIGTERM to itself")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_put_the_model_back(
    cache: Path, onnxino: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    link = devices.open_device("emulator")
    link.load_model(own := encode(tiny_model()))
    monkeypatch.setattr(devices, "open_device", lambda port: link)
    monkeypatch.setattr(link.transport, "close", lambda: None)
    load, loads = link.load_model, 0

    def signalled(data: bytes, progress: Any = None) -> None:
        nonlocal loads
        loads += 1
        if loads == 1:
            os.kill(os.getpid(), number)
        load(data, progress)

    monkeypatch.setattr(link, "load_model", signalled)
    code, _, err = onnxino("selftest", "--port", "emulator", "-o", tmp_path / "x.json")
    assert code == 128 + number
    assert ("interrupted" if number == signal.SIGINT else "ended by SIGTERM") in err
    assert loads == 2
    assert link.has_model(own)
    assert not list(cache.glob("model-of-*"))


def test_a_folder_as_output(onnxino: Command, tmp_path: Path) -> None:
    code, _, err = onnxino("selftest", "--port", "emulator", "-o", tmp_path)
    assert code == 1
    assert "is a folder, the name of a file was expected" in err
