"""Who comes in: a table of requests and what becomes of each, with and without a token, from here and elsewhere."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from memory.store.database import Store
from runtime.config import ServeConfig
from runtime.errors import StoreError, UserError
from runtime.interfaces.web.access import TOKEN_NAME, bind, ensure_token, needs_token
from runtime.interfaces.web.app import ENDPOINTS
from runtime.interfaces.web.guard import Rates
from runtime.interfaces.web.serve import check_tls
from tests.fixtures.memory_cases import memory_of, see, stream
from tests.fixtures.served_agent import served

TOKEN = "t0ken-" + "x" * 30
OWN = {"host": "testserver"}
FOREIGN = {**OWN, "origin": "https://evil.example"}
BEARER = {"authorization": f"Bearer {TOKEN}"}
# Every route that changes something, as the table of routes has it, and what is not in it.
CHANGING = sorted(
    {(e.method, e.path) for e in ENDPOINTS if e.method != "GET"} | {("POST", "/sign-out"), ("POST", "/mcp")}
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return memory_of(tmp_path / "memory", stream(see(1.0, "a yard"), end_s=2.0))


def browser(store: Store, tmp_path: Path, token: str = "", **serve: object) -> TestClient:
    _, _, app = served(store, tmp_path / "memory", token, **serve)
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_nothing_changes_for_another_site_nor_for_a_stranger(
    store: Store, tmp_path: Path, method: str, path: str
) -> None:
    open_to_all, locked = browser(store, tmp_path), browser(store, tmp_path, TOKEN)
    for headers in (FOREIGN, {**OWN, "origin": "null"}, {**OWN, "sec-fetch-site": "cross-site"}):
        assert open_to_all.request(method, path, headers=headers, json={}).status_code == 403
        assert locked.request(method, path, headers={**headers, **BEARER}, json={}).status_code == 403
    for headers in (OWN, {**OWN, "authorization": "Bearer wrong"}, {**OWN, "cookie": "mindstream=wrong"}):
        assert locked.request(method, path, headers=headers, json={}).status_code == 401
    assert open_to_all.request(method, path, headers={"host": "evil.example"}, json={}).status_code == 421


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/sources", {}, 401),
        ("/api/sources", {"authorization": f"bearer {TOKEN}"}, 200),
        ("/api/sources", {"authorization": "Basic abc"}, 401),
        ("/metrics", {}, 401),
        ("/openapi.json", {}, 401),
        ("/mcp", {}, 401),
        ("/", {"accept": "text/html"}, 303),
        ("/assets/style.css", {}, 200),
        ("/assets/../access.py", {}, 401),
        ("/assets/%2e%2e/access.py", {}, 404),
        ("/assets/..%2f..%2f..%2f..%2fetc/passwd", {}, 404),
        ("/healthz", {}, 200),
        ("/sign-in", {}, 200),
        ("/sign-in/../api/sources", {}, 401),
        ("/nothing", BEARER, 404),
    ],
)
def test_a_stranger_sees_the_sign_in_page_and_nothing_else(
    store: Store, tmp_path: Path, path: str, headers: dict[str, str], status: int
) -> None:
    assert browser(store, tmp_path, TOKEN).get(path, headers={**OWN, **headers}).status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("testserver", 200),
        ("localhost:9000", 200),
        ("127.0.0.1:8420", 200),
        ("[::1]:8420", 200),
        ("192.168.1.7", 200),
        ("TESTSERVER", 200),
        ("evil.example", 421),
        ("evil.example:8420", 421),
        ("testserver.evil.example", 421),
        ("", 421),
    ],
)
def test_only_numbers_and_its_own_names_reach_this_server(store: Store, tmp_path: Path, host: str, status: int) -> None:
    assert browser(store, tmp_path).get("/healthz", headers={"host": host}).status_code == status


def test_signing_in_gives_a_cookie_that_is_not_the_token_and_a_new_token_ends_it(store: Store, tmp_path: Path) -> None:
    page = browser(store, tmp_path, TOKEN)
    assert page.post("/sign-in", data={"token": "wrong"}, headers=OWN).status_code == 403
    signed = page.post("/sign-in", data={"token": TOKEN}, headers={**OWN, "origin": "http://testserver"})
    assert signed.status_code == 303 and signed.headers["location"] == "/"
    cookie = signed.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
    assert page.get("/api/sources", headers=OWN).status_code == 200
    other = browser(store, tmp_path, TOKEN + "2")
    other.cookies = page.cookies
    assert other.get("/api/sources", headers=OWN).status_code == 401


def test_tries_to_sign_in_are_few(store: Store, tmp_path: Path) -> None:
    page = browser(store, tmp_path, TOKEN)
    statuses = [page.post("/sign-in", data={"token": f"guess {n}"}, headers=OWN).status_code for n in range(8)]
    assert statuses == [403] * 5 + [429] * 3


def test_large_bodies_are_refused_by_their_length_and_by_their_bytes(store: Store, tmp_path: Path) -> None:
    page = browser(store, tmp_path, body_mib=0.001)
    large = b'{"question": "' + b"x" * 5000 + b'"}'
    assert page.post("/api/ask", content=large, headers=OWN).status_code == 413

    def in_pieces() -> Iterator[bytes]:
        yield from (large[i : i + 100] for i in range(0, len(large), 100))

    assert page.post("/api/ask", content=in_pieces(), headers=OWN).status_code == 413


def test_one_address_asks_so_often_and_no_more_and_others_are_not_held_up() -> None:
    rates = Rates(2.0, 3.0)
    assert [rates.wait_s("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert rates.wait_s("b", 0.0) == 0.0
    assert rates.wait_s("a", 0.6) == 0.0


def test_too_many_requests_are_told_when_to_come_again(store: Store, tmp_path: Path) -> None:
    page = browser(store, tmp_path, requests_per_s=0.5)
    replies = [page.get("/healthz", headers=OWN) for _ in range(7)]
    assert {reply.status_code for reply in replies[:5]} == {200}
    assert replies[-1].status_code == 429 and int(replies[-1].headers["retry-after"]) >= 1


def test_what_is_answered_may_not_be_framed_kept_or_sniffed(store: Store, tmp_path: Path) -> None:
    page = browser(store, tmp_path)
    for path in ("/", "/api/sources", "/api/frame?id=clip/frame/000001000", "/nothing", "/assets/style.css"):
        headers = page.get(path, headers=OWN).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


def test_no_page_holds_a_script_or_style_of_its_own_nor_anything_from_elsewhere(store: Store, tmp_path: Path) -> None:
    page = browser(store, tmp_path)
    routes = [route.path for route in page.app.routes if isinstance(route, Route)]  # type: ignore[attr-defined]
    for path in (p for p in routes if p in ("/", "/timeline", "/ask", "/search", "/watch", "/memory", "/api")):
        text = page.get(path, headers=OWN).text
        assert "http://" not in text and "https://" not in text and " style=" not in text and "<script>" not in text


def test_the_token_is_its_owners_alone_and_made_once(tmp_path: Path) -> None:
    token, is_new = ensure_token(tmp_path)
    assert is_new and len(token) >= 32
    assert stat.S_IMODE((tmp_path / TOKEN_NAME).stat().st_mode) == 0o600
    assert ensure_token(tmp_path) == (token, False)
    (tmp_path / TOKEN_NAME).chmod(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        ensure_token(tmp_path)
    (tmp_path / TOKEN_NAME).chmod(0o600)
    (tmp_path / TOKEN_NAME).write_text("short")
    with pytest.raises(StoreError, match="no token"):
        ensure_token(tmp_path)


@pytest.mark.parametrize(
    ("serve", "wanted"),
    [
        (ServeConfig(), False),
        (ServeConfig(host="localhost"), False),
        (ServeConfig(host="::1"), False),
        (ServeConfig(sign_in="always"), True),
        (ServeConfig(host="0.0.0.0"), True),
        (ServeConfig(host="192.168.1.7"), True),
        (ServeConfig(host="attic.local"), True),
    ],
)
def test_only_this_machine_needs_no_token(serve: ServeConfig, wanted: bool) -> None:
    assert needs_token(serve) is wanted


def test_an_address_that_is_taken_and_a_certificate_that_is_none_are_one_line(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as taken, pytest.raises(UserError, match="cannot serve on"):
        bind("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(UserError, match="cannot serve on"):
        bind("no.such.host.invalid", 0)
    with pytest.raises(UserError, match="both"):
        check_tls(ServeConfig(certificate="a.pem"))
    with pytest.raises(UserError, match="no file"):
        check_tls(ServeConfig(certificate="a.pem", key="b.pem"))
    for name in ("a.pem", "b.pem"):
        (tmp_path / name).write_text("nothing")
    with pytest.raises(UserError, match="no certificate"):
        check_tls(ServeConfig(certificate=str(tmp_path / "a.pem"), key=str(tmp_path / "b.pem")))
