"""A real browser that fetches nothing from elsewhere, and what its pages look like to a person."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.tools import tool

NARROW, WIDE = 390, 1_600
_PATIENCE = 120
"""Seconds until another page must be there."""
_CONTRASTS = r"""
function parts(text) {
  const found = text.match(/[\d.]+/g).map(Number);
  return found.length > 3 ? found : [...found, 1];
}
function light(colour) {
  const linear = colour.slice(0, 3).map(c => c / 255).map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  return .2126 * linear[0] + .7152 * linear[1] + .0722 * linear[2];
}
function behind(element) {
  for (let one = element; one; one = one.parentElement) {
    const back = parts(getComputedStyle(one).backgroundColor);
    if (back[3] > 0) return back;
  }
  return [255, 255, 255, 1];
}
const poor = [];
for (const element of document.querySelectorAll('body *')) {
  const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  const said = own || (element.tagName === 'INPUT' && element.value);
  if (!said || !element.getClientRects().length || element.tagName === 'OPTION') continue;
  const style = getComputedStyle(element);
  const front = parts(element instanceof SVGElement ? style.fill : style.color);
  const [a, b] = [light(front), light(behind(element))].sort((x, y) => y - x);
  const ratio = (a + .05) / (b + .05);
  if (ratio < 4.5) poor.push([element.tagName, element.textContent.slice(0, 40), ratio]);
}
return poor;
"""
"""Texts whose contrast with the first colour behind them is below 4.5, by WCAG's formula."""


class Browser:
    """What a person does with keys, and what they see."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self._driver, self._address = driver, address

    def open(self, path: str) -> None:
        """Goes to a page."""
        self._driver.get(self._address + path)

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return str(self._driver.find_element(By.TAG_NAME, "body").text)

    @property
    def heading(self) -> str:
        """The page's heading."""
        return str(self._driver.find_element(By.TAG_NAME, "h1").text)

    @property
    def title(self) -> str:
        """The window's title."""
        return str(self._driver.title)

    @property
    def path(self) -> str:
        """Where it is."""
        return str(self._driver.current_url).removeprefix(self._address)

    @property
    def has_focus_on(self) -> Any:
        """The element that has the focus."""
        return self._driver.switch_to.active_element

    def press(self, *keys: str) -> None:
        """Types on whatever has the focus."""
        webdriver.ActionChains(self._driver).send_keys(*keys).perform()

    def tab_to(self, words: str, most: int = 200) -> None:
        """Goes on with Tab until the link, field or button of these words has the focus."""
        for _ in range(most):
            self.press(Keys.TAB)
            one = self.has_focus_on
            if words in (one.text, one.get_attribute("id")):
                return
        raise AssertionError(f"{words!r} cannot be reached with Tab on {self.path}")

    def follow(self) -> None:
        """Presses Enter and waits for another page, until it is complete."""
        before = self._driver.find_element(By.TAG_NAME, "html")
        self.press(Keys.ENTER)
        wait = WebDriverWait(self._driver, _PATIENCE)
        wait.until(staleness_of(before))
        wait.until(lambda driver: driver.execute_script("return document.readyState") == "complete")

    def links(self, part: str) -> list[str]:
        """Texts of the links that lead to an address with this part."""
        found = self._driver.find_elements(By.CSS_SELECTOR, f'main a[href*="{part}"]')
        return [str(one.text) for one in found]

    def outline_of_focus(self) -> str:
        """How thick the outline of what has the focus is."""
        return str(self._driver.execute_script("return getComputedStyle(document.activeElement).outlineWidth"))

    def overflow(self) -> int:
        """Returns by how many pixels the page is wider than the window."""
        script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self._driver.execute_script(script))

    def poor_contrasts(self) -> list[Any]:
        """Returns texts whose contrast with what is behind them is below 4.5."""
        return list(self._driver.execute_script(_CONTRASTS))

    def background(self) -> str:
        """The colour behind everything."""
        return str(self._driver.execute_script("return getComputedStyle(document.body).backgroundColor"))

    @contextmanager
    def as_wide_as(self, width: int) -> Iterator[None]:
        """A window of this width, for the length of the block."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        try:
            yield
        finally:
            self._driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    @contextmanager
    def in_the_dark(self) -> Iterator[None]:
        """A browser that asks for dark pages, for the length of the block."""
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        try:
            yield
        finally:
            self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def errors(self) -> list[str]:
        """Returns what the console complained of, without the status of the page itself, and forgets it."""
        found = [str(entry["message"]) for entry in self._driver.get_log("browser")]  # type: ignore[no-untyped-call]
        return [one for one in found if "Failed to load resource: the server responded with a status of 4" not in one]


@contextmanager
def browsing(address: str) -> Iterator[Browser]:
    """A browser, for the length of the block."""
    options = webdriver.ChromeOptions()
    options.binary_location = tool("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={WIDE},1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(tool("chromedriver")))
    try:
        yield Browser(driver, address)
    finally:
        driver.quit()
