"""Every rendered manifest against the published schemas, and against what it promises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from infra.deploy.deployment import HERE, Deployment
from infra.deploy.rendering import render
from infra.deploy.variables import DRIVER_SECRETS, STORE_SECRETS
from infra.settings import load_settings
from tests.infra.deploy.core_schemas import check_core
from tests.infra.deploy.layouts import LAYOUTS, made

DATA = Path(__file__).with_name("data")
OPERATORS = yaml.safe_load((DATA / "operators.yaml").read_text())
VERSIONS = ("1.30.0", "1.34.0")
"""Of Kubernetes: an old one that is still run, and a new one."""
Manifest = dict[str, Any]


@pytest.fixture(params=list(LAYOUTS.values()), ids=list(LAYOUTS))
def deployment(request: pytest.FixtureRequest) -> Deployment:
    found: Deployment = request.param
    return found


def kubernetes(deployment: Deployment) -> list[Manifest]:
    return [
        document
        for name, documents in _read(deployment.model_dump_json()).items()
        if name.startswith("kubernetes/")
        for document in documents
    ]


def compose(deployment: Deployment) -> Manifest:
    (document,) = _read(deployment.model_dump_json())["compose/compose.yaml"]
    return document


@cache
def _read(deployment: str) -> dict[str, list[Manifest]]:
    """Documents of every file; reading YAML takes a hundred times as long as writing it."""
    files = render(Deployment.model_validate_json(deployment))
    return {
        name: list(yaml.load_all(text, yaml.CSafeLoader))
        for name, text in files.items()
        if name.endswith(".yaml")
    }


def walk(value: object) -> Iterator[Manifest]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)


def pod_specs(deployment: Deployment) -> list[Manifest]:
    return [found for found in walk(kubernetes(deployment)) if "containers" in found]


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


def test_workers_hold_no_secret_but_the_stores_and_the_token(deployment: Deployment) -> None:
    workers = [
        pod
        for document in kubernetes(deployment)
        for found in walk(document)
        for pod in [found.get("template", {}).get("spec")]
        if "groupName" in found and pod
    ]
    names = {
        one["name"]
        for pod in workers
        for container in pod["containers"]
        for one in container["env"]
        if "valueFrom" in one
    }

    assert names == {secret.variable for secret in STORE_SECRETS}
    assert all("envFrom" not in c for pod in workers for c in pod["containers"])
    assert set(compose(deployment)["services"]["ray-worker"]["secrets"]) == {
        "s3_key_id",
        "s3_secret_key",
        "ray_token",
    }


def test_no_manifest_holds_a_secret(deployment: Deployment) -> None:
    """Secrets are named: every variable for one is a reference, or the name of a file."""
    secret = {one.variable for one in (*STORE_SECRETS, *DRIVER_SECRETS)}
    for found in walk(kubernetes(deployment)):
        for one in found.get("env", ()):
            assert one["name"] not in secret or "value" not in one
    for service in compose(deployment)["services"].values():
        assert not secret.intersection(service.get("environment", {}))
    assert not [found for found in walk(kubernetes(deployment)) if found.get("kind") == "Secret"]


def test_every_ray_cluster_asks_for_its_teams_token(deployment: Deployment) -> None:
    clusters = [found for found in walk(kubernetes(deployment)) if "headGroupSpec" in found]

    assert len(clusters) == 2 * len(deployment.teams)
    for cluster in clusters:
        assert cluster["authOptions"] == {"mode": "token", "secretName": "rmsweep-ray-token"}
    for name in ("ray-head", "ray-worker"):
        service = compose(deployment)["services"][name]
        assert service["environment"]["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_token"


def test_containers_run_as_ordinary_users_without_rights(deployment: Deployment) -> None:
    for pod in pod_specs(deployment):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod.get("hostNetwork")
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_ports_are_published_on_the_loopback_unless_told(deployment: Deployment) -> None:
    for service in compose(deployment)["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))

    told = compose(made(compose={"bind": "10.0.0.5"}))["services"]["ray-head"]
    assert told["ports"] == ["10.0.0.5:8265:8265"]


def test_mlflow_never_answers_without_a_password(deployment: Deployment) -> None:
    if deployment.places.tracking != HERE:
        assert "mlflow" not in compose(deployment)["services"]
        return
    commands = [compose(deployment)["services"]["mlflow"]["command"]] + [
        " ".join(container["command"])
        for pod in pod_specs(deployment)
        for container in pod["containers"]
        if container["name"] == "mlflow"
    ]

    assert len(commands) == 1 + len(deployment.teams)
    assert all("--app-name=basic-auth" in command for command in commands)
    assert all("--allowed-hosts=" in command and "=*" not in command for command in commands)


def test_teams_share_no_namespace_token_prefix_or_queue() -> None:
    deployment = LAYOUTS["outside"]
    documents = kubernetes(deployment)

    assert {d["metadata"]["name"] for d in documents if d["kind"] == "Namespace"} == {
        "rmsweep-one",
        "rmsweep-two",
    }
    clusters = [d["metadata"]["namespace"] for d in documents if d["kind"] == "RayCluster"]
    assert clusters == ["rmsweep-one", "rmsweep-two"]
    stores = [d["data"]["RMSWEEP_STORAGE"] for d in documents if d["kind"] == "ConfigMap"]
    assert stores == ["s3://rmsweep/sweeps/one", "s3://rmsweep/sweeps/two"]
    queues = {d["spec"]["clusterQueue"] for d in documents if d["kind"] == "LocalQueue"}
    assert queues == {"rmsweep-one", "rmsweep-two"}


def test_everything_is_denied_that_is_not_named(deployment: Deployment) -> None:
    for team in deployment.teams:
        policies = {
            d["metadata"]["name"]: d["spec"]
            for d in kubernetes(deployment)
            if d["kind"] == "NetworkPolicy"
            and d["metadata"]["namespace"] == deployment.namespace(team)
        }

        denied = policies["deny-all"]
        assert denied["podSelector"] == {}
        assert denied["ingress"] == denied["egress"] == []
        # An empty `from` or `to` would mean everybody.
        for spec in policies.values():
            assert all(rule.get("from") for rule in spec["ingress"])
            assert all(rule.get("to") for rule in spec["egress"])


def test_outside_services_are_reached_on_their_own_ports() -> None:
    (ray, *_) = [
        d["spec"]
        for d in kubernetes(LAYOUTS["outside"])
        if d["kind"] == "NetworkPolicy" and d["metadata"]["name"] == "ray"
    ]

    assert [port["port"] for port in ray["egress"][-1]["ports"]] == [443, 6543, 9000]


def test_nobody_may_read_secrets_or_do_anything_to_all(deployment: Deployment) -> None:
    kinds = {document["kind"] for document in kubernetes(deployment)}
    rules = [rule for d in kubernetes(deployment) if d["kind"] == "Role" for rule in d["rules"]]

    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}
    for rule in rules:
        assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])
        assert not {"secrets", "pods/exec"} & set(rule["resources"])


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


def test_a_policy_grants_a_team_its_own_prefix_and_no_more() -> None:
    files = render(LAYOUTS["outside"])
    policy = json.loads(files["policies/s3-one-cluster.json"])
    allowed = [one for one in policy["Statement"] if one["Effect"] == "Allow"]

    assert allowed[0]["Resource"] == "arn:aws:s3:::rmsweep/sweeps/one/*"
    assert not [action for action in allowed[0]["Action"] if "*" in action]
    assert allowed[1]["Condition"]["StringLike"]["s3:prefix"] == ["sweeps/one/*", "sweeps/one/"]
    reader = json.loads(files["policies/s3-one-reader.json"])
    assert reader["Statement"][0]["Action"] == ["s3:GetObject"]
