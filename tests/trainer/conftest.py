"""One small random backbone for all tests of the trainer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainer.trials import short_backbone

# Idle threads that spin while others wait for the core make tiny models a hundred times slower.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved random vision-language backbone."""
    folder = tmp_path_factory.mktemp("backbone")
    short_backbone().save(folder)
    return folder
