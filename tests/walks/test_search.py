"""Search for settings: started, stopped, resumed, shared by link, and raced."""

from __future__ import annotations

from playwright.sync_api import expect

from walks.pages import Hold, Train, Visit, fill


def test_search_is_stopped_resumed_and_fills_the_form(visit: Visit, hold: Hold) -> None:
    hold(1)
    train = visit(Train, recipe="sentiment", methods="cdvft,lora", max_steps="2")
    train.unfold("#choose")
    trials = train.find("#search-trials input")
    fill(trials, "many")
    expect(train.find("#search-start")).to_be_disabled()
    fill(trials, "2")
    train.find("#search-start").click()
    view = train.find("#search section.search")
    stop, go_on, race, close = (view.locator(".search-actions button").nth(place) for place in range(4))
    stop.click()
    expect(go_on).to_be_visible()
    hold(None)
    go_on.click()
    expect(race).to_be_visible()
    best = view.locator(".searched-method .seen")
    expect(best).to_have_count(2)
    expect(best.last).to_contain_text("0.0")
    expect(stop).to_be_hidden()
    other = visit(Train, search=train.page.url.partition("search=")[2].partition("&")[0])
    expect(other.find("#search .searched-method")).to_have_count(2)
    race.click()
    field = train.setting("learning_rate-lora")
    expect(field).not_to_have_value("")
    assert field.input_value()[:3] in best.last.inner_text()
    close.click()
    expect(view).to_be_hidden()
