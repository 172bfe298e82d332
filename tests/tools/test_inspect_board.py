"""inspect: a model's facts and a device's, for people and as JSON."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from onnxino_tools.commands import inspect
from onnxino_tools.examples import example
from onnxino_tools.inspect import board, report
from onnxino_tools.protocol import Hello
from tests.tools.conftest import Command

ROOT = Path(__file__).resolve().parents[2]
HELLO = Hello(
    protocol_version=1, board_id=1, max_payload=1040, firmware_version="0.1.0", device_id="0123456789ABCDEF",
    clock_hz=64_000_000, arena_size=229_376, model_region_size=655_360, page_size=4096, stack_size=8192,
    stack_free=7768, model_status=0, model_size=11_168, model_crc=0xBEEF, model_arena_size=2352, operators=4,
    input_sizes=(784,), output_sizes=(10,), model_name="digits_int8",
    image_size=54_321, image_crc=0xCAFE, transport=1, bootloader=2,
)  # fmt: skip


def test_a_model_as_json(onnxino: Command) -> None:
    facts = json.loads(onnxino("inspect", example("digits", "digits_int8.onnx"), "--json")[1])
    assert facts["inputs"] == [{"name": "image", "type": "tensor(float)", "shape": ["batch", 1, 28, 28]}]
    assert facts["outputs"] == [{"name": "logits", "type": "tensor(float)", "shape": ["batch", 10]}]
    assert facts["options"] == {"board": "nano33ble", "name": "digits_int8"}


def test_a_model_for_people(onnxino: Command) -> None:
    out = onnxino("inspect", example("digits", "digits_int8.onnx"))[1]
    assert "image: tensor(float) ['batch', 1, 28, 28]\n" in out
    assert re.search(r"options +board=nano33ble, name=digits_int8\n", out)


def test_an_empty_device(onnxino: Command) -> None:
    pytest.importorskip("unicorn")
    code, out, _ = onnxino("inspect", "emulator")
    assert code == 0
    assert re.search(r"board +Arduino Nano 33 BLE Sense \(nRF52840\)\n", out)
    assert re.search(r"clock +64 MHz\n", out)
    assert re.search(r"model +none loaded\n", out)
    assert "status" not in out
    facts = json.loads(onnxino("inspect", "emulator", "--json")[1])
    assert (facts["model_valid"], facts["model_status"]) == (False, -4)
    assert facts["model_status_text"] == "not an Onnxino model"


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ["model +digits_int8", "model size +11,168 bytes, CRC-32 0x0000beef", "inputs +784 bytes"]),
        ({"model_status": -7}, [r"model +cannot be used: the model is damaged: its CRC-32 differs \(status -7\)"]),
        ({"model_status": -99}, [r"model +cannot be used: unknown status \(status -99\)"]),
        (
            {},
            ["image +54,321 bytes, CRC-32 0x0000cafe", "asked over +USB", "bootloader +of 2021", "fault record +none"],
        ),
        ({"reset_reasons": 0}, ["last reset +power-on"]),
        ({"reset_reasons": 5}, ["last reset +reset button, software"]),
        (
            {"bootloader": 0, "fault_waiting": True},
            ["bootloader +unknown", "fault record +one waits: onnxino selftest shows it"],
        ),
        ({"board_id": 77}, ["board +unknown, id 77"]),
    ],
)
def test_a_device(onnxino: Command, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], lines: list[str]) -> None:
    def hello(_port: str) -> Hello:
        return dataclasses.replace(HELLO, **changes)

    monkeypatch.setattr(inspect, "ask", hello)
    out = onnxino("inspect", "COM7")[1]
    for line in lines:
        assert re.search(rf"^ *{line}$", out, re.MULTILINE), out


def test_status_texts_are_those_of_the_c_runtime() -> None:
    engine = ROOT / "runtime/onnxino/engine"
    numbers = dict(re.findall(r"(ONX_\w+) = (-?\d+),", (engine / "onnxino.h").read_text(encoding="utf-8")))
    texts = re.findall(r'case (ONX_\w+): return "(.*)";', (engine / "status.c").read_text(encoding="utf-8"))
    assert {int(numbers[name]): text for name, text in texts} == board.MODEL_STATUS


def test_options_that_are_no_json() -> None:
    assert report._options("by hand") == "by hand"  # pyright: ignore[reportPrivateUsage]
    assert report._options(None) is None  # pyright: ignore[reportPrivateUsage]
