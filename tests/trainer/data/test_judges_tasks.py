"""What a judge was asked is read from its words, however long they are and whatever they quote."""

from __future__ import annotations

import pytest

from tests.trainer.data.published_rows import CRITIC_TASK, R1_TASK, TRAINING
from trainer.data.adapters.adapter import adapters, converted
from trainer.data.adapters.judgements import read_verdict
from trainer.data.pair_rows import PairRow, Reason, UnusableRow

LONG = 100_000


def rows_of(name: str, **changes: object) -> list[PairRow]:
    return converted(adapters()[name], {**TRAINING[name], **changes})


def refused(name: str, **changes: object) -> Reason:
    with pytest.raises(UnusableRow) as caught:
        rows_of(name, **changes)
    return caught.value.reason


@pytest.mark.parametrize(
    "filling",
    [" ", "\n", "#", "# ", "] ", "[[ ", "] The first response: [", "###### [Response 1]:\n"],
)
def test_a_judges_task_of_any_length_is_read(filling: str) -> None:
    # Of one expression over the whole text, 2,000 blank lines took minutes.
    long = (filling * LONG)[:LONG]
    answers = [{"from": "gpt", "value": "The better response: [1]"}]

    def critic(task: str) -> list[dict[str, str]]:
        return [{"from": "human", "value": task}, *answers]

    def r1(task: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": task}]

    (read,) = rows_of("llava-critic", conversations=critic(CRITIC_TASK.replace("A cross", long)))
    assert read.responses[1].text == "This is a handwritten number seven."
    (read,) = rows_of("r1-reward-rl", message=r1(R1_TASK.replace("A cake.", f"A {long}c.")))
    assert read.responses[1].text == "A cake shop.\nBy Vuillard."
    assert refused("llava-critic", conversations=critic(f"Question: [{long}")) is Reason.ONE_JUDGED
    unheaded = r1(R1_TASK.replace("[Response 2]", long))
    assert refused("r1-reward-rl", message=unheaded) is Reason.SHAPE
    assert read_verdict(f"better response{long}") is None


def test_marks_within_a_response_belong_to_it() -> None:
    forged = CRITIC_TASK.replace("A cross", "A] The first response: [cross")
    row = rows_of(
        "llava-critic",
        conversations=[
            {"from": "human", "value": forged},
            {"from": "gpt", "value": "The better response: [1]"},
        ],
    )[0]
    assert row.responses[0].text == "cross, drawn [by hand]."
    task = R1_TASK.partition("###### **Output")[0].rstrip() + " in C#"
    (row,) = rows_of("r1-reward-rl", message=[{"role": "user", "content": task}])
    assert row.responses[1].text.endswith("By Vuillard. in C#")
