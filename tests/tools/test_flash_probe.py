"""flash --method pyocd, with a pyocd that is a file: what it is told, and what its failures become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnxino.errors import LinkError, MissingExtraError
from onnxino.schema.codec import encode
from onnxino_tools.build import firmware_image
from onnxino_tools.flasher import flash
from tests.tools.models import tiny_model

FAKE = """
import json, os, sys
from pathlib import Path

store = Path({store!r})
log = json.loads(store.read_text()) if store.exists() else []
log.append(sys.argv[1:])
store.write_text(json.dumps(log))
text, code = {text!r}, {code}
if text:
    print(text, file=sys.stderr)
    sys.exit(code)
flash = store.with_suffix(".flash")
if sys.argv[1] == "load":
    name, _, address = sys.argv[-1].partition("@")
    data = Path(name).read_bytes()
    flash.touch()
    with flash.open("r+b") as file:
        file.seek(int(address, 16))
        file.write(data)
else:
    _, address, size, name = sys.argv[-1].split()
    with flash.open("rb") as file:
        file.seek(int(address, 16))
        Path(name).write_bytes(file.read(int(size))[{skip}:])
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a pyocd that fails with a text, or reads back without the first bytes; gives the file of its calls."""

    def install(text: str = "", code: int = 1, skip: int = 0) -> Path:
        package = tmp_path / "site" / "pyocd"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        store = tmp_path / "calls.json"
        (package / "__main__.py").write_text(FAKE.format(store=str(store), text=text, code=code, skip=skip))
        monkeypatch.syspath_prepend(str(package.parent))
        monkeypatch.setenv("PYTHONPATH", str(package.parent))
        return store

    return install


def test_image_and_model(fake) -> None:
    store = fake()
    image, model = firmware_image(), encode(tiny_model())
    result = flash(None, model, method="pyocd")
    calls = json.loads(store.read_text())
    assert [c[0] for c in calls] == ["load", "load", "commander", "commander"]
    assert [c[-1] for c in calls[:2]] == ["image.bin@0x10000", "model.bin@0x40000"]
    for call in calls:
        assert call[call.index("-O") + 1] == "auto_unlock=false"
        assert "chip" not in call
        assert "--no-config" in call
    assert all(c[c.index("--erase") + 1] == "sector" for c in calls[:2])
    data = store.with_suffix(".flash").read_bytes()
    assert data[:0x10000] == bytes(0x10000)
    assert data[0x10000 : 0x10000 + len(image)] == image
    assert data[0x40000:] == model
    assert (result.method, result.image, result.model, result.hello) == ("pyocd", "written", "written", None)


@pytest.mark.parametrize(
    ("text", "code", "message", "hint"),
    [
        ("No connected debug probes", 1, "no debug probe was found", "through USB"),
        ("W NRF52840 APPROTECT enabled: not automatically unlocking", 0, "cannot be flashed with a probe", "Unlocking"),
        ("C Memory transfer fault", 3, "failed with exit code 3: C Memory transfer fault", "SWDIO"),
    ],
)
def test_failures(fake, text: str, code: int, message: str, hint: str) -> None:
    fake(text, code)
    with pytest.raises(LinkError, match=message) as error:
        flash(method="pyocd")
    assert hint in str(error.value.hint)


def test_flash_that_differs(fake) -> None:
    fake(skip=3)
    with pytest.raises(LinkError, match=r"does not hold what was written: it differs from 0x10000 on"):
        flash(method="pyocd")


def test_without_pyocd(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxino_tools.flasher import probe

    monkeypatch.setattr(probe, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as error:
        flash(method="pyocd")
    assert error.value.hint == "pip install 'onnxino[pyocd]'"
