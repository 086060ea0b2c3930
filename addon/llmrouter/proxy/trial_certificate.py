"""A certificate that the CA signs for a host, as the proxy would, to try who trusts it; good for an hour."""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from llmrouter.proxy.certificate_authority import KEY_AND_CERT, CaError

_HOUR = timedelta(hours=1)


def trial_certificate(directory: Path, host: str, now: datetime) -> bytes:
    """A new key and its certificate as PEM; raises `CaError` where the CA cannot sign."""
    try:
        content = (directory / KEY_AND_CERT).read_bytes()
        ca_key, ca = load_pem_private_key(content, None), x509.load_pem_x509_certificate(content)
    except (OSError, ValueError, TypeError) as error:
        raise CaError(f"{directory / KEY_AND_CERT} cannot be used as a CA: {error}") from error
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CaError(f"{directory / KEY_AND_CERT} has a kind of key that is not tried.")
    key = ec.generate_private_key(ec.SECP256R1())
    cert = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
        .issuer_name(ca.subject)
        .serial_number(x509.random_serial_number())
        .public_key(key.public_key())
        .not_valid_before(now - _HOUR)
        .not_valid_after(now + _HOUR)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret + cert.public_bytes(Encoding.PEM) + ca.public_bytes(Encoding.PEM)
