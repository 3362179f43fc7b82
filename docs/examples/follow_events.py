"""Prints events as they happen: follow_events.py DATABASE_URL [EVENT ...]

Needs psycopg2 (Debian: python3-psycopg2). Begins with what happens after its start; a program that must not miss
anything while it is stopped stores `position` and begins there.
"""

import json
import select
import sys
import time

import psycopg2

DATABASE_URL, WANTED = sys.argv[1], set(sys.argv[2:])
COLUMNS = ("position", "at", "event", "channel", "sender_id", "actor_kind", "actor")


def follow(position: int | None) -> None:
    connection = psycopg2.connect(DATABASE_URL)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("LISTEN nodes_events")
    if position is None:
        cursor.execute("SELECT position FROM event_counter")
        position = cursor.fetchone()[0]
        print(json.dumps({"following": position}), flush=True)
    while True:
        cursor.execute(
            f"SELECT {', '.join(COLUMNS)} FROM events WHERE position > %s ORDER BY position LIMIT 500", (position,)
        )
        rows = cursor.fetchall()
        for row in rows:
            event = dict(zip(COLUMNS, row))
            if not WANTED or event["event"] in WANTED:
                print(json.dumps(event, default=str), flush=True)
            follow.position = position = event["position"]
        if not rows:
            select.select([connection], [], [], 3)
            connection.poll()
            connection.notifies.clear()


follow.position = None
while True:
    try:
        follow(follow.position)
    except psycopg2.Error as error:
        print(f"the database is away, trying again: {error}".strip(), file=sys.stderr)
        time.sleep(1)
