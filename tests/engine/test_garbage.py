"""What may go of a trial's checkpoints, whatever it has and however it stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sweep.engine.garbage import StoredTrial, superfluous_checkpoints
from sweep.records.lifecycle import TrialState


def keys(step: int, *, complete: bool = True) -> list[str]:
    folder = f"trials/abc/checkpoints/step-{step}"
    manifest = [f"{folder}/manifest.json"] if complete else []
    return [f"{folder}/model/rank-0.pt", *manifest]


def stored(
    state: TrialState = TrialState.PAUSED,
    *,
    steps: dict[int, bool] | None = None,
    under_way: bool = False,
    last: int | None = None,
    scores: dict[int, float] | None = None,
    promoted: tuple[int, ...] = (),
) -> StoredTrial:
    there = {10: True, 20: True, 30: True} if steps is None else steps
    return StoredTrial(
        identity="abc",
        state=state,
        under_way=under_way,
        last_step=last,
        keys={step: keys(step, complete=complete) for step, complete in there.items()},
        scores=scores or {},
        promoted_steps=promoted,
    )


def gone(trial: StoredTrial) -> list[int]:
    return [each.step for each in superfluous_checkpoints(trial)]


def test_a_finished_trial_is_its_model() -> None:
    assert gone(stored(TrialState.SUCCEEDED, last=30)) == [10, 20, 30]


def test_last_best_and_promoted_are_kept() -> None:
    assert gone(stored(last=30)) == [10, 20]
    assert gone(stored(last=30, scores={10: 0.9, 20: 0.8, 30: 0.7})) == [20]
    assert gone(stored(last=30, promoted=(20, 25))) == [10]


def test_what_was_never_completed_goes_and_is_never_the_last() -> None:
    trial = stored(steps={10: True, 20: False})

    assert gone(trial) == [20]
    assert superfluous_checkpoints(trial)[0].reason == "it was never completed"


def test_the_manifest_goes_first() -> None:
    (first, *_) = superfluous_checkpoints(stored(TrialState.SUCCEEDED))

    assert first.keys[0].endswith("manifest.json")


@given(
    state=st.sampled_from(TrialState),
    steps=st.dictionaries(st.integers(1, 50), st.booleans(), max_size=8),
    last=st.none() | st.integers(1, 50),
    scores=st.dictionaries(st.integers(1, 50), st.floats(0, 1), max_size=8),
    promoted=st.sets(st.integers(1, 50), max_size=3),
    under_way=st.booleans(),
)
def test_nothing_is_ever_lost_that_an_attempt_may_start_from(
    state: TrialState,
    steps: dict[int, bool],
    last: int | None,
    scores: dict[int, float],
    promoted: set[int],
    under_way: bool,
) -> None:
    left = gone(
        stored(
            state,
            steps=steps,
            last=last,
            scores=scores,
            promoted=tuple(promoted),
            under_way=under_way,
        )
    )

    assert not (under_way and left)
    if state is not TrialState.SUCCEEDED:
        assert last not in left
        complete = {step for step, whole in steps.items() if whole}
        assert not complete or complete - set(left)
