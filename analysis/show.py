"""The sections a notebook can show, by name: `show.effects(page)`."""

from __future__ import annotations

from analysis.report.comparison import comparison, foreign_models
from analysis.report.decisions import cost_front, importance, interactions
from analysis.report.paper import beside_ours, paper_noise, paper_overview, paper_table
from analysis.report.sections import (
    Section,
    arms,
    cost,
    curves,
    effects,
    ensemble,
    images,
    recipe,
    reproduce,
    slices,
    summary,
    text,
    unknowns,
)
from analysis.report.trust import sanity

__all__ = [
    "Section", "arms", "beside_ours", "comparison", "cost", "cost_front", "curves", "effects",
    "ensemble", "foreign_models", "images", "importance", "interactions", "paper_noise",
    "paper_overview", "paper_table", "recipe", "reproduce", "sanity", "slices", "summary", "text",
    "unknowns",
]  # fmt: skip
