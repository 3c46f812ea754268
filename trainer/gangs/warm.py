"""Everything heavy a rank needs, imported once in the server that ranks are forked from.

Import this nowhere else. It must not start CUDA: a forked child could not use it any more.
"""

from __future__ import annotations

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a thread pool would not survive the fork
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # tells of a GPU without opening it
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch

os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")

import transformers.models.internvl.modeling_internvl
import transformers.models.qwen2.modeling_qwen2
import transformers.models.qwen2_5_vl.modeling_qwen2_5_vl  # noqa: F401
from transformers.utils import logging

import trainer.entrypoint
import trainer.scoring  # noqa: F401

gc.freeze()  # or every child would touch, and so copy, what it shares with the others
logging.disable_progress_bar()  # each bar leaves a semaphore behind
