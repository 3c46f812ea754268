"""Notebooks executed in this process: papermill's parameters and cells, IPython's displays.

A kernel process costs 3 s to start and as much again to import what this process has imported
already, speaks over unencrypted TCP ports, and needs a registered kernel; a notebook that reads
tables needs none of it. The same notebooks run under `jupyter` and `papermill` as they are.

Invariant: IPython leaves nothing behind: no singleton, no history file, no `__main__`.
"""

from __future__ import annotations

import atexit
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import papermill
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbformat import NotebookNode
from nbformat.v4 import new_output
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from traitlets.config import Config

from infra.errors import InputError, RmsweepError

ENGINE = "rmsweep-in-process"
SHIPPED = Path(__file__).parents[1] / "notebooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedNotebook:
    """A notebook that ran, with what its cells showed."""

    name: str
    node: NotebookNode

    def outputs(self) -> Iterator[tuple[NotebookNode, NotebookNode | None]]:
        """Cells in their order with each of their outputs; a Markdown cell has none."""
        for cell in self.node.cells:
            if cell.cell_type == "markdown":
                yield cell, None
            for output in cell.get("outputs", ()):
                yield cell, output

    def stripped(self) -> NotebookNode:
        """The notebook to go on from: its parameters set, its outputs removed."""
        node = nbformat.from_dict(self.node)
        node.metadata.pop("papermill", None)
        for cell in node.cells:
            cell.metadata.pop("papermill", None)
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        return node


def notebook_path(name_or_path: str | Path) -> Path:
    """A shipped notebook by name, or one's own by path.

    Raises:
        InputError: If there is neither.
    """
    shipped = SHIPPED / f"{name_or_path}.ipynb"
    if shipped.is_file():
        return shipped
    path = Path(name_or_path)
    if path.suffix == ".ipynb" and path.is_file():
        return path
    names = ", ".join(sorted(each.stem for each in SHIPPED.glob("*.ipynb")))
    raise InputError(
        f"no notebook {str(name_or_path)!r}; there are {names}, or name an .ipynb file"
    )


def execute(name_or_path: str | Path, parameters: Mapping[str, Any]) -> ExecutedNotebook:
    """Run a notebook with these parameters.

    Raises:
        InputError: If it cannot be read, or a cell of one's own notebook fails.
        RmsweepError: What a cell raised of ours.
    """
    path = notebook_path(name_or_path)
    _check(path)
    papermill_engines.register(ENGINE, _InProcessEngine)
    try:
        node = papermill.execute_notebook(
            str(path), None, dict(parameters), engine_name=ENGINE, progress_bar=False
        )
    except _CellError as failed:
        error = failed.error
        if isinstance(error, RmsweepError) or path.parent == SHIPPED:
            raise error from None
        raise InputError(
            f"cell {failed.number} of {path} failed: {type(error).__name__}: {error}"
        ) from error
    return ExecutedNotebook(name=path.stem, node=node)


def _check(path: Path) -> None:
    try:
        node = nbformat.read(path, as_version=4)
        nbformat.validate(node)
    except (
        nbformat.ValidationError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{path} is no notebook that can be run: {said[0][:300]}") from error


class _CellError(Exception):
    def __init__(self, number: int, error: BaseException) -> None:
        super().__init__(number)
        self.number = number
        self.error = error


class _InProcessEngine(Engine):  # type: ignore[misc]
    """Runs cells one after the other in an IPython shell of its own."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, **_: object
    ) -> None:
        """What papermill calls."""
        with _shell() as shell:
            for index, cell in enumerate(nb_man.nb.cells):
                if cell.cell_type != "code":
                    continue
                nb_man.cell_start(cell, index)
                error = _run(shell, cell)
                if error is not None:
                    nb_man.cell_exception(cell, index, exception=error)
                    raise _CellError(index + 1, error)
                nb_man.cell_complete(cell, index)


class _KeepingHook(DisplayHook):  # type: ignore[misc]
    """Keeps the value of a cell's last expression among its displays."""

    def __call__(self, result: object = None) -> None:
        if result is None or self.quiet():
            return
        data, metadata = self.shell.display_formatter.format(result)
        if data:
            self.shell.display_pub.publish(data, metadata)


def _run(shell: InteractiveShell, cell: NotebookNode) -> BaseException | None:
    """Run a cell and put what it showed into it; its exception, if any."""
    # Inside Jupyter `display` speaks to Jupyter's own shell, which then is another one.
    listening = get_ipython()
    shell.display_pub.outputs.clear()
    if listening is not shell and listening is not None:
        with capture_output() as kept:
            result = shell.run_cell(cell.source, store_history=False)
        shown = [*({"data": o.data, "metadata": o.metadata} for o in kept.outputs)]
        shown += shell.display_pub.outputs
    else:
        with capture_output(display=False) as kept:
            result = shell.run_cell(cell.source, store_history=False)
        shown = list(shell.display_pub.outputs)
    cell.outputs = [
        new_output("display_data", data=each["data"], metadata=each.get("metadata") or {})
        for each in shown
    ]
    error: BaseException | None = result.error_before_exec or result.error_in_exec
    if kept.stdout and error is None:
        cell.outputs.insert(0, new_output("stream", name="stdout", text=kept.stdout))
    return error


@contextmanager
def _shell() -> Iterator[InteractiveShell]:
    nested = InteractiveShell.initialized()
    make = InteractiveShell if nested else InteractiveShell.instance
    config = Config()
    config.HistoryManager.enabled = False
    before = {
        name: getattr(sys, name)
        for name in ("displayhook", "excepthook", "ps1")
        if hasattr(sys, name)
    }
    main = sys.modules["__main__"]
    with tempfile.TemporaryDirectory() as folder:
        shell = make(
            config=config,
            ipython_dir=folder,
            user_module=ModuleType("report_notebook"),
            display_pub_class=CapturingDisplayPublisher,
            displayhook_class=_KeepingHook,
            colors="nocolor",
        )
        shell.display_formatter.active_types = shell.display_formatter.format_types
        try:
            yield shell
        finally:
            shell.restore_sys_module_state()
            shell.atexit_operations()
            atexit.unregister(shell.atexit_operations)
            if not nested:
                InteractiveShell.clear_instance()
            sys.modules["__main__"] = main
            for name, value in before.items():
                setattr(sys, name, value)
