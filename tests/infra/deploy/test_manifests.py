"""Every rendered manifest against the published schemas, and against what it promises."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from infra.deploy.deployment import Deployment
from infra.deploy.variables import DRIVER_SECRETS, STORE_SECRETS
from infra.settings import load_settings
from tests.infra.deploy.core_schemas import check_core
from tests.infra.deploy.layouts import LAYOUTS, made
from tests.infra.deploy.reading_back import Manifest, compose, kubernetes, walk

DATA = Path(__file__).with_name("data")
OPERATORS = yaml.safe_load((DATA / "operators.yaml").read_text())
VERSIONS = ("1.30.0", "1.34.0")
"""Of Kubernetes: an old one that is still run, and a new one."""


@pytest.mark.parametrize("version", VERSIONS)
def test_core_objects_and_pod_templates_satisfy_the_published_schemas(
    deployment: Deployment, version: str
) -> None:
    checked = 0
    for document in kubernetes(deployment):
        if document["kind"] not in OPERATORS["kinds"]:
            check_core(document, version)
            checked += 1
        for found in walk(document):
            for key in ("template", "submitterPodTemplate"):
                if "containers" in found.get(key, {}).get("spec", {}):
                    pod = {"apiVersion": "v1", "kind": "PodTemplate", "template": found[key]}
                    check_core(pod, version)
                    checked += 1
    assert checked > 10


def test_a_misspelt_field_would_be_found() -> None:
    (space,) = [d for d in kubernetes(made()) if d["kind"] == "Namespace"]
    wrong = space | {"metadata": space["metadata"] | {"lables": {}}}

    with pytest.raises(jsonschema.ValidationError):
        check_core(wrong, VERSIONS[0])


def test_operators_objects_have_the_fields_of_their_types(deployment: Deployment) -> None:
    found = set()
    for document in kubernetes(deployment):
        schema = OPERATORS["kinds"].get(document["kind"])
        if schema is not None:
            jsonschema.validate(document, schema | {"$defs": OPERATORS["$defs"]})
            found.add(document["kind"])
    assert found >= {"RayCluster", "RayJob"}
    assert ("ClusterQueue" in found) is deployment.kubernetes.queue_jobs


def test_the_compose_file_satisfies_the_published_schema(deployment: Deployment) -> None:
    schema = json.loads((DATA / "compose-spec.json").read_text())

    # The name of a project came into the specification a year after this edition of it.
    document = {key: value for key, value in compose(deployment).items() if key != "name"}
    jsonschema.Draft201909Validator(schema).validate(document)


def test_every_setting_a_manifest_sets_is_one_the_product_reads(
    deployment: Deployment, tmp_path: Path
) -> None:
    given: list[dict[str, str]] = []
    for service in compose(deployment)["services"].values():
        given.append(service.get("environment", {}))
    for document in kubernetes(deployment):
        if document["kind"] == "ConfigMap":
            given.append(document["data"])
        for found in walk(document):
            given.append(
                {one["name"]: one["value"] for one in found.get("env", ()) if "value" in one}
            )
    ours = [
        {n: v for n, v in one.items() if n.startswith("RMSWEEP_") and not n.endswith("_FILE")}
        for one in given
    ]
    for one in ours:
        # The folder of models is in the container alone.
        load_settings(one | ({"RMSWEEP_MODELS": str(tmp_path)} if "RMSWEEP_MODELS" in one else {}))

    assert sum("RMSWEEP_LEDGER_URL" in one for one in ours) >= 1 + len(deployment.teams)
    for secret in (*STORE_SECRETS, *DRIVER_SECRETS):
        if secret.variable.startswith("RMSWEEP_"):
            load_settings({secret.variable: "https://chat.example.org/hook"})


def test_spot_workers_accept_their_taint_and_have_time_for_a_checkpoint() -> None:
    deployment = LAYOUTS["outside"]
    groups = [found for found in walk(kubernetes(deployment)) if "groupName" in found]
    spot = [g["template"]["spec"] for g in groups if g["groupName"] == "spot"]
    lasting = [g["template"]["spec"] for g in groups if g["groupName"] != "spot"]

    taint = {"key": "rmsweep/spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
    assert all(taint in pod["tolerations"] for pod in spot)
    assert all(taint not in pod["tolerations"] for pod in lasting)
    assert all(pod["nodeSelector"]["rmsweep/spot"] == "true" for pod in spot)
    assert {p["terminationGracePeriodSeconds"] for p in (*spot, *lasting)} == {180}
    hooks = [pod["containers"][0]["lifecycle"]["preStop"] for pod in (*spot, *lasting)]
    command = ["python", "-m", "sweep.execution.leaving", "--seconds", "170"]
    assert all(hook == {"exec": {"command": command}} for hook in hooks)


def test_a_queues_quota_holds_a_teams_largest_cluster() -> None:
    (queue, *_) = [d for d in kubernetes(LAYOUTS["outside"]) if d["kind"] == "ClusterQueue"]
    (group,) = queue["spec"]["resourceGroups"]
    quotas = {
        flavor["name"]: {one["name"]: one["nominalQuota"] for one in flavor["resources"]}
        for flavor in group["flavors"]
    }

    assert quotas == {
        # 3 workers of 4, and the head with its autoscaler.
        "rmsweep-lasting": {"cpu": 3 * 4 + 5, "memory": "42Gi", "nvidia.com/gpu": 0},
        "rmsweep-spot": {"cpu": 9 * 8, "memory": "576Gi", "nvidia.com/gpu": 9},
    }
    for flavor in group["flavors"]:
        assert [one["name"] for one in flavor["resources"]] == group["coveredResources"]


def test_queued_jobs_ask_for_all_at_once_unless_kueue_lets_them_grow() -> None:
    def job(name: str) -> Manifest:
        (found,) = [d for d in kubernetes(LAYOUTS[name]) if d["kind"] == "RayJob"]
        return found

    assert job("least")["spec"]["rayClusterSpec"]["enableInTreeAutoscaling"] is False
    assert job("least")["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["replicas"] == 3
    assert job("elastic")["metadata"]["annotations"] == {"kueue.x-k8s.io/elastic-job": "true"}
    assert job("elastic")["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["replicas"] == 1
    assert "suspend" not in job("unqueued")["spec"]
    assert job("unqueued")["spec"]["rayClusterSpec"]["enableInTreeAutoscaling"] is True
    assert all(job(name)["spec"]["backoffLimit"] == 5 for name in ("least", "unqueued"))
