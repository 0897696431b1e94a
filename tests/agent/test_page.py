"""The page as a person uses it, in a real browser: asked, played, searched, watched, on a phone, by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.fixtures.agent_runs import SAMPLE, start
from tests.fixtures.browser import DESKTOP, PHONE, Page, axe_source, chromium, serious_faults
from tests.fixtures.loopback import Loopback, moving_square
from tests.fixtures.served_sample import perceive_sample, serving, until_served
from tests.fixtures.two_sessions import LABEL, SAID, SESSIONS, two_sessions

QUESTION = "When does the train to London leave?"
PATHS = ("", "timeline", "ask", "search?q=bakery", "watch", "memory", "api")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    memory = perceive_sample(tmp_path_factory.mktemp("page") / "memory")
    with serving(memory) as (found, _):
        yield found


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Page]:
    opened = Page(browser, address)
    yield opened
    opened.close()
    assert opened.faults == []


def test_a_replayed_clip_is_asked_and_its_citation_plays(page: Page) -> None:
    tab = page.open("ask")
    tab.fill("#question", QUESTION)
    tab.press("#question", "Enter")
    tab.wait_for_selector(".cite")
    assert "in the evening" in tab.inner_text(".turn .answer")
    page.look("ask")
    tab.click(".cite")
    tab.wait_for_selector("#moment video")
    page.until("document.querySelector('#moment video').currentTime > 0.3")
    assert tab.evaluate("document.querySelector('#moment video').videoWidth") > 0
    assert "from the recording" in tab.inner_text("#moment .made")
    assert "in the evening" in tab.inner_text("#moment .said")
    page.look("moment")
    tab.keyboard.press("Escape")
    assert not tab.is_visible("#moment")


def test_a_correction_is_one_click_and_a_sentence(page: Page) -> None:
    tab = page.open("ask")
    tab.fill("#question", QUESTION)
    tab.click("#send")
    tab.click("text=Correct this")
    assert tab.input_value("#question") == "No, "
    tab.type("#question", "it leaves at eight in the evening")
    tab.press("#question", "Enter")
    page.until("document.querySelectorAll('.turn:not([aria-busy])').length === 2")
    assert "eight" in tab.locator(".turn").nth(1).inner_text()


def test_the_timeline_is_walked_by_keyboard_zoomed_jumped_and_played(page: Page) -> None:
    tab = page.open("timeline")
    tab.wait_for_selector(".cell .thumb img")
    everything = tab.inner_text("#range")
    page.look("timeline")
    tab.focus(".cell[tabindex='0']")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.activeElement.matches('.cell:nth-child(2)')")
    tab.keyboard.press("+")
    page.until("before => document.querySelector('#range').textContent !== before", everything)
    tab.click("#zoom-all")
    tab.fill("#jump-to", "0:26")
    tab.click("#jump button")
    page.until("document.activeElement?.classList.contains('cell')")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#moment video")
    assert "0:2" in tab.inner_text("#moment h2")


def test_a_cameras_sessions_are_one_day_on_the_timeline(browser: Any, tmp_path: Path) -> None:
    two_sessions(tmp_path / "memory").close()
    with serving(tmp_path / "memory") as (found, _):
        opened = Page(browser, found)
        tab = opened.open("timeline")
        tab.wait_for_selector("#events li")
        assert tab.locator("#source option").all_inner_texts() == [LABEL]
        assert tab.locator("#events >> text=not watched").count() == 1
        assert all(words in tab.inner_text("#events") for words in SAID)
        opened.look("day")
        tab.click(f"#events button >> text={SAID[1]}")
        tab.wait_for_selector("#moment[open]")
        shown = tab.get_attribute("#moment a >> text=Show in timeline", "href")
        assert SESSIONS[1] in unquote(shown)
        opened.close()
        assert opened.faults == []


def test_search_says_why_each_hit_ranks(page: Page) -> None:
    tab = page.open("search?q=bakery")
    tab.wait_for_selector(".hits > li")
    tab.check("#explain", force=True)
    tab.wait_for_selector(".why-list meter")
    assert "its words and its neighbours'" in tab.inner_text(".why-list >> nth=0")
    page.look("search")
    tab.check("[name=channel][value=sound]", force=True)
    tab.wait_for_selector("text=Nothing found")


def test_what_to_watch_for_is_added_paused_and_removed(page: Page) -> None:
    tab = page.open("watch")
    tab.fill("#when", "whenever someone speaks of the bakery")
    tab.click("text=Tell me")
    tab.wait_for_selector(".card")
    page.look("watch")
    tab.click(".card >> text=Pause")
    tab.wait_for_selector(".card >> text=Go on")
    tab.click(".card >> text=Remove")
    tab.wait_for_selector("text=Nothing yet")


def test_a_title_is_given_and_something_forgotten_with_its_proof(page: Page) -> None:
    tab = page.open("memory")
    tab.wait_for_selector("#sources tr")
    tab.click("text=Rename")
    tab.fill("#sources input", "The house by the river")
    tab.press("#sources input", "Enter")
    tab.wait_for_selector("#sources >> text=The house by the river")
    tab.fill("[name=text]", "umbrella")
    tab.click("text=Show what would go")
    tab.wait_for_selector("text=Forget it for good")
    page.look("forget")
    tab.click("text=Keep it")
    assert tab.inner_text("#forgetting") == ""
    tab.click("text=Show what would go")
    tab.click("text=Forget it for good")
    tab.wait_for_selector(".proof")
    assert "traces: none" in tab.inner_text(".proof")
    page.look("memory")


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")])
def test_no_page_has_a_serious_fault_or_runs_out_of_a_phone(
    browser: Any, address: str, tmp_path: Path, size: tuple[int, int], scheme: str
) -> None:
    axe = axe_source(tmp_path)
    opened = Page(browser, address, size, scheme)
    faults = []
    for path in PATHS:
        tab = opened.open(path)
        tab.wait_for_timeout(700)
        assert opened.widest() <= 0, path
        faults += [f"/{path}: {fault}" for fault in serious_faults(tab, axe)]
        opened.look(f"{size[0]}-{scheme}-{path.partition('?')[0] or 'live'}")
    tab = opened.open("timeline")
    tab.click(".cell >> nth=1")
    tab.wait_for_selector("#moment video")
    faults += [f"moment: {fault}" for fault in serious_faults(tab, axe)]
    opened.look(f"{size[0]}-{scheme}-moment")
    opened.close()
    assert faults == []
    assert opened.faults == []


def test_a_notice_appears_wherever_one_is(browser: Any, tmp_path: Path) -> None:
    wish = "whenever someone speaks of the bakery"
    replay = start("replay", SAMPLE, "--serve", "0", "--speed", "3", "--tell-me", wish, "--memory", tmp_path / "memory")
    address, _ = until_served(replay)
    opened = Page(browser, address)
    tab = opened.open("memory")
    tab.wait_for_selector(".toast >> text=bakery")
    opened.look("notice")
    tab.click("text=Show the moment")
    tab.wait_for_selector("#moment[open]")
    opened.close()
    assert opened.faults == []


def test_a_camera_is_seen_masked_and_paused(browser: Any, tmp_path: Path) -> None:
    profile = tmp_path / "quick.yaml"
    profile.write_text('perception: {vision: {read_text: false, detect: "off"}}')
    with Loopback(moving_square((640, 360)), rate_hz=10.0, clip_s=4.0) as camera:
        memory = tmp_path / "memory"
        source = f"door={camera.url('mjpeg')}"
        live = start("live", source, "--serve", "0", "--memory", memory, "--config", profile)
        address, _ = until_served(live)
        opened = Page(browser, address)
        tab = opened.open("")
        lit = """async () => {
            const image = document.querySelector('.view img');
            if (!image?.naturalWidth) return -1;
            const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
            canvas.getContext('2d').drawImage(image, 0, 0);
            const {data} = canvas.getContext('2d').getImageData(20, 20, 40, 40);
            return data.filter((_, n) => n % 4 < 3).reduce((sum, n) => sum + n, 0) / (data.length * 0.75);
        }"""
        opened.until(f"async () => (await ({lit})()) > 60")
        tab.wait_for_selector(".view .box >> text=red")
        opened.look("live")
        tab.click("text=Mask …")
        tab.click("#mask-add")
        for name, value in (("left", "0"), ("top", "0"), ("width", "50"), ("height", "50")):
            tab.fill(f"#mask-list label:has-text('{name}') input", value)
            tab.press(f"#mask-list label:has-text('{name}') input", "Tab")
        opened.look("mask")
        tab.click("#mask-save")
        opened.until(f"async () => {{ const l = await ({lit})(); return l >= 0 && l < 8; }}")
        assert '"door":[[0.0,0.0,0.5,0.5]]' in (memory / "masks.json").read_text()
        tab.click("#pause")
        tab.wait_for_selector("#paused:not([hidden])")
        tab.wait_for_selector(".view .why >> text=paused")
        opened.look("paused")
        tab.click("#pause")
        tab.wait_for_selector("#paused", state="hidden")
        opened.close()
        assert opened.faults == []


def test_the_sign_in_page_lets_in_who_has_the_token(browser: Any, tmp_path: Path) -> None:
    memory = perceive_nothing(tmp_path / "memory")
    with serving(memory, "--sign-in") as (address, _):
        opened = Page(browser, address)
        tab = opened.open("memory")
        assert tab.url.endswith("/sign-in")
        tab.fill("#token", "wrong")
        tab.press("#token", "Enter")
        tab.wait_for_selector("text=not the token")
        opened.look("sign-in")
        tab.fill("#token", (memory / "serve.token").read_text().strip())
        tab.press("#token", "Enter")
        tab.wait_for_selector("#state >> text=remembers")
        assert "Live" in tab.title()
        opened.close()
        assert opened.faults == []


def perceive_nothing(memory: Path) -> Path:
    """An empty memory."""
    from memory.store.database import Store

    memory.mkdir(parents=True)
    Store(memory).close()
    return memory
