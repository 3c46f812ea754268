"""Texts that are nearly the same: an exact index of word sequences, and min-hash signatures.

A benchmark is small, so every training text is compared with all of it, without approximation. Two
large sets are compared by signatures: about 1 kB per text, and near-duplicates of a Jaccard index
of 0.8 are found about every other time, of 0.9 and more practically always.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable

import numpy as np

SEQUENCE_WORDS = 8
"""A run of as many words that two texts share is seldom chance."""
_SHINGLE_WORDS = 3
_HASHES = 64
_BANDS = 8
_ROWS = 4
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|(?:(?![{_IDEOGRAPHS}])\w)+")
"""Chinese and Japanese put no spaces between words, so there each character counts as one."""


def normalized_words(text: str) -> tuple[str, ...]:
    """A text's words in lower case; punctuation and spaces do not count."""
    return tuple(_WORD.findall(text.casefold()))


class SequenceIndex:
    """Which of some texts a new one contains, nearly."""

    def __init__(self, texts: Iterable[str], *, threshold: float) -> None:
        """Index texts.

        Args:
            texts: Those to be found again.
            threshold: Share of a text's word sequences that must be there. Texts shorter than one
                sequence are found only where the new text has the same words.
        """
        self._threshold = threshold
        self._short: set[tuple[str, ...]] = set()
        self._owners: dict[tuple[str, ...], list[int]] = {}
        self._sizes: list[int] = []
        for text in texts:
            words = normalized_words(text)
            sequences = _sequences(words, SEQUENCE_WORDS)
            if not sequences:
                self._short.add(words)
                continue
            for each in sequences:
                self._owners.setdefault(each, []).append(len(self._sizes))
            self._sizes.append(len(sequences))

    def finds(self, text: str) -> bool:
        """Whether the text contains one of ours."""
        words = normalized_words(text)
        if words in self._short:
            return True
        hits: Counter[int] = Counter()
        for each in _sequences(words, SEQUENCE_WORDS):
            hits.update(self._owners.get(each, ()))
        return any(count >= self._threshold * self._sizes[owner] for owner, count in hits.items())


class NearTexts:
    """Texts seen so far, by their signatures."""

    def __init__(self, *, threshold: float = 0.8) -> None:
        self._threshold = threshold
        generator = np.random.default_rng(0)
        self._factors = generator.integers(0, 2**64, (2, _HASHES, 1), dtype=np.uint64) | np.uint64(
            1
        )
        self._signatures: list[np.ndarray] = []
        self._bands: list[dict[bytes, int]] = [{} for _ in range(_BANDS)]

    def seen(self, text: str) -> bool:
        """Whether a text this near has been here before; if not, it is remembered."""
        signature = self._signature(text)
        keys = [signature[band * _ROWS : (band + 1) * _ROWS].tobytes() for band in range(_BANDS)]
        for band, key in zip(self._bands, keys, strict=True):
            place = band.get(key)
            if place is not None:
                alike = float((self._signatures[place] == signature).mean())
                if alike >= self._threshold:
                    return True
        for band, key in zip(self._bands, keys, strict=True):
            band.setdefault(key, len(self._signatures))
        self._signatures.append(signature)
        return False

    def _signature(self, text: str) -> np.ndarray:
        words = normalized_words(text)
        shingles = _sequences(words, _SHINGLE_WORDS) or {words}
        hashed = np.array([zlib.crc32(" ".join(each).encode()) for each in shingles], np.uint64)
        factor, offset = self._factors
        # Multiply and shift: the upper half of a product that wraps around at 64 bits.
        mixed: np.ndarray = ((factor * hashed + offset) >> np.uint64(32)).astype(np.uint32)
        smallest: np.ndarray = mixed.min(axis=1)
        return smallest


def _sequences(words: tuple[str, ...], length: int) -> set[tuple[str, ...]]:
    return {words[start : start + length] for start in range(len(words) - length + 1)}
