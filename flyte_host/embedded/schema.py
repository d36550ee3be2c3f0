"""The tables of the store, as migrations.

Owns what SQLite keeps and how an older file becomes a newer one: ``user_version`` counts the
migrations that a file has seen. Never change a released migration; add another one.
"""

MIGRATIONS = (
    """
    CREATE TABLE pack (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        labels TEXT NOT NULL,
        document BLOB NOT NULL,          -- commands, events, links as the pack sent them
        last_seen INTEGER NOT NULL       -- all times: milliseconds since 1970, UTC
    ) WITHOUT ROWID;
    CREATE INDEX pack_by_name ON pack (name, id);

    CREATE TABLE flow (name TEXT PRIMARY KEY, uuid TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE flow_trigger (
        pack_name TEXT NOT NULL,
        event_name TEXT NOT NULL,
        flow_name TEXT NOT NULL REFERENCES flow ON DELETE CASCADE,
        PRIMARY KEY (pack_name, event_name, flow_name)
    ) WITHOUT ROWID;
    CREATE INDEX flow_trigger_by_flow ON flow_trigger (flow_name);
    CREATE TABLE flow_version (
        uuid TEXT PRIMARY KEY,
        document BLOB NOT NULL,
        replaced INTEGER                 -- when a newer version or a deletion took its place
    ) WITHOUT ROWID;
    CREATE INDEX flow_version_replaced ON flow_version (replaced) WHERE replaced IS NOT NULL;

    CREATE TABLE execution (
        correlation_id TEXT PRIMARY KEY,
        flow_uuid TEXT NOT NULL,
        flow_name TEXT NOT NULL,
        changed INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX execution_by_change ON execution (changed, correlation_id);
    CREATE INDEX execution_by_flow ON execution (flow_name, changed);
    CREATE INDEX execution_by_version ON execution (flow_uuid);

    CREATE TABLE action (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        correlation_id TEXT NOT NULL REFERENCES execution ON DELETE CASCADE,
        step_number INTEGER NOT NULL,
        step_id TEXT NOT NULL,
        name TEXT NOT NULL,
        pack_name TEXT NOT NULL,
        pack_labels TEXT NOT NULL,
        state TEXT NOT NULL,
        states BLOB NOT NULL,
        input BLOB NOT NULL,
        context BLOB NOT NULL,
        trigger BLOB NOT NULL,
        result BLOB,
        UNIQUE (correlation_id, step_number)
    );
    CREATE INDEX action_waiting ON action (pack_name, pack_labels, number) WHERE state = 'NEW';
    CREATE INDEX action_waiting_by_name
        ON action (pack_name, pack_labels, name, number) WHERE state = 'NEW';

    CREATE TABLE skipped (
        number INTEGER PRIMARY KEY,
        correlation_id TEXT NOT NULL REFERENCES execution ON DELETE CASCADE,
        step_id TEXT NOT NULL,
        event BLOB NOT NULL,
        reason TEXT NOT NULL,
        time INTEGER NOT NULL
    );
    CREATE INDEX skipped_by_execution ON skipped (correlation_id);

    CREATE TABLE datastore (
        key TEXT PRIMARY KEY,
        content_type TEXT NOT NULL,
        description TEXT NOT NULL,
        value BLOB NOT NULL
    );
    """,
    # Stores an event once for all actions that it starts or ends, and whether a flow came from
    # a file.
    """
    CREATE TABLE event (number INTEGER PRIMARY KEY, document BLOB NOT NULL);
    INSERT INTO event (document)
        SELECT "trigger" FROM action UNION SELECT result FROM action WHERE result IS NOT NULL
        UNION SELECT event FROM skipped;
    CREATE INDEX event_by_document ON event (document);

    ALTER TABLE action ADD COLUMN trigger_event INTEGER REFERENCES event;
    ALTER TABLE action ADD COLUMN result_event INTEGER REFERENCES event;
    UPDATE action SET
        trigger_event = (SELECT number FROM event WHERE document = action."trigger"),
        result_event = (SELECT number FROM event WHERE document = action.result);
    ALTER TABLE action DROP COLUMN "trigger";
    ALTER TABLE action DROP COLUMN result;
    CREATE INDEX action_by_trigger ON action (trigger_event);
    CREATE INDEX action_by_result ON action (result_event) WHERE result_event IS NOT NULL;

    ALTER TABLE skipped ADD COLUMN event_number INTEGER REFERENCES event;
    UPDATE skipped SET event_number = (SELECT number FROM event WHERE document = skipped.event);
    ALTER TABLE skipped DROP COLUMN event;
    CREATE INDEX skipped_by_event ON skipped (event_number);
    DROP INDEX event_by_document;

    ALTER TABLE flow ADD COLUMN is_from_file INTEGER NOT NULL DEFAULT 0
    """,
    # Each result of an execution increments it: what relies on an earlier one is out of date.
    "ALTER TABLE execution ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",
    # The trace context of the event that made the action; empty: none.
    "ALTER TABLE action ADD COLUMN trace TEXT NOT NULL DEFAULT ''",
)
