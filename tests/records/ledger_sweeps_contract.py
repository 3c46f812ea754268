"""What every ledger must do with sweeps, their drivers, and who takes over from whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.errors import BusyError, InputError, MissingError
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from sweep.records.rows import ArmRow, TrialRow
from sweep.records.sharing import Demand
from sweep.replay.working import SimulatedClock
from tests.records.rows import (
    TTL,
    checkpoint,
    identity_of,
    register,
    report,
    stranger,
    trial_rows,
)


class LedgerSweepsContract:
    """Run by every database; subclasses give the `url` of an empty one."""

    def test_a_checkpoint_that_is_started_afresh_from_is_nobody_s_any_more(
        self, ledger: Ledger, clock: SimulatedClock
    ) -> None:
        register(ledger)
        first = ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("one"), TTL)
        assert first is not None
        ledger.record_report(first.attempt_id, report(30, checkpoint=checkpoint(30)))
        clock.now += TTL + 1

        afresh = ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("two"), TTL, afresh=True)
        assert afresh is not None
        assert afresh.resume_from is None
        assert ledger.attempts([identity_of(0)])[-1].resumed_step is None
        # It dies before a checkpoint of its own, having written over those of the first.
        clock.now += TTL + 1
        taken = ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("three"), TTL)

        assert taken is not None
        assert taken.resume_from is None

    def test_a_claim_names_the_checkpoints_before_the_newest_one_to_fall_back_on(
        self, ledger: Ledger, clock: SimulatedClock
    ) -> None:
        register(ledger)
        # The last is of an attempt that fell back on the first.
        for number, step in enumerate((10, 20, 30, 20)):
            lost = ledger.claim(identity_of(0), "head-1a2b3c4d", stranger(f"{number}"), TTL)
            assert lost is not None
            ledger.record_report(lost.attempt_id, report(step, checkpoint=checkpoint(step)))
            clock.now += TTL + 1

        taken = ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("two"), TTL)
        assert taken is not None
        clock.now += TTL + 1
        ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("three"), TTL, afresh=True)
        clock.now += TTL + 1
        anew = ledger.claim(identity_of(0), "head-1a2b3c4d", stranger("four"), TTL)

        assert taken.checkpoints == (checkpoint(20), checkpoint(10))
        assert anew is not None
        assert anew.checkpoints == ()

    def test_a_sweep_is_found_by_id_name_and_prefix(
        self, ledger: Ledger, clock: SimulatedClock
    ) -> None:
        register(ledger, "head-1a2b3c4d")
        clock.now += 1
        register(ledger, "head-5e6f7a8b")

        assert ledger.sweeps()[1].trials == 4
        assert ledger.sweep("head-1a2b3c4d") == ledger.sweeps()[1]
        assert ledger.sweep("head").sweep_id == "head-5e6f7a8b"
        assert ledger.sweep("head-1").sweep_id == "head-1a2b3c4d"
        with pytest.raises(MissingError, match="did you mean head"):
            ledger.sweep("haed")
        with pytest.raises(MissingError, match="fits 2 sweeps"):
            ledger.sweep("head-")

    def test_registering_twice_changes_nothing(self, ledger: Ledger) -> None:
        assert register(ledger)
        before = ledger.events()

        assert not register(ledger)

        assert ledger.events() == before
        assert len(ledger.trials("head-1a2b3c4d")) == 4

    def test_a_sweep_may_be_given_another_budget_and_other_words(self, ledger: Ledger) -> None:
        register(ledger, spec_json={"name": "head", "budget": {"hours": 1}})

        register(ledger, spec_json={"name": "head", "budget": {"hours": 2}, "question": "Deeper?"})

        kept = ledger.sweep("head").spec_json
        assert kept == {"name": "head", "budget": {"hours": 2}, "question": "Deeper?"}

    def test_a_registered_sweep_refuses_other_content(self, ledger: Ledger) -> None:
        register(ledger)
        changed = trial_rows(4)
        changed[2] = TrialRow(identity="f" * 64, arm="arm-1", seed=0, config_json={})

        with pytest.raises(InputError, match="another sweep file"):
            register(ledger, spec_json={"name": "other"})
        with pytest.raises(InputError, match=r"arm-1 seed 0 .*now ffffffffffff"):
            register(ledger, trials=changed)
        assert [view.identity for view in ledger.trials("head-1a2b3c4d")] == [
            identity_of(number) for number in range(4)
        ]

    def test_a_store_is_corrected_until_something_may_be_in_it(self, ledger: Ledger) -> None:
        register(ledger, storage="s3://nowhere/x")
        register(ledger, storage="file:/store")
        assert ledger.sweep("head").storage == "file:/store"

        ledger.acquire_sweep("head-1a2b3c4d", stranger(), TTL)
        with pytest.raises(InputError, match="keeps its files in file:/store"):
            register(ledger, storage="file:/other")
        ledger.release_sweep("head-1a2b3c4d", stranger())
        register(ledger, storage="file:/third")
        assert ledger.claim(identity_of(0), "head-1a2b3c4d", stranger(), TTL) is not None
        with pytest.raises(InputError, match="keeps its files in file:/third"):
            register(ledger, storage="file:/other")

        assert ledger.sweep("head").storage == "file:/third"

    def test_a_password_never_gets_into_the_ledger(self, ledger: Ledger) -> None:
        with pytest.raises(InputError, match=r"tracking\.uri holds a password"):
            register(ledger, spec_json={"tracking": {"uri": "http://me:hush@server"}})

        register(ledger, tracking_uri="http://me:hush@server")

        assert ledger.sweep("head").tracking_uri == "http://me:***@server"

    def test_a_sweep_grows_by_further_trials(self, ledger: Ledger) -> None:
        register(ledger)
        more = trial_rows(6)

        assert ledger.add_trials("head-1a2b3c4d", arms=[ArmRow(name="arm-2")], trials=more) == 2
        assert ledger.add_trials("head-1a2b3c4d", trials=more) == 0

        assert [view.arm for view in ledger.trials("head-1a2b3c4d")][-2:] == ["arm-2", "arm-2"]
        assert [arm.name for arm in ledger.arms("head-1a2b3c4d")] == ["arm-0", "arm-1", "arm-2"]

    def test_a_sweep_has_one_living_driver(self, ledger: Ledger, clock: SimulatedClock) -> None:
        register(ledger)
        ledger.acquire_sweep("head-1a2b3c4d", stranger("one"), TTL)
        clock.now += 20

        with pytest.raises(BusyError, match="process 4711 on elsewhere, last heard 20 s ago"):
            ledger.acquire_sweep("head-1a2b3c4d", stranger("two"), TTL)
        clock.now += TTL
        assert not ledger.sweep("head").live
        ledger.acquire_sweep("head-1a2b3c4d", stranger("two"), TTL)
        assert ledger.sweep("head").driver == "two"
        with pytest.raises(BusyError, match="taken over"):
            ledger.heartbeat(stranger("one"), TTL)
        clock.now += 5
        ledger.release_sweep("head-1a2b3c4d", stranger("one"))
        assert ledger.sweep("head").driver == "two"
        ledger.release_sweep("head-1a2b3c4d", stranger("two"))
        assert ledger.sweep("head").driver is None
        # The first driver counts up to its last sign of life, the second until it let go.
        assert ledger.spent("head-1a2b3c4d").wall_seconds == 5

    def test_a_dead_driver_is_waited_for_no_longer_because_the_clock_was_set_back(
        self, ledger: Ledger, clock: SimulatedClock
    ) -> None:
        sweep, other = "head-1a2b3c4d", "head-5e6f7a8b"
        register(ledger, sweep)
        register(ledger, other)
        demand = Demand(sweep_id=sweep, priority=0, since=clock.now, wanted=1, unit=1, held=1)
        ledger.acquire_sweep(sweep, stranger("one"), TTL)
        assert ledger.claim(identity_of(0), sweep, stranger("one"), TTL) is not None
        assert ledger.take_lease("publisher", stranger("one"), TTL)
        ledger.ask("lab", demand, stranger("one"), TTL)

        clock.now -= 86_400
        with pytest.raises(BusyError, match="last heard 0 s ago"):
            ledger.acquire_sweep(sweep, stranger("two"), TTL)
        assert not ledger.take_lease("publisher", stranger("two"), TTL)
        clock.now += TTL + 1

        ledger.acquire_sweep(sweep, stranger("two"), TTL)
        assert ledger.claim(identity_of(0), sweep, stranger("two"), TTL) is not None
        assert ledger.take_lease("publisher", stranger("two"), TTL)
        mine = replace(demand, sweep_id=other)
        assert [one.sweep_id for one in ledger.ask("lab", mine, stranger("three"), TTL)] == [other]

    def test_a_living_driver_keeps_its_sweep_when_the_clock_is_set_back(
        self, ledger: Ledger, clock: SimulatedClock
    ) -> None:
        register(ledger)
        ledger.acquire_sweep("head-1a2b3c4d", stranger("one"), TTL)
        clock.now -= 86_400

        for _ in range(3):
            ledger.heartbeat(stranger("one"), TTL)
            clock.now += TTL / 2
            with pytest.raises(BusyError, match="is driven by process 4711"):
                ledger.acquire_sweep("head-1a2b3c4d", stranger("two"), TTL)

    def test_what_sweeps_ask_of_a_cluster_is_known_to_all_until_they_let_go_or_die(
        self, ledger: Ledger, clock: SimulatedClock
    ) -> None:
        for name in ("head-1a2b3c4d", "head-5e6f7a8b"):
            register(ledger, name)

        def ask(name: str, driver: str, *, cluster: str = "lab", held: int = 0) -> list[Demand]:
            demand = Demand(sweep_id=name, priority=2, since=clock.now, wanted=4, unit=2, held=held)
            return ledger.ask(cluster, demand, stranger(driver), TTL)

        (first,) = ask("head-1a2b3c4d", "one")
        clock.now += TTL / 2
        both = ask("head-5e6f7a8b", "two", held=2)
        assert both == [first, replace(first, sweep_id="head-5e6f7a8b", since=clock.now, held=2)]
        assert ask("head-1a2b3c4d", "one")[0].since == first.since
        assert [one.sweep_id for one in ask("head-5e6f7a8b", "two", cluster="other")] == [
            "head-5e6f7a8b"
        ]
        clock.now += TTL + 1  # the first driver is dead
        assert [one.sweep_id for one in ask("head-5e6f7a8b", "two")] == ["head-5e6f7a8b"]
        ask("head-1a2b3c4d", "one")
        ledger.release_sweep("head-1a2b3c4d", stranger("one"))
        assert [one.sweep_id for one in ask("head-5e6f7a8b", "two")] == ["head-5e6f7a8b"]

    def test_a_stop_is_asked_for_and_forgotten_on_resume(self, ledger: Ledger) -> None:
        register(ledger)
        ledger.acquire_sweep("head-1a2b3c4d", stranger("one"), TTL)

        ledger.request_stop("head-1a2b3c4d")

        assert ledger.stop_requested("head-1a2b3c4d")
        assert ledger.sweep("head").stop_requested
        ledger.release_sweep("head-1a2b3c4d", stranger("one"))
        ledger.acquire_sweep("head-1a2b3c4d", stranger("two"), TTL)
        assert not ledger.stop_requested("head-1a2b3c4d")

    def test_a_sweep_moves_along_its_graph(self, ledger: Ledger, clock: SimulatedClock) -> None:
        register(ledger)

        with pytest.raises(InputError, match="is pending and cannot become succeeded"):
            ledger.set_sweep_state("head-1a2b3c4d", SweepState.SUCCEEDED)
        ledger.set_sweep_state("head-1a2b3c4d", SweepState.RUNNING)
        clock.now += 7
        ledger.set_sweep_state("head-1a2b3c4d", SweepState.STOPPED, "budget")
        ledger.set_sweep_state("head-1a2b3c4d", SweepState.STOPPED, "budget")
        row = ledger.sweep("head")
        assert (row.state, row.reason, row.ended) == ("stopped", "budget", clock.now)
        ledger.set_sweep_state("head-1a2b3c4d", SweepState.RUNNING)
        assert ledger.sweep("head").ended is None
        with pytest.raises(MissingError, match="no sweep 'nothing'"):
            ledger.set_sweep_state("nothing", SweepState.RUNNING)

    def test_a_refused_write_leaves_nothing_behind(self, ledger: Ledger) -> None:
        register(ledger)
        before = ledger.events()

        with pytest.raises(InputError):
            ledger.add_trials(
                "head-1a2b3c4d",
                arms=[ArmRow(name="new")],
                trials=[
                    TrialRow(identity="a" * 64, arm="new", seed=0, config_json={}),
                    TrialRow(identity="b" * 64, arm="arm-0", seed=0, config_json={}),
                ],
            )

        assert ledger.events() == before
        assert len(ledger.arms("head-1a2b3c4d")) == 2
