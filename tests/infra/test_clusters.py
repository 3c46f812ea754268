"""Named clusters: what is absent is this machine's own, and nothing that travels is a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.clusters import FILE_NAME, ClusterEntry, environment_of, find_cluster
from infra.errors import InputError, MissingError, SpecError
from infra.settings import Settings, load_settings

POSTGRESQL = "postgresql://rmsweep@db/rmsweep"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"RMSWEEP_HOME": str(tmp_path)})


def write(settings: Settings, text: str) -> None:
    (settings.home / FILE_NAME).write_text(text)


def test_an_address_takes_every_place_from_this_machine(settings: Settings) -> None:
    entry = find_cluster("http://head:8265/", settings)

    assert entry.address == "http://head:8265"
    assert entry.ledger == settings.ledger_url
    assert entry.storage == settings.storage


def test_a_name_takes_what_the_file_gives_it(settings: Settings) -> None:
    write(settings, f"lab: {{address: 'https://head:8265', ledger: {POSTGRESQL}}}")

    entry = find_cluster("lab", settings)

    assert entry.address == "https://head:8265"
    assert entry.ledger == POSTGRESQL
    assert entry.tracking == settings.tracking_uri


def test_an_unknown_name_offers_the_nearest(settings: Settings) -> None:
    write(settings, "laboratory: {address: 'http://head:8265'}")

    with pytest.raises(MissingError, match="did you mean 'laboratory'"):
        find_cluster("labratory", settings)


def test_without_a_file_the_error_shows_how_to_write_one(settings: Settings) -> None:
    with pytest.raises(MissingError, match=r"write it as \{lab: \{address"):
        find_cluster("lab", settings)


@pytest.mark.parametrize("text", ["[1, 2]", "lab: http://head", "lab: {a: b", "\x00"])
def test_a_file_that_is_no_list_of_clusters_is_an_error_and_no_traceback(
    settings: Settings, text: str
) -> None:
    write(settings, text)

    with pytest.raises(InputError, match=FILE_NAME):
        find_cluster("lab", settings)


def test_every_problem_of_a_cluster_is_named_at_once(settings: Settings) -> None:
    write(settings, "lab: {address: head, shared: [data], colour: blue}")

    with pytest.raises(SpecError) as caught:
        find_cluster("lab", settings)

    assert {problem.path for problem in caught.value.problems} == {"address", "shared", "colour"}


@pytest.mark.parametrize("place", ["ledger", "tracking", "storage"])
def test_a_password_is_refused_and_not_repeated(settings: Settings, place: str) -> None:
    write(settings, f"lab: {{address: 'http://h:1', {place}: 'https://me:hush-hush@host/x'}}")

    with pytest.raises(SpecError, match="holds a password") as caught:
        find_cluster("lab", settings)
    assert "hush-hush" not in str(caught.value)


def test_what_would_die_with_the_head_is_refused(settings: Settings) -> None:
    with pytest.raises(InputError, match=r"the ledger .* must outlive the cluster's head"):
        environment_of(find_cluster("http://head:8265", settings))


def test_a_shared_folder_outlives_the_head(settings: Settings) -> None:
    entry = ClusterEntry(
        address="http://head:8265",
        ledger="sqlite:////mnt/all/ledger.db",
        storage="file:/mnt/all/store",
        tracking="sqlite:////mnt/all/mlflow.db",
        shared=("/mnt/all",),
    )

    environment = environment_of(entry)

    assert environment["RMSWEEP_LEDGER_URL"] == "sqlite:////mnt/all/ledger.db"
    assert environment["RMSWEEP_ARTIFACT_URI"] == "/mnt/all/mlflow-artifacts"
    assert load_settings(environment).ray_address == "auto"


def test_a_neighbour_of_a_shared_folder_is_not_shared() -> None:
    entry = ClusterEntry(address="http://head:8265", shared=("/mnt/all",))

    assert entry.sees("/mnt/all/a")
    assert not entry.sees("/mnt/allies/a")
