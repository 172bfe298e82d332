"""The emulated USB host against a device in Python: strict enumeration, data, line settings, stalls, unplugging."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from usb_bench import SECOND, Bench, bootloader_port

from onnxino.errors import LinkError
from onnxino_tools.emulator.usb.cdc_device import CdcDevice
from onnxino_tools.emulator.usb.control import request
from onnxino_tools.emulator.usb.device import Answer


def connected(device: CdcDevice, *, opened: bool = True) -> Bench:
    bench = Bench()
    bench.host.attach(device)
    device.connect()
    assert bench.run(1.0, lambda: bench.host.configured), (bench.faults, bench.warnings)
    if opened:
        bench.host.set_line(115200, True)
        bench.run(0.01)
    return bench


def test_enumeration() -> None:
    device = bootloader_port()
    bench = connected(device, opened=False)
    assert 0.1 < bench.scheduler.now / SECOND < 0.3  # debounce, two resets
    assert (bench.host.product_id, bench.host.serial_number) == (0x005A, "00000000000000000123456789ABCDEF")
    found = bench.host.description
    assert found is not None
    assert (found.device.vendor, found.device.release, found.manufacturer) == (0x2341, 0x0011, "Arduino")
    assert (found.configuration.milliamperes, found.configuration.attributes) == (100, 0xE0)
    assert (device.address, device.configured, device.line.baud_rate, device.dtr) == (7, 1, 9600, False)
    assert bench.faults == []
    assert bench.warnings == []


@pytest.mark.parametrize("size", [1, 63, 64, 65, 128, 4096, 4097, 100_000])
def test_data_both_ways(size: int) -> None:
    device = bootloader_port()
    device.received = device.send
    bench = connected(device)
    data = bytes(i * 7 & 0xFF for i in range(size))
    start = bench.scheduler.now
    bench.host.write(data)
    back = bytearray()

    def all_back() -> bool:
        back.extend(bench.host.read())
        return len(back) == size

    assert bench.run(2.0, all_back)
    assert bytes(back) == data
    rate = size / ((bench.scheduler.now - start) / SECOND)
    assert rate < 1_216_000  # 19 packets of 64 bytes a frame


def test_nothing_is_read_while_the_port_is_closed() -> None:
    device = bootloader_port()
    bench = connected(device, opened=False)
    device.send(b"early")
    bench.run(0.1)
    assert bench.host.read() == b""
    assert device.unsent == 5
    bench.host.set_line(115200, True)
    bench.run(0.1)
    assert bench.host.read() == b"early"
    bench.host.set_line(dtr=False)
    bench.run(0.1)
    device.send(b"late")
    bench.run(0.1)
    assert bench.host.read() == b""
    assert not device.dtr


def test_line_settings_come_before_data_and_after_it() -> None:
    log: list[object] = []
    device = bootloader_port(received=log.append)
    device.line_changed = lambda: log.append((device.line.baud_rate, device.dtr))
    bench = connected(device, opened=False)
    log.clear()
    bench.host.set_line(1200, True)
    bench.host.write(b"a")
    bench.host.set_line(dtr=False)
    bench.run(0.1)
    assert log == [(1200, False), (1200, True), b"a", (1200, False)]


def test_nak_holds_data_back_and_costs_nothing() -> None:
    got: list[bytes] = []
    device = bootloader_port(received=got.append)
    bench = connected(device)
    device.accept(False)
    bench.host.write(bytes(200))
    bench.run(5.0)
    assert got == []
    assert bench.host.pending == 200
    device.accept(True)
    bench.run(0.01)
    assert [len(packet) for packet in got] == [64, 64, 64, 8]


def test_a_missing_zero_length_packet_keeps_data_from_the_reader() -> None:
    class Forgetful(CdcDevice):
        def take(self, endpoint: int) -> bytes | Answer:
            self._empty_packet = False
            return super().take(endpoint)

    device = bootloader_port()
    device.__class__ = Forgetful
    bench = connected(device)
    device.send(bytes(64))
    bench.run(0.1)
    assert bench.host.read() == b""
    device.send(b"x")
    bench.run(0.1)
    assert len(bench.host.read()) == 65


def test_stalls_are_cleared() -> None:
    got: list[bytes] = []
    device = bootloader_port(received=got.append)
    bench = connected(device)
    bench.host.write(b"1")
    bench.run(0.01)
    device.halted.add(0x02)
    bench.host.write(b"2")
    device.halted.add(0x82)
    device.send(b"3")
    bench.run(0.1)
    assert got == [b"1", b"2"]
    assert bench.host.read() == b"3"
    assert [text for text in bench.warnings if "0x02 is halted" in text]
    assert bench.faults == []


def test_requests_of_the_user() -> None:
    device = bootloader_port()
    bench = connected(device)
    halt = bench.host.request(request(0x02, 3, 0, 0x82))
    status = bench.host.request(request(0x82, 0, 0, 0x82, 2))
    unknown = bench.host.request(request(0xC0, 0x51, 0, 0, 4))
    bench.host.clear_halt(0x82)
    after = bench.host.request(request(0x82, 0, 0, 0x82, 2))
    bench.run(0.1)
    assert (halt.data, status.data, after.data) == (b"", b"\1\0", b"\0\0")
    assert unknown.done
    assert unknown.data is None


def test_toggles_that_disagree_lose_data() -> None:
    device = bootloader_port()
    bench = connected(device)
    device.send(b"one")
    bench.run(0.01)
    device._toggles[0x82] = 0  # pyright: ignore[reportPrivateUsage]
    device.send(b"two")
    bench.run(0.01)
    assert bench.host.read() == b"one"
    assert [text for text in bench.warnings if "disagree" in text]


def test_reset_of_the_bus_enumerates_anew() -> None:
    device = bootloader_port()
    bench = connected(device)
    bench.host.write(bytes(10_000))
    bench.run(0.001)
    bench.host.reset_bus()
    assert not bench.host.configured
    assert bench.run(1.0, lambda: bench.host.configured)
    assert bench.host.enumerations == 2
    assert bench.host.pending == 0
    assert not bench.host.opened


def test_unplug_and_plug() -> None:
    device = bootloader_port()
    bench = connected(device)
    bench.host.unplug()
    assert not bench.host.configured
    assert not device.powered
    with pytest.raises(LinkError, match="no USB serial port now"):
        bench.host.write(b"x")
    bench.run(0.5)
    bench.host.plug()
    assert bench.run(1.0, lambda: bench.host.configured)


def test_another_device_on_the_same_cable() -> None:
    first, second = bootloader_port(), bootloader_port()
    bench = connected(first)
    first.disconnect()
    bench.run(0.01)
    assert not bench.host.configured
    second.connect()
    bench.host.attach(second)
    assert bench.run(1.0, lambda: bench.host.configured)
    assert bench.host.enumerations == 2


def test_a_device_that_leaves_while_it_gets_data() -> None:
    device = bootloader_port()

    def leave(data: bytes) -> None:
        device.disconnect()

    device.received = leave
    bench = connected(device)
    bench.host.write(bytes(1000))
    bench.run(0.1)
    assert not bench.host.configured
    assert bench.faults == []


def test_a_device_that_leaves_in_a_control_transfer() -> None:
    device = bootloader_port()
    bench = connected(device)
    device.line_changed = device.disconnect
    bench.host.set_line(1200)
    bench.run(0.1)
    assert not bench.host.configured
    assert bench.faults == []


def patched(device: CdcDevice, name: str, at: int, value: bytes) -> None:
    data = bytearray(getattr(device, name))
    data[at : at + len(value)] = value
    setattr(device, name, bytes(data))


def _no_interface(device: CdcDevice) -> None:
    device.configuration_data = device.configuration_data[:9]
    patched(device, "configuration_data", 2, b"\x09\0\0")


def _no_serial(device: CdcDevice) -> None:
    patched(device, "device", 16, b"\0")


def _wrong_total(device: CdcDevice) -> None:
    patched(device, "configuration_data", 2, bytes((len(device.configuration_data) - 7,)))


_WRONG: list[tuple[str, Callable[[CdcDevice], None], str]] = [
    ("length", lambda d: patched(d, "device", 0, b"\x11"), "bLength of the device descriptor is 17"),
    ("version", lambda d: patched(d, "device", 2, b"\x34\x12"), "bcdUSB is 0x1234"),
    ("bos", lambda d: patched(d, "device", 2, b"\x10\x02"), "BOS"),
    ("packet", lambda d: patched(d, "device", 7, b"\x09"), "bMaxPacketSize0 is 9"),
    ("bcd", lambda d: patched(d, "device", 12, b"\x0a"), "no BCD"),
    ("class", lambda d: patched(d, "device", 4, b"\0\0\0"), "device class"),
    ("string", lambda d: patched(d, "device", 14, b"\x09"), "was refused"),
    ("serial", _no_serial, "no serial number"),
    ("total", _wrong_total, "changes between two readings"),
    ("interfaces", lambda d: patched(d, "configuration_data", 4, b"\x03"), "bNumInterfaces is 3"),
    ("none", _no_interface, "interface"),
    ("value", lambda d: patched(d, "configuration_data", 5, b"\0"), "bConfigurationValue is 0"),
    ("attributes", lambda d: patched(d, "configuration_data", 7, b"\x60"), "bit 7 of bmAttributes"),
    ("power", lambda d: patched(d, "configuration_data", 8, b"\xff"), "510 mA"),
    ("association", lambda d: patched(d, "configuration_data", 12, b"\x01"), "association"),
    ("protocol", lambda d: patched(d, "configuration_data", 17 + 7, b"\x05"), "bInterfaceProtocol"),
    ("cdc", lambda d: patched(d, "configuration_data", 26 + 3, b"\x00\x03"), "bcdCDC"),
    ("call", lambda d: patched(d, "configuration_data", 31 + 4, b"\x00"), "call management names"),
    ("acm", lambda d: patched(d, "configuration_data", 36 + 3, b"\x00"), "line coding"),
    ("union", lambda d: patched(d, "configuration_data", 40 + 3, b"\x01"), "union"),
    ("interval", lambda d: patched(d, "configuration_data", 45 + 6, b"\x00"), "bInterval"),
    ("bulk", lambda d: patched(d, "configuration_data", 61 + 4, b"\x30"), "48 bytes"),
    ("same", lambda d: patched(d, "configuration_data", 68 + 2, b"\x81"), "same address"),
    ("text", lambda d: d.strings.__setitem__(1, b"\x05\x03abc"), "half a character"),
    ("language", lambda d: d.strings.__setitem__(0, b"\x04\x03\x07\x04"), "not English"),
]


@pytest.mark.parametrize(("spoil", "words"), [case[1:] for case in _WRONG], ids=[case[0] for case in _WRONG])
def test_wrong_descriptors(spoil: Callable[[CdcDevice], None], words: str) -> None:
    device = bootloader_port()
    spoil(device)
    bench = Bench()
    bench.host.attach(device)
    device.connect()
    bench.run(1.0)
    assert not bench.host.configured
    assert [fault.kind for fault in bench.faults] == ["usb"]
    assert words in bench.faults[0].message


def test_a_device_that_does_not_answer() -> None:
    class Silent(CdcDevice):
        def take(self, endpoint: int) -> bytes | Answer:
            return Answer.NAK

    device = bootloader_port()
    device.__class__ = Silent
    bench = Bench()
    bench.host.attach(device)
    device.connect()
    bench.run(10.0)
    assert "did not come within 5000 ms" in bench.faults[0].message


def test_suspend_and_resume() -> None:
    log: list[str] = []

    class Sleeper(CdcDevice):
        def suspend(self) -> None:
            log.append("suspend")

        def resume(self) -> None:
            log.append("resume")

    device = bootloader_port()
    device.__class__ = Sleeper
    device.received = device.send
    bench = connected(device)
    bench.host.suspend()
    bench.run(0.001)
    bench.host.write(b"kept")
    bench.run(0.5)
    assert log == ["suspend"]
    assert bench.host.pending == 4
    bench.host.resume()
    bench.run(0.1)
    assert log == ["suspend", "resume"]
    assert bench.host.read() == b"kept"


def test_suspend_waits_for_what_is_under_way_and_can_be_taken_back() -> None:
    device = bootloader_port()
    bench = connected(device)
    bench.host.set_line(9600, True)
    bench.host.suspend()
    bench.run(0.01)
    assert bench.host.suspended
    assert device.line.baud_rate == 9600
    bench.host.set_line(1200)
    bench.run(0.01)
    assert device.line.baud_rate == 9600
    bench.host.resume()
    bench.run(0.1)
    assert device.line.baud_rate == 1200
    bench.host.suspend()
    bench.host.resume()
    bench.run(0.01)
    assert not bench.host.suspended


def test_a_reader_that_does_not_keep_up_holds_the_device_back() -> None:
    device = bootloader_port()
    bench = connected(device)
    device.send(bytes(200_000))
    bench.run(1.0)
    first = len(bench.host.read())
    assert first < 70_000
    assert device.unsent == 200_000 - first
    bench.run(1.0)
    rest = len(bench.host.read())
    bench.run(1.0)
    assert first + rest + len(bench.host.read()) + device.unsent == 200_000


def test_a_request_behind_new_settings_does_not_hold_data_back() -> None:
    got: list[bytes] = []
    device = bootloader_port(received=got.append)
    bench = connected(device, opened=False)
    bench.host.set_line(19200, True)
    bench.host.request(request(0x80, 0, 0, 0, 2))
    bench.host.write(b"data")
    bench.run(0.1)
    assert got == [b"data"]
    assert bench.host.settled


def test_closing_gives_up_on_old_data_and_keeps_what_is_written_later() -> None:
    got: list[bytes] = []
    device = bootloader_port(received=got.append)
    bench = connected(device)
    device.accept(False)
    bench.host.write(b"old")
    bench.host.set_line(dtr=False)
    bench.host.set_line(115200, True)
    bench.host.write(b"new")
    bench.run(1.0)
    assert device.dtr
    bench.run(2.0)
    device.accept(True)
    bench.run(0.1)
    assert got == [b"new"]
    assert device.dtr


def test_a_device_that_is_replaced_by_what_it_gets() -> None:
    first, second = bootloader_port(), bootloader_port()
    bench = connected(first)

    def replace(data: bytes) -> None:
        first.disconnect()
        bench.host.attach(second)
        second.connect()

    got: list[bytes] = []
    first.received, second.received = replace, got.append
    bench.host.write(b"K#")
    assert bench.run(1.0, lambda: bench.host.enumerations == 2)
    bench.host.set_line(115200, True)
    bench.host.write(b"hello")
    bench.run(0.1)
    assert got == [b"hello"]
    assert bench.warnings == []
