"""The exporter that ``[traces]`` asks for: OTLP over HTTP, by OpenTelemetry's own.

Owns its settings. It uses nothing of the environment: no proxy, no netrc, and no redirect
that would take its headers elsewhere.
"""

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from flyte_host.config import TracesConfig
from flyte_host.errors import ConfigError
from flyte_host.secrets import SecretMissing, Secrets
from flyte_host.traces.patient_exporter import PatientExporter

TIMEOUT_SECONDS = 10.0
"""How long sending a batch may take, with all retries."""


def make_exporter(config: TracesConfig, secrets: Secrets) -> PatientExporter:
    """Raises ConfigError for a header whose secret is missing."""
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    exporter = OTLPSpanExporter(
        f"{config.url}/v1/traces",
        certificate_file=None if config.ca_file is None else str(config.ca_file),
        headers=_headers(config, secrets),
        timeout=TIMEOUT_SECONDS,
        compression=Compression.Gzip,
        session=session,
    )
    return PatientExporter(exporter, config.url)


def _headers(config: TracesConfig, secrets: Secrets) -> dict[str, str]:
    headers, problems = {}, []
    for name, reference in config.headers.items():
        try:
            headers[name] = secrets.read(reference)
        except SecretMissing as error:
            problems.append(f"traces.headers.{name}: {error}")
    if problems:
        raise ConfigError(problems)
    return headers
