"""selftest: what is in its file, that it finds wrong results, and that the owner's model is put back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnxino.schema.codec import encode
from onnxino_tools import devices, selftest
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


def test_a_folder_as_output(onnxino: Command, tmp_path: Path) -> None:
    code, _, err = onnxino("selftest", "--port", "emulator", "-o", tmp_path)
    assert code == 1
    assert "is a folder, the name of a file was expected" in err
