"""What the workers of one host share."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from data_resource_api.host import Host
from data_resource_api.storage.base import StorageError


def test_a_stamp_that_another_process_renews_is_seen_at_once(tmp_path: Path) -> None:
    host = Host(tmp_path / "static")
    before = host.look()
    assert before == host.stamp()
    code = (
        "import sys, pathlib\n"
        "from data_resource_api.host import Host\n"
        "Host(pathlib.Path(sys.argv[1])).renew()"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "static")], check=True)
    assert host.stamp() != before


def test_a_folder_that_was_emptied_is_looked_at_again(tmp_path: Path) -> None:
    host, other = Host(tmp_path), Host(tmp_path)
    host.look()
    (tmp_path / ".live").unlink()
    other.renew()
    seen = host.look()
    other.renew()
    assert host.stamp() != seen


def test_a_stamp_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    (tmp_path / ".live").touch()
    host = Host(tmp_path)
    seen = host.look()
    assert seen
    Host(tmp_path).renew()
    assert host.stamp() != seen


def test_a_folder_that_is_a_file_has_no_stamp_and_says_so_when_it_is_renewed(
    tmp_path: Path,
) -> None:
    (tmp_path / "static").write_text("in the way")
    host = Host(tmp_path / "static")
    assert host.look() == b""
    with pytest.raises(StorageError, match="static"):
        host.renew()
    with pytest.raises(StorageError, match="static"), host.alone():
        pass


def test_only_one_at_a_time_is_alone(tmp_path: Path) -> None:
    entered = threading.Event()
    with Host(tmp_path).alone():

        def enter() -> None:
            with Host(tmp_path).alone():
                entered.set()

        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    thread.join()
