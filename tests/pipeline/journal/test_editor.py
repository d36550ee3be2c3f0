"""People at the journal, beside a host that has it open."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flyte_host.clock import Clock
from flyte_host.pipeline.journal import (
    SCHEMA_VERSION,
    Editor,
    EntryGone,
    Journal,
    JournalError,
    Kind,
    State,
    entry_name,
    parse_name,
)
from tests.support.journal_file import (
    execute,
    hide,
    query,
    show,
    taken,
    write_delivered,
    write_result,
    write_taken,
)

AT = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("kind", "name"), [(Kind.RESULT, "r12"), (Kind.EVENT, "e7")])
def test_names_go_there_and_back(kind: Kind, name: str) -> None:
    assert entry_name(*parse_name(name)) == name
    assert parse_name(name) == (kind, int(name[1:]))


@pytest.mark.parametrize(
    "name", ["", "r", "12", "x1", "r-1", "r0", "r01", "r1 ", "R1", "r" + "9" * 30]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^found '.*', expected the name of an entry: r12 \("):
        parse_name(name)


def test_the_host_sees_changes_by_others_once(journal: Journal, path: Path) -> None:
    journal.park(journal.emit("demo", b"{}"), "400")
    assert not journal.changed_by_others()  # its own
    with Editor(path, Clock(lambda: AT)) as visitor:
        visitor.retry([(Kind.EVENT, 1)])
        (entry,) = visitor.entries(State)
        assert (entry.state, entry.since, entry.reason) == (State.WAITING, AT, "")
    assert journal.changed_by_others()
    assert not journal.changed_by_others()
    assert [each.number for each in journal.undelivered()] == [1]


def test_looking_changes_nothing(journal: Journal, path: Path) -> None:
    journal.emit("demo", b"{}")
    with Editor(path, Clock()) as visitor:
        visitor.entries(State)
        visitor.contents((Kind.EVENT, 1))
    assert not journal.changed_by_others()


def test_the_hosts_probe_is_not_an_entry(journal: Journal, path: Path) -> None:
    """A host that is killed amid its probe leaves a row behind."""
    execute(
        path,
        "INSERT INTO action (number, instance, pack, id, command, input, result_href, taken_at,"
        " state, changed_at) VALUES (0, '', '', '', '', x'00', '', '', 'delivered', '')",
    )
    with Editor(path, Clock()) as visitor:
        assert visitor.entries(State) == []
    journal.close()
    Journal(path, Clock()).close()
    assert query(path, "SELECT number FROM action") == []


def test_what_is_dropped_amid_a_delivery_is_gone_for_the_host(journal: Journal, path: Path) -> None:
    opened = write_taken(journal, "demo", "Demo", taken())
    delivery = write_result(journal, opened, b"{}")
    event = journal.emit("demo", b"{}")
    with Editor(path, Clock()) as visitor:
        visitor.drop([(Kind.RESULT, 1), (Kind.EVENT, 1)])
    for each in (delivery, event):
        with pytest.raises(EntryGone):
            journal.read(each.owed)
    with pytest.raises(EntryGone):
        write_result(journal, opened, b"{}")
    with pytest.raises(EntryGone):
        journal.replace(delivery, b"{}")
    write_delivered(journal, delivery)
    journal.park(event, "late")
    assert query(path, "SELECT number FROM action") == []
    assert journal.problem() == ""


def test_a_retry_of_which_one_fails_changes_nothing(journal: Journal, path: Path) -> None:
    journal.park(journal.emit("demo", b"{}"), "400")
    with Editor(path, Clock()) as visitor:
        with pytest.raises(JournalError, match=r"there is no e2; "):
            visitor.retry([(Kind.EVENT, 1), (Kind.EVENT, 2)])
        assert [each.state for each in visitor.entries(State)] == [State.PARKED]


def test_another_version_is_not_touched(path: Path) -> None:
    Journal(path, Clock()).close()
    execute(path, "PRAGMA user_version = 1")
    with pytest.raises(JournalError) as refused:
        Editor(path, Clock())
    assert str(refused.value) == (
        f"journal {path}: found schema 1, this flyte-host reads {SCHEMA_VERSION}; "
        "flyte-host serve upgrades an older one when it starts"
    )


def test_a_file_that_is_not_a_journal_is_refused(path: Path, tmp_path: Path) -> None:
    hint = "; expected the [host] state of a flyte-host, and its folder to be writable"
    path.write_text("these are notes, not a database" * 50)
    with pytest.raises(JournalError) as refused:
        Editor(path, Clock())
    assert str(refused.value) == f"journal {path}: file is not a database{hint}"
    with pytest.raises(JournalError) as refused:
        Editor(tmp_path, Clock())
    words = "found a folder, expected a file; set another [host] state"
    assert str(refused.value) == f"journal {tmp_path}: {words}"


@pytest.mark.parametrize("path", ["/dev/null", "pipe"])
def test_a_path_that_is_not_a_file_is_named(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    kind = "a device" if path == "/dev/null" else "a named pipe"
    words = f"journal {tmp_path / path}: found {kind}, expected a file; set another [host] state"
    for open_ in (Editor, Journal):
        with pytest.raises(JournalError) as refused:
            open_(tmp_path / path, Clock())
        assert str(refused.value) == words


def test_a_journal_that_is_damaged_is_told(journal: Journal, path: Path) -> None:
    with Editor(path, Clock()) as visitor:
        hide(path, "event")
        with pytest.raises(JournalError, match="no such table: event; expected the"):
            visitor.entries(State)
        show(path, "event")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "host.db"
    words = f"journal {path}: its folder {path.parent} does not exist; create it, or set another"
    with pytest.raises(JournalError, match=re.escape(words)):
        Editor(path, Clock())
    with pytest.raises(JournalError, match=re.escape(words)):
        Journal(path, Clock())
