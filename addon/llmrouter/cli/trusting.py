"""The files that programs are to trust, brought up to date before their names are given to one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from llmrouter.proxy.certificate_authority import CaError, ensure_ca
from llmrouter.proxy.trust_bundle import write_bundle, write_java_store
from llmrouter.proxy.trust_files import CERT


def bring_up_to_date(certs: Path, hosts: Sequence[str]) -> None:
    """The bundles, of a CA that is made where there is none; raises `CaError`.

    A CA that is there is left alone: the router that runs with it renews it when it starts.
    """
    try:
        if (certs / CERT).is_file():
            write_bundle(certs)
        else:
            ensure_ca(certs, hosts, datetime.now(UTC))
        write_java_store(certs)
    except (OSError, ValueError) as error:
        raise CaError(f"The files to trust cannot be written to {certs}: {error}") from error
