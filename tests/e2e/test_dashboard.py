"""The dashboard in a real browser over a real router: its figures, its plan, its keys, its looks."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.e2e.router_process import RouterProcess, running_router
from tests.fakes.provider import FakeProvider, Status

HOSTILE = '<img src=x onerror="document.title=1">'
# On a busy machine a browser takes its time.
expect.set_options(timeout=20_000)
KEYS = ("key-of-groq", "key-of-the-app")


@dataclass
class Looked:
    """A page, and what went wrong on it."""

    page: Page
    url: str
    trouble: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def text(self, selector: str) -> Any:
        return expect(self.page.locator(selector))


@pytest.fixture(scope="module")
def program() -> str:
    found = shutil.which("chromium")
    assert found is not None, "the tests need chromium"
    return found


@pytest.fixture
async def router(tmp_path: Path) -> AsyncIterator[tuple[RouterProcess, FakeProvider]]:
    async with FakeProvider() as fake, FakeProvider(default=Status(429, headers={"retry-after": "300"})) as limited:
        free = {"input": 0, "output": 0}
        config = {
            "providers": [
                {"name": "limited", "type": "openai_compatible", "base_url": limited.base_url, "priority": 1}
                | {"models": [{"id": "m", "serves": ["gpt-4o"], "price": free}]},
                {"name": "good", "type": "groq", "base_url": fake.base_url, "limits": {"rpd": 50}}
                | {"models": [{"id": "m", "serves": ["*"], "price": free}]},
            ]
        }
        with running_router(tmp_path, config) as started:
            await asyncio.to_thread(make_calls, started, fake)
            yield started, fake


def make_calls(router: RouterProcess, fake: FakeProvider) -> None:
    """A failover, an answer from the cache, a stream, a failure, and a name that is no name."""
    with httpx.Client(headers={"authorization": "Bearer key-of-the-app"}, trust_env=False) as app:

        def ask(model: str, **members: Any) -> int:
            body = {"model": model, "messages": [{"role": "user", "content": "secret words"}], **members}
            return app.post(f"{router.api_url}/chat/completions", json=body).status_code

        assert [ask("gpt-4o"), ask("gpt-4o", seed=1), ask("gpt-4o", seed=1), ask("gpt-4o", stream=True)] == [200] * 4
        assert ask(HOSTILE) == 200
        fake.script(Status(400, {"error": {"message": "no", "type": "invalid_request_error"}}))
        assert ask("gpt-4o") == 400
    router.decisions(6)


@pytest.fixture
async def browser(program: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        await started.close()


async def look(browser: Browser, router: RouterProcess, **options: Any) -> Looked:
    page = await browser.new_page(**{"viewport": {"width": 1400, "height": 1200}, "color_scheme": "light", **options})
    looked = Looked(page, f"{router.api_url.removesuffix('/v1')}/llmrouter/")
    page.on("pageerror", lambda error: looked.trouble.append(str(error)))
    page.on("console", lambda told: looked.trouble.append(told.text) if told.type in ("error", "warning") else None)
    page.on("request", lambda request: looked.asked.add(request.url))
    await page.goto(looked.url)
    await expect(page.locator("#live")).to_have_class("on")
    await expect(page.locator("#tiles .tile").nth(2)).to_contain_text("6")
    return looked


async def test_the_dashboard(router: tuple[RouterProcess, FakeProvider], browser: Browser) -> None:
    process, _ = router
    looked = await look(browser, process)
    await figures_are_right(looked)
    await a_decision_tells_its_plan(looked)
    await keys_are_enough(looked)
    assert await looked.page.title() == "llmrouter"
    content = await looked.page.content()
    assert not [secret for secret in (*KEYS, "secret words") if secret in content]
    assert looked.trouble == []
    assert all(url.startswith(looked.url) for url in looked.asked)
    await it_fits_a_phone_and_the_night(browser, process)
    await it_tells_that_the_router_is_gone(looked, process)


async def figures_are_right(looked: Looked) -> None:
    await looked.text("#tiles .tile:nth-child(4)").to_contain_text("1 requests")
    await looked.text("#tiles .tile:nth-child(5)").to_contain_text("Failed1")
    await looked.text("#by").to_contain_text("good")
    await looked.text("#errors").to_contain_text("limited · rate limited")
    await looked.text("#targets").to_contain_text("rests: rate limited, ")
    await looked.text("#targets .quota").to_contain_text("of 50")
    await looked.text("#requests .legend").to_contain_text("from the cache 1")
    await looked.text("#decisions tbody tr").to_have_count(6)
    await looked.text("#decisions tbody tr:nth-child(2)").to_contain_text(HOSTILE)
    await looked.page.click("[data-by=by_model]")
    await looked.text("#by").to_contain_text("good/m")
    await looked.page.click("[data-range=hour]")
    await looked.text("#tiles .tile:nth-child(3)").to_contain_text("6")


async def a_decision_tells_its_plan(looked: Looked) -> None:
    await looked.page.click("#decisions tbody tr:last-child")
    dialog = looked.text("#decision")
    await dialog.to_be_visible()
    await dialog.to_contain_text("gpt-4o → good/m")
    await dialog.to_contain_text("rate limited")
    await dialog.to_contain_text("The plan, best first")
    await looked.page.keyboard.press("Escape")
    await dialog.to_be_hidden()
    await looked.page.click("#decisions tbody tr:nth-child(2)")
    await dialog.to_contain_text(HOSTILE)
    await looked.page.click("#close")


async def keys_are_enough(looked: Looked) -> None:
    """From the top by Tab: the ranges, a chart by its arrows, a decision by Enter."""
    page = looked.page
    await page.reload()
    await looked.text("#decisions tbody tr").to_have_count(6)
    seen = []
    for _ in range(30):
        await page.keyboard.press("Tab")
        seen.append(await page.evaluate("document.activeElement.dataset.range ?? document.activeElement.tagName"))
        if seen[-1] == "svg" and seen.count("svg") == 1:
            await page.keyboard.press("ArrowLeft")
            # Without known savings there is no chart of money: whichever comes first.
            chart = await page.evaluate("document.activeElement.parentElement.id")
            await looked.text(f"#{chart} .legend").not_to_contain_text("in all")
        if seen[-1] == "TR":
            break
    assert {"hour", "day", "week", "month", "svg", "TR"} <= set(seen)
    await page.keyboard.press("Enter")
    await looked.text("#decision").to_be_visible()
    await page.keyboard.press("Escape")


async def it_fits_a_phone_and_the_night(browser: Browser, process: RouterProcess) -> None:
    small = await look(browser, process, viewport={"width": 360, "height": 740}, color_scheme="dark")
    assert await small.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    night = await small.page.evaluate("getComputedStyle(document.body).backgroundColor")
    await small.page.click("#theme")
    day = await small.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (night, day) == ("rgb(15, 20, 27)", "rgb(245, 246, 248)")
    assert small.trouble == []
    await small.page.close()


async def it_tells_that_the_router_is_gone(looked: Looked, process: RouterProcess) -> None:
    await asyncio.to_thread(process.stop)
    await looked.text("#live").to_have_class("off")
    await looked.text("#live-text").to_contain_text("does not answer")
