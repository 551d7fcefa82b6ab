"""The page's tabs as visitors use them: where things are, and what one does with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect

from walks.studio import Studio

Visit = Callable[..., "Tab"]
Hold = Callable[[int | None], None]


class Tab:
    """One tab of a visitor's page."""

    key: ClassVar[str]
    ready: ClassVar[str]
    """What is visible once the tab can be used."""

    def __init__(self, page: Page, studio: Studio) -> None:
        self.page, self.studio = page, studio

    def open(self, **address: str) -> Self:
        self.page.goto(f"{self.studio.url}?{urlencode({'tab': self.key, **address})}")
        return self.wait()

    def wait(self) -> Self:
        self.page.locator(self.ready).first.wait_for()
        return self

    def find(self, selector: str, text: str | None = None) -> Locator:
        return self.page.locator(selector, has_text=text)

    def button(self, name: str, within: str = "main") -> Locator:
        return self.page.locator(within).get_by_role("button", name=name, exact=True).first

    def reload(self) -> Self:
        self.page.reload()
        return self.wait()

    def unfold(self, part: str) -> None:
        """Open every fold of a part of the page."""
        closed = self.page.locator(f"{part} .fold > button:not(.open):visible")
        closed.evaluate_all("(all) => all.forEach((one) => one.click())")
        self.page.locator(f"{part} details:not([open])").evaluate_all(
            "(all) => all.forEach((one) => (one.open ||= one.checkVisibility()))"
        )

    def save(self, part: str, kind: str) -> Locator:
        """The button that saves the table of a part of the page."""
        self.unfold(part)
        return self.find(part).get_by_role("button", name=kind).locator("visible=true").first

    def fits(self) -> None:
        """Nothing scrolls sideways."""
        self.page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")


def fill(field: Locator, text: str) -> None:
    """Type into a field that a fold may just have shown. Gradio sets it again when it is mounted."""
    for _ in range(20):
        field.fill(text)
        two_frames(field.page)
        if field.input_value() == text:
            return
    raise AssertionError(f"{field} does not keep {text!r}")


def two_frames(page: Page) -> None:
    """Wait until the page has drawn what it was told."""
    page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")


def downloaded(button: Locator) -> Path:
    with button.page.expect_download() as coming:
        button.click()
    return Path(coming.value.path())


def drawn(canvas: Locator, before: str = "") -> str:
    """The picture on a canvas, once there is one that differs from `before`."""
    picture = """(canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
      .data.some(Boolean) && canvas.toDataURL()"""
    canvas.scroll_into_view_if_needed()
    return canvas.page.wait_for_function(
        f"([canvas, before]) => {{ const now = ({picture})(canvas); return now !== before && now; }}",
        arg=[canvas.element_handle(), before],
    ).json_value()


class Train(Tab):
    key = "train"
    ready = "#train[aria-busy=false]"

    def wait(self) -> Self:
        super().wait()
        # The first answer to the form, which follows its filling.
        self.page.locator("#start:enabled, #counts .problem").first.wait_for(state="attached")
        return self

    @property
    def start_button(self) -> Locator:
        return self.find("#start")

    @property
    def trained(self) -> Locator:
        """The number of trainable parameters of the first method."""
        return self.find("#counts b").first

    @property
    def problem(self) -> Locator:
        """Why the form cannot be started."""
        return self.find("#counts .problem")

    @property
    def races(self) -> Locator:
        return self.find("#history tbody tr")

    def select_race(self, name: str) -> None:
        """Select the races of this name only."""
        self.find("#history tbody tr input").evaluate_all(
            "(all) => all.forEach((one) => one.checked && one.click())"
        )
        for box in self.races.filter(has_text=name).locator("input").all():
            box.check()

    def setting(self, name: str) -> Locator:
        field = self.find(f"#set-{name} input")
        if not field.is_visible():
            self.unfold("#choose")
        return field

    def recipe(self, key: str) -> Locator:
        return self.find(f"#recipes input[value={key}]")

    def method(self, key: str) -> Locator:
        return self.find(f"#set-methods input[name={key}]")

    def rows(self, state: str | None = None) -> Locator:
        """Rows of the race that is shown, those in a state if it is given."""
        return self.find(f"#run .scoreboard tbody tr{f'.{state}' if state else ''}")

    def start(self, steps: int = 2) -> list[str]:
        """Press Start. Returns the ids of the race's runs."""
        fill(self.setting("max_steps"), str(steps))
        expect(self.start_button).to_be_enabled()
        before = self.shown
        self.start_button.click()
        self.page.wait_for_function(
            "(before) => { const now = document.querySelector('#run [data-runs]')?.dataset.runs;"
            " return now && now !== before && location.search.includes(now.split(',')[0]); }",
            arg=before,
        )
        return self.shown.split(",")

    @property
    def shown(self) -> str:
        """The ids of the runs that are shown."""
        return self.find("#run [data-runs]").first.get_attribute("data-runs") or ""

    def until(self, state: str, count: int) -> None:
        """Wait until so many rows of the race are in a state."""
        expect(self.rows(state)).to_have_count(count)

    def at_step(self, step: int) -> None:
        """Wait until the first curve ends at a step."""
        self.page.wait_for_function(
            "(step) => document.querySelector('#run .chart').data?.[0]?.x.at(-1) === step", arg=step
        )

    def curves(self, count: int, points: int) -> None:
        """Wait until so many curves of so many points are drawn."""
        self.find("#run .chart").scroll_into_view_if_needed()
        self.page.wait_for_function(
            """([count, points]) => {
              const data = document.querySelector("#run .chart").data ?? [];
              return data.length === count && data.every(({ x }) => x.length === points);
            }""",
            arg=[count, points],
        )

    def judged(self) -> None:
        """Wait until the comparison of a finished race has come, which moves what is below it."""
        expect(self.find("#run .outcome")).to_be_visible()

    def upload(self, *files: Path) -> None:
        self.find("#own-file input[type=file]").set_input_files(files)

    def uploaded(self, file: Path) -> Locator:
        """Upload data, and wait until it is what Start trains on. Returns its panel."""
        self.upload(file)
        expect(self.find("#own-found h2")).to_have_text(file.stem)
        self.learns(file.stem)
        return self.find("#own-found")

    def learns(self, title: str) -> None:
        """Start trains on this data."""
        expect(self.start_button).to_contain_text(title)
        expect(self.start_button).to_be_enabled()


class Predict(Tab):
    key = "use"
    ready = "#use-run input:checked"

    @property
    def answers(self) -> Locator:
        return self.find("#use-answers article")

    @property
    def rows(self) -> Locator:
        """Rows of the evaluation set."""
        return self.find("table.examples tbody tr")

    def ask(self, text: str) -> None:
        fill(self.find("#use-texts textarea"), text)
        self.find("#use-ask").click()

    def upload(self, file: Path) -> None:
        """Replace the file to apply the run to."""
        clear = self.find("#use-apply-file").get_by_role("button", name="Clear")
        if clear.is_visible():
            clear.click()
        self.find("#use-apply-file input").set_input_files(file)


class Compare(Tab):
    key = "compare"
    ready = "#compare-pages a"
    parts: ClassVar[dict[str, str]] = {}

    def answer(self, row: str) -> Locator:
        """What each method costs, such as its `parameters`."""
        return self.find(f"#costs .answers tr.{row} td")

    def choose(self, field: str, option: str) -> None:
        control = self.find(f"#{field} input")
        control.click()
        self.page.get_by_role("option", name=option).first.click()


class Factors(Tab):
    key = "factors"
    ready = ".factors[data-settled]"

    def choose(self, run: str) -> None:
        self.find("#factors-run").select_option(run)
        self.find(f".factors[data-settled='{run}']").wait_for()

    def scrub(self, place: int) -> None:
        self.page.locator(".player input[type=range]").evaluate(
            "(slider, place) => { slider.value = place; slider.dispatchEvent(new Event('input')); }", place
        )

    def layers(self) -> Sequence[str]:
        return [str(cell.get_attribute("value")) for cell in self.find(".cell input").all()]


class Learn(Tab):
    key = "learn"
    ready = "#lessons a"

    def lesson(self, key: str) -> Locator:
        """Turn to a lesson by its link, and wait until it is drawn."""
        self.find(f"#lessons a[href*='lesson={key}']").click()
        return self.shown(key)

    def shown(self, key: str) -> Locator:
        part = self.find(f"#lesson-{key}")
        expect(part.locator(".stage canvas").first).to_be_visible()
        expect(part.locator(".question:visible")).to_be_visible()
        return part
