"""The portable firmware on the host, for several tests: every device must end without a complaint of a sanitizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onnxino_tools.link import DeviceLink
from tests.firmware.host_device import HostDevice, compile_firmware

Start = Callable[..., DeviceLink]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("host") / "host_board"
    missing = compile_firmware(path)
    if missing:
        pytest.skip(missing)
    return path


@pytest.fixture
def start(program: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts the device with the flash it had."""
    links: list[DeviceLink] = []

    def run(cut: int = 0) -> DeviceLink:
        links.append(DeviceLink(HostDevice(program, tmp_path / "flash", cut), timeout=2, retries=1))
        return links[-1]

    yield run
    for link in links:
        link.close()
