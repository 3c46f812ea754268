"""A team's namespace: who may do what in it, and who may talk to whom.

Everything is denied first. A worker reaches its own cluster, DNS, the object store and what lies
outside; only heads reach ledger, MLflow and the API server. Users may start and look at sweeps, and
may not read secrets through the API.
"""

from __future__ import annotations

from typing import Any

from infra.deploy.deployment import HERE, Deployment
from infra.deploy.services import MLFLOW, POSTGRES, labels
from infra.deploy.variables import places

HEAD_ACCOUNT = "rmsweep-head"
WORKER_ACCOUNT = "rmsweep-worker"
SETTINGS = "rmsweep-settings"
NODE_TYPE = "ray.io/node-type"
Manifest = dict[str, Any]


def team_space(deployment: Deployment, team: str) -> list[Manifest]:
    """Namespace, settings, accounts and rights."""
    namespace = deployment.namespace(team)
    settings = places(deployment, team, postgres=POSTGRES, mlflow=MLFLOW)
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": namespace,
                "labels": {
                    "app.kubernetes.io/part-of": "rmsweep",
                    "rmsweep/team": team,
                    "pod-security.kubernetes.io/enforce": "restricted",
                },
            },
        },
        _object("v1", "ConfigMap", SETTINGS, namespace) | {"data": settings},
        _account(HEAD_ACCOUNT, namespace, token=True),
        _account(WORKER_ACCOUNT, namespace, token=False),
        _role(HEAD_ACCOUNT, namespace, _HEAD_RULES),
        _binding(HEAD_ACCOUNT, namespace, _service_account(HEAD_ACCOUNT, namespace)),
        _role("rmsweep-user", namespace, _USER_RULES),
        _binding("rmsweep-user", namespace, _group(f"{deployment.name}:{team}")),
    ]


def network_policies(deployment: Deployment, team: str) -> list[Manifest]:
    """Nothing is open but what is named here."""
    namespace = deployment.namespace(team)
    given = deployment.kubernetes
    here = [
        (name, port)
        for name, port, place in (
            (POSTGRES, 5432, deployment.places.ledger),
            (MLFLOW, 5000, deployment.places.tracking),
        )
        if place == HERE
    ]
    ours = [_pods({NODE_TYPE: kind}) for kind in ("head", "worker")]
    dns = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    head_egress = [{"to": [_pods(labels(name))], "ports": [_tcp(port)]} for name, port in here] + [
        {"to": _blocks(given.control_plane), "ports": [_tcp(443), _tcp(6443)]}
    ]
    dashboard_from = [
        _namespace(given.operator_namespace),
        _namespace(given.submitters_namespace),
    ]
    policies = [
        _policy("deny-all", namespace, {}, ingress=[], egress=[]),
        _policy(
            "ray",
            namespace,
            {"matchExpressions": [{"key": NODE_TYPE, "operator": "Exists"}]},
            ingress=[{"from": ours}],
            egress=[
                {"to": ours},
                {"to": [dns], "ports": [_tcp(53), {"protocol": "UDP", "port": 53}]},
                {"to": _blocks(given.outside), "ports": _outside_ports(deployment)},
            ],
        ),
        _policy(
            "ray-head",
            namespace,
            {"matchLabels": {NODE_TYPE: "head"}},
            ingress=[{"from": dashboard_from, "ports": [_tcp(8265)]}],
            egress=head_egress,
        ),
        _policy(
            "submitters",  # the pod by which KubeRay hands a RayJob to its cluster
            namespace,
            {"matchLabels": {"rmsweep/role": "submitter"}},
            ingress=[],
            egress=[
                {"to": [_pods({NODE_TYPE: "head"})], "ports": [_tcp(8265)]},
                {"to": [dns], "ports": [_tcp(53), {"protocol": "UDP", "port": 53}]},
            ],
        ),
    ]
    policies[2]["spec"]["ingress"].append(
        {"from": [_pods({"rmsweep/role": "submitter"})], "ports": [_tcp(8265)]}
    )
    for name, port in here:
        callers = [_pods({NODE_TYPE: "head"})]
        if name == POSTGRES:
            callers.append(_pods(labels(MLFLOW)))
        policies.append(
            _policy(
                name,
                namespace,
                {"matchLabels": labels(name)},
                ingress=[{"from": callers, "ports": [_tcp(port)]}],
                egress=_service_egress(name, dns),
            )
        )
    return policies


# Ray's autoscaler in the head's pod: it looks at pods, and asks KubeRay for more or fewer.
_HEAD_RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["ray.io"], "resources": ["rayclusters"], "verbs": ["get", "patch"]},
]
_USER_RULES = [
    {
        "apiGroups": ["ray.io"],
        "resources": ["rayjobs"],
        "verbs": ["create", "delete", "get", "list", "watch"],
    },
    {"apiGroups": ["ray.io"], "resources": ["rayclusters"], "verbs": ["get", "list", "watch"]},
    {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "verbs": ["create", "delete", "get", "list", "watch"],
    },
    {
        "apiGroups": [""],
        "resources": ["pods", "pods/log", "services", "events"],
        "verbs": ["get", "list", "watch"],
    },
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create"]},
    {
        "apiGroups": ["kueue.x-k8s.io"],
        "resources": ["localqueues", "workloads"],
        "verbs": ["get", "list", "watch"],
    },
]


def _service_egress(name: str, dns: Manifest) -> list[Manifest]:
    if name == POSTGRES:
        return []
    return [
        {"to": [_pods(labels(POSTGRES))], "ports": [_tcp(5432)]},
        {"to": [dns], "ports": [_tcp(53), {"protocol": "UDP", "port": 53}]},
    ]


_USUAL_PORTS = {"postgresql": 5432, "http": 80}


def _outside_ports(deployment: Deployment) -> list[Manifest]:
    """TLS for all, and the ports the settings name or mean by `http://`."""
    given = deployment.places
    ports = {443}
    for address in (given.ledger, given.tracking, given.s3_endpoint or "https://s3"):
        if address == HERE:
            continue
        scheme, _, rest = address.partition("://")
        _, colon, port = rest.partition("/")[0].rpartition("@")[2].rpartition(":")
        ports.add(int(port) if colon and port.isdigit() else _USUAL_PORTS.get(scheme, 443))
    return [_tcp(port) for port in sorted(ports)]


def _object(version: str, kind: str, name: str, namespace: str) -> Manifest:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "rmsweep"},
        },
    }


def _account(name: str, namespace: str, *, token: bool) -> Manifest:
    account = _object("v1", "ServiceAccount", name, namespace)
    return account | {"automountServiceAccountToken": token}


def _role(name: str, namespace: str, rules: list[Manifest]) -> Manifest:
    return _object("rbac.authorization.k8s.io/v1", "Role", name, namespace) | {"rules": rules}


def _binding(role: str, namespace: str, subject: Manifest) -> Manifest:
    return _object("rbac.authorization.k8s.io/v1", "RoleBinding", role, namespace) | {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [subject],
    }


def _service_account(name: str, namespace: str) -> Manifest:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def _group(name: str) -> Manifest:
    return {"kind": "Group", "name": name, "apiGroup": "rbac.authorization.k8s.io"}


def _policy(
    name: str,
    namespace: str,
    pods: Manifest,
    *,
    ingress: list[Manifest],
    egress: list[Manifest],
) -> Manifest:
    return _object("networking.k8s.io/v1", "NetworkPolicy", name, namespace) | {
        "spec": {
            "podSelector": pods,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        }
    }


def _pods(matching: dict[str, str]) -> Manifest:
    return {"podSelector": {"matchLabels": matching}}


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _blocks(networks: tuple[str, ...]) -> list[Manifest]:
    return [{"ipBlock": {"cidr": network}} for network in networks]


def _tcp(port: int) -> Manifest:
    return {"protocol": "TCP", "port": port}
