"""An example of every mapping of the configuration, by the class that it is read into, for the reference.

Each is a configuration that could stand by itself but for `providers`, and shows every key of its mapping; a key that
excludes another one stands in a remark.
"""

_FILE = """
intercept: [api.openai.com]
providers:
  - {type: groq, model: openai/gpt-oss-120b}
policy: least_cost
unmatched: passthrough
on_internal_error: reject
max_request_mebibytes: 64
"""

_PROVIDER = """
providers:
  - type: openai_compatible
    name: my-server
    base_url: https://llm.example.com/v1
    api_key_env: MY_SERVER_KEY
    priority: 20
    weight: 2
    models: [{id: some-model, serves: ["gpt-4o*"]}]
    extra_headers: {X-Team: search}
    circuit_breaker: {failure_threshold: 3}
    limits: {rpm: 30, usd_per_day: 5}
    timeouts: {first_byte: 10}
    data: {trains_on_prompts: false, region: eu}
  - {type: openai, api_key: caller, model: gpt-4o-mini, priority: 90}
  - {type: echo, mock_failure_rate: 0.1, mock_latency_seconds: 0.5, priority: 99}
"""

_MODEL = """
providers:
  - type: groq
    models:
      - id: openai/gpt-oss-120b
        serves: [gpt-4o, "gpt-4o-mini*"]
        price: {input: 0.15, output: 0.60}
        context_window: 131072
        capabilities: [tools, parallel_tools, json_object, json_schema]
        quality: 0.7
        weight: 1
        limits: {tpm: 8000}
"""

_PRICE = """
providers:
  - type: deepseek
    models:
      - id: some-model
        price: {input: 0.30, output: 1.20, cached_input: 0.03, cache_write: 0.30, per_request_usd: 0.001,
                overrides: [{from_tokens: 200000, input: 0.60, output: 2.40}]}
"""

_OVERRIDE = """
providers:
  - type: deepseek
    models:
      - id: some-model
        price:
          input: 0.30
          output: 1.20
          overrides:
            - {hours: "16:30-00:30", weekdays: [sat, sun], input: 0.15, output: 0.60}
            - {from_tokens: 200000, input: 0.60, output: 2.40, cached_input: 0.06, cache_write: 0.60}
"""

_LIMITS = """
providers:
  - type: groq
    model: openai/gpt-oss-120b
    limits: {rpm: 30, rpd: 1000, tpm: 8000, tpd: 200000, concurrency: 4,
             usd_per_day: 1.50, usd_per_month: 20, max_wait_seconds: 2}
"""

_SCHEDULE = """
providers:
  - {name: my-server, type: vllm, base_url: "http://127.0.0.1:8001/v1", model: some-model}
  - {type: groq, model: openai/gpt-oss-120b}
policy: schedule
policies:
  schedule:
    timezone: Europe/Berlin
    windows: [{prefer: ["my-server/*"], hours: "08:00-18:00"}]
    otherwise: least_cost
"""

_WINDOW = """
providers:
  - {name: my-server, type: vllm, base_url: "http://127.0.0.1:8001/v1", model: some-model}
  - {type: groq, model: openai/gpt-oss-120b}
policy: schedule
policies:
  schedule:
    windows:
      - {days: [mon, tue, wed, thu, fri], hours: "08:00-18:00", prefer: ["my-server/*"], policy: least_latency}
      - {days: [sat, sun], prefer: ["groq/*"]}
"""

_POLICIES = """
providers:
  - {name: my-server, type: vllm, base_url: "http://127.0.0.1:8001/v1", model: some-model}
  - {type: groq, model: openai/gpt-oss-120b}
policy: quality
policies:
  weighted: {cost: 0.5, latency: 0.5}
  quality: {at_least: 0.7}
  schedule: {windows: [{prefer: ["my-server/*"], hours: "08:00-18:00"}]}
  custom: {timeout_seconds: 0.02}
"""

_ROUTE = """
providers:
  - {name: my-server, type: vllm, base_url: "http://127.0.0.1:8001/v1", model: some-model}
  - {type: groq, model: openai/gpt-oss-120b}
routes:
  - model: "gpt-4o*"
    use: ["groq/*", "my-server/*"]
    min_quality: 0.6
    policy: least_latency
    data: {trains_on_prompts: false, region: eu}
    cache: never
"""

_CACHE = """
cache:
  backend: redis
  url_env: REDIS_URL
  # url: redis://127.0.0.1:6379/0
  ttl_seconds: 86400
  max_mebibytes: 512
  when: deterministic
  scope: caller
  compress: true
  timeout_seconds: 0.2
  replay_tokens_per_second: 50
"""

_STORAGE = """
storage:
  url: sqlite:///state/llmrouter.db
  # url_env: DATABASE_URL
  retain_days: 30
  ledger: {retain_days: 365}
"""

_TELEMETRY = """
telemetry:
  otel: {traces: true}
  sinks: [my_sink.py:Mine]
  queue_size: 10000
"""

_DATA = """
providers:
  - {name: my-server, type: vllm, model: some-model, data: {trains_on_prompts: false, region: eu}}
routes:
  - {model: "*", data: {trains_on_prompts: false, region: eu}}
"""

EXAMPLES = {
    "Settings": _FILE,
    "ProviderSettings": _PROVIDER,
    "ModelSettings": _MODEL,
    "PriceSettings": _PRICE,
    "PriceOverrideSettings": _OVERRIDE,
    "LimitSettings": _LIMITS,
    "TimeoutSettings": """
providers:
  - {type: ollama, model: some-model, timeouts: {connect: 2, first_byte: 60, idle: 30, total: 600}}
""",
    "DataSettings": _DATA,
    "RouteSettings": _ROUTE,
    "PoliciesSettings": _POLICIES,
    "WeightedSettings": """
policy: weighted
policies: {weighted: {cost: 5, latency: 3, quality: 1, error_rate: 1}}
""",
    "QualitySettings": """
policy: quality
policies: {quality: {at_least: 0.7}}
""",
    "ScheduleSettings": _SCHEDULE,
    "WindowSettings": _WINDOW,
    "CustomSettings": """
policy: policy_example.py:CheapestInTime
policies: {custom: {timeout_seconds: 0.05}}
""",
    "BreakerSettings": """
breaker: {failure_threshold: 5, recovery_seconds: 30, failure_rate: 0.5, window_seconds: 60, min_requests: 20}
""",
    "RetrySettings": """
retry: {max_attempts: 4, deadline_seconds: 120, max_wait_seconds: 5, continue_streams: true}
""",
    "HedgeSettings": """
hedge: {after: p95, max_share: 0.05, paid: false}
""",
    "HealthSettings": """
health: {probe_seconds: 300}
""",
    "CacheSettings": _CACHE,
    "StorageSettings": _STORAGE,
    "LedgerSettings": """
storage: {ledger: {enabled: true, retain_days: 365, prompts: false}}
""",
    "MetricsSettings": """
metrics: {prometheus: true}
""",
    "TelemetrySettings": _TELEMETRY,
    "OtelSettings": """
telemetry: {otel: {traces: true, metrics: true, endpoint: "http://localhost:4318", service_name: llmrouter}}
""",
    "LoggingSettings": """
logging: {decisions: json, file: decisions.jsonl}
""",
    "InspectionSettings": """
inspection: {max_stream_kibibytes: 256}
""",
    "AccessSettings": """
access:
  keys: ["sha256:0bfed6f35cb52b37d52268e9cc870c69df98eb10dbd7a4c0d948635fef49a8e9"]
  local: false
  # open: true
""",
    "ClientSettings": """
clients: {request_seconds: 30, min_bytes_per_second: 500, max_connections: 5000}
""",
    "OverloadSettings": """
overload: {max_calls: 1000, max_held_mebibytes: 512}
""",
    "ShutdownSettings": """
shutdown: {grace_seconds: 25}
""",
}
"""YAML by the name of the class; each begins and ends with a line's end."""
