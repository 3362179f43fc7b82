"""A database that was taken back to an earlier moment: gateways notice, nodesctl checks it, no number is given twice."""

import contextlib
import json
import shutil
import subprocess

import pytest
from support.deployment import Deployment, deployed, eventually


@pytest.fixture(scope="module")
def nodes():
    with deployed(gateways=1, kernels=1) as nodes:
        yield nodes


@contextlib.contextmanager
def later(nodes: Deployment):
    """What is done inside is undone at its end: PostgreSQL's files are put back as they were, under running servers."""
    data = nodes.cluster.data
    kept = data.with_name("kept")
    nodes.stop_database()
    shutil.copytree(data, kept)
    nodes.start_database()
    yield
    nodes.stop_database()
    shutil.rmtree(data)
    kept.rename(data)
    for path in (data, *data.rglob("*")):
        nodes.cluster.account.own(path)
    nodes.start_database()


def kept_events(nodes: Deployment, position: int) -> str:
    """What `nodesctl events follow --json` prints, up to that position."""
    with subprocess.Popen(
        [str(nodes.binaries / "nodesctl"), "events", "follow", "--from", "0", "--json"],
        env={**nodes.environment, "NODES_CONFIG": str(nodes.config / "nodesctl.json")},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as following:  # fmt: skip
        lines = []
        for line in following.stdout:
            lines.append(line)
            if json.loads(line)["position"] >= position:
                break
        following.terminate()
    return "".join(lines)


def push(nodes: Deployment, sender: str, name: str) -> None:
    nodes.nodesctl("messages", "push", sender, json.dumps(name), "--id", name)


def test_i8_nothing_that_was_numbered_after_the_backup_is_numbered_again(nodes: Deployment):
    administrator = nodes.administrator()
    device = nodes.device()
    device.pair(administrator)
    push(nodes, device.sender_id, "before")
    assert device.socket.event("message")["messageSeq"] == 1
    device.socket.request("message.ack", {"messageSeq": 1})
    push(nodes, device.sender_id, "waiting")
    assert device.socket.event("message")["messageSeq"] == 2
    revoked = nodes.device()
    revoked.pair(administrator)
    revoked.close()
    gateway, kernel = nodes.gateways[0], nodes.kernels[0]
    verified = json.loads(nodes.nodesctl("backup", "verify", "--json").stdout)
    assert verified["sound"] and verified["epoch"] == 1 and verified["devices"] == 2 and not verified["faults"]
    assert verified["gateways"]
    with later(nodes):
        device.reconnect()
        assert device.socket.event("message")["messageSeq"] == 2
        push(nodes, device.sender_id, "lost")
        assert device.socket.event("message")["messageSeq"] == 3
        device.socket.request("message.ack", {"messageSeq": 3})
        lost = nodes.device()
        lost.pair(administrator)
        nodes.nodesctl("revoke", revoked.sender_id, "--yes")
        lost_position = nodes.rows("SELECT position FROM event_counter")[0][0]
        lost_head = nodes.nodesctl("audit", "head").stdout.strip()
        lost_epoch = nodes.rows("SELECT epoch FROM device_sessions WHERE sender_key = %s", device.sender_id.lower())
        kept = kept_events(nodes, lost_position)
    # Whoever kept the events knows what is gone, and which device is paired again.
    missing = nodes.nodesctl("backup", "missing", "-", stdin=kept, check=False)
    assert missing.returncode == 65, missing.stderr
    assert f"pairing.approved  web/{lost.sender_id}  by admin" in missing.stdout
    assert missing.stdout.splitlines()[-1] == f"nodesctl revoke {revoked.sender_id} --channel web"
    assert device.sender_id not in missing.stdout
    # The gateway says so by itself, and a device that is not paired any more does not stay.
    eventually(lambda: "taken back to an earlier moment" in nodes.log_of(gateway), "the gateway notices")
    lost.socket.wait_closed()
    assert lost.sender_id not in nodes.administrator().get("/nodes").text

    # The copy is sound, and is not the one that the kept head was made of.
    refused = nodes.nodesctl("backup", "restored", "--yes", check=False)
    assert refused.returncode == 65 and "Gateways run on this database" in refused.stderr
    for process in (gateway, kernel):
        process.stop()
    unlike = nodes.nodesctl("backup", "verify", "--head", lost_head, check=False)
    assert unlike.returncode == 65 and "is not in the chain" in unlike.stdout
    assert nodes.nodesctl("backup", "verify").returncode == 0
    assert nodes.nodesctl("backup", "restored", "--yes").stdout.startswith("Epoch 2 begins.")
    for process in (gateway, kernel):
        process.start()
    nodes.wait_until_ready()

    event = nodes.rows("SELECT position, details FROM events WHERE event = 'database.restored'")
    assert event[0][0] > lost_position and event[0][1]["epoch"] == 2
    device.reconnect()
    push(nodes, device.sender_id, "after")
    # A device that takes every number it has seen for a repeat shows both.
    came = [device.socket.event("message") for _ in range(2)]
    assert [message["message"] for message in came] == ["waiting", "after"]
    assert 3 < came[0]["messageSeq"] < came[1]["messageSeq"]
    device.socket.request("message.ack", {"messageSeq": came[1]["messageSeq"]})
    new_epoch = nodes.rows("SELECT epoch FROM device_sessions WHERE sender_key = %s", device.sender_id.lower())
    assert new_epoch > lost_epoch
    receipt = device.socket.request("message.send", {"messageId": "m", "message": "still here"})
    assert receipt["messageSeq"] > 1 and device.socket.event("message")["message"] == "still here"
    # What the chain leaves out is what the row says, and a head of the lost time is not in it.
    assert nodes.nodesctl("audit", "verify").returncode == 0
    gone = nodes.nodesctl("audit", "verify", "--head", lost_head, check=False)
    assert gone.returncode == 65 and "is not in the chain" in gone.stderr


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE device_streams SET next_out = 1", "numbers that would be given again"),
        ("UPDATE device_streams SET unanswered = 7", "without an answer than is counted"),
        ("DELETE FROM device_streams", "paired for administrators and not for their messages"),
        ("UPDATE event_counter SET position = 1", "behind the feed's end"),
        ("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'messages_open'::regclass", "not usable"),
    ],
)
def test_what_contradicts_itself_is_found_and_named(nodes: Deployment, statement: str, sentence: str):
    if not nodes.rows("SELECT FROM messages"):
        device = nodes.device()
        device.pair(nodes.administrator())
        push(nodes, device.sender_id, "kept")
        assert device.socket.event("message")
    with contextlib.closing(nodes.db()) as connection:
        with connection.cursor() as cursor:
            name = statement.split()[1] if statement.startswith("UPDATE") else statement.split()[2]
            cursor.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM {name}")
            try:
                cursor.execute(statement)
                found = nodes.nodesctl("backup", "verify", check=False)
            finally:
                if name == "pg_index":
                    cursor.execute(statement.replace("false", "true"))
                else:
                    cursor.execute(f"DELETE FROM {name}")
                    cursor.execute(f"INSERT INTO {name} SELECT * FROM kept")
                cursor.execute("DROP TABLE kept")
    assert found.returncode == 65 and sentence in found.stdout, found.stdout + found.stderr
    assert "don't let servers run on it" in found.stderr
    assert nodes.nodesctl("backup", "verify").returncode == 0
