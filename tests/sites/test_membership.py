"""Tokens, files that are their owner's alone, and what a site may do at the hub."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import msgspec
import pytest

from memory.upkeep import encryption
from runtime.encryption import new_lock
from runtime.errors import UserError
from runtime.interfaces.commands.sites import join
from runtime.messages import Hello
from runtime.sites.certificates import CERTIFICATE_FILE, KEY_FILE, ensure_certificate
from runtime.sites.greeting import differs, last_link_error
from runtime.sites.link import connected
from runtime.sites.membership import SENT_PLAIN, Access, Hub, Membership, as_token, read_hub, read_token, write_hub
from runtime.sites.names import PROTOCOL, checked_site, seq_of, split
from runtime.sites.server_config import hub_config, may_publish
from tests.fixtures.memory_cases import memory_of, say, stream

MEMBER = Membership(site="shop", url="nats-leaf://shop:secret@10.0.0.1:7422", ca="-----BEGIN", pictures=True)


def test_a_token_brings_back_what_it_was_made_of() -> None:
    assert read_token(f"  {as_token(MEMBER)}\n") == MEMBER


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-3], lambda t: t[6:], lambda t: t.replace("1", "2"), lambda t: "", str.upper]
)
def test_what_is_no_whole_token_is_told_in_one_line(spoil: object) -> None:
    assert callable(spoil)
    with pytest.raises(UserError, match="no whole token") as raised:
        read_token(spoil(as_token(MEMBER)))
    assert "\n" not in str(raised.value)


def test_a_token_of_another_version_says_so() -> None:
    with pytest.raises(UserError, match=f"protocol 9, this program speaks {PROTOCOL}"):
        read_token(as_token(msgspec.structs.replace(MEMBER, protocol=9)))


@pytest.mark.parametrize("name", ["", "Shop", "a.b", "a b", "hub", "mind", "x" * 25, "*", ">", "-a", "ä"])
def test_a_name_that_would_mean_something_in_a_subject_is_none(name: str) -> None:
    with pytest.raises(UserError, match="no name of a site"):
        checked_site(name)


def test_what_is_secret_is_its_owners_alone(tmp_path: Path) -> None:
    write_hub(tmp_path / "hub", Hub(password="secret", sites={"shop": Access("word")}))
    mode = (tmp_path / "hub" / "hub.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert read_hub(tmp_path / "hub").sites == {"shop": Access("word")}


def test_a_folder_without_a_hub_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`sites up` makes one"):
        read_hub(tmp_path)


def test_a_site_may_publish_its_own_subjects_and_answers_alone() -> None:
    assert {
        subject.split(".")[1] for subject in may_publish("shop") if subject.startswith(("mind", "$JS.", "mirror"))
    } == {"shop"}
    config = hub_config(Hub(password="x", sites={"shop": Access("y")}), Path("/nowhere"))
    assert '"mind.shop.>"' in config
    assert "mind.>" not in config
    assert "tls" not in config


def test_beyond_this_machine_the_hub_has_a_certificate_that_the_token_vouches_for(tmp_path: Path) -> None:
    ca = ensure_certificate(tmp_path, ("192.168.1.5", "localhost"))
    assert ensure_certificate(tmp_path, ("192.168.1.5", "localhost")) == ca
    context = ssl.create_default_context(cadata=ca)
    assert context.verify_mode == ssl.CERT_REQUIRED
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / CERTIFICATE_FILE, tmp_path / KEY_FILE)
    _shake_hands(context, server, "192.168.1.5")
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(context, server, "192.168.1.6")
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(ssl.create_default_context(), server, "192.168.1.5")
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    hub = Hub(host="192.168.1.5", password="x", names=("192.168.1.5", "localhost"))
    assert f'cert_file: "{tmp_path / CERTIFICATE_FILE}"' in hub_config(hub, tmp_path)


def _shake_hands(client_side: ssl.SSLContext, server_side: ssl.SSLContext, name: str) -> None:
    """A TLS handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    done = 0
    while done < 2:
        done = 0
        for side in (client, server):
            try:
                side.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                pass


def test_a_clock_that_is_off_by_an_hour_is_told_and_a_moment_is_not() -> None:
    told = differs(Hello(name="shop", version="1", protocol=PROTOCOL, wall_s=4600.0), 1000.0, 1000.2)
    assert told == "the clock of shop is 3600 s ahead of this machine's; set one of them (NTP)"
    assert not differs(Hello(name="shop", version="1", protocol=PROTOCOL, wall_s=1002.0), 1000.0, 1000.2)


def test_versions_that_differ_are_told_in_one_line() -> None:
    told = differs(Hello(name="hub", version="7.0", protocol=PROTOCOL + 1, wall_s=0.0), 0.0, 0.0)
    assert told.startswith(f"the hub runs version 7.0 (protocol {PROTOCOL + 1}), this machine ")


def test_why_a_link_is_away_is_what_was_said_of_it_last(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    assert last_link_error(log) == ""
    log.write_text("[1] [ERR] connection refused\n[1] [INF] Leafnode connection created\n", encoding="utf-8")
    assert last_link_error(log) == ""
    log.write_text("[1] [INF] Leafnode connection created\n[1] x [ERR] Authorization Violation\n", encoding="utf-8")
    assert last_link_error(log) == "Authorization Violation"


@pytest.mark.anyio
async def test_a_server_that_is_not_there_is_one_line_without_its_password() -> None:
    with pytest.raises(UserError, match=r"no NATS server answers at nats://mind:\*\*\*@127\.0\.0\.1:9") as raised:
        async with connected("nats://mind:secret@127.0.0.1:9"):
            pass
    assert "secret" not in str(raised.value)


def test_sources_and_ids_are_of_the_site_before_their_first_slash() -> None:
    assert split("shop/talk/1.mp4/frame/000", ("shop", "lab")) == ("shop", "talk/1.mp4/frame/000")
    assert split("talk/1.mp4", ("shop", "lab")) == ("", "talk/1.mp4")
    assert seq_of("mind.shop.log.o.17.aabb") == 17
    assert seq_of("mind.shop.log.state") == 0


def test_that_an_encrypted_memory_is_sent_plain_is_said_when_it_joins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = as_token(Membership(site="shop", url="nats-leaf://shop:secret@127.0.0.1:7422"))
    join(tmp_path / "plain", token)
    assert "encrypted" not in capsys.readouterr().err
    lock, key = new_lock("seven blue lamps")
    memory_of(tmp_path / "locked", stream(say(1.0, 3.0, "the keys are here"), end_s=5.0)).close()
    encryption.encrypt(tmp_path / "locked", lock, key, None)
    join(tmp_path / "locked", token)
    told = " ".join(capsys.readouterr().err.split())
    assert SENT_PLAIN in told and "secret" not in told
