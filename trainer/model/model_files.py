"""A trained reward model as files: the backbone for the Auto classes, our head, and one JSON page.

Safetensors and JSON only. Loading gives the very scores the trained model gave: the page holds the
sha256 of every other file, and a folder where one is gone or changed is refused. Without that, a
model whose tokenizer's settings had been left behind loaded, and scored otherwise.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from infra.errors import CorruptObjectError, MissingError
from infra.frozen import Frozen
from infra.object_store import LocalStore, ObjectStore
from trainer.config import TrainerConfig
from trainer.identity import digest
from trainer.model.backbone import Backbone, read_backbone
from trainer.model.low_rank import plain_state
from trainer.model.reward_model import RewardModel
from trainer.record import MODEL_PAGE, model_page_key, model_prefix

HEAD = "reward_head.safetensors"


class ModelPage(Frozen):
    """What turns a backbone's files into a reward model."""

    version: int = 1
    identity: str
    config: TrainerConfig
    files: dict[str, str]
    """Sha256 of every other file by its name."""


def save_model(model: RewardModel, folder: Path, *, identity: str) -> None:
    """Write a model's files; the weights must be whole."""
    folder.mkdir(parents=True, exist_ok=True)
    model.backbone.save(folder, state=plain_state(model.module))
    if model.head is not None:
        state = {name: value.contiguous().cpu() for name, value in model.head.state_dict().items()}
        save_file(state, folder / HEAD)
    files = {name: told for name, told in file_digests(folder).items() if name != MODEL_PAGE}
    page = ModelPage(identity=identity, config=model.config, files=files)
    (folder / MODEL_PAGE).write_text(page.model_dump_json(indent=2) + "\n")


def load_model(
    folder: Path, *, backbone: Backbone | None = None, digests: Mapping[str, str] | None = None
) -> RewardModel:
    """A saved model, ready to score.

    Args:
        folder: Where `save_model` left it.
        backbone: One already loaded from the same files, to be shared instead of read again.
        digests: Of its files, where `file_digests` has just told them; hashed here when absent.

    Raises:
        MissingError: If the folder holds no reward model.
        CorruptObjectError: If its page cannot be read, or its files are not those the page names.
        BackboneError: If the libraries installed here cannot load the backbone.
    """
    page = read_page(folder)
    _check_whole(folder, page, file_digests(folder) if digests is None else digests)
    model = RewardModel(backbone or read_backbone(folder), page.config)
    if model.head is not None:
        try:
            model.head.load_state_dict(load_file(folder / HEAD))
        except RuntimeError as error:
            raise CorruptObjectError(
                f"{folder / MODEL_PAGE} describes another head than {HEAD} holds; was it edited? "
                f"Copy the model again, or train it anew: {error}"
            ) from error
    return model.eval()


def _check_whole(folder: Path, page: ModelPage, found: Mapping[str, str]) -> None:
    gone = sorted(page.files.keys() - found.keys())
    changed = sorted(
        name for name in page.files if found.get(name, page.files[name]) != page.files[name]
    )
    faults = [f"{name} is missing" for name in gone] + [
        f"{name} is not the file that was saved" for name in changed
    ]
    if faults:
        raise CorruptObjectError(
            f"the reward model at {folder} is not whole: {'; '.join(faults)}; copy it again, or "
            "train it anew"
        )


def read_page(folder: Path) -> ModelPage:
    """What a saved model says of itself.

    Raises:
        MissingError: If the folder holds no reward model.
        CorruptObjectError: If its page cannot be read.
    """
    path = folder / MODEL_PAGE
    if not path.is_file():
        raise MissingError(f"expected a reward model at {folder}, but it holds no {MODEL_PAGE}")
    try:
        return ModelPage.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise CorruptObjectError(f"{path} does not describe a reward model: {error}") from error


def folder_digest(folder: Path) -> str:
    """Digest of a model's files, by name and content."""
    return digest(file_digests(folder))


def file_digests(folder: Path) -> dict[str, str]:
    """Sha256 of every file of a model, by name."""
    files = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        with path.open("rb") as file:
            files[path.relative_to(folder).as_posix()] = hashlib.file_digest(
                file, "sha256"
            ).hexdigest()
    return files


def backbone_digest(files: Mapping[str, str]) -> str:
    """Digest of a model's backbone alone: models that share it differ in their heads only."""
    return digest({name: value for name, value in files.items() if name not in (MODEL_PAGE, HEAD)})


def store_model(model: RewardModel, store: ObjectStore, identity: str) -> str:
    """Put a model into the object store; returns the digest of its files."""
    with tempfile.TemporaryDirectory(prefix="rmsweep-model-") as name:
        folder = Path(name)
        save_model(model, folder, identity=identity)
        # The page goes last: a model without it is not taken for one.
        files = (path for path in folder.rglob("*") if path.is_file())
        for path in sorted(files, key=lambda path: path.name == MODEL_PAGE):
            store.upload(path, model_prefix(identity) + path.relative_to(folder).as_posix())
        return folder_digest(folder)


def fetch_model(store: ObjectStore, identity: str, folder: Path) -> str:
    """Copy a trial's model out of the object store; returns the digest of its files.

    Raises:
        MissingError: If the trial left no model.
    """
    prefix = model_prefix(identity)
    keys = _model_keys(store, identity)
    for key in keys:
        store.download(key, folder / key.removeprefix(prefix))
    return folder_digest(folder)


@contextmanager
def model_folder(store: ObjectStore, identity: str) -> Iterator[Path]:
    """A folder with a trial's model: the store's own where it is local, else a copy for a while.

    Raises:
        MissingError: If the trial left no model.
    """
    if isinstance(store, LocalStore):
        _model_keys(store, identity)
        yield store.root / model_prefix(identity)
        return
    with tempfile.TemporaryDirectory(prefix="rmsweep-model-") as name:
        fetch_model(store, identity, Path(name))
        yield Path(name)


def _model_keys(store: ObjectStore, identity: str) -> list[str]:
    prefix = model_prefix(identity)
    keys = store.keys(prefix)
    if model_page_key(identity) not in keys:
        raise MissingError(
            f"trial {identity[:12]} has no model in {store.uri}; it was stopped early or failed, "
            "or its files were deleted"
        )
    return keys
