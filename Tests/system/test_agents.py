"""Agents: what the operators' document shows, and `nodesctl agents`, against servers that the tests run."""

import base64
import json
import os
import re
import secrets
import subprocess
import time

import pytest

from support.agents import Agent, document, hang, is_signed, says, status
from support.deployment import ROOT, binaries

REFUSED, NOT_FOUND, UNAVAILABLE, TRY_AGAIN, CONFIGURATION = 65, 66, 69, 75, 78
KEY = "sk-" + secrets.token_hex(16)
SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def nodesctl(tmp_path):
    """Runs `nodesctl agents` with a configuration; there is no database, and none is needed."""

    def run(settings: dict, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        file = tmp_path / "nodes.json"
        file.write_text(json.dumps(settings))
        return subprocess.run(
            [binaries() / "nodesctl", "agents", *arguments, "--config", file],
            env={**os.environ, "DATABASE_URL": "postgresql://nowhere.invalid/nodes", **environment},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return run


def chat(agent: Agent, **settings) -> dict:
    return {"agents": {"support": {"type": "openai", "url": agent.url, "model": "m", **settings}}}


def operators_example() -> tuple[dict, list[str]]:
    """The configuration and the commands that the operators' document shows."""
    section = (ROOT / "docs/operators.md").read_text().split("\n## Agents\n")[1].split("\n## ")[0]
    configuration = re.search(r"```json\n(.*?)```", section, re.S)[1]
    commands = re.search(r"```sh\n(.*?)```", section, re.S)[1]
    return json.loads(configuration), commands.splitlines()


def test_the_example_of_the_operators_document_works(tmp_path):
    settings, commands = operators_example()
    assert [line for line in commands if line.startswith("nodesctl")] == [
        "nodesctl agents list", "nodesctl agents check support",
    ]  # fmt: skip
    with Agent(says("Good evening.")) as agent:
        settings["agents"]["support"]["url"] = agent.url
        key = tmp_path / "support.key"
        settings["agents"]["support"]["key_file"] = str(key)
        file = tmp_path / "nodes.json"
        file.write_text(json.dumps(settings))
        script = "\n".join(commands).replace("/etc/goclaw-nodes/support.key", str(key)).replace(" -g goclaw-nodes", "")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env={
                **os.environ, "PATH": f"{binaries()}:{os.environ['PATH']}", "KEY": KEY, "NODES_CONFIG": str(file),
                "DATABASE_URL": "postgresql://nowhere.invalid/nodes", "READINGS_SECRET": SECRET,
            },
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^echo +echo +\* ", done.stdout, re.M)
    assert re.search(r"^readings +webhook +iot +\$READINGS_SECRET +https://readings", done.stdout, re.M)
    assert re.search(r"^support +openai +web ", done.stdout, re.M)
    assert "Good evening." in done.stdout and re.search(r"^First part: +after \d+ ms$", done.stdout, re.M)
    headers, body = agent.requests[0]
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert json.loads(body)["messages"][0] == {"role": "system", "content": "You answer at a hotel's reception."}
    assert KEY not in done.stdout + done.stderr and SECRET not in done.stdout + done.stderr


def test_a_check_says_what_came_back_and_when(nodesctl):
    with Agent(says("Yes.")) as agent:
        done = nodesctl(chat(agent), "check", "support", "--json", "--message", "Hello?")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["answers"] and not result["later"] and result["agent"] == "support"
    assert json.loads(result["reply"]) == {"type": "text", "text": "Yes. "}
    assert 0 <= result["firstPartMs"] <= result["answerMs"]
    asked = json.loads(agent.requests[0][1])
    assert asked["messages"] == [{"role": "user", "content": "Hello?"}] and asked["stream"] is True


def test_a_check_of_the_built_in_agent_needs_nobody(nodesctl):
    done = nodesctl({}, "check", "echo", "--json", "--message", "x")
    assert (done.returncode, json.loads(done.stdout)["reply"]) == (0, '"x"'), done.stderr


@pytest.mark.parametrize(
    ("answer", "settings", "code", "sentence"),
    [
        (status(401, "bad key"), {}, REFUSED, "refuses the message. It answers with status 401: bad key"),
        (status(404, "no such model"), {}, REFUSED, "status 404: no such model"),
        (status(429, "slow down", Retry_After="9"), {}, TRY_AGAIN, "is too busy. It answers with status 429: slow down"),
        (status(503), {}, TRY_AGAIN, "is too busy"),
        (status(500), {}, UNAVAILABLE, "cannot be reached"),
        (document({"hello": "world"}), {}, REFUSED, "answers what is no answer"),
        (hang(), {"timeout": "300ms"}, UNAVAILABLE, "did not answer in time. There was no whole answer within 0.3 s"),
        (hang(), {"silence_timeout": "300ms"}, UNAVAILABLE, "did not answer in time. Nothing came for 0.3 s"),
    ],
    ids=["a wrong key", "no model", "429", "503", "500", "nonsense", "too slow", "silent"],
)
def test_a_check_says_what_is_wrong_and_ends_so(nodesctl, answer, settings, code, sentence):
    with Agent(answer) as agent:
        began = time.monotonic()
        done = nodesctl(chat(agent, **settings), "check", "support")
        took = time.monotonic() - began
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("nodesctl: The agent support ") and sentence in done.stderr
    # It is asked once.
    assert len(agent.requests) == 1 and took < 20


def test_an_agent_that_is_not_there_is_said_to_be_away_at_once(nodesctl):
    with Agent(says("")) as agent:
        pass
    began = time.monotonic()
    done = nodesctl(chat(agent), "check", "support", "--json")
    assert done.returncode == UNAVAILABLE and time.monotonic() - began < 8
    assert "cannot be reached. Check its address, and whether it runs" in json.loads(done.stderr)["error"]["message"]


def test_a_name_that_is_not_configured_is_refused_with_the_closest(nodesctl):
    with Agent(says("")) as agent:
        done = nodesctl(chat(agent, key_env="NOT_SET"), "check", "suport")
    assert done.returncode == NOT_FOUND
    assert "There is no agent named “suport”; did you mean support?" in done.stderr


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o660, 0o604])
def test_a_key_that_others_may_read_is_not_used(nodesctl, tmp_path, mode):
    key = tmp_path / "key"
    key.write_text(KEY + "\n")
    key.chmod(mode)
    with Agent(says("")) as agent:
        done = nodesctl(chat(agent, key_file=str(key)), "check", "support")
        listed = nodesctl(chat(agent, key_file=str(key)), "list")
    assert done.returncode == CONFIGURATION
    assert f"agents.support.key_file: {key} has the mode {mode:o}" in done.stderr
    assert "A gateway would not start:" in listed.stdout and "(unusable)" in listed.stdout
    assert not agent.requests


def test_a_key_that_the_server_repeats_is_not_shown(nodesctl):
    with Agent(status(401, f"Incorrect API key provided: {KEY}")) as agent:
        done = nodesctl(chat(agent, key_env="SUPPORT_KEY"), "check", "support", SUPPORT_KEY=KEY)
    assert agent.requests[0][0]["Authorization"] == f"Bearer {KEY}"
    assert "Incorrect API key provided: …" in done.stderr and KEY not in done.stderr


def hook(agent: Agent) -> dict:
    return {"agents": {"hook": {"type": "webhook", "url": agent.url, "key_env": "HOOK_SECRET"}}}


def test_a_web_hook_is_signed_and_its_answer_is_the_reply(nodesctl):
    with Agent(document({"said": "yes"})) as agent:
        done = nodesctl(hook(agent), "check", "hook", "--json", "--message", "Hello?", HOOK_SECRET=SECRET)
    assert done.returncode == 0, done.stderr
    assert json.loads(json.loads(done.stdout)["reply"]) == {"said": "yes"}
    headers, body = agent.requests[0]
    assert is_signed(headers, body, SECRET)
    assert not is_signed(headers, body + b" ", SECRET)
    assert not is_signed(headers, body, "whsec_" + base64.b64encode(b"x" * 32).decode())
    sent = json.loads(body)
    assert sent["type"] == "message.received"
    assert sent["data"] == {"channel": "check", "senderId": "nodesctl-check", "message": "Hello?"}
    assert SECRET not in done.stdout + done.stderr


def test_a_web_hook_may_take_a_message_and_answer_later(nodesctl):
    with Agent(status(202)) as agent:
        done = nodesctl(hook(agent), "check", "hook", HOOK_SECRET=SECRET)
    assert done.returncode == 0 and "it answers later" in done.stdout, done.stderr
