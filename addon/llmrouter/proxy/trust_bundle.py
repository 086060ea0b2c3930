"""What programs are to trust: the user's roots and our CA, for all whose setting replaces their trust store.

`SSL_CERT_FILE` and its like replace the store, so the CA alone would break every other host (client reference).
"""

import hashlib
import os
import ssl
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

from llmrouter.proxy.trust_files import ADDING, BUNDLE, CERT, JAVA_PASSWORD, JAVA_STORE
from llmrouter.proxy.whole_files import write_if_changed

_JAVA_MARK = ".ca-bundle.p12.of"
# Where systems keep their roots, as Go looks for them (crypto/x509/root_linux.go, root_bsd.go, root_darwin.go): a
# Python that was built elsewhere knows another place, where nothing is.
_SYSTEM_ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def write_bundle(directory: Path) -> Path:
    """Brings the bundle up to date with the roots and with the CA's certificate; raises `OSError`."""
    files = dict.fromkeys([roots_file(directory).resolve(), *_added(directory)])
    content = b"".join(file.read_bytes().rstrip() + b"\n" for file in files) + (directory / CERT).read_bytes()
    write_if_changed(directory / BUNDLE, content)
    return directory / BUNDLE


def _added(directory: Path) -> Iterator[Path]:
    """What the user lets programs trust beside the roots, such as a company's CA, and is no file of ours."""
    for file in (Path(os.environ[name]).resolve() for name in ADDING if os.environ.get(name)):
        if file.is_file() and file.parent != directory.resolve():
            yield file


def write_java_store(directory: Path) -> Path:
    """Brings the same bundle up to date in the format of Java's trust stores; raises `OSError` and `ValueError`."""
    store, mark = directory / JAVA_STORE, directory / _JAVA_MARK
    content = (directory / BUNDLE).read_bytes()
    digest = hashlib.sha256(content).hexdigest().encode()
    # Its bytes differ each time that it is made, so what it was made of is kept beside it.
    if not (store.is_file() and mark.is_file() and mark.read_bytes() == digest):
        write_if_changed(store, _java_store(content))
        write_if_changed(mark, digest)
    return store


def roots_file(directory: Path) -> Path:
    """The roots that the user trusts: SSL_CERT_FILE names them, unless it names a file of ours."""
    paths = ssl.get_default_verify_paths()
    named = (paths.cafile, paths.openssl_cafile, *_SYSTEM_ROOTS)
    files = (Path(name) for name in named if name and Path(name).is_file())
    return next((file for file in files if file.resolve().parent != directory.resolve()), Path(certifi.where()))


def _java_store(pem: bytes) -> bytes:
    certs = dict.fromkeys(_certificates(pem))
    entries = [PKCS12Certificate(cert, f"root {number}".encode()) for number, cert in enumerate(certs)]
    return serialize_java_truststore(entries, BestAvailableEncryption(JAVA_PASSWORD.encode()))


def _certificates(pem: bytes) -> Iterator[x509.Certificate]:
    """All that can be read: among old roots are some that break today's rules, which the library warns of."""
    begin = b"-----BEGIN CERTIFICATE-----"
    for block in pem.split(begin)[1:]:
        with suppress(ValueError):
            yield _certificate(begin + block)


def _certificate(pem: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.load_pem_x509_certificate(pem)
