"""A collector that takes nothing costs its spans, a line in the log, and no action."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from flyte_host.config import TracesConfig
from flyte_host.errors import ConfigError
from flyte_host.pipeline.tracer import Tracer
from flyte_host.secrets import Scrubber, SecretRef, Secrets
from flyte_host.testing.waiting import wait_until
from flyte_host.traces import make_tracer
from flyte_host.traces.configured_exporter import make_exporter
from flyte_host.traces.patient_exporter import PatientExporter
from tests.support.collector import Collector
from tests.support.host_parts import ECHO, PackPlugin, flyte_script
from tests.support.pipeline_rig import PipelineRig
from tests.support.scripted_server import HANG, ScriptedServer, port_of_nobody, reply

LOGGER = "flyte_host.traces.patient_exporter"
SENT, LOST = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


@pytest.fixture
def span() -> Iterator[ReadableSpan]:
    provider = TracerProvider(shutdown_on_exit=False)
    span = provider.get_tracer("test").start_span("one")
    span.end()
    assert isinstance(span, ReadableSpan)
    yield span
    provider.shutdown()


def exporter_to(url: str) -> PatientExporter:
    """It tries for a moment only."""
    return PatientExporter(OTLPSpanExporter(f"{url}/v1/traces", timeout=0.2), url)


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(each.levelname, each.getMessage()) for each in caplog.records]


def test_what_is_lost_is_told_once_and_so_is_the_end_of_it(
    span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    with Collector(reply(400), reply(400), reply(200), reply(200), reply(400)) as collector:
        exporter = exporter_to(collector.url)
        with caplog.at_level(logging.INFO):
            assert [exporter.export([span, span]) for _ in range(5)] == [
                LOST,
                LOST,
                SENT,
                SENT,
                LOST,
            ]
        exporter.shutdown()
    (first, lost), (second, found), (third, _) = told(caplog)
    assert [first, second, third] == ["WARNING", "INFO", "WARNING"]
    assert lost.startswith(
        f"dropping spans until {collector.url} accepts them; actions are not delayed: "
    )
    assert "400" in lost
    assert found == f"{collector.url} accepts spans again; dropped: 4"


def test_a_collector_that_is_not_there_is_told_once(
    span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    with port_of_nobody() as port:
        exporter = exporter_to(f"http://127.0.0.1:{port}")
        with caplog.at_level(logging.INFO):
            assert [exporter.export([span]) for _ in range(2)] == [LOST, LOST]
        exporter.shutdown()
    assert [level for level, _ in told(caplog)] == ["WARNING"]


def test_other_users_of_the_exporter_keep_their_log_lines(
    span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    with Collector(reply(400)) as collector:
        ours = exporter_to(collector.url)
        theirs = OTLPSpanExporter(f"{collector.url}/v1/traces", timeout=0.2)
        with caplog.at_level(logging.INFO):
            ours.export([span])
            theirs.export([span])
        ours.shutdown()
    assert [each.name == LOGGER for each in caplog.records] == [True, False]


def test_after_its_end_nothing_is_sent_or_told(
    span: ReadableSpan, caplog: pytest.LogCaptureFixture
) -> None:
    with Collector() as collector:
        exporter = exporter_to(collector.url)
        exporter.shutdown()
        exporter.shutdown()
        with caplog.at_level(logging.INFO):
            assert exporter.export([span]) is LOST
        assert exporter.force_flush()
        assert collector.bodies == []
    assert told(caplog) == []


def configured(url: str, **more: SecretRef) -> PatientExporter:
    return make_exporter(TracesConfig(url, more), Secrets({}, Scrubber()))


def test_its_headers_do_not_follow_a_redirect(
    span: ReadableSpan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "key").write_text("key-of-mine", encoding="utf-8")
    with (
        ScriptedServer() as elsewhere,
        Collector(reply(307, Location=f"{elsewhere.url}/v1/traces")) as collector,
    ):
        exporter = configured(collector.url, key=SecretRef(file=tmp_path / "key"))
        with caplog.at_level(logging.WARNING):
            assert exporter.export([span]) is LOST
        assert elsewhere.requests == []
        exporter.shutdown()
    assert "redirect" in told(caplog)[0][1]


def test_nothing_of_the_environment_goes_with_it(
    span: ReadableSpan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Collector() as collector:
        exporter = configured(collector.url)
        assert exporter.export([span]) is SENT
        assert "authorization" not in collector.server.requests[0].headers
        exporter.shutdown()


def test_a_header_without_its_secret_is_told() -> None:
    with pytest.raises(ConfigError) as raised:
        configured("http://127.0.0.1:1", key=SecretRef(env="NOBODY_HAS_SET_IT"))
    [problem] = raised.value.problems
    assert problem.startswith("traces.headers.key: ")
    assert "NOBODY_HAS_SET_IT" in problem


@pytest.mark.parametrize("kind", ["away", "hangs"])
def test_actions_do_not_wait_for_a_collector(tmp_path: Path, kind: str) -> None:
    with port_of_nobody() as port, Collector([HANG]) as hanging, ScriptedServer() as flyte:
        url = f"http://127.0.0.1:{port}" if kind == "away" else hanging.url
        scrubber = Scrubber()
        tracer: Tracer = make_tracer(TracesConfig(url), Secrets({}, scrubber), scrubber)
        flyte_script(flyte, "Demo")
        plugin = PackPlugin(ECHO)
        rig = PipelineRig(flyte, tmp_path / "j.db", {"demo": plugin}, tracer=tracer).start()
        for number in range(1, 6):
            rig.submit(number, input=number)
        assert sorted(rig.next_event() for _ in range(5)) == [("Ok", each) for each in range(1, 6)]
        if kind == "hangs":
            wait_until(lambda: hanging.server.requests, "the collector got spans")
        assert rig.close() == 0
