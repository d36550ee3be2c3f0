"""A stand-in for a Consul agent, from the documentation of its API: Debian has no package of it."""

from copy import deepcopy
from typing import Any

from tests.support.rest_stand_in import RestReply, RestRequest, basic

TOKEN = "b1gs33cr3t"


class ConsulAgent:
    """Keys and values, and who may change them."""

    def __init__(self, *, token: str = "", leader: str = "10.0.0.1:8300") -> None:
        self.keys: dict[str, dict[str, Any]] = {}
        self.token = token
        self.leader = leader
        self.login = ""
        self.index = 10

    def answer(self, request: RestRequest) -> RestReply:
        if self.login and request.headers.get("authorization") != basic(*self.login.split(":")):
            return RestReply(401, b"<html>sign in</html>")
        known = request.headers.get("x-consul-token", "") == self.token
        match [request.method, *request.segments]:
            case ["GET", "v1", "status", "leader"]:
                return RestReply(200, self.leader)
            case ["GET", "v1", "acl", "token", "self"]:
                return RestReply(200, {}) if known else RestReply(403, b"ACL not found")
            case ["PUT", "v1", "txn"]:
                return self.transact(request.body) if known else RestReply(403, b"ACL not found")
        return RestReply(404)

    def transact(self, operations: list[dict[str, Any]]) -> RestReply:
        if len(operations) > 64:
            return RestReply(413, b"Transaction contains too many operations (65 > 64)")
        self.index += 1
        before = deepcopy(self.keys)
        results: list[Any] = []
        errors: list[Any] = []
        for number, each in enumerate(operations):
            try:
                results += [{"KV": entry} for entry in self.apply(**each["KV"])]
            except LookupError as error:
                errors.append({"OpIndex": number, "What": error.args[0]})
        if errors:
            self.keys = before
            return RestReply(409, {"Results": None, "Errors": errors})
        return RestReply(200, {"Results": results, "Errors": None})

    def apply(self, **operation: Any) -> list[dict[str, Any]]:
        key, index = operation["Key"], operation["Index"]
        found = self.keys.get(key)
        match operation["Verb"]:
            case "set":
                return [self.store(operation)]
            case "cas":
                if index != (found or {"ModifyIndex": 0})["ModifyIndex"]:
                    raise LookupError(f'failed to set key "{key}", index is stale')
                return [self.store(operation)]
            case "get":
                if found is None:
                    raise LookupError(f'key "{key}" doesn\'t exist')
                return [found]
            case "get-tree":
                return [each for name, each in self.keys.items() if name.startswith(key)]
            case "delete":
                self.keys.pop(key, None)
            case "check-not-exists" if found is not None:
                raise LookupError(f'key "{key}" exists')
            case "check-session" if found is None or found["Session"] != operation["Session"]:
                raise LookupError(f'key "{key}" is not held by the session')
        return []

    def store(self, operation: dict[str, Any]) -> dict[str, Any]:
        kept = {name: operation[name] for name in ("Key", "Value", "Flags", "Session")}
        self.keys[operation["Key"]] = kept | {"ModifyIndex": self.index}
        return {**kept, "Value": None, "ModifyIndex": self.index}
