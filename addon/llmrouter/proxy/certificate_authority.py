"""The local CA: an EC key that can sign for the intercepted hosts and, by X.509 name constraints, for nothing else.

The files are those that mitmproxy reads from its `confdir` (mitmproxy/certs.py, CertStore.from_store).
"""

import ipaddress
import os
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEY_AND_CERT = "mitmproxy-ca.pem"
CERT = "mitmproxy-ca-cert.pem"
BUNDLE = "ca-bundle.pem"

_ORGANIZATION = "llmrouter"
_BACKDATED = timedelta(days=2)
_LIFETIME = timedelta(days=825)
_RENEWED_BEFORE_END = timedelta(days=30)
_EVERY_ADDRESS = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


class CaError(ValueError):
    """The files in the CA's folder cannot be used; they are left as they are."""


@dataclass(frozen=True, slots=True)
class CaResult:
    """The CA's certificate, what was done about it, and a sentence for the log."""

    cert_file: Path
    action: Literal["kept", "made", "renewed", "foreign"]
    message: str


def ensure_ca(directory: Path, hosts: Sequence[str], now: datetime) -> CaResult:
    """Makes the CA where there is none, renews our own where hosts or time ask for it, and never touches another's.

    Raises `CaError` for files that cannot be read as a CA.
    """
    file = directory / KEY_AND_CERT
    cert_file = directory / CERT
    if not file.exists():
        _make(directory, hosts, now)
        made = f"Made a new CA for {', '.join(sorted(hosts))} alone. Let your apps trust {cert_file}."
        result = CaResult(cert_file, "made", made)
    else:
        result = _look_after(directory, _read(file), hosts, now)
    _write_bundle(directory)
    return result


def _look_after(directory: Path, cert: x509.Certificate, hosts: Sequence[str], now: datetime) -> CaResult:
    cert_file = directory / CERT
    permitted = _permitted_hosts(cert)
    if not _is_ours(cert):
        outside = [host for host in hosts if permitted is not None and not _covers(permitted, host)]
        text = f"Using the CA that you put into {directory}, as it is."
        if outside:
            text += f" Its name constraints do not allow {', '.join(outside)}: clients will refuse those hosts."
        if not cert_file.exists():
            _write(cert_file, cert.public_bytes(Encoding.PEM), 0o644)
        return CaResult(cert_file, "foreign", text)
    if permitted != frozenset(hosts):
        _make(directory, hosts, now)
        text = f"The intercepted hosts changed, so the CA was made anew for {', '.join(sorted(hosts))}."
        return CaResult(cert_file, "renewed", f"{text} Let your apps trust {cert_file} again.")
    if cert.not_valid_after_utc - now < _RENEWED_BEFORE_END:
        _make(directory, hosts, now)
        text = f"The CA was about to expire and was made anew. Let your apps trust {cert_file} again."
        return CaResult(cert_file, "renewed", text)
    (directory / KEY_AND_CERT).chmod(0o600)
    _write_if_changed(cert_file, cert.public_bytes(Encoding.PEM))
    return CaResult(cert_file, "kept", f"The CA in {directory} is for {', '.join(sorted(hosts))} alone.")


def _read(file: Path) -> x509.Certificate:
    try:
        content = file.read_bytes()
        key = load_pem_private_key(content, None)
        cert = x509.load_pem_x509_certificate(content)
    except (OSError, ValueError, TypeError) as error:
        raise CaError(
            f"{file} cannot be used as a CA: it must hold a private key without password and its certificate, as PEM. "
            f"Move it away to have one made. ({error})"
        ) from error
    if cert.public_key() != key.public_key():
        raise CaError(f"{file} cannot be used as a CA: its certificate belongs to another key. Move it away.")
    return cert


def _is_ours(cert: x509.Certificate) -> bool:
    organizations = cert.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return [name.value for name in organizations] == [_ORGANIZATION] and _permitted_hosts(cert) is not None


def _permitted_hosts(cert: x509.Certificate) -> frozenset[str] | None:
    """The DNS names that the certificate may sign for; None where it is not constrained."""
    try:
        constraints = cert.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
    names = constraints.permitted_subtrees
    return None if names is None else frozenset(name.value for name in names if isinstance(name, x509.DNSName))


def _covers(permitted: frozenset[str], host: str) -> bool:
    """Whether a host is within the subtrees (RFC 5280, section 4.2.1.10)."""
    return any(host == name or host.endswith("." + name.lstrip(".")) for name in permitted)


def _make(directory: Path, hosts: Sequence[str], now: datetime) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    cert = _self_signed(key, hosts, now)
    pem = cert.public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    _write(directory / KEY_AND_CERT, secret + pem, 0o600)
    _write(directory / CERT, pem, 0o644)


def _self_signed(key: ec.EllipticCurvePrivateKey, hosts: Sequence[str], now: datetime) -> x509.Certificate:
    label = ", ".join(sorted(hosts))
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
        permitted_subtrees=[x509.DNSName(host) for host in sorted(hosts)],
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


def _write_bundle(directory: Path) -> None:
    """The system's roots and our CA: for variables such as SSL_CERT_FILE, which replace a client's trust store."""
    system = ssl.get_default_verify_paths().cafile
    roots = Path(system if system and Path(system).is_file() else certifi.where()).read_bytes()
    content = roots.rstrip() + b"\n" + (directory / CERT).read_bytes()
    _write_if_changed(directory / BUNDLE, content)


def _write_if_changed(file: Path, content: bytes) -> None:
    """Puts a public file right, which a crash between two writes can leave behind its key."""
    if not file.exists() or file.read_bytes() != content:
        _write(file, content, 0o644)


def _write(file: Path, content: bytes, mode: int) -> None:
    """Replaces a file at once: neither a crash nor a second start sees half of it, nor a key with a wrong mode."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as new:
            os.fchmod(new.fileno(), mode)
            new.write(content)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
