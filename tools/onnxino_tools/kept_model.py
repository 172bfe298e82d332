"""The model that its owner has on a board, kept in a file while others take its place there."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from onnxino.errors import LinkError, OnnxinoError
from onnxino_tools.files import write_whole

if TYPE_CHECKING:
    from onnxino_tools.link import DeviceLink


class KeptModel:
    """`path`: the file, in the user's cache folder, with a name made from the board's mark; None: there was no model.

    found: it was left there by an earlier call that broke off, and is put back instead of what the board holds now.
    """

    def __init__(self, content: bytes | None, path: Path | None, *, found: bool = False) -> None:
        self.content = content
        self.path = path
        self.found = found

    @classmethod
    def keep(cls, link: DeviceLink, mark: str, others: Collection[bytes]) -> KeptModel:
        """Reads the board's model and writes it to the file; one of `others` counts as left by a call that broke off.

        Raises LinkError, CompileError or InputError where the file cannot be written; then nothing has changed.
        """
        from onnxino.compile_cache import cache_dir

        path = cache_dir() / f"model-of-{mark}.oxm"
        hello = link.hello()
        content = link.read_model(0, hello.model_size) if hello.model_valid else None
        if path.is_file() and (content is None or content in others):
            return cls(path.read_bytes(), path, found=True)
        if content is None:
            return cls(None, None)
        kept = content
        write_whole(path, lambda file: _discard(file.write(kept)))
        return cls(content, path)

    def put_back(self, link: DeviceLink) -> None:
        """Loads it, and removes the file when it is there again. Raises what `DeviceLink.load_model` raises."""
        if self.content is None or self.path is None:
            return
        if not link.has_model(self.content):
            link.load_model(self.content)
        self.path.unlink(missing_ok=True)

    def lost(self, port: str, first: BaseException | None, second: BaseException) -> LinkError:
        """What is to be said when it could not be put back: what went wrong first, and where the model is."""
        error = first or second
        if isinstance(error, OnnxinoError):
            said = error.message
        else:
            said = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
        where = shlex.quote(str(self.path))
        return LinkError(
            f"{said}; the board's own model could not be put back",
            f"it is kept: onnxino flash {where} --port {shlex.quote(port)}",
        )


def _discard(_: object) -> None:
    """For a lambda that returns nothing."""
