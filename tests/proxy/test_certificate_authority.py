import asyncio
import ipaddress
import os
import ssl
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from mitmproxy.certs import CertStore

from llmrouter.proxy.certificate_authority import KEY_AND_CERT, CaError, ensure_ca
from llmrouter.proxy.trust_files import BUNDLE, CERT

HOST = "api.openai.com"
NOW = datetime.now(UTC).replace(microsecond=0)


def read_cert(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / CERT).read_bytes())


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_first_start_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    before = os.umask(0)
    try:
        result = ensure_ca(folder, [HOST], NOW)
    finally:
        os.umask(before)
    assert (result.action, result.cert_file) == ("made", folder / CERT)
    assert HOST in result.message
    assert mode(folder / KEY_AND_CERT) == 0o600
    assert (folder / KEY_AND_CERT).read_bytes().endswith((folder / CERT).read_bytes())


def test_no_secret_stands_in_the_files_that_apps_are_given(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST], NOW)
    assert [name for name, content in contents(tmp_path).items() if b"PRIVATE" in content] == [KEY_AND_CERT]


def test_the_certificate_can_sign_for_the_hosts_and_nothing_else(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST, "another.example"], NOW)
    cert = read_cert(tmp_path)
    constraints = cert.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert constraints.value.permitted_subtrees == [x509.DNSName("another.example"), x509.DNSName(HOST)]
    excluded = [x509.IPAddress(ipaddress.ip_network(network)) for network in ("0.0.0.0/0", "::/0")]
    assert constraints.value.excluded_subtrees == excluded
    basic = cert.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value) == (True, x509.BasicConstraints(ca=True, path_length=0))
    usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_it_holds_for_825_days_from_two_days_ago(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST], NOW)
    cert = read_cert(tmp_path)
    assert cert.not_valid_before_utc == NOW - timedelta(days=2)
    assert cert.not_valid_after_utc - cert.not_valid_before_utc == timedelta(days=825)


def test_a_second_start_keeps_every_byte_whatever_the_order_of_the_hosts(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST, "another.example"], NOW)
    before = contents(tmp_path)
    result = ensure_ca(tmp_path, ["another.example", HOST], NOW + timedelta(days=1))
    assert result.action == "kept"
    assert contents(tmp_path) == before


def test_a_key_that_others_could_read_is_locked_again(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST], NOW)
    (tmp_path / KEY_AND_CERT).chmod(0o644)
    ensure_ca(tmp_path, [HOST], NOW)
    assert mode(tmp_path / KEY_AND_CERT) == 0o600


@pytest.mark.parametrize("missing", [CERT, BUNDLE])
def test_a_lost_public_file_comes_back(tmp_path: Path, missing: str) -> None:
    ensure_ca(tmp_path, [HOST], NOW)
    before = contents(tmp_path)
    (tmp_path / missing).unlink()
    assert ensure_ca(tmp_path, [HOST], NOW).action == "kept"
    assert contents(tmp_path) == before


def test_a_public_certificate_of_an_older_key_is_replaced(tmp_path: Path) -> None:
    """A crash between the two writes of a renewal leaves them apart; clients would trust the wrong one."""
    ensure_ca(tmp_path, [HOST], NOW)
    old = (tmp_path / CERT).read_bytes()
    ensure_ca(tmp_path, ["another.example"], NOW)
    (tmp_path / CERT).write_bytes(old)
    assert ensure_ca(tmp_path, ["another.example"], NOW).action == "kept"
    assert (tmp_path / KEY_AND_CERT).read_bytes().endswith((tmp_path / CERT).read_bytes())


def test_other_hosts_make_it_new_and_say_so(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST], NOW)
    before = read_cert(tmp_path)
    result = ensure_ca(tmp_path, ["another.example"], NOW)
    assert result.action == "renewed"
    assert "changed" in result.message
    assert "another.example" in result.message
    assert read_cert(tmp_path).public_key() != before.public_key()
    assert mode(tmp_path / KEY_AND_CERT) == 0o600


@pytest.mark.parametrize(("days", "action"), [(792, "kept"), (794, "renewed"), (900, "renewed")])
def test_it_is_renewed_within_30_days_of_its_end(tmp_path: Path, days: int, action: str) -> None:
    ensure_ca(tmp_path, [HOST], NOW)
    assert ensure_ca(tmp_path, [HOST], NOW + timedelta(days=days)).action == action


def test_one_that_a_wrong_clock_put_into_the_future_is_made_anew(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST], NOW + timedelta(days=400))
    assert ensure_ca(tmp_path, [HOST], NOW).action == "renewed"
    assert read_cert(tmp_path).not_valid_before_utc < NOW


def test_a_host_named_twice_is_one(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST, HOST], NOW)
    assert ensure_ca(tmp_path, [HOST], NOW).action == "kept"


def test_starts_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    starts = 6
    together = threading.Barrier(starts)

    def start(_: int) -> tuple[str, bytes]:
        together.wait()
        action = ensure_ca(tmp_path, [HOST], NOW).action
        return action, (tmp_path / KEY_AND_CERT).read_bytes()

    with ThreadPoolExecutor(starts) as pool:
        results = list(pool.map(start, range(starts)))
    assert sorted(action for action, _ in results) == ["kept"] * (starts - 1) + ["made"]
    assert len({key for _, key in results}) == 1
    assert results[0][1].endswith((tmp_path / CERT).read_bytes())


def test_many_hosts_still_make_a_valid_name(tmp_path: Path) -> None:
    """A common name may have 64 characters (RFC 5280, appendix A)."""
    hosts = [f"host-{number}.of-a-long-domain.example" for number in range(9)]
    ensure_ca(tmp_path, hosts, NOW)
    (name,) = read_cert(tmp_path).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert len(name.value) == 64
    assert ensure_ca(tmp_path, hosts, NOW).action == "kept"


def test_nothing_but_the_files_is_left_behind(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST], NOW)
    ensure_ca(tmp_path, ["another.example"], NOW)
    assert sorted(contents(tmp_path)) == sorted([KEY_AND_CERT, CERT, BUNDLE])


def foreign_ca(folder: Path, constraints: x509.NameConstraints | None) -> bytes:
    """The file of a CA that a company made for itself, which is valid for nine days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Some Company")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=9))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if constraints:
        builder = builder.add_extension(constraints, critical=True)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    content = secret + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    (folder / KEY_AND_CERT).write_bytes(content)
    return content


def permitting(name: str) -> x509.NameConstraints:
    return x509.NameConstraints([x509.DNSName(name)], None)


def excluding(name: str) -> x509.NameConstraints:
    return x509.NameConstraints(None, [x509.DNSName(name)])


ADDRESSES_ALONE = x509.NameConstraints([x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))], None)


@pytest.mark.parametrize(
    ("constraints", "is_warned"),
    [
        (None, False),
        (permitting(HOST), False),
        (permitting("OpenAI.com"), False),
        (permitting(".openai.com"), False),
        (permitting(""), False),
        (permitting("company.example"), True),
        (permitting("i.openai.com"), True),
        (excluding("company.example"), False),
        (excluding("openai.com"), True),
        (ADDRESSES_ALONE, False),
    ],
)
def test_a_ca_that_the_user_put_there_stays_byte_for_byte(
    tmp_path: Path, constraints: x509.NameConstraints | None, is_warned: bool
) -> None:
    content = foreign_ca(tmp_path, constraints)
    result = ensure_ca(tmp_path, [HOST], NOW)
    assert result.action == "foreign"
    assert (f"do not allow {HOST}" in result.message) == is_warned
    assert (tmp_path / KEY_AND_CERT).read_bytes() == content


@pytest.mark.parametrize(("days", "is_warned"), [(-1, True), (8, False), (10, True)])
def test_a_ca_of_the_user_that_is_not_valid_now_stays_and_is_told(tmp_path: Path, days: int, is_warned: bool) -> None:
    content = foreign_ca(tmp_path, None)
    result = ensure_ca(tmp_path, [HOST], NOW + timedelta(days=days))
    assert (result.action, "It is valid from" in result.message) == ("foreign", is_warned)
    assert (tmp_path / KEY_AND_CERT).read_bytes() == content


def test_a_public_certificate_that_the_user_put_there_stays_too(tmp_path: Path) -> None:
    """It may be a whole chain, which their apps need as it is."""
    foreign_ca(tmp_path, None)
    (tmp_path / CERT).write_bytes(b"a chain of theirs\n")
    ensure_ca(tmp_path, [HOST], NOW)
    assert (tmp_path / CERT).read_bytes() == b"a chain of theirs\n"


def test_a_certificate_of_the_user_without_its_key_stays(tmp_path: Path) -> None:
    (tmp_path / CERT).write_bytes(b"a chain of theirs\n")
    with pytest.raises(CaError, match="its key is missing"):
        ensure_ca(tmp_path, [HOST], NOW)
    assert contents(tmp_path) == {CERT: b"a chain of theirs\n"}


def test_our_own_certificate_without_its_key_is_made_anew(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST], NOW)
    (tmp_path / KEY_AND_CERT).unlink()
    assert ensure_ca(tmp_path, [HOST], NOW).action == "made"


def test_a_link_to_a_ca_that_is_away_stays(tmp_path: Path) -> None:
    """A CA on a medium that is not mounted at the moment is still the user's."""
    (tmp_path / KEY_AND_CERT).symlink_to(tmp_path / "unmounted" / "ca.pem")
    with pytest.raises(CaError, match="No such file"):
        ensure_ca(tmp_path, [HOST], NOW)
    assert (tmp_path / KEY_AND_CERT).is_symlink()


@pytest.mark.parametrize("in_the_way", ["certs", f"certs/{BUNDLE}/a folder"])
def test_a_folder_that_cannot_be_used_is_reported(tmp_path: Path, in_the_way: str) -> None:
    (tmp_path / in_the_way).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / in_the_way).write_bytes(b"")
    with pytest.raises(CaError, match=r"certs cannot be used as the CA's folder: .*(exists|directory)"):
        ensure_ca(tmp_path / "certs", [HOST], NOW)


def broken_files() -> dict[str, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"empty": b"", "no PEM": b"\x00\xff hello", "key only": secret, "half a key": secret[:50]}


@pytest.mark.parametrize("case", ["empty", "no PEM", "key only", "half a key"])
def test_a_broken_file_is_reported_and_left_alone(tmp_path: Path, case: str) -> None:
    content = broken_files()[case]
    (tmp_path / KEY_AND_CERT).write_bytes(content)
    with pytest.raises(CaError, match=r"mitmproxy-ca\.pem cannot be used as a CA"):
        ensure_ca(tmp_path, [HOST], NOW)
    assert contents(tmp_path) == {KEY_AND_CERT: content}


def test_a_certificate_without_its_key_is_reported(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST], NOW)
    (tmp_path / KEY_AND_CERT).write_bytes((tmp_path / CERT).read_bytes())
    with pytest.raises(CaError, match="private key"):
        ensure_ca(tmp_path, [HOST], NOW)


def test_a_certificate_of_another_key_is_reported(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST], NOW)
    (tmp_path / KEY_AND_CERT).write_bytes(broken_files()["key only"] + (tmp_path / CERT).read_bytes())
    with pytest.raises(CaError, match="another key"):
        ensure_ca(tmp_path, [HOST], NOW)


def test_the_bundle_adds_our_ca_to_the_public_roots(tmp_path: Path) -> None:
    """SSL_CERT_FILE replaces a client's trust store, so the roots that it had must be in it."""
    ensure_ca(tmp_path, [HOST], NOW)
    begin = b"-----BEGIN CERTIFICATE-----"
    roots, _, last = (tmp_path / BUNDLE).read_bytes().rpartition(begin)
    assert begin + last == (tmp_path / CERT).read_bytes()
    assert roots.count(begin) > 50


@pytest.mark.parametrize("named", [BUNDLE, CERT])
def test_the_bundle_stays_as_it_is_where_the_shell_already_trusts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """`scripts/serve` prints an SSL_CERT_FILE to export, perhaps in the shell that starts the router next."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    ensure_ca(tmp_path, [HOST], NOW)
    before = contents(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / named))
    ensure_ca(tmp_path, [HOST], NOW)
    assert contents(tmp_path) == before


def test_the_bundle_keeps_the_roots_that_the_user_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "company.pem").write_bytes(b"roots of a company\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "company.pem"))
    ensure_ca(tmp_path / "certs", [HOST], NOW)
    assert (tmp_path / "certs" / BUNDLE).read_bytes().startswith(b"roots of a company\n-----BEGIN")


async def handshake(folder: Path, host: str) -> None:
    """A TLS handshake on loopback with a certificate that mitmproxy signs for `host`; raises the client's refusal."""
    store = CertStore.from_store(folder, "mitmproxy", 2048)
    entry = store.get_cert(host, [x509.DNSName(host)])
    server_file = folder / "server.pem"
    secret = entry.privatekey.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    server_file.write_bytes(secret + entry.cert.to_pem())
    of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    of_server.load_cert_chain(server_file)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=of_server)
    async with server:
        port = server.sockets[0].getsockname()[1]
        trusts_our_ca = ssl.create_default_context(cafile=str(folder / CERT))
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusts_our_ca, server_hostname=host)
        writer.close()
        await writer.wait_closed()


async def test_clients_accept_what_mitmproxy_signs_for_the_host(tmp_path: Path) -> None:
    ensure_ca(tmp_path, [HOST], NOW)
    await handshake(tmp_path, HOST)


@pytest.mark.parametrize("host", ["evil.example", "openai.com", "notapi.openai.com"])
async def test_clients_refuse_what_it_signs_for_any_other(tmp_path: Path, host: str) -> None:
    """A stolen key is worthless elsewhere."""
    ensure_ca(tmp_path, [HOST], NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        await handshake(tmp_path, host)
