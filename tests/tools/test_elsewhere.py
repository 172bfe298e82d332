"""Systems without ptys, consoles with a strict Chinese encoding, and folders with spaces and Chinese letters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from onnxino_tools.examples import example

pytest.importorskip("unicorn")

# Loaded by every Python process that the test starts, those that Onnxino starts included.
BLOCKER = """
import sys
for name in ("pty", "termios", "fcntl"):
    sys.modules[name] = None
"""


class Elsewhere:
    """Runs onnxino in processes that have no pty, termios and fcntl, and whose console is strictly cp936."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "我的 模型"
        self.folder.mkdir()
        blocker = root / "blocker"
        blocker.mkdir()
        (blocker / "sitecustomize.py").write_text(BLOCKER)
        paths = [str(blocker), *filter(None, (os.path.abspath(p) for p in sys.path if p))]
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONIOENCODING": "cp936:strict",
            "PYTHONUTF8": "0",
            "ONNXINO_CACHE_DIR": str(self.folder / "缓存 cache"),
        }

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "onnxino_tools.main", *argv],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *argv: str) -> tuple[int, str, str]:
        process = self.start(*argv)
        out, err = process.communicate(timeout=120)
        texts = out.decode("cp936"), err.decode("cp936")
        assert "Traceback" not in texts[0] + texts[1]
        return process.returncode, *texts


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    place = Elsewhere(tmp_path_factory.mktemp("elsewhere"))
    code = "try:\n import termios\nexcept ImportError:\n print('hidden')"
    done = subprocess.run([sys.executable, "-c", code], env=place.environment, capture_output=True, text=True)
    assert done.stdout == "hidden\n"
    return place


@pytest.fixture(scope="module")
def model(elsewhere: Elsewhere) -> Path:
    """The digits, converted there."""
    code, out, err = elsewhere.run(
        "convert",
        str(example("digits", "digits_int8.onnx")),
        "-o",
        "输出 目录",
        "--name",
        "digits",
        "--labels",
        "数字.txt",
    )
    assert (code, "没有" in err) == (1, False)
    assert "there is no file of labels '数字.txt'" in err
    (elsewhere.folder / "数字.txt").write_text("零\n一\n二\n三\n四\n五\n六\n七\n八\n😀\n", "utf-8")
    code, out, err = elsewhere.run(
        "convert",
        str(example("digits", "digits_int8.onnx")),
        "-o",
        "输出 目录",
        "--name",
        "digits",
        "--labels",
        "数字.txt",
    )
    assert code == 0, err
    assert "输出 目录" in out
    path = elsewhere.folder / "输出 目录" / "digits.oxm"
    assert path.is_file()
    return path


@pytest.fixture(scope="module")
def port(elsewhere: Elsewhere, model: Path) -> Iterator[str]:
    """An emulator that runs there."""
    process = elsewhere.start("emulate", "--port-file", "端口.txt", "--until-stdin-closes")
    file = elsewhere.folder / "端口.txt"
    deadline = time.monotonic() + 30
    while not file.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert file.is_file(), process.communicate(timeout=5)
    yield file.read_text("utf-8").strip()
    process.communicate(timeout=20)
    assert not file.exists()


def test_convert(model: Path) -> None:
    assert {p.name for p in model.parent.iterdir()} == {"digits.oxm", "digits.c", "digits.h", "digits.report.json"}


def test_serial_eval_over_a_socket(elsewhere: Elsewhere, model: Path, port: str) -> None:
    assert port.startswith("socket://127.0.0.1:")
    data = elsewhere.folder / "图像 数据.npz"
    with np.load(example("digits", "digits_test.npz")) as digits:
        classes = np.array([*list("零一二三四五六七八"), "😀"])
        np.savez(data, images=digits["images"][:20], labels=digits["labels"][:20], classes=classes)
    argv = ["serial-eval", "--port", port, "--model", str(model), "--data", data.name]
    code, out, err = elsewhere.run(*argv, "--save", "结果.npz")
    assert code == 0, err
    assert "bytes different  0" in out
    assert "零" in out
    assert "\\U0001f600" in out  # what cp936 cannot show
    assert (elsewhere.folder / "结果.npz").is_file()
    code, out, err = elsewhere.run(*argv, "--json")
    assert code == 0, err
    assert "holds this model already" in err
    assert json.loads(out)["bytes_compared"] == 200


def test_demo(elsewhere: Elsewhere) -> None:
    code, out, err = elsewhere.run("demo", "--limit", "20")
    assert code == 0, err
    assert "socket://127.0.0.1:" in err
    assert "bytes different  0" in out


def test_a_serial_port_says_what_is_missing(elsewhere: Elsewhere) -> None:
    code, _, err = elsewhere.run("info", "/dev/ttyACM0")
    assert code == 1
    assert "error: this Python cannot open serial ports" in err
