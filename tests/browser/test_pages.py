"""The landing page as people see it: what is live, nothing yet, not available; hostile names; access."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import Browser
from tests.service import Service, entry, payload, running, workforce

#: What a page must have to be read by everybody. Returns what is wrong.
ACCESS = """
const faults = [];
if (!document.documentElement.lang) faults.push("no lang");
if (!document.title.trim()) faults.push("no title");
const all = selector => [...document.querySelectorAll(selector)];
if (all("h1").length !== 1) faults.push(`${all("h1").length} h1`);
if (all("main").length !== 1) faults.push(`${all("main").length} main`);
all("img:not([alt])").forEach(image => faults.push(`no alt: ${image.src}`));
all("th:not([scope])").forEach(cell => faults.push(`no scope: ${cell.textContent}`));
all("table").forEach(table => table.caption || table.closest("section[aria-labelledby]")
  || faults.push("a table without a name"));
all("a").forEach(link => link.textContent.trim() || link.ariaLabel || faults.push("an empty link"));
all("[aria-labelledby]").forEach(element =>
  document.getElementById(element.getAttribute("aria-labelledby")) || faults.push("no label"));
const ids = all("[id]").map(element => element.id);
if (new Set(ids).size !== ids.length) faults.push("an id twice");
all("a[href^='#']").forEach(link => ids.includes(decodeURIComponent(link.hash.slice(1)))
  || faults.push(`a link to nowhere: ${link.hash}`));
let level = 0;
all("main h1, main h2, main h3, main h4").forEach(heading => {
  const next = Number(heading.tagName[1]);
  if (next > level + 1) faults.push(`h${level}, then h${next}`);
  level = next;
});
return faults;
"""

#: The texts whose contrast with what is behind them is below WCAG 2.2 AA (4.5:1), and how many there are.
CONTRAST = """
const channels = text => text.match(/[\\d.]+/g).map(Number);
const luminance = ([r, g, b]) => [r, g, b].map(value => value / 255)
  .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
const behind = element => {
  for (let node = element; node; node = node.parentElement) {
    const color = channels(getComputedStyle(node).backgroundColor);
    if (color.length === 3 || color[3] > 0) return color;
  }
  return [255, 255, 255];
};
const texts = [...document.querySelectorAll("body *")].filter(element =>
  [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()));
const faint = texts.filter(element => {
  const pair = [luminance(channels(getComputedStyle(element).color)), luminance(behind(element))];
  return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5;
}).map(element => `${element.tagName}.${element.className} ${element.textContent.trim().slice(0, 40)}`);
return [texts.length, faint];
"""

HOSTILE = "<script>window.hacked = 1</script>"
IMAGE = "<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("empty"), server_url, workers=1) as service:
        yield service


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """A service whose stored payload somebody has damaged."""
    with running(tmp_path_factory.mktemp("broken"), server_url, workers=1) as service:
        service.generate(payload(entry("thing")))
        service.stop()
        (service.static / "data_resource_generation_payload.json").write_text('{"data_reso')
        service.start()
        yield service


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """A data resource whose every text is an attack."""
    document = payload(
        entry(
            IMAGE,
            {
                "name": HOSTILE,
                "type": "string",
                "title": HOSTILE,
                "description": f"'\"{HOSTILE}",
                "constraints": {"enum": [HOSTILE, IMAGE], "pattern": f"[\"']?{HOSTILE}.*|<.*"},
            },
            {"name": "x" * 63, "type": "string"},
        ),
        entry(
            '"quoted" o\'clock',
            {"name": IMAGE, "type": "integer"},
            foreignKeys=[{"fields": IMAGE, "reference": {"resource": IMAGE, "fields": "id"}}],
        ),
        pairs=[(IMAGE, '"quoted" o\'clock')],
    )
    schema = document["data_resource_schema"]
    schema["name"] = f"{HOSTILE}{IMAGE}"
    schema["description"] = f"</p>{IMAGE}{'w' * 300}"
    schema["data"]["dataDictionary"][0] |= {"title": HOSTILE, "description": IMAGE}
    spec = schema["api"]["apiSpec"]
    spec["info"] |= {"title": HOSTILE, "description": f"{HOSTILE} and text"}
    spec["paths"]["/nothing-" + IMAGE] = {"get": {"responses": {"200": {"description": "."}}}}
    for item in list(spec["paths"].values())[:1]:
        item["get"] = item["get"] | {"summary": IMAGE}
    with running(tmp_path_factory.mktemp("hostile"), server_url, workers=1) as service:
        service.generate(document)
        yield service


# ── what is live ─────────────────────────────────────────────────────────────────────────────────


def test_every_table_is_shown_with_its_fields_and_operations(page: Browser) -> None:
    page.open("/")
    schema = workforce()["data_resource_schema"]
    assert page.one("h1").text == schema["name"]
    assert schema["description"] in page.one(".intro").text
    for table in schema["data"]["dataDictionary"]:
        section = f"#table-{table['name']}"
        assert table["title"] in page.one(f"{section} h2").text
        assert table["description"] in page.one(section).text
        rows = page.all(f"{section} .fields tbody tr")
        for field, row in zip(table["tableSchema"]["fields"], rows, strict=True):
            assert row.text.startswith(field["name"])
            assert field["type"] in row.text
            assert field["title"] in row.text
            constraints = field.get("constraints", {})
            assert ("required" in row.text.split("\n")[0]) == constraints.get("required", False)
            assert ("unique" in row.text.split("\n")[0]) == constraints.get("unique", False)
            for choice in constraints.get("enum", []):
                assert choice in row.text
    operations = {
        (row.find_element("class name", "verb").text, row.find_element("tag name", "th").text)
        for row in page.all(".operations tbody tr")
    }
    assert ("PUT", "/program/{id}/credential") in operations
    assert len(operations) == int(page.one(".facts li:nth-child(3) b").text)


def test_constraints_are_told_in_words(page: Browser) -> None:
    page.open("/")
    text = page.one("#table-program").text
    for words in ("1 to 260", "at least 0", "3 to 120 characters", "matches ^[A-Z]{3}-[0-9]{3}$"):
        assert words in text
    assert "the next free number when left out" in text


def test_relationships_lead_to_the_other_table(page: Browser) -> None:
    """By foreign key, from either side, and many-to-many."""
    page.open("/")
    for section, words, target in (
        ("program", "belongs to", "provider"),
        ("provider", "has many", "program"),
        ("program", "many to many", "credential"),
    ):
        relation = next(
            item
            for item in page.all(f"#table-{section} .relations li")
            if words in item.text and target in item.text
        )
        relation.find_element("tag name", "a").click()
        assert page.run("return location.hash") == f"#table-{target}"
        top = page.run(
            "return document.querySelector(arguments[0]).getBoundingClientRect().top",
            f"#table-{target} h2",
        )
        assert 0 <= top < 300


def test_what_is_not_enabled_is_folded_away(page: Browser) -> None:
    page.open("/")
    details = page.one("#not-enabled details")
    assert "PUT" not in details.text
    page.one("#not-enabled summary").click()
    assert "/participant/{id}" in details.text


def test_the_page_needs_no_script(page: Browser) -> None:
    page.open("/")
    assert page.all("script") == []
    assert page.all("[style], [onclick], style") == []


# ── the other states ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/", "/ui/"])
def test_where_nothing_is_live_the_next_step_is_shown(
    browser: Browser, empty: Service, path: str
) -> None:
    browser.site = empty.url
    browser.open(path)
    text = browser.one("main").text
    assert "Nothing has been generated yet" in text
    assert f"drg generate examples/workforce/payload.json --url {empty.url}" in text
    assert f"curl -X POST {empty.url}/generator" in text
    assert "data_resource_schema" in text


@pytest.mark.parametrize("path", ["/", "/ui/"])
def test_where_nothing_can_be_served_reason_and_remedy_are_shown(
    browser: Browser, broken: Service, path: str
) -> None:
    browser.site = broken.url
    browser.tolerated = ("status of 503",)
    browser.open(path)
    text = browser.one("main").text
    assert "is damaged" in text
    assert "503" in text
    assert f"curl -X POST {broken.url}/generator" in text


# ── hostile names ────────────────────────────────────────────────────────────────────────────────


def test_hostile_names_are_text(browser: Browser, hostile: Service) -> None:
    browser.site = hostile.url
    browser.open("/")
    assert browser.run("return window.hacked") is None
    assert browser.one("h1").text == f"{HOSTILE}{IMAGE}"
    assert browser.driver.title == f"{HOSTILE}{IMAGE}"
    fields = [cell.text for cell in browser.all(".fields tbody th code")]
    assert fields == ["id", HOSTILE, "x" * 63, "id", IMAGE]
    assert browser.all("main img, script") == []
    assert browser.run(ACCESS) == []
    link = browser.one(".relations a")
    link.click()
    assert browser.all(":target") != []


def test_hostile_names_are_text_in_swagger_ui(browser: Browser, hostile: Service) -> None:
    browser.site = hostile.url
    browser.open("/ui/")
    browser.wait_for(".opblock")
    assert browser.run("return window.hacked") is None
    assert HOSTILE in browser.one(".info .title").text
    assert "and text" in browser.one(".info .description").text
    assert browser.all(".swagger-ui script") == []


# ── for everybody ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", ["live", "empty", "broken", "hostile"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_window(
    browser: Browser, request: pytest.FixtureRequest, state: str, width: int
) -> None:
    service: Service = request.getfixturevalue(state)
    browser.site = service.url
    browser.tolerated = ("status of 503",)
    browser.resize(width)
    browser.open("/")
    browser.run("document.querySelectorAll('details').forEach(item => { item.open = true })")
    assert browser.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("state", ["live", "empty", "broken"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(
    browser: Browser, request: pytest.FixtureRequest, state: str, scheme: str
) -> None:
    """At least 4.5:1, WCAG 2.2 AA, in light and in dark."""
    service: Service = request.getfixturevalue(state)
    browser.site = service.url
    browser.tolerated = ("status of 503",)
    browser.prefer(scheme)
    browser.open("/")
    count, faint = browser.run(CONTRAST)
    assert count > 10
    assert faint == []
    dark = (
        browser.run("return getComputedStyle(document.body).backgroundColor")
        != "rgb(255, 255, 255)"
    )
    assert dark == (scheme == "dark")


@pytest.mark.parametrize("state", ["live", "empty", "broken"])
def test_pages_are_accessible(browser: Browser, request: pytest.FixtureRequest, state: str) -> None:
    service: Service = request.getfixturevalue(state)
    browser.site = service.url
    browser.tolerated = ("status of 503",)
    browser.open("/")
    assert browser.run(ACCESS) == []


def test_the_keyboard_reaches_the_content_first(page: Browser) -> None:
    """The first Tab stop is a link past the navigation, and it is visible."""
    page.open("/")
    page.one("body").send_keys(Keys.TAB)
    skip = page.driver.switch_to.active_element
    assert skip.text == "Skip to the content"
    assert skip.rect["y"] >= 0
    skip.send_keys(Keys.ENTER)
    assert page.driver.switch_to.active_element.get_attribute("id") == "main"
