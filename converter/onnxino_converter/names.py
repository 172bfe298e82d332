"""C identifiers for models."""

from __future__ import annotations

import keyword
import re
import unicodedata

from onnxino.errors import ConvertError

_RESERVED = """
    auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while bool true false
    alignas alignof class new delete this template namespace main
"""
_C_KEYWORDS = frozenset(_RESERVED.split())
LIMIT = 48


def check_name(name: str) -> str:
    """A name given by the user: it must be a C identifier."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in _C_KEYWORDS or len(name) > LIMIT:
        raise ConvertError(
            f"the name '{name}' is no C identifier of at most {LIMIT} letters, digits and underscores",
            f"--name {identifier(name)}",
        )
    return name


def identifier(text: str) -> str:
    """A C identifier made of a file's stem: accents dropped, other characters become underscores."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9]", "_", plain)).strip("_").lower()[:LIMIT]
    if not name:
        return "network"
    if name[0].isdigit() or name in _C_KEYWORDS or keyword.iskeyword(name):
        name = f"m_{name}"[:LIMIT]
    return name
