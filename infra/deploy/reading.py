"""A deployment's settings file, read so that every problem is named at once, with its line."""

from __future__ import annotations

from pathlib import Path

from infra.deploy.deployment import Deployment
from infra.errors import InputError, MissingError
from infra.findings import InvalidSettings, validate
from infra.yaml_source import read_yaml

EXAMPLE = Path(__file__).with_name("example.yaml")
"""A commented settings file; what it leaves out is in `Deployment`."""


def load_deployment(path: Path) -> Deployment:
    """The deployment a settings file describes.

    Raises:
        InputError: If there is no such file, it is no YAML text, or says what it may not.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MissingError(
            f"there is no settings file {path}; begin with a copy of {EXAMPLE}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not readable as a text file: {error}") from error
    document = read_yaml(text, str(path))
    try:
        return validate(Deployment, document.data)
    except InvalidSettings as error:
        raise document.source.error(list(error.findings)) from error
