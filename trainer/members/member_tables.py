"""One score table from those of an ensemble's members, with how sure they are. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from infra.errors import InputError
from trainer.members.ensemble_file import EnsembleFile
from trainer.members.member_scores import Responses, best_probability, disagreement, spread
from trainer.scores import one_row_per_response

EXTRA_COLUMNS = ("probability", "uncertainty", "disagreement")
"""What an ensemble's table holds beyond the score table's columns."""


def combine(ensemble: EnsembleFile, tables: Sequence[pa.Table]) -> pa.Table:
    """One score table from those of an ensemble's members, of the same items in the same order.

    Raises:
        InputError: If the members scored different responses, or the rule needs more of them.
    """
    rows = [one_row_per_response(table) for table in tables]
    first = rows[0]
    keys = first.select(["item_id", "response"])
    if any(not table.select(["item_id", "response"]).equals(keys) for table in rows[1:]):
        raise InputError("the members' tables hold different responses, so they cannot be combined")
    raw = np.array([table["score"].to_numpy() for table in rows])
    responses = responses_of(first)
    combiner = ensemble.combiner
    weights = combiner.rule.weights
    scores = combiner.scores(raw, responses)
    normal = combiner.normalized(raw)
    place = first.column_names.index("score")
    return (
        first.set_column(place, first.schema.field("score"), pa.array(scores))
        .append_column(
            "probability", pa.array(best_probability(scores, responses), from_pandas=True)
        )
        .append_column("uncertainty", pa.array(spread(normal, weights)))
        .append_column(
            "disagreement",
            pa.array(disagreement(normal, weights, responses, scores), from_pandas=True),
        )
    )


def responses_of(table: pa.Table) -> Responses:
    """What is known of the responses of a table whose items adjoin."""
    names = table["item_id"].to_numpy()
    starts = np.concatenate(([True], names[1:] != names[:-1]))
    return Responses(
        items=np.cumsum(starts) - 1,
        modality=table["modality"].to_numpy(),
        category=table["category"].to_numpy(),
        source=table["source"].to_numpy(),
    )
