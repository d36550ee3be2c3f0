"""A second reference: a plain loop on ``requests`` that takes actions and posts results.

``python -m tests.benchmarks.reference_requests URL [--takers N]``.
"""

import argparse
import threading

import requests

TIMEOUT_SECONDS = 30


def take_forever(take_url: str) -> None:
    with requests.Session() as session:
        while True:
            take(session, take_url)


def take(session: requests.Session, take_url: str) -> None:
    answer = session.post(take_url, data=b"null", timeout=TIMEOUT_SECONDS)
    if answer.status_code == 200:
        action = answer.json()
        result = {
            "event": "Done",
            "payload": action["input"],
            "createdAt": "2026-11-23T21:46:53.2995012Z",
        }
        session.post(action["links"][0]["href"], json=result, timeout=TIMEOUT_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--takers", type=int, default=1)
    asked = parser.parse_args()
    requests.get(f"{asked.url}/v1", timeout=TIMEOUT_SECONDS)
    pack = b'{"name": "Bench", "events": [{"name": "Done"}], "commands": [{"name": "echo"}]}'
    links = requests.post(f"{asked.url}/v1/packs", data=pack, timeout=TIMEOUT_SECONDS).json()
    take_url = next(
        str(each["href"]) for each in links["links"] if each["rel"].endswith("takeAction")
    )
    for _ in range(asked.takers - 1):
        threading.Thread(target=take_forever, args=(take_url,), daemon=True).start()
    take_forever(take_url)


if __name__ == "__main__":
    main()
