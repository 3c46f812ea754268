"""The benchmark for accelerators: real widths, a clear refusal, a run to the end without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from tests.benchmarks.gpu import main
from tests.benchmarks.gpu_shapes import SHAPES, peak_of
from tests.benchmarks.shapes import make_tokenizer, vision_language_config
from trainer.backbone_entries import ENTRIES


@pytest.mark.parametrize("scale", ["3b", "7b"])
def test_its_shapes_are_those_of_the_published_models(scale: str) -> None:
    config = vision_language_config(SHAPES[scale], make_tokenizer("qwen2_5_vl"))
    with torch.device("meta"):
        module = Qwen2_5_VLForConditionalGeneration(config)
    parameters = sum(weight.numel() for weight in module.parameters())
    (entry,) = [e for e in ENTRIES if (e.family, e.scale) == ("qwen2.5-vl", scale)]

    assert round(parameters / 1e6) == round(entry.parameters / 1e6)


def test_a_device_s_peak_is_told_by_its_name() -> None:
    names = ("NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe", "NVIDIA A100-SXM4-80GB", "Radeon")

    assert [peak_of(name) for name in names] == [989.4, 756.5, 311.9, None]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
def test_without_a_device_it_says_in_one_sentence_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("gpu benchmark: expected a CUDA device, found none")
    assert said.count("\n") == 1


@pytest.mark.slow
def test_the_same_code_runs_to_its_end_on_a_processor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--batch", "3", "--steps", "1", "--warm-up", "1", "--peak-tflops", "1"]
    main(["--device", "cpu", "--shape", "tiny", *few, "--out", str(tmp_path)])

    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["peak_tflops"] == 1
    rows = {(row["case"], row["contestant"]): row for row in found["rows"]}
    assert {case for case, _ in rows} == {"images", "text"}
    a, b, ours = (
        rows["images", name] for name in ("graph A (re-created)", "graph B (re-created)", "ours")
    )
    assert a["arithmetic limit"] > b["arithmetic limit"] > ours["arithmetic limit"] == 1
    assert all(row["pairs/s"] > 0 and 0 < row["MFU"] < 1 for row in rows.values())
    # bf16 of two graphs; in float32 they agree to 1e-5 (`pair_throughput`).
    assert all(row["largest reward difference"] < 0.05 for row in rows.values())
    assert "useful MFU" in capsys.readouterr().out
