"""Sets in which a judge compares two responses: LLaVA-Critic, R1-Reward-RL, HelpSteer3, LightRFT.

A verdict is read from its own words. What states none, or two that differ, is counted as
unreadable, never guessed.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Literal

from trainer.data.adapters.adapter import Adapter, Row
from trainer.data.adapters.cells import (
    as_rows,
    conversation,
    images,
    judged,
    number,
    said,
    text,
)
from trainer.data.pair_rows import PairRow, Reason, UnusableRow

Verdict = Literal["first", "second", "tie"]
_Task = tuple[str, str, str]
"""A question and two responses."""

# Texts are 100,000 characters long at times, so they are cut where they say what comes, and every
# repetition is bounded: one expression over a whole text took minutes for 2,000 blank lines.
_CRITIC_MARKS = tuple(
    re.compile(pattern)
    for pattern in (
        r"Question:\s{0,9}\[",
        r"\]\s{0,9}The first response:\s{0,9}\[",
        r"\]\s{0,9}The second response:\s{0,9}\[",
    )
)
_R1_MARKS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\[?Question\]?:",
        r"#\s{0,9}\[Response 1\]:",
        r"#\s{0,9}\[Response 2\]:",
    )
)
_R1_FORMAT = re.compile(r"#\s{0,9}\*{0,4}Output Format")
_ORDINALS = r"first|second|1st|2nd|one|two|1|2|a|b"
_STATED: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile(r"\[\[\s*(A\s*[>=]+\s*B|B\s*>+\s*A|A|B|C|tie)\s*\]\]", re.IGNORECASE), 1),
    (re.compile(r"<answer>\s*\[?(1|2|A|B)\]?\s*</answer>", re.IGNORECASE), 1),
    (
        re.compile(
            rf"better (?:response|answer)(?: is)?\s{{0,9}}:?\s{{0,9}}\[?({_ORDINALS})\]?\b",
            re.IGNORECASE,
        ),
        1,
    ),
    (
        re.compile(
            r"\b(?:response|answer|assistant)\s+\[?(1|2|A|B)\]? is "
            r"(?:slightly |clearly |much )?better",
            re.IGNORECASE,
        ),
        1,
    ),
    (
        re.compile(
            r"\bthe (first|second) (?:response|answer) is (?:slightly |clearly |much )?better",
            re.IGNORECASE,
        ),
        1,
    ),
)
_EQUAL = re.compile(
    r"\b(?:equally (?:good|bad|well)|(?:both|the two) (?:responses|answers) are (?:equal|the same"
    r"|of (?:equal|the same) quality)|it is a tie|\[\[tie\]\])",
    re.IGNORECASE,
)
_SCORES = re.compile(r"\A\s*(\d+(?:\.\d+)?)[ ,/]+(\d+(?:\.\d+)?)\s*(?:\n|\Z)")
_FIRST = {"first", "1st", "one", "1", "a"}


def read_verdict(words: str) -> Verdict | None:
    """What a judge's text says, or nothing when it says nothing or contradicts itself.

    Read: `[[A>B]]`, `[[B]]`, `[[C]]` (a tie), `<answer>2</answer>`, "The better response: [1]",
    "the second response is better", "equally good", and two scores on a first line of their own.
    A statement of the last kind in this list counts only where there is none of the earlier ones.
    """
    for pattern, group in _STATED:
        stated = {_side(found.group(group)) for found in pattern.finditer(words)}
        if stated:
            return stated.pop() if len(stated) == 1 else None
    if _EQUAL.search(words):
        return "tie"
    scores = _SCORES.match(words)
    if scores is None:
        return None
    first, second = float(scores[1]), float(scores[2])
    return "tie" if first == second else "first" if first > second else "second"


def _side(token: str) -> Verdict:
    bare = re.sub(r"\s", "", token.lower())
    if bare in ("c", "tie") or "=" in bare:
        return "tie"
    if ">" in bare:
        return "first" if bare.startswith("a") else "second"
    return "first" if bare in _FIRST else "second"


def llava_critic(row: Row) -> Iterator[PairRow]:
    """LLaVA-Critic-113k: a judge's instruction and its text; the verdict is read from the text.

    Pointwise rows judge one response and are left out. The judge's text is the critique of both.
    """
    instruction, verdict = (said(message) for message in as_rows(row["conversations"])[:2])
    task = _critic_task(instruction)
    if task is None:
        raise UnusableRow(Reason.ONE_JUDGED)
    yield _compared(
        task, read_verdict(verdict), verdict, images(row, "image", "images"), row.get("source")
    )


def r1_reward_rl(row: Row) -> Iterator[PairRow]:
    """R1-Reward-RL (48,296 rows): question, the judge's instruction, and the right answer."""
    message = row["message"]
    chat = json.loads(message) if isinstance(message, str) else message
    content = chat[-1]["content"]
    if isinstance(content, str) and content.lstrip().startswith("["):
        content = json.loads(content)
    task = _r1_task(said({"content": content}))
    if task is None:
        raise UnusableRow(Reason.SHAPE)
    stated = row["answer"]
    words = stated if isinstance(stated, str) else str(stated[0])
    shown = images(row, "image", "images")
    if not shown and not isinstance(content, str):
        shown = tuple(
            image for part in content for image in images(part, "image") if "image" in part
        )
    yield _compared(task, read_verdict(words), "", shown, None)


def _critic_task(words: str) -> _Task | None:
    """What stands in brackets; brackets within them belong to it, so the last marks count."""
    body = words.rstrip().removesuffix("ASSISTANT:").rstrip()
    asked, first, second = _CRITIC_MARKS
    start, last = asked.search(body), _last(second, body, len(body))
    between = _last(first, body, last.start()) if last else None
    if start is None or last is None or between is None or not body.endswith("]"):
        return None
    if between.start() < start.end():
        return None
    return (
        body[start.end() : between.start()].strip(),
        body[between.end() : last.start()].strip(),
        body[last.end() : -1].strip(),
    )


def _last(mark: re.Pattern[str], words: str, end: int) -> re.Match[str] | None:
    return next(iter(deque(mark.finditer(words, 0, end), maxlen=1)), None)


def _r1_task(words: str) -> _Task | None:
    """What follows each heading, up to the next one."""
    parts, place = [], 0
    for mark in _R1_MARKS:
        found = mark.search(words, place)
        if found is None:
            return None
        parts.append(_before_a_heading(words[place : found.start()]))
        place = found.end()
    ended = _R1_FORMAT.search(words, place)
    last = words[place:].strip() if ended is None else words[place : ended.start()]
    _, question, first = parts
    return question, first, last if ended is None else _before_a_heading(last)


def _before_a_heading(words: str) -> str:
    return words.rstrip().rstrip("#").strip()


def _compared(
    task: _Task,
    verdict: Verdict | None,
    critique: str,
    shown: tuple[str | bytes, ...],
    category: object,
) -> PairRow:
    if verdict is None:
        raise UnusableRow(Reason.NO_VERDICT)
    return judged(
        *task,
        {"first": 1, "second": -1, "tie": 0}[verdict],
        critiques=(critique, critique),
        shown=shown,
        category=str(category or ""),
    )


def helpsteer3(row: Row) -> Iterator[PairRow]:
    """HelpSteer3: a preference from -3 (the first response is much better) to 3.

    Its size is the margin. The soft label is the share of annotators who agree, a vote of 0 being
    half a vote. Critiques are the first annotator's feedback.
    """
    preference = number(row["overall_preference"], Reason.NO_VERDICT)
    people = as_rows(row.get("individual_preference") or [])
    votes = [number(each["score"]) for each in people if each.get("score") is not None]
    agreeing = [0.5 if not vote else float(vote * preference > 0) for vote in votes]
    feedback = people[0] if people else {}
    yield judged(
        conversation(as_rows(row["context"])),
        text(row, "response1"),
        text(row, "response2"),
        -preference,
        critiques=(str(feedback.get("feedback1") or ""), str(feedback.get("feedback2") or "")),
        category=str(row.get("domain") or ""),
        margin=abs(preference) or None,
        soft_label=sum(agreeing) / len(agreeing) if agreeing and preference else None,
    )


def lightrft(row: Row) -> Iterator[PairRow]:
    """LightRFT: two images made from one prompt; `preference` A, B, or C for a tie.

    Our responses are words, so the images are shown and the responses name one of them.
    """
    verdict = {"A": 1, "B": -1, "C": 0}.get(str(row["preference"]).strip().upper())
    if verdict is None:
        raise UnusableRow(Reason.NO_VERDICT)
    shown = (*images(row, "image_0"), *images(row, "image_1"))
    if len(shown) != 2:
        raise UnusableRow(Reason.SHAPE)
    prompt = f"Which of the two images shows this better? {text(row, 'prompt')}"
    yield judged(prompt, "The first image.", "The second image.", verdict, shown=shown)


def pandalm(row: Row) -> Iterator[PairRow]:
    """PandaLM's human test set: three annotators each say 1, 2 or 0 for a tie.

    The majority decides; without one it is a tie. The soft label is the share that agrees.
    """
    votes = [int(number(row[f"annotator{k}"])) for k in (1, 2, 3)]
    first, second = votes.count(1), votes.count(2)
    more = max(first, second)
    preference = (first - second) if more >= 2 else 0
    instruction, more_input = text(row, "instruction"), str(row.get("input") or "")
    yield judged(
        f"{instruction}\n\n{more_input}" if more_input else instruction,
        text(row, "response1"),
        text(row, "response2"),
        preference,
        category=str(row.get("motivation_app") or ""),
        soft_label=(more + votes.count(0) / 2) / 3 if preference else None,
    )


ADAPTERS = (
    Adapter(name="llava-critic", doc="LLaVA-Critic-113k, verdicts in words", convert=llava_critic),
    Adapter(name="r1-reward-rl", doc="R1-Reward-RL, 48,296 rows", convert=r1_reward_rl),
    Adapter(
        name="helpsteer3",
        doc="HelpSteer3, 40,476 rows, CC-BY-4.0",
        convert=helpsteer3,
        text_only=True,
    ),
    Adapter(name="lightrft", doc="LightRFT text-to-image preferences", convert=lightrft),
    Adapter(
        name="pandalm",
        doc="PandaLM test set, 999 rows, Apache-2.0",
        convert=pandalm,
        text_only=True,
    ),
)
