"""Models and backbones with a file gone, cut off or changed: refused by name, never scored with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.errors import BackboneError, CorruptObjectError
from tests.trainer.trials import small_config
from trainer.config import BackboneConfig
from trainer.model.backbone import load_backbone, read_backbone
from trainer.model.model_files import HEAD, load_model, save_model
from trainer.model.reward_model import RewardModel
from trainer.record import MODEL_PAGE
from trainer.scoring import ModelScorer

JUNK = bytes(range(256)) * 8


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def overwritten(path: Path) -> None:
    path.write_bytes(JUNK)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGES: tuple[Callable[[Path], None], ...] = (gone, cut, emptied, overwritten, flipped)


@pytest.fixture(scope="module")
def saved(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    model = RewardModel(read_backbone(backbone_folder), small_config(backbone_folder))
    save_model(model, folder, identity="t")
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_file_of_a_model_is_damaged_it_is_named(
    damage: Callable[[Path], None], saved: Path, tmp_path: Path
) -> None:
    files = [path.name for path in saved.iterdir() if path.name != MODEL_PAGE]
    assert {"config.json", "model.safetensors", "tokenizer.json", HEAD} <= set(files)
    for name in files:
        broken = tmp_path / name
        shutil.copytree(saved, broken)
        if damage is not gone and not (broken / name).stat().st_size:
            continue
        damage(broken / name)
        what = "is missing" if damage is gone else "is not the file that was saved"
        with pytest.raises(CorruptObjectError, match=rf"{name} {what}.*copy it again"):
            load_model(broken)


def test_every_damaged_file_is_named_at_once_and_others_beside_them_do_not_matter(
    saved: Path, tmp_path: Path
) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    (tmp_path / "README.md").write_text("Ours.")
    assert load_model(tmp_path).head is not None
    gone(tmp_path / "tokenizer_config.json")
    flipped(tmp_path / HEAD)

    with pytest.raises(CorruptObjectError, match=r"tokenizer_config\.json is missing; reward_head"):
        load_model(tmp_path)


def test_a_page_that_describes_another_head_is_refused(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    page = json.loads((tmp_path / MODEL_PAGE).read_text())
    page["config"]["head"]["layers"] += 1
    (tmp_path / MODEL_PAGE).write_text(json.dumps(page))

    with pytest.raises(CorruptObjectError, match="describes another head"):
        load_model(tmp_path)


def test_a_model_saved_over_another_one_is_whole(backbone_folder: Path, tmp_path: Path) -> None:
    for layers in (1, 2):
        config = small_config(backbone_folder, head={"layers": layers})
        save_model(RewardModel(read_backbone(backbone_folder), config), tmp_path, identity="t")

    assert load_model(tmp_path).config.head.layers == 2


@pytest.mark.parametrize("damage", [cut, emptied, overwritten])
@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"]
)
def test_a_backbone_with_a_broken_file_is_refused_with_its_folder(
    name: str, damage: Callable[[Path], None], backbone_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(backbone_folder, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / name)

    with pytest.raises(BackboneError, match=str(tmp_path)):
        load_backbone(BackboneConfig(path=str(tmp_path)))


@pytest.mark.parametrize(
    ("template", "said"),
    [("Hello.", "shows one 0 times"), ("{% for", "cannot be rendered"), ("{{ 1 / 0 }}", "render")],
)
def test_a_chat_template_that_leaves_the_prompt_out_is_refused(
    template: str, said: str, backbone_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(backbone_folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").write_text(template)
    model = RewardModel(read_backbone(tmp_path), small_config(tmp_path))

    with pytest.raises(BackboneError, match=said):
        ModelScorer(model).score([{"prompt": "2 + 2?", "responses": ["4", "5"]}])
