"""`Deployment`: the one settings file that every shipped manifest is rendered from.

Invariant: nothing here is a secret; secrets are named, and made or kept where they are used. Every
name is one that Kubernetes, Compose, Slurm and a shell take literally, so nothing is ever quoted.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from infra.clusters import ClusterEntry
from infra.frozen import Frozen

HERE = "here"
"""Of a service: it is started beside the cluster instead of referred to."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$")]
"""A short DNS label, so that names made of two of them are labels as well."""
LabelKey = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9.-]{1,200}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
]
LabelValue = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62})?$")]
ImageName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._:/-]*:[A-Za-z0-9_][A-Za-z0-9._-]*$")
]
"""With a tag: an image without one is another image tomorrow."""
PlainPath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]+$")]
Address = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+.-]+:[^\s\"'`$\\]+$")]
Bucket = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Prefix = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$")]
Cidr = Annotated[
    str, StringConstraints(pattern=r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-f:]+)/[0-9]{1,3}$")
]
WallTime = Annotated[str, StringConstraints(pattern=r"^([0-9]+-)?[0-9]{1,2}:[0-9]{2}:[0-9]{2}$")]


class Images(Frozen):
    """What the containers are made from."""

    rmsweep: ImageName = "rmsweep:0.1.0"
    """Name of the image for machines without GPUs; with GPUs it ends in `-cuda`."""
    base: ImageName = "python:3.11-slim-bookworm"
    """Submitting machines must have the same minor version of Python."""
    cpu_torch_index: Address | None = None
    """Package index with torch's builds for CPUs; without it the image carries CUDA for nothing."""
    postgres: ImageName = "postgres:17.6-bookworm"
    s3: ImageName = "chrislusf/seaweedfs:4.48"


class Places(Frozen):
    """Where what outlives a cluster is kept."""

    ledger: Literal["here"] | Address = "here"
    """`here`, or `postgresql://USER@HOST/DATABASE` without a password."""
    bucket: Bucket = "rmsweep"
    prefix: Prefix = "sweeps"
    s3_endpoint: Address | None = None
    """S3 server that is not Amazon's, as the cluster reaches it; Compose starts its own."""
    s3_encryption: Literal["AES256", "aws:kms"] | None = None
    tracking: Literal["here"] | Address = "here"
    """`here`, or `https://SERVER` of an MLflow with authentication."""

    @model_validator(mode="after")
    def _no_place_is_lost(self) -> Self:
        # The same rules as for a named cluster: no passwords, since settings are no secrets.
        ClusterEntry(
            address="http://head:8265",
            ledger=None if self.ledger == HERE else self.ledger,
            tracking=None if self.tracking == HERE else self.tracking,
            s3_endpoint=self.s3_endpoint,
        )
        if self.ledger != HERE and not self.ledger.startswith("postgresql://"):
            raise ValueError(
                "ledger: expected here or postgresql://USER@HOST/DATABASE, which outlives the "
                f"cluster's head, came {self.ledger!r}"
            )
        if self.tracking != HERE and not self.tracking.startswith(("http://", "https://")):
            raise ValueError(f"tracking: expected here or https://SERVER, came {self.tracking!r}")
        return self


class Machine(Frozen):
    """CPUs, memory and GPUs of one container."""

    cpus: PositiveInt
    memory_gib: PositiveInt
    gpus: Annotated[int, Field(ge=0)] = 0


class Toleration(Frozen):
    """A taint of nodes that workers accept."""

    key: LabelKey
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class WorkerGroup(Machine):
    """Workers of one kind, added when trials wait for them."""

    name: Name
    least: Annotated[int, Field(ge=0)] = 0
    most: PositiveInt
    spot: bool = False
    """Their machines may be taken away; trainings go on elsewhere from their last checkpoint."""
    node_labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()

    @model_validator(mode="after")
    def _least_is_not_above_most(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least ({self.least}) must not be above most ({self.most})")
        return self


class Kubernetes(Frozen):
    """What is particular to the Kubernetes cluster."""

    operator_namespace: Name = "kuberay-operator"
    """Where KubeRay runs; it must reach the heads."""
    submitters_namespace: Name = "rmsweep-submitters"
    """Pods in it may submit and look at dashboards; `kubectl port-forward` needs no such pod."""
    outside: tuple[Cidr, ...] = ("0.0.0.0/0",)
    """Networks with the ledger, object store and MLflow when these are elsewhere."""
    control_plane: tuple[Cidr, ...] = ("0.0.0.0/0",)
    """Networks with the API server, which Ray's autoscaler talks to."""
    storage_class: Name | None = None
    models_claim: Name | None = None
    """Claim in every team's namespace with copies of hub models, mounted read-only."""
    queue_jobs: bool = True
    """Have Kueue admit RayJobs; false where Kueue is not installed."""
    elastic_jobs: bool = False
    """Let queued RayJobs grow and shrink; needs Kueue's gate ElasticJobsViaWorkloadSlices. Without
    it a queued job asks for all its workers at once."""
    service_storage_gib: PositiveInt = 50
    """For the ledger and MLflow, each, when these are `here`."""


class Slurm(Frozen):
    """What is particular to a Slurm cluster."""

    partition: Name = "gpu"
    nodes: PositiveInt = 2
    cpus: PositiveInt = 16
    """Per node."""
    gpus: Annotated[int, Field(ge=0)] = 0
    """Per node."""
    memory_gib: PositiveInt = 64
    time: WallTime = "24:00:00"
    environment: PlainPath = "/opt/rmsweep/.venv"
    """Virtual environment with rmsweep, the same on every node."""
    home: PlainPath = "/shared/rmsweep"
    """Shared folder for the token and for secrets, readable by its owner alone."""


class Compose(Frozen):
    """What is particular to one machine with Docker Compose or Podman."""

    bind: Annotated[str, StringConstraints(pattern=r"^[0-9.]{7,15}$")] = "127.0.0.1"
    """Address ports are published on; nothing is reachable from other machines unless told."""
    workers: PositiveInt = 2
    worker: Machine = Machine(cpus=2, memory_gib=8)


class Deployment(Frozen):
    """Everything that is rendered, in one file."""

    name: Name = "rmsweep"
    teams: tuple[Name, ...] = ("research",)
    """Each has a namespace, a Ray cluster, a token, secrets and a queue of its own: whoever holds a
    cluster's token can run code in it."""
    images: Images = Images()
    places: Places = Places()
    head: Machine = Machine(cpus=4, memory_gib=16)
    workers: Annotated[tuple[WorkerGroup, ...], Field(max_length=16)]
    """Kueue admits clusters of at most 16 groups of workers besides the head."""
    grace_seconds: Annotated[int, Field(ge=30, le=3600)] = 180
    """Between the notice that a worker is taken away and its end: a step and a checkpoint."""
    restarts: Annotated[int, Field(ge=0, le=100)] = 5
    """Times a RayJob starts a whole new cluster after the loss of its head."""
    kubernetes: Kubernetes = Kubernetes()
    slurm: Slurm = Slurm()
    compose: Compose = Compose()

    @model_validator(mode="after")
    def _names_are_different(self) -> Self:
        for what, names in (
            ("teams", list(self.teams)),
            ("workers", [group.name for group in self.workers]),
        ):
            if not names:
                raise ValueError(f"{what}: expected at least one")
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what}: expected different names, {', '.join(twice)} is twice")
        return self

    @property
    def on_gpus(self) -> bool:
        """Whether any worker has a GPU."""
        return any(group.gpus for group in self.workers)

    def namespace(self, team: str) -> str:
        """The Kubernetes namespace of a team."""
        return f"{self.name}-{team}"

    def storage(self, team: str) -> str:
        """The object store of a team: prefixes are what keeps teams' objects apart."""
        return f"s3://{self.places.bucket}/{self.places.prefix.rstrip('/')}/{team}"

    def image(self, gpus: int) -> str:
        """The image of a container with so many GPUs."""
        return f"{self.images.rmsweep}-cuda" if gpus else self.images.rmsweep
