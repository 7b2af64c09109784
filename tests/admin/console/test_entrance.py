"""The log-in: who comes in, who does not, and how often one may guess."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from admin.console.app import create_app
from tests.admin.console.conftest import Browser, csrf, words
from worker.workshop import utcnow

PAGES = ["/", "/connections/demo", "/oauth/kommo/start?connection=demo", "/oauth/xero/callback?code=c&state=s"]


def cookie_of(answer) -> str:
    return next(str(value) for name, value in answer.headers if name == "Set-Cookie" and "bridge_console" in value)


@pytest.mark.parametrize("page", PAGES)
def test_nobody_sees_anything_without_the_password(stranger, page):
    answer = stranger.get(page)
    assert answer.status_code == 303
    assert answer.location.startswith("/login?next=")
    assert "demo" not in stranger.get("/login").text


def test_a_form_of_a_stranger_does_nothing(stranger, desk):
    since = desk.sandbox.mark()
    token = csrf(stranger.get("/login").text)
    answer = stranger.client.post("/connections/demo/setup", data={"csrf": token})
    assert answer.location == "/login?next=/"
    assert desk.sandbox.calls_after(since) == []


def test_whoever_comes_in_goes_on_where_they_wanted_to(stranger):
    assert stranger.log_in(next="/connections/demo?x=1").location == "/connections/demo?x=1"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/\r\nX: y"]
)
def test_nobody_is_sent_elsewhere(stranger, elsewhere):
    assert stranger.log_in(next=elsewhere).location == "/"


def test_a_wrong_password_is_told_and_is_not_let_in(stranger):
    answer = stranger.log_in("wrong")
    assert answer.status_code == 401
    assert "not the password" in words(answer)
    assert stranger.get("/").status_code == 303


def test_after_five_wrong_ones_a_guess_waits_even_the_right_one_and_in_all_processes(stranger, settings, redis, until):
    assert [stranger.log_in(f"wrong{number}").status_code for number in range(5)] == [401] * 5
    other_process = Browser(create_app(settings), "unused")
    answer = other_process.log_in(settings.admin_password.get_secret_value())
    assert answer.status_code == 429
    assert "wait 5 s" in words(answer) or "wait 4 s" in words(answer)
    assert 0 < redis.pttl(next(iter(redis.keys("bridge:console:pause:*")))) <= 5000
    until(lambda: stranger.log_in().status_code == 303, timeout=15)
    assert redis.keys("bridge:console:*") == []


def test_without_redis_guesses_are_slow_but_the_operator_comes_in(settings):
    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    password = settings.admin_password.get_secret_value()
    assert Browser(app, password).log_in("wrong").status_code == 401
    assert Browser(app, password).log_in().status_code == 429
    assert (
        Browser(create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})), password)
        .log_in()
        .status_code
        == 303
    )


def test_the_cookie_is_for_this_site_only_and_no_script_reads_it(stranger):
    cookie = cookie_of(stranger.log_in())
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


def test_with_https_the_cookie_never_travels_in_clear(settings):
    browser = Browser(create_app(settings.model_copy(update={"console_url": "https://console.example"})), "unused")
    assert "Secure" in cookie_of(browser.get("/login", base_url="https://console.example"))


def test_another_password_or_another_key_logs_everybody_out(operator, settings):
    cookie = operator.client.get_cookie("bridge_console")
    for change in ({"admin_password": SecretStr("another")}, {"secret_keys": (SecretStr("8" * 43 + "="),)}):
        browser = Browser(create_app(settings.model_copy(update=change)), "unused")
        browser.client.set_cookie("bridge_console", cookie.value)
        assert browser.get("/").status_code == 303


def test_a_key_that_is_rotated_logs_nobody_out(operator, settings):
    cookie = operator.client.get_cookie("bridge_console")
    keys = (SecretStr("8" * 43 + "="), *settings.secret_keys)
    browser = Browser(create_app(settings.model_copy(update={"secret_keys": keys})), "unused")
    browser.client.set_cookie("bridge_console", cookie.value)
    assert browser.get("/").status_code == 200


def test_a_log_in_ends_with_the_day(operator, settings):
    cookie = operator.client.get_cookie("bridge_console")
    later = create_app(settings, now=lambda: utcnow() + timedelta(hours=12, minutes=1))
    browser = Browser(later, "unused")
    browser.client.set_cookie("bridge_console", cookie.value)
    assert browser.get("/").status_code == 303
    assert browser.get("/", headers={"X-Live": "1"}).status_code == 401


def test_logged_out_is_out(operator):
    assert operator.post("/logout", "/").location == "/login"
    assert operator.get("/").status_code == 303


@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_a_form_without_this_browsers_token_is_refused(operator, desk, token):
    since = desk.sandbox.mark()
    answer = operator.client.post("/connections/demo/setup", data={"csrf": token})
    assert answer.status_code == 400
    assert "load the page again" in words(answer)
    assert desk.sandbox.calls_after(since) == []


def test_every_answer_is_kept_to_itself(operator):
    for page in ("/", "/connections/demo", "/connections/none", "/login", "/healthz", "/metrics"):
        headers = operator.get(page).headers
        assert headers["Cache-Control"] == "no-store"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_no_page_holds_a_script_or_a_style_of_its_own(operator):
    for page in ("/", "/connections/demo", "/login"):
        text = operator.get(page).text
        assert "<style" not in text
        assert " style=" not in text
        assert "onclick" not in text
        assert text.count("<script") == text.count("<script src=")
