"""The local CA: an EC key that can sign for the intercepted hosts and, by X.509 name constraints, for nothing else.

The files are those that mitmproxy reads from its `confdir` (mitmproxy/certs.py, CertStore.from_store).
"""

import fcntl
import ipaddress
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from llmrouter.proxy.trust_bundle import write_bundle
from llmrouter.proxy.trust_files import CERT
from llmrouter.proxy.whole_files import write_if_changed, write_whole

KEY_AND_CERT = "mitmproxy-ca.pem"

_ORGANIZATION = "llmrouter"
_BACKDATED = timedelta(days=2)
_LIFETIME = timedelta(days=825)
_RENEWED_BEFORE_END = timedelta(days=30)
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
_EVERY_ADDRESS = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


class CaError(ValueError):
    """The files in the CA's folder cannot be used; they are left as they are."""


@dataclass(frozen=True, slots=True)
class CaResult:
    """The CA's certificate, what was done about it, and a sentence for the log."""

    cert_file: Path
    action: Literal["kept", "made", "renewed", "foreign"]
    message: str


@dataclass(frozen=True, slots=True)
class CaFacts:
    """A CA that was looked at: `allowed` are the DNS names that it may sign for, None for all of them.

    `doubts` say why clients will refuse what it signs, `mode` are the permissions of the file with its key.
    """

    cert: x509.Certificate
    is_ours: bool
    allowed: tuple[str, ...] | None
    doubts: tuple[str, ...]
    mode: int

    @property
    def fingerprint(self) -> str:
        """SHA-256, as other programs show it."""
        return self.cert.fingerprint(hashes.SHA256()).hex(":").upper()


def ensure_ca(directory: Path, hosts: Sequence[str], now: datetime) -> CaResult:
    """Makes the CA where there is none, renews our own where hosts or time ask for it, and never touches another's.

    `hosts` are ASCII DNS names, at least one; their order does not matter. Raises `CaError` for files that cannot be
    read as a CA, and for a folder that cannot be used.
    """
    names = sorted(set(hosts))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _alone_in(directory):
            result = _ensure(directory, names, now)
            write_bundle(directory)
    except OSError as error:
        raise CaError(f"{directory} cannot be used as the CA's folder: {error}") from error
    return result


def look_at_ca(directory: Path, hosts: Sequence[str], now: datetime) -> CaFacts:
    """What lies there, which is not touched; raises `CaError` where there is no CA or it cannot be read."""
    file = directory / KEY_AND_CERT
    if not file.exists():
        raise CaError(f"There is no CA in {directory} yet.")
    cert = _read(file)
    permitted = _subtrees(cert).permitted
    allowed = None if permitted is None else tuple(sorted(permitted))
    return CaFacts(cert, _is_ours(cert), allowed, tuple(_doubts(cert, hosts, now)), stat.S_IMODE(file.stat().st_mode))


def rotate_ca(directory: Path, hosts: Sequence[str], now: datetime) -> CaResult:
    """Makes our CA anew, with another key; raises `CaError` where the CA is the user's, which is never touched."""
    names = sorted(set(hosts))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _alone_in(directory):
            file = directory / KEY_AND_CERT
            if os.path.lexists(file) and not _is_ours(_read(file)):
                raise CaError(f"{file} is a CA that you put there, so it is left as it is.")
            _make(directory, names, now)
            write_bundle(directory)
    except OSError as error:
        raise CaError(f"{directory} cannot be used as the CA's folder: {error}") from error
    return CaResult(directory / CERT, "made", f"Made a new CA for {', '.join(names)} alone.")


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keeps other starts out of the folder: between them, one key and another's certificate would stay behind."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        # Some network file systems cannot lock a folder.
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _ensure(directory: Path, hosts: Sequence[str], now: datetime) -> CaResult:
    file, cert_file = directory / KEY_AND_CERT, directory / CERT
    # A link to a file that is not there at the moment is still the user's.
    if os.path.lexists(file):
        return _look_after(directory, _read(file), hosts, now)
    if os.path.lexists(cert_file) and not _is_our_file(cert_file):
        raise CaError(f"{cert_file} is a certificate that you put there, but its key is missing: {file}.")
    _make(directory, hosts, now)
    made = f"Made a new CA for {', '.join(hosts)} alone. Let your apps trust {cert_file}."
    return CaResult(cert_file, "made", made)


def _look_after(directory: Path, cert: x509.Certificate, hosts: Sequence[str], now: datetime) -> CaResult:
    cert_file = directory / CERT
    if not _is_ours(cert):
        text = " ".join([f"Using the CA that you put into {directory}, as it is.", *_doubts(cert, hosts, now)])
        if not os.path.lexists(cert_file):
            write_whole(cert_file, cert.public_bytes(Encoding.PEM), 0o644)
        return CaResult(cert_file, "foreign", text)
    if _subtrees(cert).permitted != frozenset(hosts):
        _make(directory, hosts, now)
        text = f"The intercepted hosts changed, so the CA was made anew for {', '.join(hosts)}."
        return CaResult(cert_file, "renewed", f"{text} Let your apps trust {cert_file} again.")
    begin, end = cert.not_valid_before_utc, cert.not_valid_after_utc
    # A clock that was wrong at the first start can have put the beginning into the future.
    if not begin <= now <= end - _RENEWED_BEFORE_END:
        _make(directory, hosts, now)
        text = f"The CA was valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d} and was made anew."
        return CaResult(cert_file, "renewed", f"{text} Let your apps trust {cert_file} again.")
    (directory / KEY_AND_CERT).chmod(0o600)
    write_if_changed(cert_file, cert.public_bytes(Encoding.PEM))
    return CaResult(cert_file, "kept", f"The CA in {directory} is for {', '.join(hosts)} alone.")


def _doubts(cert: x509.Certificate, hosts: Sequence[str], now: datetime) -> list[str]:
    """Why clients will refuse what a CA of the user signs, a sentence each."""
    doubts = []
    if not cert.not_valid_before_utc <= now <= cert.not_valid_after_utc:
        doubts.append(f"It is valid from {cert.not_valid_before_utc} to {cert.not_valid_after_utc} alone.")
    subtrees = _subtrees(cert)
    outside = [host for host in hosts if not subtrees.allow(host)]
    if outside:
        names = ", ".join(outside)
        doubts.append(f"Its name constraints do not allow {names}: clients will refuse those hosts.")
    return doubts


def _read(file: Path) -> x509.Certificate:
    try:
        content = file.read_bytes()
        key = load_pem_private_key(content, None)
        cert = x509.load_pem_x509_certificate(content)
        _subtrees(cert)
    except (OSError, *_UNREADABLE) as error:
        raise CaError(
            f"{file} cannot be used as a CA: it must hold a private key without password and its certificate, as PEM. "
            f"Move it away to have one made. ({error})"
        ) from error
    if cert.public_key() != key.public_key():
        raise CaError(f"{file} cannot be used as a CA: its certificate belongs to another key. Move it away.")
    return cert


def _is_our_file(cert_file: Path) -> bool:
    try:
        return _is_ours(x509.load_pem_x509_certificate(cert_file.read_bytes()))
    except (OSError, *_UNREADABLE):
        return False


def _is_ours(cert: x509.Certificate) -> bool:
    organizations = cert.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return [name.value for name in organizations] == [_ORGANIZATION] and _subtrees(cert).permitted is not None


@dataclass(frozen=True, slots=True)
class _Subtrees:
    """The DNS names that a CA may sign for, None for all, but for the excluded ones (RFC 5280, section 4.2.1.10)."""

    permitted: frozenset[str] | None
    excluded: frozenset[str]

    def allow(self, host: str) -> bool:
        is_permitted = self.permitted is None or _is_within(self.permitted, host)
        return is_permitted and not _is_within(self.excluded, host)


def _subtrees(cert: x509.Certificate) -> _Subtrees:
    try:
        constraints = cert.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return _Subtrees(None, frozenset())
    # Constraints on other kinds of names alone leave DNS names free.
    return _Subtrees(_dns_names(constraints.permitted_subtrees) or None, _dns_names(constraints.excluded_subtrees))


def _dns_names(names: Sequence[x509.GeneralName] | None) -> frozenset[str]:
    return frozenset(name.value.lower() for name in names or () if isinstance(name, x509.DNSName))


def _is_within(subtrees: frozenset[str], host: str) -> bool:
    return any(not name or host == name or host.endswith("." + name.lstrip(".")) for name in subtrees)


def _make(directory: Path, hosts: Sequence[str], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    cert = _self_signed(key, hosts, now)
    pem = cert.public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    write_whole(directory / KEY_AND_CERT, secret + pem, 0o600)
    write_whole(directory / CERT, pem, 0o644)


def _self_signed(key: ec.EllipticCurvePrivateKey, hosts: Sequence[str], now: datetime) -> x509.Certificate:
    label = ", ".join(hosts)
    name = x509.Name(
        [
            # RFC 5280 allows 64 characters.
            x509.NameAttribute(NameOID.COMMON_NAME, f"llmrouter CA ({label})"[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
        ]
    )
    usage = {use: False for use in ("digital_signature", "content_commitment", "key_encipherment")}
    usage |= {use: False for use in ("data_encipherment", "key_agreement", "encipher_only", "decipher_only")}
    constraints = x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(host) for host in hosts],
        excluded_subtrees=[x509.IPAddress(network) for network in _EVERY_ADDRESS],
    )
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(x509.random_serial_number())
        .public_key(public)
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now - _BACKDATED + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(constraints, critical=True)
        .sign(key, hashes.SHA256())
    )
