"""A sampler is a function of what it was asked and told, and nothing is left running in it."""

from __future__ import annotations

from typing import get_args

import pytest

from infra.errors import InputError
from search_spaces.axes import Axis
from search_spaces.levels import Level
from search_spaces.ranges import Range
from sweep.engine.growing.growth import Asked, History, Told
from sweep.engine.growing.optuna_search import OptunaSearch
from sweep.spec.design_spec import SamplerName

AXES = (
    Axis(
        name="rate",
        levels=(),
        domain=Range(path="rate", low=1e-5, high=1e-1, log=True),
    ),
    Axis(name="depth", levels=(), domain=Range(path="depth", low=1, high=6, whole=True)),
    Axis(name="kind", levels=tuple(Level(name=each, patch={}) for each in "abc")),
)


def search(sampler: str = "TPESampler", *, seed: int = 0, **options: object) -> OptunaSearch:
    return OptunaSearch(AXES, sampler=sampler, options=options, directions=["maximize"], seed=seed)


def told(number: int, point: dict[str, str]) -> Told:
    """The better, the smaller the rate; some are pruned, some fail."""
    value = -float(point["rate"])
    if number % 7 == 3:
        return Told(number=number, state="failed")
    if number % 5 == 2:
        return Told(number=number, state="pruned", intermediate=((0, value), (1, value / 2)))
    return Told(number=number, state="complete", values=(value,), intermediate=((0, value),))


def go_on(with_: OptunaSearch, points: int, *, at_once: int = 2) -> History:
    """Ask for points, telling each after the next one or two were asked for."""
    history: list[Asked | Told] = []
    for number in range(points):
        point = with_.propose(tuple(history))
        history.append(Asked(number=number, point=point, arm=str(number)))
        if number >= at_once:
            entry = history[next(i for i, e in enumerate(history)
                            if isinstance(e, Asked) and e.number == number - at_once)]  # fmt: skip
            assert isinstance(entry, Asked)
            history.append(told(entry.number, dict(entry.point)))
    return tuple(history)


@pytest.mark.parametrize("sampler", get_args(SamplerName))
def test_a_sampler_made_anew_from_its_history_goes_on_as_the_old_one(sampler: str) -> None:
    old = search(sampler)
    history = go_on(old, 24)

    for cut in (0, 1, 7, len(history)):
        prefix = history[:cut]
        assert search(sampler).propose(prefix) == search(sampler).propose(prefix)
    assert search(sampler).propose(history) == old.propose(history)


def test_asking_twice_gives_the_same_point() -> None:
    one = search()
    history = go_on(one, 12)

    assert one.propose(history) == one.propose(history)


def test_a_history_that_goes_another_way_is_followed() -> None:
    one = search()
    history = go_on(one, 12)
    one.propose(history)
    other = (*history, Told(number=10, state="failed"))

    assert one.propose(other) == search().propose(other)


def test_a_point_the_sampler_would_not_draw_is_taken_as_it_was_trained() -> None:
    point = {"rate": "0.001", "depth": "3", "kind": "b"}
    history: History = (
        Asked(number=0, point=point, arm="x"),
        Told(number=0, state="complete", values=(0.5,)),
    )
    one = search()

    assert set(one.propose(history)) == {"rate", "depth", "kind"}
    best = one._study.best_trial
    assert best.params == {"rate": 0.001, "depth": 3, "kind": "b"}


def test_nothing_that_was_told_is_left_running() -> None:
    one = search()
    history = go_on(one, 20, at_once=0)
    one._catch_up(history)

    states = [trial.state.name for trial in one._study.trials]
    assert states.count("RUNNING") == 0
    assert {"COMPLETE", "PRUNED", "FAIL"} == set(states)


def test_a_sampler_that_knows_finds_better_points_than_chance() -> None:
    def best(sampler: str) -> float:
        history = go_on(search(sampler, seed=3), 40)
        rates = [float(e.point["rate"]) for e in history if isinstance(e, Asked)]
        return sorted(rates[20:])[10]  # the median of the later half

    assert best("TPESampler") < best("RandomSampler")


def test_wrong_options_are_the_users_mistake() -> None:
    with pytest.raises(InputError, match="does not take these options"):
        search("TPESampler", number_of_wishes=3).propose(())
