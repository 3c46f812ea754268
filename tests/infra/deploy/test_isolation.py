"""Who is kept from what by the rendered manifests."""

from __future__ import annotations

import json

import botocore.session
import pytest
from botocore.validate import ParamValidator

from infra.deploy.deployment import HERE, Deployment
from infra.deploy.rendering import render
from infra.deploy.variables import DRIVER_SECRETS, STORE_SECRETS
from tests.infra.deploy.layouts import LAYOUTS, OUTSIDE, made
from tests.infra.deploy.reading_back import compose, kubernetes, pod_specs, walk


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


@pytest.mark.parametrize(
    ("places", "ports"),
    [
        (OUTSIDE, [443, 6543, 9000]),
        ({"s3_endpoint": "http://s3.lan", "ledger": "postgresql://me@db/l"}, [80, 443, 5432]),
    ],
)
def test_outside_services_are_reached_on_their_own_ports(
    places: dict[str, str], ports: list[int]
) -> None:
    (ray,) = [
        d["spec"]
        for d in kubernetes(made(places=places))
        if d["kind"] == "NetworkPolicy" and d["metadata"]["name"] == "ray"
    ]

    assert [port["port"] for port in ray["egress"][-1]["ports"]] == ports


def test_nobody_may_read_secrets_or_do_anything_to_all(deployment: Deployment) -> None:
    kinds = {document["kind"] for document in kubernetes(deployment)}
    rules = [rule for d in kubernetes(deployment) if d["kind"] == "Role" for rule in d["rules"]]

    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}
    for rule in rules:
        assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])
        assert not {"secrets", "pods/exec"} & set(rule["resources"])


def test_parts_of_uploads_that_were_broken_off_go_after_a_week_and_nothing_else_does() -> None:
    deployment = LAYOUTS["outside"]
    lifecycle = json.loads(render(deployment)["policies/s3-lifecycle.json"])
    shape = botocore.session.get_session().get_service_model("s3")

    asked = shape.operation_model("PutBucketLifecycleConfiguration").input_shape
    report = ParamValidator().validate(
        {"Bucket": "rmsweep", "LifecycleConfiguration": lifecycle}, asked
    )
    assert not report.has_errors(), report.generate_report()
    assert [rule["Filter"]["Prefix"] for rule in lifecycle["Rules"]] == [
        f"sweeps/{team}/" for team in deployment.teams
    ]
    for rule in lifecycle["Rules"]:
        assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
        assert rule.keys() == {"ID", "Status", "Filter", "AbortIncompleteMultipartUpload"}


def test_a_policy_grants_a_team_its_own_prefix_and_no_more() -> None:
    files = render(LAYOUTS["outside"])
    policy = json.loads(files["policies/s3-one-cluster.json"])
    allowed = [one for one in policy["Statement"] if one["Effect"] == "Allow"]

    assert allowed[0]["Resource"] == "arn:aws:s3:::rmsweep/sweeps/one/*"
    assert not [action for action in allowed[0]["Action"] if "*" in action]
    assert allowed[1]["Condition"]["StringLike"]["s3:prefix"] == ["sweeps/one/*", "sweeps/one/"]
    reader = json.loads(files["policies/s3-one-reader.json"])
    assert reader["Statement"][0]["Action"] == ["s3:GetObject"]
