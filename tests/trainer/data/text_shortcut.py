"""How far the words alone go: a bag-of-words model that never sees the image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from trainer.data.items import PreferenceItem


def text_only_accuracy(
    training: Sequence[PreferenceItem], held_out: Sequence[PreferenceItem]
) -> float:
    """Held-out pair accuracy of logistic regression on words, word pairs and length.

    Features of a response are its words, its neighbouring words, its length, and every word
    together with every word of the prompt; the model sees the first response's less the second's.
    """
    vectorizer = DictVectorizer()
    vectorizer.fit(_features(training, 0) + _features(training, 1))
    model = LogisticRegression(C=0.1, solver="liblinear")
    model.fit(_differences(vectorizer, training), _first_wins(training))
    return float(model.score(_differences(vectorizer, held_out), _first_wins(held_out)))


def _differences(vectorizer: DictVectorizer, items: Sequence[PreferenceItem]) -> csr_matrix:
    first, second = (vectorizer.transform(_features(items, place)) for place in (0, 1))
    matrix = csr_matrix(first - second)
    # A difference may come with 64-bit indices, which liblinear refuses.
    indices, starts = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return csr_matrix((matrix.data, indices, starts), shape=matrix.shape)


def _features(items: Sequence[PreferenceItem], place: int) -> list[dict[str, float]]:
    rows = []
    for item in items:
        words = re.findall(r"\w+", item.responses[place].text.lower())
        asked = re.findall(r"\w+", item.prompt.lower())
        row = {"length": len(item.responses[place].text) / 20}
        row |= dict.fromkeys(words, 1.0)
        row |= {f"{one} {other}": 1.0 for one, other in pairwise(words)}
        row |= {f"{ask}? {word}": 1.0 for ask in asked for word in words}
        rows.append(row)
    return rows


def _first_wins(items: Sequence[PreferenceItem]) -> np.ndarray:
    return np.array([item.responses[0].rank < item.responses[1].rank for item in items])
