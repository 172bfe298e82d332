"""The folder of a compression: what lies there and is not its own stays."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from onnxino.errors import InputError
from onnxino_tools.compress import compress
from onnxino_tools.compress.journal import Journal, fingerprint
from tests.tools.conftest import Command

RUNS = (("--no-latency",), ("--no-latency", "--compare", "--prune", "0.5"))


@pytest.mark.parametrize("options", RUNS)
def test_checkpoints_of_others_stay(
    onnxino: Command, model: Path, data: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """A training of one's own keeps a folder of that name, too."""
    out = tmp_path / "out"
    mine = out / "checkpoint" / "epoch3.pt"
    mine.parent.mkdir(parents=True)
    mine.write_text("weeks of work")
    code, _, err = onnxino("compress", model, "--data", data, "-o", out, *options)
    assert code == 1
    assert f"'{mine.parent}' is there already" in err
    assert "another folder with -o" in err
    assert mine.read_text() == "weeks of work"
    assert [path.name for path in out.iterdir()] == ["checkpoint"]


def test_a_file_of_that_name_stays(onnxino: Command, model: Path, data: Path, tmp_path: Path) -> None:
    mine = tmp_path / "out" / "checkpoint"
    mine.parent.mkdir()
    mine.write_text("mine")
    code, _, err = onnxino("compress", model, "--data", data, "-o", mine.parent, "--no-latency")
    assert code == 1
    assert "is there already" in err
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("left", ["checkpoint", "checkpoint/ratio/checkpoint"])
def test_what_was_killed_at_once_is_taken_over(
    onnxino: Command, model: Path, data: Path, tmp_path: Path, left: str
) -> None:
    """An empty folder, a part of a file, or what a comparison had begun."""
    held = tmp_path / "out" / left
    held.mkdir(parents=True)
    (held / (".onnxino-1.part" if left == "checkpoint" else "run")).touch()
    code, _, err = onnxino("compress", model, "--data", data, "-o", tmp_path / "out", "--no-latency")
    assert code == 0, err
    assert not (tmp_path / "out" / "checkpoint").exists()


def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    onnxino: Command, model: Path, data: Path, tmp_path: Path
) -> None:
    page = tmp_path / "pages"
    page.mkdir()
    code, _, err = onnxino("compress", model, "--data", data, "-o", tmp_path / "out", "--no-latency", "--html", page)
    assert code == 1
    assert f"'{page}' is a folder, the name of a file was expected" in err
    assert "original" not in err


def test_a_full_disk_costs_none_of_the_work(
    network: onnx.ModelProto, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise InputError("'out' cannot be written: No space left on device") from OSError(28, "No space left on device")

    notes: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("onnxino_tools.files.write_all", full)
        with pytest.raises(InputError, match="No space left"):
            compress(network, data, output=tmp_path / "out", latency=False)
    assert list((tmp_path / "out" / "checkpoint").glob("* quantized.onnx"))
    result = compress(
        network, data, output=tmp_path / "out", latency=False, progress=lambda event: notes.append(event.text)
    )
    assert notes[0] == "going on with what was interrupted here"
    assert (tmp_path / "out" / f"{result.name}.oxm").exists()


def test_two_runs_at_a_time_do_not_mix(tmp_path: Path) -> None:
    """The second one began anew, and then took the stages that the first one went on to write."""
    first = Journal(tmp_path, fingerprint("first"))
    second = Journal(tmp_path, fingerprint("second"))
    assert first.value("ratio", lambda: 0.25) == 0.25
    assert second.value("ratio", lambda: 0.5) == 0.5
    assert first.training("trained") != second.training("trained")
