"""Mail over SMTP and a POST with JSON: taken, or not and why, and never a secret in the words."""

import base64
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from integrations.telling import MailServer, NotSent, mail, post
from tests.integrations.vendor import Reply, Vendor, empty
from tests.mailbox import Mailbox, Tls, write_certificate

TOLD = {"to": "operator@acme.example", "subject": "acme: 1 failing", "text": "FAILS acme\n", "message_id": "notice-1"}


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as opened:
        yield opened


def at(mailbox: Mailbox, user: str = "") -> MailServer:
    return MailServer.parse(f"smtp://{user}127.0.0.1:{mailbox.port}")


def test_an_address_of_a_mail_server_is_read_with_its_odd_letters():
    server = MailServer.parse("smtp://me%40acme.example:p%3Aw%40rd@mail.acme.example")
    assert (server.host, server.port, server.is_tls) == ("mail.acme.example", 587, False)
    assert (server.user, server.password) == ("me@acme.example", "p:w@rd")
    assert "p:w" not in repr(server)
    assert MailServer.parse("smtps://mail.acme.example").port == 465
    assert MailServer.parse("smtps://mail.acme.example:2465").is_tls


def test_a_letter_is_handed_over(mailbox: Mailbox):
    mail(at(mailbox), **TOLD)
    (letter,) = mailbox.letters
    assert (letter["To"], letter["Subject"]) == ("operator@acme.example", "acme: 1 failing")
    assert letter["Message-ID"] == "<notice-1@acme.example>"
    assert letter.get_content() == "FAILS acme\n"
    assert mailbox.logins == []


def test_a_login_is_used_where_there_is_one(mailbox: Mailbox):
    mail(at(mailbox, "me:password@"), **TOLD)
    assert base64.b64decode(mailbox.logins[0].split()[-1]) == b"\0me\0password"


PRIVATE: list[Tls] = [way for way in get_args(Tls) if way]
SCHEMES = {"starttls": "smtp", "smtps": "smtps"}


@pytest.mark.parametrize("way", PRIVATE)
def test_a_letter_and_its_login_are_encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Tls):
    certificate = write_certificate(tmp_path / "mail.pem", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # trusted, as one of the system's would be
    with Mailbox(tls=way, certificate=certificate) as mailbox:
        mail(MailServer.parse(f"{SCHEMES[way]}://me:password@127.0.0.1:{mailbox.port}"), **TOLD)
    assert [letter["Subject"] for letter in mailbox.letters] == ["acme: 1 failing"]
    assert mailbox.private == [True]


@pytest.mark.parametrize("host", ["127.0.0.1", "mail.acme.example"], ids=["nobody's word", "another's name"])
@pytest.mark.parametrize("way", PRIVATE)
def test_a_server_that_cannot_prove_who_it_is_gets_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Tls, host: str
):
    certificate = write_certificate(tmp_path / "mail.pem", host)
    if host != "127.0.0.1":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Mailbox(tls=way, certificate=certificate) as mailbox:
        server = MailServer.parse(f"{SCHEMES[way]}://me:password@127.0.0.1:{mailbox.port}")
        with pytest.raises(NotSent, match="SSLCertVerificationError"):
            mail(server, **TOLD)
    assert (mailbox.letters, mailbox.logins) == ([], [])


def test_no_password_is_sent_over_an_open_line(mailbox: Mailbox):
    """To this very machine, by a name that does not say so."""
    host = socket.gethostname()
    try:
        socket.create_connection((host, mailbox.port), 5).close()
    except OSError:
        pytest.skip("this machine's own name does not lead to its loopback")
    with pytest.raises(NotSent, match="offers no encryption"):
        mail(MailServer.parse(f"smtp://me:password@{host}:{mailbox.port}"), **TOLD)
    assert (mailbox.letters, mailbox.logins) == ([], [])
    mail(MailServer.parse(f"smtp://{host}:{mailbox.port}"), **TOLD)
    assert len(mailbox.letters) == 1


def test_what_is_not_taken_is_told_without_secrets(mailbox: Mailbox):
    mailbox.refuse = "552 me:password is over quota"
    with pytest.raises(NotSent, match="answered 552") as told:
        mail(at(mailbox, "me:password@"), **TOLD)
    assert "password" not in str(told.value)


def test_nobody_there_is_told():
    with pytest.raises(NotSent, match="ConnectionRefusedError"):
        mail(MailServer.parse("smtp://127.0.0.1:1"), **TOLD)


def test_a_post_is_json_and_nothing_of_its_address_is_told(vendor: Vendor):
    vendor.will(empty(204), empty(500), empty(302, Location="http://127.0.0.1:1/"), Reply(act="reset"))
    post(f"{vendor.url}/hooks/very-secret", {"subject": "acme"})
    assert vendor.last.json == {"subject": "acme"}
    for _ in range(3):
        with pytest.raises(NotSent) as told:
            post(f"{vendor.url}/hooks/very-secret", {"subject": "acme"})
        assert "very-secret" not in str(told.value)
    assert len(vendor.seen) == 4
