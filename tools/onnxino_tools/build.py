"""Builds the firmware: C sources to ELF with ziglang or arm-none-eabi-gcc, ELF to the flat image that is flashed."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onnxino.boards import BOARDS, NANO33BLE, Board
from onnxino.errors import MissingExtraError, OnnxinoError
from onnxino_tools.build_sizes import Sizes, read_sizes
from onnxino_tools.image_mark import seal

COMPILERS = ("zig", "gcc")

_WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow"]
# The results must not depend on the compiler: no contraction to fused multiply-add, no relaxed floating point.
_COMMON = [
    *("-std=c11", "-O2", "-g0", "-ffp-contract=off", "-fno-common", "-ffunction-sections", "-fdata-sections"),
    *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-stack-protector", "-fno-ident"),
]
_LINK = ["-nostdlib", "-static", "-Wl,--gc-sections", "-Wl,--build-id=none"]
# The firmware's own files hardly matter for speed; the engine, its operators and the camera do.
_SMALL = ["-Os"]
# memory.c is what the compiler calls for copies and fills: it must not be compiled into calls to itself.
_MEMORY = ["-fno-builtin", "-ffreestanding", "-fno-strict-aliasing"]
_TARGET = {
    "zig": ["-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp", "-fno-sanitize=all"],
    "gcc": ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"],
}


class BuildError(OnnxinoError):
    """The firmware could not be built."""


@dataclass(frozen=True)
class Sources:
    """Where the C sources are: `firmware` (board.h, boards/) and `runtime` (engine/, ops/, camera/)."""

    firmware: Path
    runtime: Path


def find_sources() -> Sources:
    """The sources of the checkout that this package runs from, else the copy inside the installed package.

    Raises BuildError when neither is there.
    """
    import onnxino

    tools = Path(__file__).resolve().parent
    for firmware in (tools.parents[1] / "firmware", tools / "_firmware"):
        if (firmware / "board.h").is_file():
            return Sources(firmware, Path(onnxino.__file__).resolve().parent)
    raise BuildError(
        f"the firmware's sources were not found beside {tools}",
        "install Onnxino again, or run it from a checkout",
    )


def source_files(board: Board = NANO33BLE, sources: Sources | None = None) -> list[tuple[str, Path]]:
    """Every file that the image is made of, as (name independent of the installation, path), sorted by name."""
    sources = sources or find_sources()
    folders = [
        ("firmware", sources.firmware),
        ("firmware/include", sources.firmware / "include"),
        (f"firmware/boards/{board.name}", sources.firmware / "boards" / board.name),
        ("runtime/engine", sources.runtime / "engine"),
        ("runtime/ops", sources.runtime / "ops"),
        ("runtime/camera", sources.runtime / "camera"),
    ]
    files: list[tuple[str, Path]] = []
    for name, folder in folders:
        files += [(f"{name}/{f.name}", f) for f in folder.iterdir() if f.suffix in (".c", ".h", ".ld")]
    return sorted(files)


def sources_sha256(board: Board = NANO33BLE, sources: Sources | None = None) -> str:
    """SHA-256 over names and contents of all source files (line ends as in the repository) and the compiler flags."""
    digest = hashlib.sha256(json.dumps([_COMMON, _SMALL, _LINK, _MEMORY, _TARGET]).encode())
    for name, path in source_files(board, sources):
        data = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def find_compiler(compiler: str) -> list[str]:
    """The command that starts "zig" (ziglang from PyPI, or zig on PATH) or "gcc" (arm-none-eabi-gcc).

    Raises BuildError for another name or a missing gcc, MissingExtraError for a missing ziglang.
    """
    if compiler == "gcc":
        path = shutil.which("arm-none-eabi-gcc")
        if path is None:
            raise BuildError(
                "arm-none-eabi-gcc is not on PATH",
                "install it (Debian: apt install gcc-arm-none-eabi), or build with --compiler zig",
            )
        return [path]
    if compiler == "zig":
        import importlib.util

        if importlib.util.find_spec("ziglang") is not None:
            return [sys.executable, "-m", "ziglang", "cc"]
        path = shutil.which("zig")
        if path is not None:
            return [path, "cc"]
        error = MissingExtraError("building the firmware", "toolchain")
        if shutil.which("arm-none-eabi-gcc") is not None:
            error.hint = f"{error.hint}; or with the compiler that is here: onnxino build --compiler gcc"
        raise error
    raise BuildError(f"there is no compiler '{compiler}'", f"known: {', '.join(COMPILERS)}")


def compiler_version(compiler: str) -> str:
    """One line that names the compiler and its version."""
    command = find_compiler(compiler)
    if compiler == "zig":
        return "zig " + _run([*command[:-1], "version"]).strip()
    return _run([*command, "--version"]).splitlines()[0].strip()


@dataclass(frozen=True)
class Built:
    """An image that was built: the .bin (the .elf lies beside it), and what it takes of the chip."""

    path: Path
    sizes: Sizes


def build_firmware(
    out_dir: str | Path,
    compiler: str = "zig",
    *,
    board: str = NANO33BLE.name,
    sources: Sources | None = None,
    strict: bool = False,
) -> Path:
    """As `build`, and returns the .bin's path."""
    return build(out_dir, compiler, board=board, sources=sources, strict=strict).path


def build(
    out_dir: str | Path,
    compiler: str = "zig",
    *,
    board: str = NANO33BLE.name,
    sources: Sources | None = None,
    strict: bool = False,
) -> Built:
    """Builds `onnxino-<board>.bin` (and .elf beside it) in out_dir.

    The same sources and compiler give the same bytes everywhere. strict turns compiler warnings into errors.
    Raises BuildError when the compiler fails or the image does not fit, MissingExtraError without a compiler.
    """
    if board not in BOARDS:
        raise BuildError(f"there is no board '{board}'", f"known: {', '.join(sorted(BOARDS))}")
    target = BOARDS[board]
    sources = sources or find_sources()
    command = find_compiler(compiler)
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    elf = out / f"onnxino-{board}.elf"
    with tempfile.TemporaryDirectory(prefix="onnxino-build-") as work:
        objects = _compile(command, compiler, target, sources, Path(work), elf, strict)
        linked = elf.read_bytes()
        image = elf_to_image(linked, target)
        sizes = read_sizes(image, linked, objects, target.ram_address)
    path = elf.with_suffix(".bin")
    path.write_bytes(image)
    return Built(path, sizes)


def _compile(
    command: list[str], compiler: str, board: Board, sources: Sources, work: Path, elf: Path, strict: bool
) -> list[Path]:
    """Compiles what is neither engine nor operator to objects, links them with those, and returns the objects."""
    board_dir = sources.firmware / "boards" / board.name
    flags = [*_TARGET[compiler], *_COMMON, *(_WARNINGS if strict else ["-w"]), *(["-Werror"] if strict else [])]
    flags += [f"-ffile-prefix-map={sources.firmware}=firmware", f"-ffile-prefix-map={sources.runtime}=runtime"]
    flags += [f"-I{path}" for path in (sources.firmware / "include", sources.firmware, board_dir, sources.runtime)]
    files = [(name, path) for name, path in source_files(board, sources) if path.suffix == ".c"]
    firmware = [path for name, path in files if name.startswith("firmware/") and path.name != "memory.c"]
    camera = [path for name, path in files if name.startswith("runtime/camera/")]
    runtime = [path for name, path in files if name.startswith(("runtime/engine/", "runtime/ops/"))]
    memory = sources.firmware / "memory.c"
    own = [*_MEMORY, "-fno-tree-loop-distribute-patterns"] if compiler == "gcc" else _MEMORY
    _run([*command, *flags, *own, "-c", str(memory), "-o", str(work / "memory.o")])
    _run([*command, *flags, "-c", *map(str, camera)], work)
    _run([*command, *flags, *_SMALL, "-c", *map(str, firmware)], work)  # one object each, or one for all (zig)
    objects = sorted(work.glob("*.o"))
    link = [*_LINK, "-T", str(board_dir / "linker.ld"), "-Wl,-e,onx_reset_handler"]
    library = ["-lgcc"] if compiler == "gcc" else []
    _run([*command, *flags, *link, *map(str, [*objects, *runtime]), *library, "-o", str(elf.resolve())])
    return objects


def _run(command: list[str], folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        errors = [
            line for line in done.stderr.splitlines() if re.search(r"error|undefined|overflow|will not fit", line)
        ]
        text = "\n".join(errors[:10] or done.stderr.splitlines()[-10:])
        raise BuildError(f"{Path(command[0]).name} failed with exit code {done.returncode}:\n{text}")
    return done.stdout


def elf_to_image(elf: bytes, board: Board = NANO33BLE) -> bytes:
    """The bytes of the board's flash from image_address on: an ELF32's loadable segments, gaps filled with 0xFF, and
    the mark filled in.

    Raises BuildError when it is no such ELF, lies outside of the image region, or its vectors would not start.
    """
    if elf[:6] != b"\x7fELF\x01\x01":
        raise BuildError("the linker's output is not a 32-bit little-endian ELF file")
    image = bytearray()
    for address, data in _load_segments(elf):
        start = address - board.image_address
        end = start + len(data)
        if start < 0 or end > board.image_size:
            raise BuildError(
                f"the firmware does not fit: it reaches from 0x{address:X} to 0x{address + len(data):X}, its region "
                f"from 0x{board.image_address:X} to 0x{board.image_address + board.image_size:X}"
            )
        image.extend(b"\xff" * (end - len(image)))
        image[start:end] = data
    check_image(bytes(image), board)
    return seal(bytes(image))


def _load_segments(elf: bytes) -> Iterator[tuple[int, bytes]]:
    offset, (size, count) = struct.unpack_from("<I", elf, 28)[0], struct.unpack_from("<HH", elf, 42)
    for index in range(count):
        kind, at, _, address, length = struct.unpack_from("<5I", elf, offset + index * size)
        if kind == 1 and length > 0:
            yield address, elf[at : at + length]


def check_image(image: bytes, board: Board = NANO33BLE) -> None:
    """Refuses (BuildError) what would not start: the stack pointer lies in RAM, the reset vector inside the image."""
    if len(image) < 8 or len(image) > board.image_size:
        raise BuildError(f"an image of {len(image)} bytes cannot be; at most {board.image_size} fit")
    stack, reset = struct.unpack_from("<II", image)
    if not board.ram_address < stack <= board.ram_address + board.ram_size or stack >> 24 != 0x20:
        raise BuildError(f"the image's first word 0x{stack:08X} is no stack pointer: not an image for {board.title}")
    if not board.image_address <= reset < board.image_address + len(image) or reset % 2 != 1:
        raise BuildError(
            f"the image's reset vector 0x{reset:08X} points outside of it: not linked at 0x{board.image_address:X}"
        )


def prebuilt_path(board: Board = NANO33BLE) -> Path:
    """The committed image; its description (size, hashes, compiler) lies beside it as .json."""
    return find_sources().firmware / "boards" / board.name / "prebuilt" / f"onnxino-{board.name}.bin"


def firmware_image(board: Board = NANO33BLE) -> bytes:
    """The prebuilt image, checked against its description. Raises BuildError when it is missing or damaged."""
    path = prebuilt_path(board)
    try:
        image = path.read_bytes()
        expected = json.loads(path.with_suffix(".json").read_text("utf-8"))["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise BuildError(f"the prebuilt firmware {path} cannot be read: {error}", "build it: onnxino build") from None
    if hashlib.sha256(image).hexdigest() != expected:
        raise BuildError(f"the prebuilt firmware {path} is damaged: its SHA-256 differs", "install Onnxino again")
    return image


def prebuilt_is_fresh(board: Board = NANO33BLE) -> bool:
    """Whether the prebuilt image was made from the sources as they are now (by their hash: nothing is compiled)."""
    try:
        description = json.loads(prebuilt_path(board).with_suffix(".json").read_text("utf-8"))
        firmware_image(board)
    except (OSError, ValueError, BuildError):
        return False
    return bool(description.get("sources_sha256") == sources_sha256(board))


def update_prebuilt(board: Board = NANO33BLE, compiler: str = "zig") -> Path:
    """Builds the image and puts it and its description where the package expects it. Returns the image's path."""
    path = prebuilt_path(board)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="onnxino-build-") as work:
        built = build(work, compiler, board=board.name, strict=True)
        image = built.path.read_bytes()
    description = {
        "board": board.name,
        "address": board.image_address,
        "size": len(image),
        "sha256": hashlib.sha256(image).hexdigest(),
        "sources_sha256": sources_sha256(board),
        "compiler": compiler_version(compiler),
        "sizes": built.sizes.as_dict(),
    }
    path.write_bytes(image)
    path.with_suffix(".json").write_text(json.dumps(description, indent=2) + "\n", "utf-8")
    return path
