"""Settings of the machine."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from infra.errors import SpecError
from infra.settings import load_settings, masked


def test_everything_has_a_place_below_home_unless_told_otherwise(tmp_path: Path) -> None:
    settings = load_settings({"RMSWEEP_HOME": str(tmp_path), "RMSWEEP_STORAGE": "s3://b/p"})

    assert settings.ledger_url == f"sqlite:///{tmp_path}/ledger.db"
    assert settings.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert settings.artifact_uri == f"{tmp_path}/mlflow-artifacts"
    assert settings.storage == "s3://b/p"
    assert (settings.cpus, settings.ray_address, settings.models) == (None, None, None)


def test_an_empty_value_is_none_and_other_variables_do_not_count() -> None:
    settings = load_settings({"RMSWEEP_CPUS": "", "HOME": "/nowhere", "CPUS": "3"})

    assert settings.cpus is None
    assert settings.home == Path("~/.rmsweep").expanduser()


def test_every_wrong_variable_is_named_at_once_with_the_near_name() -> None:
    with pytest.raises(SpecError) as caught:
        load_settings(
            {
                "RMSWEEP_LEGDER_URL": "sqlite:///x",
                "RMSWEEP_CPUS": "none",
                "RMSWEEP_TRACKING_URI": "file:/mlruns",
                "RMSWEEP_MODELS": "/no/such/folder",
            }
        )

    assert {problem.path for problem in caught.value.problems} == {
        "RMSWEEP_LEGDER_URL",
        "RMSWEEP_CPUS",
        "RMSWEEP_TRACKING_URI",
        "RMSWEEP_MODELS",
    }
    assert "did you mean RMSWEEP_LEDGER_URL?" in str(caught.value)
    assert "expected an existing folder, got '/no/such/folder'" in str(caught.value)


def test_a_password_is_used_but_never_shown() -> None:
    url = "postgresql://me:hush@server/ledger"
    settings = load_settings(
        {"RMSWEEP_LEDGER_URL": url, "RMSWEEP_TRACKING_URI": "http://you:hush@server:5000"}
    )

    assert settings.ledger_url == url
    assert pickle.loads(pickle.dumps(settings)) == settings
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert "hush" not in shown
        assert "me:***@server" in shown
    with pytest.raises(SpecError) as caught:
        load_settings({"RMSWEEP_TRACKING_URI": "me:hush@server", "RMSWEEP_CPUS": "0"})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("address", ["foo://server", "htp://server:5000", "file:/mlruns", "runs"])
def test_an_address_mlflow_keeps_nothing_at_is_refused_before_anything_runs(address: str) -> None:
    with pytest.raises(SpecError, match="expected http"):
        load_settings({"RMSWEEP_TRACKING_URI": address})


@pytest.mark.parametrize("address", ["https://server", "postgresql+psycopg://me@server/mlflow"])
def test_servers_and_databases_are_places_to_show_runs(address: str) -> None:
    assert load_settings({"RMSWEEP_TRACKING_URI": address}).tracking_uri == address


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://me:a:b@c@host/x", "http://me:***@host/x"),
        ("http://:hush@host", "http://:***@host"),
        ("postgresql://me@server:hush@host/d", "postgresql://me@server:***@host/d"),
        ("postgresql://me:hu/sh@host/d", "postgresql://me:***@host/d"),
        ("http://[::1]:5000/x@y", "http://[::1]:5000/x@y"),
        ("http://me@host:5000/x@y", "http://me@host:5000/x@y"),
        (
            "postgresql://host/d?user=me&password=hush&a=b",
            "postgresql://host/d?user=me&password=***&a=b",
        ),
        ("http://host:5000/x@y", "http://host:5000/x@y"),
        ("sqlite:////home/me/ledger.db", "sqlite:////home/me/ledger.db"),
        ("file:/a:b@c", "file:/a:b@c"),
    ],
)
def test_only_the_password_is_masked(address: str, shown: str) -> None:
    assert masked(address) == shown
