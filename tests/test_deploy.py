"""The files for a production deployment: locked down, without secrets, with variables that exist.

What they say is checked, not that Docker or Kubernetes accept it: neither is here.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_resource_api.settings import Settings
from tests.service import ROOT

DEPLOY = ROOT / "deploy"
VARIABLES = {item.metadata["name"]: item.metadata for item in dataclasses.fields(Settings)}
#: What may stand in an environment: a secret only as the name of its file.
ALLOWED = {f"{name}_FILE" if about["secret"] else name for name, about in VARIABLES.items()}
LABELS = {"app.kubernetes.io/name": "data-resource-generator"}

COMPOSE: Any = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text("utf-8"))
MANIFESTS: dict[str, Any] = {
    document["kind"]: document
    for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text("utf-8"))
}
POD: Any = MANIFESTS["Deployment"]["spec"]["template"]
CONTAINER: Any = POD["spec"]["containers"][0]


# ── both ─────────────────────────────────────────────────────────────────────────────────────────


def environments() -> dict[str, dict[str, str]]:
    """The service's variables, by where they stand."""
    return {
        "compose": COMPOSE["services"]["drg"]["environment"],
        "kubernetes": {item["name"]: item["value"] for item in CONTAINER["env"]},
    }


@pytest.mark.parametrize("place", environments())
def test_every_variable_exists_and_no_secret_stands_in_the_environment(place: str) -> None:
    assert set(environments()[place]) <= ALLOWED


@pytest.mark.parametrize("place", environments())
def test_the_service_would_start_with_these_variables(place: str, tmp_path: Path) -> None:
    """Read as the service reads them, with files and an .env as the comments describe them."""
    (tmp_path / "postgres_password").write_text("secret")
    url = MANIFESTS["Secret"]["stringData"]["database-url"]
    (tmp_path / "database-url").write_text(url)
    given = {"OAUTH2_PROVIDER": "OIDC", "OAUTH2_URL": "https://id.example.org"}
    environment = {
        name: re.sub(r"\$\{(\w+):\?[^}]+\}", lambda m: given.get(m[1], "given"), value)
        for name, value in environments()[place].items()
    }
    for name in environment:
        if name.endswith("_FILE"):
            environment[name] = str(tmp_path / Path(environment[name]).name)
    settings = Settings.from_environment(environment)
    assert settings.production
    assert settings.sqlalchemy_url is not None


@pytest.mark.parametrize("place", environments())
def test_it_runs_in_production_for_known_clients_only(place: str) -> None:
    assert environments()[place]["APP_ENV"] == "PRODUCTION"
    assert "DRG_ALLOW_ANONYMOUS" not in environments()[place]


# ── Docker Compose ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_container_cannot_write_its_image_or_gain_rights(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert "healthcheck" in service


def test_the_service_is_an_ordinary_user_with_disks_in_memory() -> None:
    service = COMPOSE["services"]["drg"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert "cap_add" not in service
    assert {item.partition(":")[0] for item in service["tmpfs"]} == {
        "/tmp",
        "/app/static",
        "/app/var",
    }
    assert "/-/health" in service["healthcheck"]["test"][-1]


def test_the_database_is_published_nowhere_and_the_service_on_loopback() -> None:
    assert "ports" not in COMPOSE["services"]["postgres"]
    assert COMPOSE["services"]["postgres"]["networks"] == ["database"]
    assert COMPOSE["networks"]["database"] == {"internal": True}
    ports = COMPOSE["services"]["drg"]["ports"]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_secret_of_compose_is_a_file_that_git_does_not_know() -> None:
    files = {f"/run/secrets/{name}" for name in COMPOSE["secrets"]}
    for service in COMPOSE["services"].values():
        named = {value for name, value in service["environment"].items() if name.endswith("_FILE")}
        assert named
        assert named <= files
        assert {f"/run/secrets/{name}" for name in service["secrets"]} == named
        assert "POSTGRES_PASSWORD" not in service["environment"]
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert "/deploy/secrets/" in ignored
    assert "/deploy/.env" in ignored


# ── Kubernetes ───────────────────────────────────────────────────────────────────────────────────


def test_the_manifests_are_those_that_a_deployment_needs() -> None:
    assert set(MANIFESTS) == {
        "Deployment",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Secret",
        "Service",
    }


def test_the_pod_is_restricted() -> None:
    """As the Pod Security Standards' profile "restricted" asks, and a little more."""
    pod, container = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["readOnlyRootFilesystem"] is True
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert POD["spec"]["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & POD["spec"].keys()
    assert len(POD["spec"]["containers"]) == 1


def test_the_user_is_the_one_of_the_image() -> None:
    (user,) = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    pod = POD["spec"]["securityContext"]
    assert (str(pod["runAsUser"]), str(pod["runAsGroup"])) == user
    assert COMPOSE["services"]["drg"]["user"] == ":".join(user)


def test_the_probes_ask_what_they_are_for() -> None:
    asked = {name: CONTAINER[name]["httpGet"]["path"] for name in CONTAINER if "Probe" in name}
    assert asked == {
        "startupProbe": "/-/health",
        "livenessProbe": "/-/health",
        "readinessProbe": "/-/ready",
    }
    (port,) = CONTAINER["ports"]
    assert port == {"name": "http", "containerPort": 8081}
    assert all(CONTAINER[name]["httpGet"]["port"] == "http" for name in asked)


def test_the_resources_are_bounded() -> None:
    assert {"cpu", "memory"} <= CONTAINER["resources"]["requests"].keys()
    assert "memory" in CONTAINER["resources"]["limits"]


def test_every_secret_of_the_pod_is_a_mounted_file() -> None:
    volumes = {item["name"]: item for item in POD["spec"]["volumes"]}
    mounts = {item["mountPath"]: item for item in CONTAINER["volumeMounts"]}
    secret = MANIFESTS["Secret"]
    for item in CONTAINER["env"]:
        assert "valueFrom" not in item
        if item["name"].endswith("_FILE"):
            path = Path(item["value"])
            mount = mounts[str(path.parent)]
            assert mount["readOnly"] is True
            assert volumes[mount["name"]]["secret"]["secretName"] == secret["metadata"]["name"]
            assert volumes[mount["name"]]["secret"]["defaultMode"] == 0o440
            assert path.name in secret["stringData"]
    assert "envFrom" not in CONTAINER


def test_the_secret_is_an_example() -> None:
    assert all("CHANGE-ME" in value for value in MANIFESTS["Secret"]["stringData"].values())


def test_what_is_written_to_is_a_disk_of_the_pods_own() -> None:
    """With the root file system read-only, nothing else can be."""
    written = {
        item["mountPath"]: item["name"]
        for item in CONTAINER["volumeMounts"]
        if not item.get("readOnly")
    }
    assert written.keys() == {"/app/static", "/tmp"}
    volumes = {item["name"]: item for item in POD["spec"]["volumes"]}
    assert all("sizeLimit" in volumes[name]["emptyDir"] for name in written.values())


def test_service_policy_and_budget_are_about_this_pod() -> None:
    assert POD["metadata"]["labels"].items() >= LABELS.items()
    assert MANIFESTS["Service"]["spec"]["selector"] == LABELS
    assert MANIFESTS["Service"]["spec"]["type"] == "ClusterIP"
    policy, budget = MANIFESTS["NetworkPolicy"]["spec"], MANIFESTS["PodDisruptionBudget"]["spec"]
    assert policy["podSelector"]["matchLabels"] == LABELS
    assert budget["selector"]["matchLabels"] == LABELS
    assert budget["minAvailable"] < MANIFESTS["Deployment"]["spec"]["replicas"]


def test_the_network_is_closed_but_for_what_is_needed() -> None:
    policy = MANIFESTS["NetworkPolicy"]["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert all(rule.get("from") for rule in policy["ingress"])
    into = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert (into, out) == ({8081}, {53, 443, 5432})
