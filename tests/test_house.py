"""The house rules: what the files around the package promise each other."""

import os
import re
import shutil
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent

TOP_LEVEL = [
    ".ci/run",
    ".dockerignore",
    ".github/workflows/test.yml",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "Pipfile",
    "README.md",
    "SECURITY.md",
    "data_resource_api",
    "deploy/docker-compose.yml",
    "docker-compose.yml",
    "docs",
    "examples",
    "migrations",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements.txt",
    "static/README.md",
    "test-database-docker-compose.yml",
    "tests",
    "wsgi.py",
]

COMPOSE_FILES = (
    "docker-compose.yml",
    "deploy/docker-compose.yml",
    "test-database-docker-compose.yml",
)

#: Written so that this file does not contain what it looks for.
FORBIDDEN = {
    "a package registry's host": r"\b(pypi|pythonhosted|npmjs|yarnpkg|anaconda)\.(org|com)\b",
    "a package source": r"\[\[source\]\]",
    "an index option": r"(?<![\w-])--(extra-)?index[-]url\b|^\s*(extra-)?index[-]url\s*=",
}


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def pyproject() -> dict:
    return tomllib.loads(read("pyproject.toml"))


def project_files() -> list[Path]:
    """Every file that is in git or could be committed as it is."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(
            command, cwd=ROOT, capture_output=True, check=True, text=True
        ).stdout
    except (
        OSError,
        subprocess.CalledProcessError,
    ):  # an unpacked archive, or somebody else's clone
        ignored = {".git", *(line.strip("/*\n") for line in read(".gitignore").splitlines())}
        found = (Path(folder) / name for folder, _, names in os.walk(ROOT) for name in names)
        return [file for file in found if not ignored & set(file.relative_to(ROOT).parts)]
    return [file for name in listed.split("\0") if name and (file := ROOT / name).is_file()]


def pins(name: str) -> dict[str, str]:
    """Map each project in a requirements file to its version."""
    return {
        canonicalize_name(project): version
        for project, version in re.findall(r"^([\w.-]+)==([^\s;]+)", read(name), re.MULTILINE)
    }


def requirements(*groups: str) -> list[Requirement]:
    """List pyproject's dependencies, or those of dependency groups, included groups too."""
    document = pyproject()
    if not groups:
        return [Requirement(text) for text in document["project"]["dependencies"]]
    found = []
    for entry in chain.from_iterable(document["dependency-groups"][group] for group in groups):
        included = isinstance(entry, dict)
        found += requirements(entry["include-group"]) if included else [Requirement(entry)]
    return found


def unmet(wanted: list[Requirement], name: str) -> list[str]:
    """Name the requirements that a requirements file does not pin, or not as wanted."""
    pinned = pins(name)
    return [
        str(requirement)
        for requirement in wanted
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0"))
        or canonicalize_name(requirement.name) not in pinned
    ]


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_what_belongs_to_the_house_is_there(name):
    assert (ROOT / name).exists()


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_says_where_packages_come_from(what):
    """Where packages come from is the business of the machine that installs them."""
    pattern = re.compile(FORBIDDEN[what], re.IGNORECASE | re.MULTILINE)
    found = [
        f"{file.relative_to(ROOT)}: {match.group().strip()}"
        for file in project_files()
        for match in pattern.finditer(file.read_text("utf-8", errors="replace"))
    ]
    assert found == []


def test_no_lock_file_that_records_urls_is_kept():
    names = {file.name for file in project_files()}
    assert names.isdisjoint({"Pipfile.lock", "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml"})


# --- dependencies -----------------------------------------------------------------------------


def test_requirements_txt_is_made_from_pyproject():
    """`make lock` was run after the last change of the dependencies."""
    assert unmet(requirements() + requirements("build"), "requirements.txt") == []


def test_requirements_dev_txt_is_made_from_pyproject():
    assert unmet(requirements() + requirements("dev"), "requirements-dev.txt") == []


def test_requirements_dev_txt_contains_requirements_txt():
    """`make install-dev` after `make install` changes no version."""
    assert pins("requirements.txt").items() <= pins("requirements-dev.txt").items()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_has_a_hash(name):
    entries = re.split(r"^(?=[\w.-]+==)", read(name), flags=re.MULTILINE)[1:]
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_every_dependency_is_explained_in_the_architecture():
    sections = re.split(r"^#+ +", read("docs/architecture.md"), flags=re.MULTILINE)
    explained = next((text for text in sections if text.startswith("Dependencies")), "").lower()
    words = {canonicalize_name(word) for word in re.findall(r"[\w.-]*\w", explained)}
    assert {canonicalize_name(requirement.name) for requirement in requirements()} - words == set()


def test_the_pipfile_installs_the_project_and_nothing_else():
    """pyproject.toml is the one list of dependencies."""
    packages = {"data-resource-generator": {"editable": True, "path": "."}}
    assert tomllib.loads(read("Pipfile")) == {"packages": packages}


# --- one way to install, one way to check -----------------------------------------------------


def pip_commands(text: str) -> list[str]:
    return re.findall(r"\S*python -m pip install .*", text)


def test_the_image_is_installed_by_the_commands_of_make_install():
    rule = re.search(r"^\$\(INSTALLED\):.*\n((?:\t.*\n)+)", read("Makefile"), re.MULTILINE)
    installs = pip_commands(rule[1].replace("$(BIN)", ".venv/bin"))
    assert len(installs) == 2
    assert pip_commands(read("Dockerfile")) == installs


def test_the_image_copies_files_that_exist_and_that_the_builder_is_sent():
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", read("Dockerfile"), re.MULTILINE)
    names = {name for copy in copies for name in copy.split()}
    sent = set(re.findall(r"^!(.+)$", read(".dockerignore"), re.MULTILINE))
    assert names == sent
    assert [name for name in sorted(names) if not (ROOT / name).exists()] == []


def test_the_image_runs_as_an_ordinary_user_with_a_health_check():
    final_stage = read("Dockerfile").split("\nFROM ")[-1]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", final_stage, re.MULTILINE)
    assert "/-/health" in final_stage
    assert 'CMD ["drg", "serve", "--host", "0.0.0.0", "--port", "8081"]' in final_stage


@pytest.mark.parametrize("name", COMPOSE_FILES)
def test_compose_publishes_on_the_loopback_address_only(name):
    services = yaml.safe_load(read(name))["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []


def test_ci_runs_make_test_and_nothing_in_its_place():
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert read(".ci/run").rstrip().endswith("make test </dev/null")
    jobs = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]
    assert [name for name, job in jobs.items() if {"make test"} - runs(job)] == []


def runs(job: dict) -> set[str]:
    return {step["run"] for step in job["steps"] if "run" in step}


def test_pre_commit_downloads_nothing():
    repos = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert {repo["repo"] for repo in repos} == {"local"}
    assert {hook["language"] for repo in repos for hook in repo["hooks"]} == {"system"}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed here")
def test_make_test_runs_every_check():
    """Lint, format, types, import contracts, tests with coverage, docs with warnings as errors."""
    plan = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "test"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for step in (
        "ruff check .",
        "ruff format --check .",
        "mypy --strict data_resource_api",
        "lint-imports",
        "coverage run -m pytest",
        "coverage combine",
        "coverage report",
        "sphinx-build -W --keep-going",
    ):
        assert step in plan


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed here")
def test_make_alone_lists_the_targets():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    documented = set(re.findall(r"^  make ([\w-]+)", listed, re.MULTILINE))
    public = set(re.findall(r"^\.PHONY: (.*)$", read("Makefile"), re.MULTILINE)[0].split())
    assert documented == public - {"rebuild-venv"}
