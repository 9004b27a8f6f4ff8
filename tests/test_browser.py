"""A person's way through the app, in a real browser: from the matrix to a pixel, its spectrum, the cell and the model."""

import os
import threading
from pathlib import Path

import pytest
from app_study import EDX, edx_transform, make_app_study
from playwright.sync_api import Page, expect, sync_playwright

from dashboards.app import serve

CHROMIUM = Path(os.environ.get("CORRELATE_CHROMIUM", "/usr/bin/chromium"))
PATIENCE_MS = 30_000
"""A machine that also does other work is slow to paint; what a test asks for must come, not come fast."""
expect.set_options(timeout=PATIENCE_MS)
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    server = serve(make_app_study(tmp_path_factory.mktemp("browser")), port=0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def chromium():
    if not CHROMIUM.exists():
        reason = f"no Chromium at {CHROMIUM}; install it (apt install chromium) or set CORRELATE_CHROMIUM"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, address):
    """A page that fails the test if the console complains, a request fails, or anything is asked of another site."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("console", lambda m: faults.append(f"console {m.type}: {m.text}") if m.type in ("error", "warning") else None)
    opened.on("pageerror", lambda e: faults.append(f"script: {e}"))
    opened.on("requestfailed", lambda r: faults.append(f"failed: {r.url} {r.failure}"))
    opened.on("response", lambda r: faults.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
    own = (address, "data:", "blob:")
    opened.on("request", lambda r: faults.append(f"foreign: {r.url}") if not r.url.startswith(own) else None)
    yield opened
    context.close()
    assert faults == []


def stage_pixel(page: Page, y_nm: float, x_nm: float) -> tuple[float, float]:
    """Where a point of the stage's frame is on the screen."""
    return tuple(page.evaluate("""([y, x]) => {
        const g = document.querySelector("#stage .js-plotly-plot"), box = g.getBoundingClientRect();
        const xa = g._fullLayout.xaxis, ya = g._fullLayout.yaxis;
        return [box.left + xa._offset + xa.l2p(x), box.top + ya._offset + ya.l2p(y)];
    }""", [y_nm, x_nm]))


def wait_for_tiles(page: Page) -> None:
    page.wait_for_function("""() => { const all = [...document.querySelectorAll("#stage .imagelayer image")];
        return all.length > 1 && all.every((i) => i.getAttribute("transform") && i.style.filter); }""")
    page.wait_for_load_state("networkidle")


def test_from_the_matrix_to_a_pixel_its_spectrum_the_cell_and_the_model(page, address):
    page.goto(address)
    page.locator("a.mc", has_text="±23").first.wait_for()
    page.locator("a.mc.q3.f-emspec").click()
    expect(page.locator("h1")).to_have_text("Sample A17")
    wait_for_tiles(page)

    y, x = edx_transform().apply([[240.0, 360.0]])[0]
    page.mouse.click(*stage_pixel(page, y, x))
    expect(page.locator("#where")).to_contain_text("edx")
    expect(page.locator("#seen")).to_contain_text("F at this pixel")
    expect(page.locator("#spectrum-note")).to_have_text("row 20, column 30")
    page.wait_for_function("() => document.querySelectorAll('#point-spectrum .scatterlayer .trace').length === 2")

    page.get_by_role("link", name="Cycle").click()
    page.wait_for_function("() => document.querySelectorAll('#ce-plot .scatterlayer .trace').length >= 1")
    page.wait_for_function("() => document.querySelectorAll('#potential-plot .scatterlayer .trace').length === 1")
    page.wait_for_function("() => document.querySelectorAll('#nyquist-plot .scatterlayer .trace').length === 1")

    page.get_by_role("link", name="Relate").click()
    expect(page.locator("h1")).to_have_text("Structure and coulombic efficiency")
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("table.matrix")).to_be_visible()


def tile_corners(page: Page) -> list[list[float]]:
    """First and last corner of the topmost tile on the screen."""
    return page.evaluate("""() => { const all = [...document.querySelectorAll("#stage .imagelayer image")];
        const image = all[all.length - 1], m = image.getScreenCTM();
        const [x, y, w, h] = ["x", "y", "width", "height"].map((k) => Number(image.getAttribute(k)));
        return [[x, y], [x + w, y + h]].map(([u, v]) => new DOMPoint(u, v).matrixTransform(m)).map((p) => [p.x, p.y]); }""")


def test_a_tile_lies_on_the_screen_where_its_transform_puts_it_also_after_pan_and_zoom(page, address):
    page.goto(f"{address}/sample/A17")
    wait_for_tiles(page)
    whole_field = edx_transform().apply([[-6.0, -6.0], [474.0, 474.0]])
    for act in (lambda: None, lambda: drag(page, 90, -60), lambda: page.mouse.wheel(0, -240)):
        act()
        page.wait_for_timeout(700)
        for (y, x), shown in zip(whole_field, tile_corners(page), strict=True):
            assert shown == pytest.approx(stage_pixel(page, y, x), abs=1.0)


def drag(page: Page, dx: float, dy: float) -> None:
    x, y = stage_pixel(page, 300.0, 300.0)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=6)
    page.mouse.up()


def test_zoom_colour_and_light_need_no_new_page(page, address):
    page.goto(f"{address}/sample/A17")
    wait_for_tiles(page)
    before = page.locator("#scale-text").inner_text()
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("#scale-text")).not_to_have_text(before)
    row = page.locator(".layers li", has_text="haadf")
    row.locator("button.colormap").click()
    expect(row.locator("button.colormap")).to_have_attribute("title", "viridis")
    row.locator("button.adjust").click()
    row.locator(".white input").fill("40")
    assert page.evaluate("document.querySelector('#stage-filters').innerHTML.includes('2.5 0 0 0')")
    drawn = page.locator("#stage .imagelayer image").count()
    row.locator("button.eye").click()
    page.wait_for_function(f"() => document.querySelectorAll('#stage .imagelayer image').length < {drawn}")
    expect(page.locator("html")).to_have_attribute("data-scheme", "light")
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-scheme", "dark")
    page.wait_for_load_state("networkidle")


def test_the_stage_can_be_asked_by_keyboard(page, address):
    page.goto(f"{address}/sample/A17")
    wait_for_tiles(page)
    page.locator("#stage-focus").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    expect(page.locator("#where")).to_contain_text("reference")


def test_another_sample_can_be_picked_and_what_is_not_placed_is_shown_alone(page, address):
    page.goto(f"{address}/sample/A17?at={EDX.replace('edx', 'tem').replace('/', '%2F')}")
    expect(page.locator(".alone-note")).to_contain_text("registration failed")
    page.locator("#sample-picker").click()
    page.get_by_text("B02", exact=True).click()
    expect(page.locator("h1")).to_have_text("Sample B02")
    expect(page.locator(".stage-none")).to_contain_text("No image")
    page.wait_for_load_state("networkidle")
