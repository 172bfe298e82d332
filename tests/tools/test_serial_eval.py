"""serial-eval: figures, exit codes, what is saved, and what is left when the device dies or Ctrl-C comes."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onnxino import InferenceSession
from onnxino.errors import LinkError
from onnxino.schema.codec import encode
from onnxino_tools import devices
from tests.tools.conftest import Command, tiny_arrays
from tests.tools.fake_link import FakeLink, dying
from tests.tools.models import tiny_model

KEYS = [
    "images",
    "accuracy",
    "bytes_compared",
    "bytes_different",
    "latency_ms_median",
    "latency_ms_p95",
    "link_errors",
    "confusion_matrix",
    "classes",
    "model",
    "data",
    "ok",
    "retries",
    "reconnects",
    "longest_reconnect_s",
    "repeats",
    "repeats_different",
    "layers_compared",
    "layers_different",
    "first_different",
    "layers",
]
Connect = Callable[..., FakeLink]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Puts a FakeLink behind every port."""

    def put(link: FakeLink) -> FakeLink:
        monkeypatch.setattr(devices, "open_device", lambda port: link)
        return link

    return put


def test_figures(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path) -> None:
    link = connect(FakeLink())
    code, out, err = onnxino("serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--json")
    result = json.loads(out)
    assert code == 0
    assert list(result) == KEYS
    assert result == {
        "images": 12,
        "accuracy": 1.0,
        "bytes_compared": 36,
        "bytes_different": 0,
        "latency_ms_median": 6.5,
        "latency_ms_p95": pytest.approx(11.45),
        "link_errors": 0,
        "confusion_matrix": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
        "classes": ["top", "middle", "low"],
        "model": "tiny",
        "data": str(tiny_data),
        "ok": True,
        "retries": 0,
        "reconnects": 0,
        "longest_reconnect_s": 0,
        "repeats": 0,
        "repeats_different": 0,
        "layers_compared": 0,
        "layers_different": 0,
        "first_different": None,
        "layers": [{"operator": "dense (FullyConnected)", "cycles": 100}],
    }
    assert "input: pixel / 255 as float32" in err
    assert link.closed
    assert link.loads == 1


def test_text(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path) -> None:
    connect(FakeLink())
    code, out, _ = onnxino("serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--split", "odd")
    assert code == 0
    assert "accuracy         100.00% (6 of 6)" in out
    assert "bytes different  0" in out
    assert "3.50 ms median, 5.75 ms 95th percentile (measured by the device)" in out
    assert "          top  middle  low" in out
    assert "  middle    .       2    ." in out


def test_the_test_split_is_the_default(onnxino: Command, connect: Connect, tiny: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **tiny_arrays() | {"split": np.array(["train", "val", "test"] * 4)})
    argv = ["serial-eval", "--port", "P", "--model", tiny, "--data", tmp_path / "d.npz", "--json"]
    connect(FakeLink())
    _, out, err = onnxino(*argv)
    assert json.loads(out)["images"] == 4
    assert "note: only the split 'test' of" in err
    connect(FakeLink())
    _, out, err = onnxino(*argv, "--split", "all")
    assert json.loads(out)["images"] == 12
    assert "note:" not in err


def test_a_model_that_is_there_is_not_loaded_again(
    onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path
) -> None:
    link = connect(FakeLink())
    for _ in range(2):
        assert onnxino("serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data)[0] == 0
    assert link.loads == 1


def test_a_byte_that_differs_fails(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path) -> None:
    connect(FakeLink(flip=(2, 5)))
    code, out, err = onnxino("serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--json")
    assert code == 1
    assert json.loads(out)["bytes_different"] == 2
    assert "error: 2 output bytes differ from the reference" in err
    assert "hint: --check-every 1 and onnxino verify find the first operator" in err


def test_save(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path, tmp_path: Path) -> None:
    connect(FakeLink())
    target = tmp_path / "new" / "saved.npz"
    argv = ["serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--save", target]
    assert onnxino(*argv)[0] == 0
    with np.load(target) as saved:
        assert saved["inputs"].shape == (12, 4, 4, 1)
        assert saved["inputs"].dtype == np.float32
        expected = InferenceSession(tiny).run(None, {"x": saved["inputs"]})[0]
        assert np.array_equal(saved["outputs"], expected)
        assert saved["predictions"].tolist() == saved["labels"].tolist() == [0, 1, 2] * 4
        assert saved["latency_ms"].tolist() == [float(i) for i in range(1, 13)]
        assert saved["bytes_different"].sum() == 0
        assert saved["classes"].tolist() == ["top", "middle", "low"]


@pytest.mark.parametrize("done", [0, 5])
def test_a_device_that_dies_in_the_middle(
    onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path, tmp_path: Path, done: int
) -> None:
    connect(FakeLink(dying(done)))
    argv = ["serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--json", "--save", tmp_path / "s.npz"]
    code, out, err = onnxino(*argv)
    assert code == 1
    assert json.loads(out)["images"] == done
    assert json.loads(out)["bytes_compared"] == 3 * done
    assert f"{done} of 12 images were done" in err
    assert "error: the device at fake does not answer" in err
    with np.load(tmp_path / "s.npz") as saved:
        assert len(saved["predictions"]) == done


def test_ctrl_c(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path, tmp_path: Path) -> None:
    def press(n: int) -> None:
        if n == 3:
            signal.raise_signal(signal.SIGINT)

    connect(FakeLink(press))
    argv = ["serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--json", "--save", tmp_path / "s.npz"]
    code, out, err = onnxino(*argv)
    assert code == 130
    assert json.loads(out)["images"] == 4  # the image under way was finished
    assert "4 of 12 images were done" in err
    assert "error: interrupted" in err
    assert len(np.load(tmp_path / "s.npz")["predictions"]) == 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_other_signals_save_like_ctrl_c(
    onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path, tmp_path: Path, name: str
) -> None:
    """Twice, as a terminal that closes does: the second one must not cut the saving short."""
    number = getattr(signal, name)
    before = signal.getsignal(number)

    def send(n: int) -> None:
        if n == 3:
            signal.raise_signal(number)
            signal.raise_signal(number)

    connect(FakeLink(send))
    argv = ["serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--json", "--save", tmp_path / "s.npz"]
    code, out, err = onnxino(*argv)
    assert code == 128 + number
    assert json.loads(out)["images"] == 4
    assert f"error: ended by {name}" in err
    assert len(np.load(tmp_path / "s.npz")["predictions"]) == 4
    assert signal.getsignal(number) is before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_an_ignored_signal_stays_ignored(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path) -> None:
    """nohup onnxino serial-eval ..."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        connect(FakeLink(lambda n: signal.raise_signal(signal.SIGHUP)))
        assert onnxino("serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data)[0] == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("place", ["{tmp}/k/", "{tmp}", "{tmp}/tiny.oxm/s.npz"])
def test_a_place_that_cannot_be_written_is_told_first(
    onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path, tmp_path: Path, place: str
) -> None:
    link = connect(FakeLink())
    save = place.format(tmp=tmp_path)
    argv = ["serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--save", save]
    code, out, err = onnxino(*argv)
    assert (code, out, link.count) == (1, "", 0)
    assert f"error: '{save}'" in err
    assert "hint: " in err


def test_results_are_reported_where_saving_fails_in_the_end(
    onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "gone"

    def remove(n: int) -> None:
        if n == 3:
            folder.rmdir()
            folder.touch()

    connect(FakeLink(remove))
    argv = ["serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--json", "--save", folder / "s.npz"]
    code, out, err = onnxino(*argv)
    assert code == 1
    assert json.loads(out)["images"] == 12
    assert "s.npz' cannot be written: " in err


def test_ctrl_c_twice_does_not_wait(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path) -> None:
    def press(n: int) -> None:
        if n == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    connect(FakeLink(press))
    code, out, _ = onnxino("serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--json")
    assert code == 130
    assert json.loads(out)["images"] == 3


def test_without_labels(onnxino: Command, connect: Connect, tiny: Path, tmp_path: Path) -> None:
    connect(FakeLink())
    np.save(tmp_path / "d.npy", tiny_arrays()["images"])
    code, out, _ = onnxino("serial-eval", "--port", "P", "--model", tiny, "--data", tmp_path / "d.npy", "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["images"], result["accuracy"], result["confusion_matrix"]) == (12, None, None)


def test_the_model_orders_the_classes(onnxino: Command, connect: Connect, tmp_path: Path, tiny_data: Path) -> None:
    """The model calls its outputs low, top, middle; the data counts top, middle, low."""
    connect(FakeLink())
    path = tmp_path / "other.oxm"
    path.write_bytes(encode(tiny_model(labels=["low", "top", "middle"])))
    _, out, _ = onnxino("serial-eval", "--port", "P", "--model", path, "--data", tiny_data, "--json")
    assert json.loads(out)["confusion_matrix"] == [[0, 0, 4], [4, 0, 0], [0, 4, 0]]


def test_some_of_the_models_classes(onnxino: Command, connect: Connect, tmp_path: Path) -> None:
    connect(FakeLink())
    model = tmp_path / "m.oxm"
    model.write_bytes(encode(tiny_model(labels=["low", "top", "middle"])))
    some = {**tiny_arrays(4), "labels": np.array([0, 1, 0, 1]), "classes": np.array(["low", "top"])}
    np.savez(tmp_path / "some.npz", **some)
    _, out, err = onnxino("serial-eval", "--port", "P", "--model", model, "--data", tmp_path / "some.npz", "--json")
    assert json.loads(out)["classes"] == ["low", "top", "middle"]
    assert "note:" not in err


def test_other_names_than_the_models(onnxino: Command, connect: Connect, tmp_path: Path, tiny_data: Path) -> None:
    connect(FakeLink())
    model = tmp_path / "m.oxm"
    model.write_bytes(encode(tiny_model(labels=["cat", "middle", "dog"])))
    code, out, err = onnxino("serial-eval", "--port", "P", "--model", model, "--data", tiny_data, "--json")
    assert (code, json.loads(out)["classes"]) == (0, ["top", "middle", "low"])
    assert "note: classes 'top', 'low' are not among the model's labels cat, middle, dog; " in err


@pytest.mark.parametrize(
    ("labels", "folders", "message", "hint"),
    [
        (["cat", "dog", "cow"], ["cat", "fox"], "class 'fox' is not among the model's labels cat, dog, cow", "rename"),
        (None, ["cat", "dog"], "has 2 classes, the model has 3 outputs", "MODEL.onnx --labels labels.txt"),
    ],
)
def test_folders_of_other_classes(
    onnxino: Command,
    connect: Connect,
    tmp_path: Path,
    labels: list[str] | None,
    folders: list[str],
    message: str,
    hint: str,
) -> None:
    image = pytest.importorskip("PIL.Image")
    link = connect(FakeLink())
    model = tmp_path / "m.oxm"
    model.write_bytes(encode(tiny_model(labels=labels)))
    for name in folders:
        (tmp_path / "data" / name).mkdir(parents=True)
        image.new("L", (4, 4)).save(tmp_path / "data" / name / "0.png")
    code, out, err = onnxino("serial-eval", "--port", "P", "--model", model, "--data", tmp_path / "data")
    assert (code, out, link.count) == (1, "", 0)
    assert message in err
    assert hint in err.split("hint: ")[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": np.array(["a", "b", "c", "d"])}, "has 4 classes, the model has 3 outputs"),
        ({"labels": np.arange(12), "classes": None}, "has labels 0 to 11, the model has 3 outputs"),
        ({"images": np.zeros((12, 5, 4, 1), np.uint8)}, "holds images of 5x4x1 (height x width x channels)"),
    ],
)
def test_data_that_does_not_fit(
    onnxino: Command, tiny: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    arrays = {key: value for key, value in (tiny_arrays() | change).items() if value is not None}
    np.savez(tmp_path / "d.npz", **arrays)
    code, out, err = onnxino("serial-eval", "--port", "P", "--model", tiny, "--data", tmp_path / "d.npz")
    assert (code, out) == (1, "")
    assert message in err


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ("/dev/ttyNOPE7", "there is no serial port /dev/ttyNOPE7"),
        ("socket://127.0.0.1:1", "cannot connect to socket://127.0.0.1:1"),
        ("socket://nothing", "'socket://nothing' is not an address"),
    ],
)
def test_a_port_that_does_not_exist(onnxino: Command, tiny: Path, tiny_data: Path, port: str, message: str) -> None:
    code, out, err = onnxino("serial-eval", "--port", port, "--model", tiny, "--data", tiny_data)
    assert (code, out) == (1, "")
    assert f"error: {message}" in err
    assert "hint: " in err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:100], "bytes"),
        (lambda data: data[:200] + bytes([data[200] ^ 4]) + data[201:], "CRC"),
        (lambda data: b"", "tiny.oxm' is not an Onnxino model"),
        (lambda data: b"hello" * 100, "not a"),
    ],
)
def test_a_damaged_model(
    onnxino: Command, tiny: Path, tiny_data: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    tiny.write_bytes(damage(tiny.read_bytes()))
    code, out, err = onnxino("serial-eval", "--port", "emulator", "--model", tiny, "--data", tiny_data)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert message in err


def test_a_model_that_is_not_there(onnxino: Command, tiny_data: Path) -> None:
    code, _, err = onnxino("serial-eval", "--port", "emulator", "--model", "none.oxm", "--data", tiny_data)
    assert code == 1
    assert "error: there is no model 'none.oxm'\nhint: onnxino convert" in err


def test_a_folder_of_class_folders(onnxino: Command, connect: Connect, tiny: Path, tmp_path: Path) -> None:
    """The images are larger than the model's input; classes are named by the folders."""
    image = pytest.importorskip("PIL.Image")
    connect(FakeLink())
    for i, name in enumerate(("a", "b", "c")):
        (tmp_path / "set" / "val" / name).mkdir(parents=True)
        pixels = np.zeros((8, 8), np.uint8)
        pixels[2 * i : 2 * i + 2] = 255
        image.fromarray(pixels).save(tmp_path / "set" / "val" / name / "1.png")
    argv = ["serial-eval", "--port", "P", "--model", tiny, "--data", tmp_path / "set"]
    code, out, _ = onnxino(*argv, "--split", "val", "--resize", "stretch")
    assert code == 0
    assert "accuracy         100.00% (3 of 3)" in out
    code, _, err = onnxino(*argv, "--split", "test")
    assert code == 1
    assert "has no folder 'test'" in err
    assert "found: val" in err


def test_pixel_options_reach_the_model(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path) -> None:
    connect(FakeLink())
    argv = ["serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data]
    code, out, err = onnxino(*argv, "--scale", "-0.00392157", "--mean", "-1", "--json")
    assert code == 0
    assert "(pixel * scale - mean) / std as given, float32 NHWC 4x4x1" in err
    assert json.loads(out)["accuracy"] < 0.5  # black and white are exchanged


def test_every_operator_is_compared(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path) -> None:
    argv = ["serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data]
    connect(FakeLink())
    code, out, _ = onnxino(*argv, "--check-every", 5, "--json")
    result = json.loads(out)
    assert (code, result["layers_compared"], result["layers_different"]) == (0, 3, 0)  # images 0, 5 and 10

    link = connect(FakeLink())
    link.wrong_hashes = True
    code, out, err = onnxino(*argv, "--check-every", 5)
    assert code == 1
    assert "3 outputs compared, 3 different" in out
    assert "error: operator 0 dense gives other bytes than the reference" in err


def test_repetitions(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path) -> None:
    argv = ["serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--repeat", 3]
    link = connect(FakeLink())
    code, out, _ = onnxino(*argv)
    assert (code, link.count) == (0, 36)
    assert "repetitions      24, 0 different" in out
    connect(FakeLink(flip=(4,)))
    code, out, err = onnxino(*argv, "--json")
    assert (code, json.loads(out)["repeats_different"], json.loads(out)["bytes_different"]) == (1, 1, 0)
    assert "error: 1 repetition gave other bytes than the first run" in err


def test_layers(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path) -> None:
    connect(FakeLink())
    code, out, _ = onnxino("serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--layers")
    assert code == 0
    assert "0     100  100.0%  dense (FullyConnected)" in out


def test_a_device_that_comes_back(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path) -> None:
    lost = iter(range(3))

    def before(n: int) -> None:
        if n in (4, 9) and next(lost, None) is not None:
            raise LinkError("the connection to fake broke: unplugged")

    connect(FakeLink(before=before))
    code, out, _ = onnxino("serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--json")
    result = json.loads(out)
    assert (code, result["images"], result["bytes_different"], result["reconnects"]) == (0, 12, 0, 3)


def test_a_device_that_may_not_go(onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path) -> None:
    connect(FakeLink(before=dying(5)))
    argv = ["serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data, "--reconnect", 0]
    code, out, err = onnxino(*argv, "--json")
    assert (code, json.loads(out)["images"], json.loads(out)["reconnects"]) == (1, 5, 0)
    assert "5 of 12 images were done" in err


def test_another_board_that_comes_back_is_refused(
    onnxino: Command, connect: Connect, tiny: Path, tiny_data: Path
) -> None:
    def before(n: int) -> None:
        if n == 3:
            link.device_id = "1111111111111111"
            raise LinkError("the connection to fake broke: unplugged")

    link = connect(FakeLink(before=before))
    code, _, err = onnxino("serial-eval", "--port", "P", "--model", tiny, "--data", tiny_data)
    assert code == 1
    assert "error: another board answers now: chip 1111111111111111" in err


@pytest.mark.parametrize(
    ("boards", "message"),
    [
        ([], "error: no board was found"),
        ([("COM3", "application"), ("COM4", "application")], "error: 2 boards are connected: COM3"),
        ([("COM3", "bootloader")], "error: the board at COM3 runs its bootloader, no firmware\nhint: onnxino flash"),
    ],
)
def test_the_only_board_is_found(
    onnxino: Command,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    tiny: Path,
    tiny_data: Path,
    boards: list[tuple[str, str]],
    message: str,
) -> None:
    from onnxino_tools import boards as module

    connect(FakeLink())
    found = [module.ConnectedBoard("COM7", "application", 0x805A, "AB" * 8)]
    monkeypatch.setattr(module, "connected_boards", lambda: found)
    argv = ["serial-eval", "--model", tiny, "--data", tiny_data]
    assert onnxino(*argv)[0] == 0
    found[:] = [module.ConnectedBoard(port, mode, 0, f"{i:016X}") for i, (port, mode) in enumerate(boards)]
    code, _, err = onnxino(*argv)
    assert code == 1
    assert message in err
