"""Names, places and digests of backbones, without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import BackboneError
from trainer.backbone_entries import BackboneEntry
from trainer.catalog import (
    SHIPPED,
    backbone_digest,
    backbone_folder,
    backbone_location,
    entries,
    lookup,
)
from trainer.config import BackboneConfig

SHIPPED_ENTRIES = [entry for entry in entries() if entry.hub_id is None]


def write_model(folder: Path, **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]} | config
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_names_are_unique_and_figures_make_sense() -> None:
    names = [entry.name for entry in entries()]
    assert len(set(names)) == len(names)
    hubs = [entry.hub_id for entry in entries() if entry.hub_id]
    assert len(set(hubs)) == len(hubs)
    for entry in entries():
        assert 0 <= entry.vision_parameters < entry.parameters
        assert (entry.kind == "text") == (entry.vision_parameters == 0)


def test_a_family_grows_with_its_scales() -> None:
    for family in {entry.family for entry in entries()}:
        sizes = [entry.parameters for entry in entries() if entry.family == family]
        assert sizes == sorted(sizes)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_entry_is_found_by_family_and_scale(entry: BackboneEntry) -> None:
    assert lookup(BackboneConfig(family=entry.family, scale=entry.scale)) is entry


def test_the_default_backbone_is_shipped() -> None:
    assert lookup(BackboneConfig()).hub_id is None


@pytest.mark.parametrize("entry", SHIPPED_ENTRIES, ids=lambda entry: entry.name)
def test_figures_of_shipped_backbones_are_those_of_their_files(entry: BackboneEntry) -> None:
    folder = SHIPPED / entry.family / entry.scale
    config = json.loads((folder / "config.json").read_text())
    assert config["text_config"]["hidden_size"] == entry.hidden_size
    assert config["text_config"]["num_hidden_layers"] == entry.layers
    with (folder / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    sizes = {}
    for name, tensor in header.items():
        # The language head shares the embeddings, though the file holds both.
        if name != "__metadata__" and not name.endswith("lm_head.weight"):
            sizes[name] = (tensor["data_offsets"][1] - tensor["data_offsets"][0]) // 2
    vision = ("visual", "vision_tower", "multi_modal_projector")
    assert sum(sizes.values()) == entry.parameters
    assert entry.vision_parameters == sum(
        size for name, size in sizes.items() if any(part in name for part in vision)
    )


def test_an_unknown_family_names_the_nearest_and_all() -> None:
    with pytest.raises(BackboneError, match=r"did you mean 'qwen2.5-vl'.*internvl3.*smollm2"):
        lookup(BackboneConfig(family="qwen25-vl", scale="7b"))


def test_an_unknown_scale_names_those_of_the_family() -> None:
    with pytest.raises(BackboneError, match=r"family qwen2.5-vl '8b'.*Known: 3b, 7b, 32b, 72b"):
        lookup(BackboneConfig(family="qwen2.5-vl", scale="8b"))


def test_a_hub_model_that_is_not_on_disk_has_no_digest_yet() -> None:
    config = BackboneConfig(family="smollm2", scale="135m")
    assert backbone_folder(config) is None
    assert backbone_digest(config) is None
    assert backbone_location(config) == "HuggingFaceTB/SmolLM2-135M-Instruct"
    named = BackboneConfig(path="someone/another-model")
    assert backbone_location(named) == "someone/another-model"


@pytest.mark.parametrize("name", ["HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct"])
def test_a_copy_in_the_models_folder_is_used_before_the_hub(tmp_path: Path, name: str) -> None:
    folder = write_model(tmp_path / name)
    config = BackboneConfig(family="smollm2", scale="135m")
    assert backbone_folder(config, models=tmp_path) == folder
    assert backbone_digest(config, models=tmp_path) is not None
    named = BackboneConfig(path="HuggingFaceTB/SmolLM2-135M-Instruct")
    assert backbone_folder(named, models=tmp_path) == folder


def test_a_digest_follows_content_and_nothing_else(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "one")
    config = BackboneConfig(path=str(folder))
    first = backbone_digest(config)
    moved = shutil.copytree(folder, tmp_path / "two")
    (moved / "README.md").write_text("what this is")
    assert backbone_digest(BackboneConfig(path=str(moved))) == first
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert backbone_digest(config) != first


def test_a_missing_path_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"expected a folder with config.json.*no such folder"):
        backbone_folder(BackboneConfig(path=str(tmp_path / "nowhere")))


def test_a_folder_without_a_config_says_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(BackboneError, match=r"found notes.txt; point at the folder"):
        backbone_folder(BackboneConfig(path=str(tmp_path)))


def test_a_config_that_is_not_json_is_named(tmp_path: Path) -> None:
    write_model(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BackboneError, match=r"config.json is not JSON"):
        backbone_folder(BackboneConfig(path=str(tmp_path)))


@pytest.mark.parametrize("content", ["[]", "{}", '{"model_type": "bert"}'])
def test_an_unsupported_architecture_lists_the_supported_ones(tmp_path: Path, content: str) -> None:
    write_model(tmp_path)
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(BackboneError, match=r"is not supported; expected qwen2_vl, .*ForCausalLM"):
        backbone_folder(BackboneConfig(path=str(tmp_path)))


@pytest.mark.parametrize(
    ("missing", "said"), [("model.safetensors", "no weights"), ("tokenizer.json", "no tokenizer")]
)
def test_a_model_with_files_missing_says_which(tmp_path: Path, missing: str, said: str) -> None:
    (write_model(tmp_path) / missing).unlink()
    with pytest.raises(BackboneError, match=rf"found {said} but .*config.json"):
        backbone_folder(BackboneConfig(path=str(tmp_path)))


def test_the_catalog_imports_neither_torch_nor_transformers() -> None:
    code = "import sys, trainer.catalog; print({'torch', 'transformers'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
