"""Files that are no data - scripts and Containerfiles - from templates with every name checked.

Values come from `Deployment`, whose patterns leave nothing that a shell would read as more than a
word.
"""

from __future__ import annotations

from pathlib import Path

import jinja2

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("template_files")),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)


def fill(name: str, /, **values: object) -> str:
    """The template of this name with its values."""
    return _ENVIRONMENT.get_template(f"{name}.j2").render(**values)
