"""The configuration factory: what ``APP_ENV`` selects, and how a deployment adds its own."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from data_resource_api.configurations import (
    CONFIGURATIONS,
    LOCAL,
    PRODUCTION,
    TEST,
    Configuration,
    ConfigurationFactory,
)
from data_resource_api.errors import ConfigurationError
from data_resource_api.settings import Settings

STAGING = replace(
    PRODUCTION,
    name="STAGING",
    defaults={"POSTGRES_HOSTNAME": "db.staging", "OAUTH2_PROVIDER": "AUTH0", "DRG_POOL_SIZE": "3"},
)


@dataclass(frozen=True, kw_only=True)
class Vault(Configuration):
    """A configuration whose values are looked up."""

    def variables(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        return {"POSTGRES_PASSWORD": f"canary of {environment['VAULT']}"}


def test_the_documentations_three_are_there_and_test_is_the_default() -> None:
    assert set(CONFIGURATIONS) == {"TEST", "LOCAL", "PRODUCTION"}
    assert ConfigurationFactory().select({}) is TEST
    assert ConfigurationFactory().select({"APP_ENV": "local"}) is LOCAL
    assert [item.name for item in CONFIGURATIONS.values() if item.secured] == ["PRODUCTION"]


def test_a_new_configuration_is_locked_unless_it_says_otherwise() -> None:
    assert Configuration(name="NEW").secured


def test_a_row_of_ones_own_is_selected_and_completes_the_environment() -> None:
    factory = ConfigurationFactory().extended([STAGING])
    stated = {"APP_ENV": "Staging", "DRG_POOL_SIZE": "5"}
    settings, origins = Settings.with_origins(stated, factory)
    assert settings.production
    assert (settings.postgres_hostname, settings.pool_size) == ("db.staging", 5)
    assert origins["postgres_hostname"] == "configuration STAGING"
    assert origins["pool_size"] == origins["app_env"] == "environment"
    assert "max_page_size" not in origins


def test_what_a_locked_configuration_needs_is_told_with_its_name() -> None:
    factory = ConfigurationFactory().extended([Configuration(name="STAGING")])
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"APP_ENV": "STAGING"}, factory)
    assert all(line.startswith("APP_ENV=STAGING needs ") for line in caught.value.errors)


def test_a_row_may_take_the_place_of_another() -> None:
    local = replace(LOCAL, defaults={"DRG_MAX_PAGE_SIZE": "50"})
    factory = ConfigurationFactory().extended([local])
    settings = Settings.from_environment({"APP_ENV": "LOCAL"}, factory)
    assert settings.max_page_size == 50


def test_extending_leaves_the_factory_as_it_was() -> None:
    factory = ConfigurationFactory()
    factory.extended([STAGING])
    assert "STAGING" not in factory.configurations
    assert "STAGING" not in CONFIGURATIONS


def test_a_subclass_may_look_values_up_and_they_are_not_shown() -> None:
    factory = ConfigurationFactory().extended([Vault(name="OURS", secured=False)])
    settings = Settings.from_environment({"APP_ENV": "OURS", "VAULT": "v"}, factory)
    assert settings.postgres_password == "canary of v"
    assert "canary" not in repr(settings)


def test_a_wrong_value_of_a_configuration_is_told() -> None:
    broken = replace(TEST, name="BROKEN", defaults={"DRG_POOL_SIZE": "many"})
    with pytest.raises(ConfigurationError, match=r"DRG_POOL_SIZE must be .*, not 'many'"):
        Settings.from_environment({"APP_ENV": "broken"}, ConfigurationFactory().extended([broken]))


def test_settings_with_a_configuration_of_ones_own_travel_to_another_process() -> None:
    factory = ConfigurationFactory().extended([replace(STAGING, secured=False)])
    settings = Settings.from_environment({"APP_ENV": "STAGING"}, factory)
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_a_module_of_ones_own_is_named_by_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_rows.py").write_text(
        "from data_resource_api.configurations import Configuration\n"
        "ROWS = [Configuration(name='mine', secured=False)]\n"
        "WRONG = ['no configuration']\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings = Settings.from_environment({"APP_ENV": "MINE", "DRG_CONFIGURATIONS": "own_rows:ROWS"})
    assert str(settings.app_env) == "mine"
    with pytest.raises(ConfigurationError, match=r"must be one of TEST, .*, MINE, not"):
        Settings.from_environment({"APP_ENV": "X", "DRG_CONFIGURATIONS": "own_rows:ROWS"})
    with pytest.raises(ConfigurationError, match="own_rows:WRONG holds a str"):
        Settings.from_environment({"DRG_CONFIGURATIONS": "own_rows:WRONG"})


@pytest.mark.parametrize("reference", ["nowhere:ROWS", "json:ROWS", "json", "json:dumps", ":", "."])
def test_a_reference_that_leads_nowhere_is_told(reference: str) -> None:
    with pytest.raises(ConfigurationError, match=r"DRG_CONFIGURATIONS=.* It must be like module:"):
        Settings.from_environment({"DRG_CONFIGURATIONS": reference})
