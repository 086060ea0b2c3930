"""Every error of the provider reference, as its provider sends it, and what the router makes of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from llmrouter.errors import AttemptFailed
from llmrouter.providers.failures import classify
from llmrouter.providers.openai_compatible.reply import read_reply
from tests.contract.cases import CREATED
from tests.providers.samples import job_of

FOLDER = Path(__file__).parent / "errors"
CASES = {path.parent.name: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*/case.yaml"))}


def test_no_folder_is_forgotten() -> None:
    assert {path.name for path in FOLDER.iterdir()} == CASES.keys()
    assert len(CASES) >= 45


def inside(body: bytes) -> AttemptFailed:
    """The failure that the reader of a successful answer raises."""
    with pytest.raises(AttemptFailed) as caught:
        read_reply(body, job_of())
    return caught.value


@pytest.mark.parametrize("name", CASES)
def test_the_error_is_understood(name: str) -> None:
    case = CASES[name]
    (file,) = (path for path in (FOLDER / name).iterdir() if path.name.startswith("body"))
    members = {member: member for member in case.get("sent", ())}
    if case["status"] == 200:
        failed = inside(file.read_bytes())
    else:
        failed = classify(case["status"], case.get("headers", {}), file.read_bytes(), float(CREATED), members=members)
    expected: dict[str, Any] = case["expected"]
    told: dict[str, Any] = {
        "outcome": str(failed.outcome),
        "message": failed.message,
        "member": failed.member,
        "status": failed.status,
        "retry_after_s": failed.retry_after_s,
        "error": failed.error,
    }
    assert {key: told[key] for key in expected} == expected
    assert case["why"]
