"""Settings as YAML, read as people write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from residua.errors import UserError
from residua.files import regular, write_text
from residua.judging.runfiles import PlainLoader


class _Loader(PlainLoader):
    """YAML 1.1 takes 1e-4 for a text; YAML 1.2, and everybody else, for a number."""


class _Dumper(yaml.SafeDumper):
    """Puts quotes around a text that would be taken for such a number, and writes everything out."""

    def ignore_aliases(self, _: Any) -> bool:
        """Write the same twice where it stands twice."""
        return True


_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+\Z")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789"))


def read_config(path: Path) -> dict[str, Any]:
    """Read settings by name; objects of Python are refused."""
    try:
        with open(path, encoding="utf-8", opener=regular) as file:
            values = yaml.load(file.read(), _Loader)  # noqa: S506 - a safe loader
    except (OSError, UnicodeError) as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    except (yaml.YAMLError, ValueError) as error:
        first, _, _ = str(error).partition("\n")
        raise UserError(f"{path} is not valid YAML: {first}.") from None
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise UserError(f"{path} holds no settings: write a line `name: value` for each.")
    return values


def write_config(path: Path, values: Mapping[str, Any]) -> None:
    """Write settings in their order, whole or not at all."""
    text = _dumped(values, readable=True)
    if any(separator in text for separator in "\x85\u2028\u2029"):  # rare ends of lines, which would be lost
        text = _dumped(values, readable=False)
    write_text(path, text)


def _dumped(values: Mapping[str, Any], readable: bool) -> str:
    return str(yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=readable, width=1000))
