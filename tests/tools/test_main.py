"""The command line as a whole: help, wrong usage, exit codes, and what leaves through stdout and stderr."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from onnxino import __version__
from onnxino.errors import OnnxinoError
from onnxino_tools import main as main_module
from onnxino_tools import ui
from onnxino_tools.arguments import Parser, UsageError, add_json
from onnxino_tools.examples import example
from onnxino_tools.interrupt import Interrupted
from onnxino_tools.main import COMMANDS, main
from tests.tools.conftest import Command


def test_help_lists_all_commands(onnxino: Command) -> None:
    code, out, err = onnxino("--help")
    assert (code, err) == (0, "")
    for name, text in COMMANDS.items():
        assert name in out
        assert text in out


def test_no_command_is_wrong_usage(onnxino: Command) -> None:
    code, out, _ = onnxino()
    assert code == 2
    assert "usage: onnxino COMMAND" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(onnxino: Command, name: str) -> None:
    code, out, err = onnxino(name, "--help")
    assert (code, err) == (0, "")
    assert f"usage: onnxino {name}" in out
    assert "--json" in out
    assert onnxino("help", name)[1] == out


def test_version(onnxino: Command) -> None:
    assert onnxino("--version") == (0, f"onnxino {__version__}\n", "")


@pytest.mark.parametrize(
    ("argv", "error", "hint"),
    [
        (["convrt"], "there is no command 'convrt'", "did you mean: onnxino convert"),
        (["serialeval"], "there is no command 'serialeval'", "did you mean: onnxino serial-eval"),
        (["xyzzy"], "there is no command 'xyzzy'", "onnxino --help lists the commands"),
        (["--frobnicate"], "there is no option '--frobnicate'", "onnxino --help"),
        (["convert"], "the following arguments are required: MODEL.onnx", "onnxino convert --help"),
        (["serial-eval", "--port", "x"], "required: --model, --data", "onnxino serial-eval --help"),
        (["convert", "m", "--frob"], "unrecognized arguments: --frob", "onnxino convert --help"),
        (["run", "m", "i", "--top", "0"], "argument --top: invalid positive value: '0'", "onnxino run --help"),
        (["run", "m", "i", "--mean", "1,a"], "argument --mean: invalid numbers value: '1,a'", "onnxino run --help"),
        (["run", "m", "i", "--mean", "1"], "--mean and --std need --scale", "--scale 1/255"),
        (["convert", "m", "--calibrat", "d"], "unrecognized arguments: --calibrat", "did you mean --calibrate?"),
        (["convert", "m", "--calibrat=d"], "unrecognized arguments: --calibrat", "did you mean --calibrate?"),
        (["run", "m", "i", "--scale", "1/0"], "argument --scale: invalid number value: '1/0'", "onnxino run --help"),
        (["run", "m", "i", "--scale", "1", "--std", "0"], "--std must be above 0", "divides"),
    ],
)
def test_wrong_usage(onnxino: Command, argv: list[str], error: str, hint: str) -> None:
    code, out, err = onnxino(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert error in err
    assert f"hint: {hint}" in err or hint in err.split("hint: ")[1]


def _failing(error: BaseException, json: bool = False, result: object = None) -> object:
    class Module:
        __doc__ = "x"

        @staticmethod
        def add_arguments(parser: Parser) -> None:
            if json:
                add_json(parser)

        @staticmethod
        def run(args: object) -> int:
            if result is not None:
                ui.out_json(result)
            raise error

    return Module


@pytest.mark.parametrize(
    ("raised", "code", "expected"),
    [
        (OnnxinoError("broken", "mend it"), 1, "error: broken\nhint: mend it\n"),
        (OnnxinoError("broken"), 1, "error: broken\n"),
        (KeyboardInterrupt(), 130, "\nerror: interrupted\n"),
        (Interrupted(15), 143, "\nerror: ended by SIGTERM\n"),
        (BrokenPipeError(), 1, ""),
        (PermissionError(13, "Permission denied", "out.npz"), 1, "error: Permission denied: out.npz\n"),
        (MemoryError(), 1, "error: not enough memory\n"),
    ],
)
def test_one_exit_door(
    monkeypatch: pytest.MonkeyPatch, onnxino: Command, raised: BaseException, code: int, expected: str
) -> None:
    monkeypatch.setattr(main_module.importlib, "import_module", lambda _: _failing(raised))
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # a broken pipe replaces it
    assert onnxino("doctor") == (code, "", expected)


@pytest.mark.parametrize(
    ("raised", "code", "message", "hint"),
    [
        (OnnxinoError("broken", "mend it"), 1, "broken", "mend it"),
        (UsageError("what?", "onnxino doctor --help"), 2, "what?", "onnxino doctor --help"),
        (KeyboardInterrupt(), 130, "interrupted", None),
        (PermissionError(13, "Permission denied", "out.npz"), 1, "Permission denied: out.npz", None),
    ],
)
def test_errors_as_json(
    monkeypatch: pytest.MonkeyPatch,
    onnxino: Command,
    raised: BaseException,
    code: int,
    message: str,
    hint: str | None,
) -> None:
    monkeypatch.setattr(main_module.importlib, "import_module", lambda _: _failing(raised, json=True))
    found, out, err = onnxino("doctor", "--json")
    assert found == code
    assert json.loads(out) == {"error": {"message": message, "hint": hint}}
    assert f"error: {message}\n" in err


def test_an_error_after_the_result_adds_no_second_json(monkeypatch: pytest.MonkeyPatch, onnxino: Command) -> None:
    """serial-eval reports what is done, and fails."""
    monkeypatch.setattr(main_module.importlib, "import_module", lambda _: _failing(OnnxinoError("x"), True, {"ok": 0}))
    code, out, err = onnxino("doctor", "--json")
    assert (code, json.loads(out), err) == (1, {"ok": 0}, "error: x\n")


def test_wrong_usage_as_json(onnxino: Command) -> None:
    code, out, _ = onnxino("convert", "--json", "--frob")
    assert code == 2
    assert json.loads(out)["error"]["hint"] == "onnxino convert --help"
    code, out, err = onnxino("run", "none.oxm", "x", "--json")
    assert code == 1
    assert json.loads(out)["error"]["message"] in err


def test_start_up_is_fast() -> None:
    """Without numpy, onnx, unicorn, serial; the limit leaves room for a busy machine."""
    code = "import sys; from onnxino_tools.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert not loaded & {"numpy", "onnx", "unicorn", "serial", "PIL", "onnxruntime", "flatbuffers"}
    times: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "onnxino_tools.main", "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the processor time of a finished process")
def test_help_takes_little_processor_time() -> None:
    """Median of ten: what else a machine does is not counted."""
    seconds: list[float] = []
    for _ in range(10):
        before = os.times()
        subprocess.run([sys.executable, "-m", "onnxino_tools.main", "--help"], capture_output=True, check=True)
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        seconds.append(used)
    assert sorted(seconds)[5] < 0.15


class Console(io.TextIOWrapper):
    """A console that refuses what it cannot show."""

    def __init__(self, encoding: str, terminal: bool = False) -> None:
        self.bytes = io.BytesIO()
        self.terminal = terminal
        super().__init__(self.bytes, encoding, "strict", write_through=True)

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize("encoding", ["cp936", "ascii", "utf-8"])
def test_consoles_of_every_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    out, err = Console(encoding), Console(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    text = "垃圾 ä € 😀"
    ui.out(text)
    ui.talk(text)
    shown = text.encode(encoding, "backslashreplace") + b"\n"
    assert out.bytes.getvalue() == shown
    assert err.bytes.getvalue() == shown
    assert main(["run", "模型😀.oxm", "x"]) == 1
    assert "there is no model" in err.bytes.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_progress_is_for_terminals(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    err = Console(encoding, terminal=True)
    monkeypatch.setattr(sys, "stderr", err)
    with ui.Progress(10, "images") as bar:
        time.sleep(0.01)
        bar.update(5)
    text = err.bytes.getvalue().decode(encoding)
    assert "5/10   50%" in text
    assert "images/s" in text
    assert "left" in text
    assert ("━" in text) == (encoding == "utf-8")
    assert text.endswith("\r\x1b[K")
    silent = Console(encoding)
    monkeypatch.setattr(sys, "stderr", silent)
    with ui.Progress(10, "images") as bar:
        bar.update(5)
    assert silent.bytes.getvalue() == b""


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_no_color(monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool) -> None:
    err = Console("utf-8", terminal=True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys, "stderr", err)
    ui.error("x")
    assert (b"\x1b[31m" in err.bytes.getvalue()) == coloured


def test_a_reader_that_goes_is_no_error(tmp_path: Path) -> None:
    """onnxino --help | true"""
    command = [sys.executable, "-m", "onnxino_tools.main", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="closes streams with sh")
@pytest.mark.parametrize(("closed", "code"), [(">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0)])
def test_closed_streams(tmp_path: Path, closed: str, code: int) -> None:
    """onnxino convert ... >&-: does its work, and no file gets the closed stream's number."""
    command = f'"{sys.executable}" -m onnxino_tools.main convert "$1" -o "$2" {closed}'
    model = str(example("digits", "digits_int8.onnx"))
    done = subprocess.run(["sh", "-c", command, "sh", model, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert len(list(tmp_path.iterdir())) == 4
    assert json.loads((tmp_path / "digits_int8.report.json").read_text())


def test_a_terminal_that_is_gone_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Console):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone("utf-8", terminal=True))
    ui.talk("x")
    with ui.Progress(10, "images") as bar:
        bar.update(10)


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    ui.out_json({"class": "垃圾"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out) == {"class": "垃圾"}


def test_tables_align() -> None:
    assert ui.table([["a", 1], ["bbb", 22]], right=[1]) == ["  a     1", "  bbb  22"]
