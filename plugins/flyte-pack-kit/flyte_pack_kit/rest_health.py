"""Whether a service answers a question that needs valid credentials.

Owns the words on the health page.
"""

from flyte_host import Health
from flyte_pack_kit.rest_client import NoAnswer, RestAnswer, RestClient, RestTarget

HEALTH_LIMIT_SECONDS = 3


def health_of(client: RestClient, service: str, *segments: str, **query: str) -> Health:
    """Healthy if a GET is answered with 200 and JSON; ``service`` is what people call it."""
    target = client.target
    limit_seconds = min(HEALTH_LIMIT_SECONDS, target.timeout_seconds)
    try:
        answer = client.send("GET", *segments, query=query, limit_seconds=limit_seconds)
    except NoAnswer as cause:
        return Health(False, f"{target.url} does not answer: {cause}")
    healthy = answer.status == 200 and _is_json(answer)
    return Health(healthy, _status(answer, target, service))


def _status(answer: RestAnswer, target: RestTarget, service: str) -> str:
    url, user = target.url, target.user
    match answer.status:
        case 200 if not _is_json(answer):
            return f"{url} answers without JSON: set url to where {service} is"
        case 200:
            return f"{url} knows {user}" if user else f"{url} answers"
        case 401 | 403 if user:
            return f"{url} refuses {user} with {answer.status}: check user and password"
        case 301 | 302 | 303 | 307 | 308:
            elsewhere = answer.words.show(answer.location)
            return f"{url} sends us to {elsewhere}: set url to where {service} is"
    return f"{url} answers {answer.status}"


def _is_json(answer: RestAnswer) -> bool:
    try:
        answer.document()
    except ValueError:
        return False
    return True
