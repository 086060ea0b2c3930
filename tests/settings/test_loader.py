"""Every problem of a configuration file is told at once, by line and column, with what would be right."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrouter.brands import BRANDS
from llmrouter.calls import Need
from llmrouter.settings.loader import load_settings, parse_settings, unused_keys
from llmrouter.settings.model import Settings
from llmrouter.settings.problems import SettingsError

CONFIG = Path(__file__).resolve().parents[2] / "config"
ECHO = "providers:\n  - type: echo\n"
OVERRIDE = "providers:\n  - type: groq\n    models: [{id: a, price: {input: 1, output: 1, overrides: [%s]}}]\n"


def parse(text: str) -> Settings:
    return parse_settings(text, "f.yaml", BRANDS)


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        parse(text)
    assert str(raised.value) == "\n".join(map(str, raised.value.problems))
    return [str(problem) for problem in raised.value.problems]


CASES = [
    ("", "1:1: file: the file is empty"),
    ("# nothing\n", "1:1: file: the file is empty"),
    ("- a\n", "1:1: file: the file holds a list"),
    ("text\n", "1:1: file: the file holds a single value"),
    ("providers:\n\t- type: echo\n", "2:1: syntax: YAML does not allow tabs"),
    ("providers: [\n", "2:1: syntax: "),
    ("a: &x [*x]\n", "1:4: syntax: an alias stands for something inside itself"),
    (ECHO + "polcy: least_cost\n", "3:1: polcy: unknown key; did you mean policy?"),
    ("providers:\n  - type: echo\n    modle: x\n", "3:5: providers[0].modle: unknown key; did you mean model?"),
    (ECHO + "retry: {max_attempt: 1}\n", "3:9: retry.max_attempt: unknown key; did you mean max_attempts?"),
    (
        ECHO + "policy: least_cost\npolicy: weighted\n",
        "4:1: policy: the key stands here a second time (first in line 3)",
    ),
    (ECHO + "7: x\n", "3:1: 7: a key must be text"),
    ("providers:\n  - type: grok\n", "2:5: providers[0].type: unknown type 'grok'; did you mean groq?"),
    ("providers:\n  - name: x\n", "2:5: providers[0].type: this key is required"),
    ("providers: 5\n", "1:1: providers: a list is needed"),
    ("providers:\n  - type: echo\n    priority: ten\n", "3:5: providers[0].priority: a whole number is needed"),
    ("providers:\n  - type: echo\n    mock_failure_rate: 2\n", "3:5: providers[0].mock_failure_rate: 1 or less"),
    ("providers:\n  - type: echo\n    timeouts: {connect: 0}\n", "timeouts.connect: more than 0 is needed"),
    (
        "providers:\n  - type: echo\n  - type: echo\n",
        "3:5: providers[1].name: another provider has the name 'echo' (line 2)",
    ),
    ("providers:\n  - type: groq\n", "2:5: providers[0]: give `model`"),
    (
        "providers:\n  - type: groq\n    model: a\n    models: [{id: b}]\n",
        "3:5: providers[0].model: give either `model` (one for everything) or `models`",
    ),
    ("providers:\n  - type: openai_compatible\n    model: a\n", "2:5: providers[0]: type openai_compatible needs a"),
    ("cache: {url: 'redis://h/0'}\n", "1:9: cache.url: `backend: memory` has no address; leave it out, or choose"),
    ("cache: {backend: sqlite, url: 'redis://h/0'}\n", "cache.url: a file of SQLite is needed"),
    ("cache: {backend: redis}\n", "1:1: cache: Redis needs a `url`, such as redis://127.0.0.1:6379/0, or a `url_env`"),
    ("cache: {backend: redis, url: 'http://h'}\n", "cache.url: the address of Redis is needed, such as redis://"),
    ("cache: {backend: redis, url: 'redis://:secret@h'}\n", "cache.url: a password must not stand in this file"),
    (
        "cache: {backend: redis, url: 'redis://h?password=secret'}\n",
        "cache.url: a password must not stand in this file",
    ),
    ("cache: {backend: redis, url: 'redis://h', url_env: A}\n", "cache.url_env: it names the address of Redis"),
    ("providers:\n  - {type: echo, limits: {usd_per_day: 1.0e+300}}\n", "limits.usd_per_day: 1000000000 or less"),
    ("cache: {when: sometimes}\n", "cache.when: one of these is needed: 'deterministic', 'always'"),
    ("storage: {url: 'redis:///x'}\n", "1:11: storage.url: a file of SQLite is needed, such as sqlite:///state/"),
    ("storage: {url: 'sqlite:///'}\n", "1:11: storage.url: a file of SQLite is needed"),
    ("storage: {url: 'postgresql://h'}\n", "or the address of PostgreSQL, such as postgresql://host/database"),
    ("storage: {url: 'postgresql://u:secret@h/d'}\n", "storage.url: a password must not stand in this file; put the"),
    ("storage: {url: 'postgresql://h/d', url_env: A}\n", "storage.url_env: it names the address of PostgreSQL"),
    ("storage: {retain_days: 0}\n", "storage.retain_days: 1 or more is needed"),
    (
        "providers:\n  - type: groq\n    model: a\n    base_url: ftp://x/\n",
        "4:5: providers[0].base_url: a URL that starts with http:// or https:// is needed",
    ),
    (
        "providers:\n  - type: groq\n    model: a\n    api_key: caller\n",
        "4:5: providers[0].api_key: `caller` is possible on type openai only",
    ),
    (
        "providers:\n  - type: openai\n    model: a\n    api_key: caller\n    base_url: https://elsewhere.example/v1\n",
        "5:5: providers[0].base_url: with `api_key: caller` only openai.com",
    ),
    (
        "providers:\n  - type: groq\n    model: a\n    mock_latency_seconds: 1\n",
        "4:5: providers[0].mock_latency_seconds: only type echo",
    ),
    (
        "providers:\n  - type: groq\n    models: [{id: a}, {id: a}]\n",
        "3:24: providers[0].models[1].id: the model 'a' stands here twice",
    ),
    (
        ECHO + 'routes:\n  - {model: "*", use: ["echo/*", "grok/*"]}\n',
        "4:34: routes[0].use[1]: 'grok/*' matches no target; targets are written provider/model: echo/echo",
    ),
    (ECHO + "policy: cheapest\n", "3:1: policy: this policy is not known; use one of: least_cost"),
    (ECHO + "policy: schedule\n", "3:1: policy: the policy schedule needs its windows; write them under `policies:"),
    (
        ECHO + "routes: [{model: a, policy: schedule}]\n",
        "3:21: routes[0].policy: the policy schedule needs its windows; write them",
    ),
    (ECHO + "policy: mine.py\n", "3:1: policy: a class of your own is written path/to/file.py:Class"),
    (ECHO + "policies: {wieghted: {}}\n", "3:12: policies.wieghted: unknown key; did you mean weighted?"),
    (ECHO + "policies: {weighted: {}}\n", "3:12: policies.weighted: nothing counts; give at least one of cost"),
    (ECHO + "policies: {weighted: {cost: 0}}\n", "3:12: policies.weighted: nothing counts"),
    (ECHO + "policies: {weighted: {price: 1}}\n", "3:23: policies.weighted.price: unknown key; known here: cost,"),
    (ECHO + "policies: {weighted: {cost: -1}}\n", "3:23: policies.weighted.cost: 0 or more is needed"),
    (ECHO + "policies: {quality: {at_least: 7}}\n", "3:22: policies.quality.at_least: 1 or less is needed"),
    (ECHO + "policies: {quality: {least: 1}}\n", "3:22: policies.quality.least: unknown key; did you mean at_least?"),
    (ECHO + "policies: {custom: {timeout_seconds: 2}}\n", "3:21: policies.custom.timeout_seconds: 1 or less is needed"),
    (ECHO + "policies: {custom: {timeout_seconds: 0}}\n", "policies.custom.timeout_seconds: more than 0 is needed"),
    (ECHO + "policies: {schedule: {}}\n", "3:12: policies.schedule.windows: this key is required"),
    (ECHO + "policies: {schedule: {windows: []}}\n", "3:23: policies.schedule.windows: at least 1 of them is needed"),
    (
        ECHO + "policies: {schedule: {windows: [{prefer: []}]}}\n",
        "3:34: policies.schedule.windows[0].prefer: at least 1 of them is needed",
    ),
    (
        ECHO + "policies: {schedule: {windows: [{days: [monday], prefer: [echo/*]}]}}\n",
        "3:41: policies.schedule.windows[0].days[0]: one of these is needed: 'mon'",
    ),
    (
        ECHO + "policies: {schedule: {windows: [{prefer: [echo/*, gpu/*]}]}}\n",
        "3:51: policies.schedule.windows[0].prefer[1]: 'gpu/*' matches no target; targets are written provider/model",
    ),
    (
        ECHO + 'policies: {schedule: {windows: [{hours: "8-18", prefer: [echo/*]}]}}\n',
        "3:34: policies.schedule.windows[0].hours: two times of the day are needed, such as 08:00-18:00",
    ),
    (
        OVERRIDE % '{hours: "10:00-10:00", input: 2}',
        "price.overrides[0].hours: these hours end when they begin; leave them out for the whole day",
    ),
    (
        OVERRIDE % "{from_tokens: 9}",
        "price.overrides[0]: no price is given; give at least one of input, output, cached",
    ),
    (
        ECHO + 'policies: {schedule: {windows: [{hours: "08:00-08:00", prefer: [echo/*]}]}}\n',
        "3:34: policies.schedule.windows[0].hours: these hours end when they begin",
    ),
    (
        ECHO + "policies: {schedule: {timezone: Europe/Berln, windows: [{prefer: [echo/*]}]}}\n",
        "3:23: policies.schedule.timezone: this time zone is not known on this machine; did you mean Europe/Berlin?",
    ),
    (
        ECHO + "policies: {schedule: {timezone: ../zone, windows: [{prefer: [echo/*]}]}}\n",
        "3:23: policies.schedule.timezone: this time zone is not known on this machine; write one such as",
    ),
    (
        ECHO + "policies: {schedule: {timezone: Europe, windows: [{prefer: [echo/*]}]}}\n",
        "3:23: policies.schedule.timezone: this time zone is not known on this machine",
    ),
    (
        ECHO + "policies: {schedule: {windows: [{prefer: [echo/*], policy: schedule}]}}\n",
        "3:52: policies.schedule.windows[0].policy: a schedule within a schedule is not possible; use one of:",
    ),
    (
        ECHO + "policies: {schedule: {otherwise: schedule, windows: [{prefer: [echo/*]}]}}\n",
        "3:23: policies.schedule.otherwise: a schedule within a schedule is not possible",
    ),
    (
        ECHO + "policies: {schedule: {otherwise: mine.py:Mine, windows: [{prefer: [echo/*]}]}}\n",
        "3:23: policies.schedule.otherwise: a class of your own can look at the hour itself",
    ),
    (
        ECHO + "policies: {schedule: {otherwise: cheapest, windows: [{prefer: [echo/*]}]}}\n",
        "3:23: policies.schedule.otherwise: this policy is not known; use one of: least_cost",
    ),
    (ECHO + "intercept: []\n", "3:1: intercept: at least 1 of them is needed"),
    (ECHO + 'intercept: ["https://api.openai.com"]\n', "3:13: intercept[0]: a host name alone is needed"),
    (ECHO + 'intercept: ["*.openai.com"]\n', "3:13: intercept[0]: wildcards are not possible"),
    (ECHO + "unmatched: maybe\n", "3:1: unmatched: one of these is needed: 'passthrough' or 'reject'"),
    (ECHO + "retry: {max_attempts: 0}\n", "3:9: retry.max_attempts: 1 or more is needed"),
    (ECHO + "retry: 2026-01-01\n", "3:1: retry: a mapping is needed"),
    (ECHO + "policy: !!python/name:os.system\n", "3:9: syntax: a tag such as !this is not possible here"),
    ("providers: !mine [a]\n", "1:12: syntax: a tag such as !this is not possible here"),
    (ECHO + "policy: a\x07b\n", "3:10: syntax: an invisible control character stands here"),
    (ECHO + "max_request_mebibytes: !!int x\n", "3:24: syntax: this cannot be read as int"),
    (ECHO + "max_request_mebibytes: 0x_\n", "3:24: syntax: this cannot be read as int"),
    (ECHO + f"max_request_mebibytes: {'9' * 5000}\n", "3:24: syntax: this cannot be read as int"),
    (ECHO + "metrics: {prometheus: !!bool x}\n", "3:23: syntax: this cannot be read as bool"),
    ("a: " + "[" * 3000 + "]" * 3000, "1:1: syntax: lists and mappings stand too deep in each other"),
    ("a: &x {<<: *x}\n", "1:4: syntax: an alias stands for something inside itself"),
    ("retry: {<<: 5}\n", "1:13: <<: only a mapping can be merged in"),
    (ECHO + "retry: {max_attempts: '3'}\n", "3:9: retry.max_attempts: a whole number is needed"),
    ("providers:\n  - {type: echo, priority: true}\n", "2:18: providers[0].priority: a whole number is needed"),
    ("providers:\n  - {type: echo, weight: yes}\n", "2:18: providers[0].weight: a number is needed"),
    ("providers:\n  - {type: echo, weight: .inf}\n", "2:18: providers[0].weight: a finite number is needed"),
    (ECHO + "metrics: {prometheus: 'yes'}\n", "3:11: metrics.prometheus: true or false is needed"),
    (ECHO + "routes: [{model: 'a[b'}]\n", "3:11: routes[0].model: the pattern has a [ without a ]"),
    (
        "providers:\n  - {type: groq, models: [{id: a, capabilities: [tool]}]}\n",
        "2:50: providers[0].models[0].capabilities[0]: one of these is needed: 'tools'",
    ),
    (
        "providers:\n  - {type: groq, model: a, extra_headers: {Host: b}}\n",
        "2:44: providers[0].extra_headers.Host: the router sets this header itself",
    ),
    (
        "providers:\n  - &base {type: echo, name: a, priority: 1}\n  - name: b\n    priority: x\n    <<: *base\n",
        "4:5: providers[1].priority: a whole number is needed",
    ),
]


@pytest.mark.parametrize(("text", "told"), CASES)
def test_problems(text: str, told: str) -> None:
    """The first problem stands at its place and says what would be right."""
    (first, *_) = problems(text)
    assert first.startswith("f.yaml:")
    assert told in first


def test_all_problems_at_once_in_the_order_of_the_lines() -> None:
    """One run of the check shows everything."""
    lines = problems("polcy: x\nproviders:\n  - {type: echo, priority: x}\n  - {type: nothing}\nretry: 5\n")
    assert [line.split(": ")[0] for line in lines] == ["f.yaml:1:1", "f.yaml:3:18", "f.yaml:4:6", "f.yaml:5:1"]


def test_a_key_in_the_file_is_refused_without_repeating_it() -> None:
    """A literal key is told to move into an environment variable, and is not printed."""
    text = "providers:\n  - {type: groq, model: a, api_key: key-of-groq, priority: key-of-groq}\n"
    told = "\n".join(problems(text))
    assert "put the key into an environment variable" in told
    assert "key-of-groq" not in told


@pytest.mark.parametrize(
    "line",
    [
        "api_key_env: gsk_notakey1234567890",
        "api_key_env: 0123456789abcdef",
        "api_key_env: abcdef0123456789abcdef0123456789",
        "extra_headers: {Authorization: gsk_notakey1234567890}",
        "extra_headers: {X-Api-Key: gsk_notakey1234567890}",
        "base_url: https://me:gsk_notakey1234567890@one.test/v1",
        "base_url: https://one.test/v1?key=gsk_notakey1234567890",
    ],
)
def test_a_key_in_a_wrong_place_is_refused_without_repeating_it(line: str) -> None:
    """Wherever a key is pasted, the answer names the right place and keeps the key to itself."""
    (told,) = problems(f"providers:\n  - type: groq\n    model: a\n    {line}\n")
    assert told.startswith("f.yaml:4:")
    assert "notakey" not in told
    assert "0123456789" not in told


@pytest.mark.parametrize("name", ["GROQ_API_KEY", "hf_token", "MY_VERY_LONG_VARIABLE_NAME_2"])
def test_names_of_variables_are_taken(name: str) -> None:
    """What looks like a name is one."""
    settings = parse(f"providers:\n  - {{type: groq, model: a, api_key_env: {name}}}\n")
    assert settings.providers[0].api_key_env == name


def test_numbers_and_dates_mean_what_an_editor_shows() -> None:
    """An exponent needs no dot, and a model may be named after a day."""
    provider = parse("providers:\n  - {type: groq, model: 2026-13-01, weight: 1e-1}\n").providers[0]
    assert (provider.model, provider.weight) == ("2026-13-01", 0.1)


@pytest.mark.parametrize("off", ["off", "Off", '"off"'])
def test_the_word_off_needs_no_quotes(off: str) -> None:
    settings = parse(f"providers: [{{type: echo}}]\ncache: {{backend: {off}}}\nlogging: {{decisions: {off}}}\n")
    assert (settings.cache.backend, settings.logging.decisions) == ("off", "off")


def test_a_pattern_may_hold_a_literal_bracket() -> None:
    """The way out that the message names works."""
    assert parse(ECHO + "routes: [{model: 'a[[]b'}]\n").routes[0].model == "a[[]b"


@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"#%@ \n\t0.~<?,\x07")) | st.text())
def test_no_text_ends_in_anything_but_an_answer(text: str) -> None:
    """A file that is being written, or is something else entirely, raises nothing that a reload does not expect."""
    with suppress(SettingsError):
        parse(text)


def test_a_bomb_of_aliases_is_refused() -> None:
    """A small file cannot fill the memory."""
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "more than 100000 values" in problems("\n".join(lines))[0]


def test_a_bomb_of_merges_is_refused() -> None:
    """Merges that double at each step end as early, though they hold nothing."""
    lines = ["a0: &a0 {}"] + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40)]
    assert "more than 100000 values" in problems("\n".join(lines))[0]


def test_anchors_and_merges_work() -> None:
    """A mapping is shared, and its own keys win over merged ones."""
    settings = parse(
        "providers:\n"
        "  - &base {type: echo, name: a, timeouts: &t {connect: 1, idle: 2}}\n"
        "  - {<<: *base, name: b, timeouts: {<<: *t, idle: 9}}\n"
    )
    assert [provider.name for provider in settings.providers] == ["a", "b"]
    assert (settings.providers[1].timeouts.connect, settings.providers[1].timeouts.idle) == (1, 9)


def test_the_breaker_is_overridden_key_by_key() -> None:
    """A provider's breaker changes only the keys that it names."""
    settings = parse(
        "breaker: {failure_threshold: 9, recovery_seconds: 9}\n"
        "providers:\n  - {type: echo, circuit_breaker: {recovery_seconds: 1}}\n"
    )
    rule = settings.breaker_for(settings.providers[0])
    assert (rule.failure_threshold, rule.recovery_seconds) == (9, 1)


def test_every_key_of_the_contract_is_read() -> None:
    """The example of the design loads as it stands, and what is not acted on yet is named."""
    settings = parse("""
intercept: [api.openai.com]
providers:
  - name: groq
    type: groq
    api_key_env: GROQ_API_KEY
    base_url: https://api.groq.com/openai/v1
    priority: 10
    models:
      - id: llama-3.3-70b-versatile
        serves: ["gpt-4o", "gpt-4o-mini*"]
        price: {input: 0.59, output: 0.79, cached_input: 0.30}
        context_window: 131072
        capabilities: [tools, json_schema]
        quality: 0.72
    extra_headers: {X-Title: my app}
    circuit_breaker: {failure_threshold: 5, recovery_seconds: 30, failure_rate: 0.5, window_seconds: 60}
    limits: {rpm: 30, rpd: 14400, tpm: 6000, tpd: 500000, concurrency: 8, usd_per_day: 1.0, max_wait_seconds: 2}
    timeouts: {connect: 5, first_byte: 30, idle: 30, total: 300}
    data: {trains_on_prompts: true, region: us}
  - {name: mock, type: echo, mock_failure_rate: 0.0, mock_latency_seconds: 0}
policy: least_cost
routes:
  - model: "gpt-4o*"
    use: ["groq/*"]
    min_quality: 0.6
unmatched: passthrough
breaker: {failure_threshold: 5}
retry: {max_attempts: 4, deadline_seconds: 600}
cache: {backend: memory, ttl_seconds: 3600, max_mebibytes: 256, when: deterministic, scope: caller}
storage: {url: "sqlite:///state/llmrouter.db"}
metrics: {prometheus: true}
logging: {decisions: json}
""")
    model = settings.providers[0].models[0]
    assert model.capabilities == (Need.TOOLS, Need.JSON_SCHEMA)
    assert unused_keys(settings) == ()


def test_settings_are_frozen() -> None:
    """Nobody changes settings behind the back of calls under way."""
    with pytest.raises(ValueError, match="frozen"):
        parse(ECHO).policy = "weighted"


@pytest.mark.parametrize("name", ["demo.yaml", "demo-three.yaml", "providers.example.yaml"])
def test_the_files_that_ship_are_right(name: str) -> None:
    """Every file in config/ loads."""
    assert load_settings(CONFIG / name, BRANDS).providers


def test_a_missing_file_says_how_to_begin(tmp_path: Path) -> None:
    """The path and the example are named."""
    with pytest.raises(SettingsError, match=r"none\.yaml:1:1: file: there is no such file; copy config/providers"):
        load_settings(tmp_path / "none.yaml", BRANDS)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are told as such."""
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(file, BRANDS)
