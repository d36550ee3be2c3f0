"""Bytes made by a fuzzer that sees which lines they reach, for each of the ``parsers``.

``python -m tests.support.fuzzing [RUNS] [PARSER …]`` runs each in a separate process, because
libFuzzer ends its process, and prints a row. It fails if anything but documented errors came from
one, and shows what that parser could not bear. ``make fuzz`` installs what this needs.

Owns the processes and the tally. Must not be imported by tests: the fuzzer is not there for them.
"""

import atexit
import json
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

RUNS = 100_000
SHOWN = 3
LONGEST_BYTES = 4096
MOST_SECONDS = 10
"""For one input; templates have half a second of their own."""
PARSERS = (
    "answers", "calls", "inputs", "flows", "documents", "bodies", "templates", "configuration",
    "trace_headers",
)  # fmt: skip


@dataclass
class FuzzTally:
    runs: int = 0
    crashes: int = 0
    slowest_seconds: float = 0.0


def fuzz(name: str, runs: int) -> None:
    """In a separate process; does not return."""
    import atheris  # type: ignore[import-untyped]  # noqa: PLC0415  the process that starts the others does without it

    with atheris.instrument_imports(include=["flyte_host", "yaml", "tomli", "werkzeug", "urllib3"]):
        from tests.support import parsers  # noqa: PLC0415  it sees what is imported here

    parser = parsers.PARSERS[name]()
    tally = FuzzTally()

    def one(data: bytes) -> None:
        began = time.perf_counter()
        try:
            parser.parse(data)
        except parser.documented:
            pass
        except Exception:
            tally.crashes += 1
            if tally.crashes <= SHOWN:
                sys.stderr.write(f"{name} could not bear {data!r}:\n{traceback.format_exc()}")
        tally.slowest_seconds = max(tally.slowest_seconds, time.perf_counter() - began)
        tally.runs += 1

    folder = Path(tempfile.mkdtemp())
    for number, seed in enumerate(parser.seeds):
        (folder / str(number)).write_bytes(seed)
    atexit.register(lambda: sys.stdout.write(json.dumps(vars(tally))))
    # libFuzzer's clock runs on, and on a busy machine it would end a process that is ending.
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
    wanted = max(len(parser.seeds) + 1, int(runs * parser.share))
    flags = [f"-atheris_runs={wanted}", f"-timeout={MOST_SECONDS}", f"-max_len={LONGEST_BYTES}"]
    atheris.Setup([sys.argv[0], *flags, "-rss_limit_mb=2048", "-verbosity=0", str(folder)], one)
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    runs = int(arguments[0]) if arguments else RUNS
    failed = False
    sys.stdout.write("| parser | runs | crashes | slowest |\n|---|---|---|---|\n")
    for name in arguments[1:] or PARSERS:
        command = [sys.executable, "-m", "tests.support.fuzzing", "--one", name, str(runs)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            tally = FuzzTally(**json.loads(done.stdout))
        except ValueError:
            tally = FuzzTally(crashes=1)
        failed = failed or tally.crashes > 0 or done.returncode != 0
        if tally.crashes or done.returncode:
            sys.stdout.write(f"{done.stderr[-5000:]}\nended with {done.returncode}\n")
        slowest = f"{1000 * tally.slowest_seconds:,.1f} ms"
        sys.stdout.write(f"| {name} | {tally.runs:,} | {tally.crashes} | {slowest} |\n")
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
