"""The embedded PostgreSQL of root, which runs it as another user, and of ordinary users."""

import importlib.machinery
import importlib.util
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from data_resource_api.database import programs
from data_resource_api.database.embedded import EmbeddedPostgresError, join
from tests.database.embedded.processes import ROOT, User, ask, mode, postmasters

as_root = pytest.mark.skipif(not ROOT, reason="only root runs the server as another user")


# --- Users and permissions ---------------------------------------------------------------------


def test_permissions_of_folders_that_were_there_stay_as_they_were(folder: Path) -> None:
    directory = folder / "a" / "b"
    directory.mkdir(parents=True)
    parents = [folder, folder / "a", directory]
    parents[1].chmod(0o751)
    before = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in parents]
    join(directory).release()
    after = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in parents]
    assert after == before


def test_the_data_and_the_socket_are_in_a_folder_that_only_its_owner_can_enter(
    directory: Path,
) -> None:
    server = join(directory)
    private = server.data.parent
    assert mode(private) == mode(server.data) == 0o700
    assert make_url(server.url).query["host"] == str(private)
    assert private.stat().st_uid != 0


def installed_package() -> Path:
    spec = importlib.util.find_spec(programs.PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


@pytest.fixture
def nobody() -> pwd.struct_passwd:
    """An ordinary user, who can at least reach the programs of PostgreSQL."""
    nobody = pwd.getpwnam("nobody")
    try:
        programs._ask_version(installed_package(), programs.Account(nobody.pw_uid, nobody.pw_gid))
    except PermissionError:
        pytest.skip("an ordinary user cannot reach this environment")
    return nobody


def begin_as(user: pwd.struct_passwd, directory: Path, **options: Any) -> User:
    return User.begin(directory, "as", str(user.pw_uid), str(user.pw_gid), **options)


@as_root
def test_an_ordinary_user_has_everything_in_the_directory(
    folder: Path, nobody: pwd.struct_passwd
) -> None:
    home = folder / "home"
    home.mkdir(0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    user = begin_as(nobody, home / "var", env={"HOME": str(home), "TMPDIR": str(home)}).ready()
    assert ask(user.url, "SELECT 1") == 1
    assert user.data == home / "var" / "postgres" / "server" / "data"
    assert {path.lstat().st_uid for path in home.rglob("*")} == {nobody.pw_uid}
    assert mode(home / "var" / "postgres" / "password") == 0o600
    user.end()
    assert postmasters(user) == []


@as_root
def test_root_can_use_what_an_ordinary_user_made_and_the_user_goes_on_after(
    folder: Path, nobody: pwd.struct_passwd
) -> None:
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    begin_as(nobody, folder / "var").ready().end()
    server = join(folder / "var")
    ask(server.url, "CREATE TABLE t AS SELECT 42 AS answer")
    server.release()
    user = begin_as(nobody, folder / "var").ready()
    assert ask(user.url, "SELECT answer FROM t") == 42
    user.end()


@as_root
def test_the_cluster_is_elsewhere_when_its_user_cannot_reach_the_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "SHARED", folder / "shared")
    private = folder / "private"
    private.mkdir(0o700)
    server = join(private / "var")
    assert server.data.is_relative_to(folder / "shared")
    assert mode(private) == 0o700
    assert mode(folder / "shared") == 0o755
    ask(server.url, "CREATE TABLE t AS SELECT 42 AS answer")
    server.release()
    again = join(private / "var")
    assert again.data == server.data
    assert ask(again.url, "SELECT answer FROM t") == 42
    assert join(private / "other").data != server.data


@as_root
def test_programs_that_the_server_s_user_cannot_reach_are_copied_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "SHARED", folder / "shared")
    private = folder / "private"
    private.mkdir(0o700)
    package = installed_package()
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            (private / part.name).symlink_to(part)
    spec = importlib.machinery.ModuleSpec(package.name, None, is_package=True)
    spec.submodule_search_locations = [str(private / package.name)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)

    server = join(folder / "var")
    assert ask(server.url, "SELECT 1") == 1
    copies = [path.stat().st_ino for path in (folder / "shared").glob(f"{package.name}-*")]
    assert len(copies) == 1
    server.release()
    join(folder / "var")
    again = [path.stat().st_ino for path in (folder / "shared").glob(f"{package.name}-*")]
    assert again == copies
    assert mode(private) == 0o700


@as_root
def test_a_cluster_of_root_s_is_refused_with_what_to_do(directory: Path) -> None:
    server = join(directory)
    server.release()
    os.chown(server.data.parent, 0, 0)
    with pytest.raises(EmbeddedPostgresError, match=r"belongs to root.*chown"):
        join(directory)


@as_root
def test_a_directory_of_another_user_s_is_refused_with_what_to_do(
    directory: Path, nobody: pwd.struct_passwd
) -> None:
    join(directory).release()
    user = begin_as(nobody, directory, stderr=subprocess.PIPE)
    _, errors = user.process.communicate(timeout=60)
    assert "EmbeddedPostgresError" in errors
    assert "run the service as that user" in errors
