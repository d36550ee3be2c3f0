"""What Jira's answers are read into: the parts that commands use, empty where Jira says nothing."""

import msgspec


class Named(msgspec.Struct, frozen=True):
    name: str = ""


class User(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    email_address: str = ""
    account_id: str = ""
    """At Jira Cloud only, where users have no name and may hide their address."""


class Fields(msgspec.Struct, frozen=True):
    summary: str = ""
    description: str = ""
    status: Named = Named()
    priority: Named = Named()
    issuetype: Named = Named()
    assignee: User = User()
    reporter: User = User()
    components: list[Named] | None = None
    labels: list[str] | None = None


class Issue(msgspec.Struct, frozen=True):
    key: str = ""
    fields: Fields = Fields()


class Created(msgspec.Struct, frozen=True):
    id: str = ""
    key: str = ""
    self: str = ""


class SearchResult(msgspec.Struct, frozen=True, rename="camel"):
    total: int = 0
    issues: list[Issue] | None = None
    next_page_token: str = ""


class Count(msgspec.Struct, frozen=True):
    count: int = 0


class Transition(msgspec.Struct, frozen=True):
    id: str = ""
    name: str = ""


class Transitions(msgspec.Struct, frozen=True):
    transitions: list[Transition] = []


class LinkType(msgspec.Struct, frozen=True):
    name: str = ""
    inward: str = ""
    outward: str = ""

    def payload(self) -> dict[str, str]:
        words = {"inward": self.inward, "outward": self.outward}
        return {"name": self.name} | {key: word for key, word in words.items() if word}


class LinkedIssue(msgspec.Struct, frozen=True):
    key: str = ""


class LinkComment(msgspec.Struct, frozen=True):
    body: str = ""


class Link(msgspec.Struct, frozen=True, rename="camel"):
    type: LinkType = LinkType()
    inward_issue: LinkedIssue = LinkedIssue()
    outward_issue: LinkedIssue = LinkedIssue()
    comment: LinkComment = LinkComment()
