"""`nodesctl channel check` passes the channels that keep the rules, and says what is wrong with the others."""

import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest
from support.channels import check, compile_c, compile_swift, not_passed
from support.deployment import ROOT, eventually

ZOO = ROOT / "Tests/PluginZoo"
READINGS = '{"readings":[{"name":"temperature","unit":"Cel","type":"number","min":-40,"max":85,"periodMs":60000}]}'

# What an ordinary device of each channel looks like, where it is not any.
ORDINARY = {
    "IoT": ["--metadata", READINGS, "--message", '{"readings":{"temperature":21.5}}'],
    "sensor": ["--metadata", '{"room":"kitchen"}', "--message", '{"temperature":21.5}'],
}


@pytest.fixture
def animal(tmp_path):
    return lambda name: compile_c(ZOO / f"{name}.c", tmp_path / f"{name}.so")


def channel(name: str, built: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    if name in ("tame", "diligent"):
        return compile_c(ZOO / f"{name}.c", folder / f"{name}.so")
    if name == "echo":
        return compile_c(ROOT / "Plugins/Examples/c-echo/echo.c", folder / "echo.so")
    if name == "sensor":
        sources = list((ROOT / "Plugins/Examples/swift-sensor/Sources").rglob("*.swift"))
        return compile_swift(built, "SensorChannel", sources, folder / "libSensorChannel.so")
    return built / f"lib{name}Channel.so"


@pytest.mark.parametrize("name", ["tame", "diligent", "echo", "sensor", "Web", "Mobile", "IoT"])
def test_a_channel_that_keeps_the_rules_passes_every_check(built, tmp_path, name):
    status, report = check(built, channel(name, built, tmp_path), *ORDINARY.get(name, []))
    found = not_passed(report)
    if name == "diligent":
        # Its frames are for the tests to see, not for a device to acknowledge.
        [sentence, *_] = found.pop("deliver.ordinary")
        assert "messageSeq" in sentence
    assert found == {}
    assert status == 0 and report["passed"]
    assert len(report["checks"]) == 32
    assert report["timings"][0]["call"] == "review" and report["timings"][0]["medianNs"] > 0
    skipped = [name for name, result in report["checks"].items() if result["outcome"] == "not applicable"]
    if name in ("IoT", "sensor", "Web", "Mobile"):
        assert skipped == ["manifest", "tickets"]


# The plugin, the check that finds it out, and what the report says.
BROKEN = [
    ("unresolved", "library", "undefined symbol: zoo_function_that_nobody_has"),
    ("no_entry", "library", "does not export the function goclaw_channel_entry"),
    ("null_table", "table", "The entry returned no table, after logging: this machine has no giraffe"),
    ("unaligned_table", "table", "not aligned"),
    ("other_major", "table", "ABI 9.2, expected 1.x"),
    ("small_table", "table", "24 bytes, expected at least 48"),
    ("null_functions", "table", "lacks destroy, review"),
    ("bad_id", "describe", "expected [a-z][a-z0-9_-]{0,31}"),
    ("explaining_describe", "describe", "Its reason: "),
    ("moody", "describe", "something else the second time"),
    ("failing_create", "create", "visitors is -1, expected 0 or more."),
    ("abort_in_create", "create.hostile", "SIGABRT (Aborted) during create with an unknown key"),
    ("two_limits", "limits", "2 limits records"),
    ("odd_limits", "create", "messages_per_second -1.0"),
    ("unknown_status", "review.ordinary", "unknown status 77"),
    ("unknown_status", "review.extreme", "unknown status 77"),
    ("unknown_status", "review.hostile", "unknown status 77"),
    ("later_without_ticket", "review.ordinary", "GOCLAW_LATER without a ticket"),
    ("other_thread", "review.ordinary", "from another thread"),
    ("misplaced", "review.ordinary", "limits record into the sink of review; it belongs into create"),
    ("reads_beyond", "review.ordinary", "beyond the end of a text or record"),
    ("reads_larger_record", "review.ordinary", "beyond the end of a text or record"),
    ("keeps_pointer", "review.ordinary", "lent to an earlier call"),
    ("closes_descriptors", "review.ordinary", "closed descriptors that are not its own"),
    ("exits", "review.extreme", "ended the process during review of no display name, with exit status 0"),
    ("two_faults", "review.extreme", "refused without a reason, with GOCLAW_INVALID (in review of no display name)"),
    ("two_faults", "review.extreme", "SIGSEGV (Segmentation fault) during review of metadata with spaces"),
    ("kept_sink", "sessions", "used the sink of review (for a detail) after that call had returned"),
    ("bad_frames", "sessions", "an event that is not [a-z][a-z0-9._]{0,63}"),
    ("hosts_event", "sessions", "the event device.pair.resolved, which is the host's"),
    ("bad_frames", "deliver.ordinary", "a payload that is no JSON object"),
    ("bad_frames", "tick", "unknown status 77"),
    ("flood", "receive.ordinary", "GOCLAW_EXHAUSTED, a status of the host's"),
    ("flood", "receive.hostile", "GOCLAW_EXHAUSTED, a status of the host's"),
    ("short_buffer", "deliver.extreme", "a payload that is no JSON object"),
    ("crash_in_receive", "receive.extreme", "SIGSEGV (Segmentation fault) during receive of the body null"),
    # C2
    ("refuses_agents", "deliver.ordinary", "give one that it takes with --agent-message"),
    # C3
    ("unescaped", "receive.hostile", "a body that is no JSON value"),
    ("one_host", "second-host", "It called count of one host in a call into an instance of another host"),
    ("one_instance", "order", "The second of two instances answered GOCLAW_FAILED"),
    ("proud", "second-host", "SIGABRT (Aborted) during review of an ordinary device (check-1)"),
    ("equal_size", "newer-host", "gave GOCLAW_INVALID instead of GOCLAW_OK"),
    ("racy", "threads", "gave another answer"),
    ("leaks_reviews", "leaks.reviews", "bytes of the heap allocated"),
    ("leaks_messages", "leaks.messages", "bytes of the heap allocated"),
    ("leaks_mappings", "leaks.messages", "bytes of memory mapped beside the heap"),
    ("hoards_devices", "leaks.reviews", "each of another sender ID"),
    ("hoards_messages", "leaks.messages", "each of another ID and number"),
    ("quotes", "receive.hostile", "a message of more than 64 KiB"),
    ("leaks_descriptors", "leaks.sessions", "descriptors open"),
    ("leaks_threads", "leaks.instances", "threads running"),
    ("changes_table", "process", "changed its table"),
]


@pytest.fixture(scope="module")
def reports(built, tmp_path_factory):
    """The report of each animal, made once."""
    folder = tmp_path_factory.mktemp("zoo")
    known = {}

    def report(name: str) -> tuple[int, dict]:
        if name not in known:
            known[name] = check(built, compile_c(ZOO / f"{name}.c", folder / f"{name}.so"))
        return known[name]

    return report


@pytest.mark.parametrize(("name", "found_by", "said"), BROKEN)
def test_a_broken_plugin_is_found_out(reports, name, found_by, said):
    status, report = reports(name)
    result = report["checks"][found_by]
    assert status == 1 and not report["passed"]
    assert result["outcome"] == "failed", not_passed(report)
    assert any(said in sentence for sentence in result["seen"]), result["seen"]
    assert result["promise"] and result["advice"]


WARNED = [
    ("no_entry", "symbols", "zoo_has_no_entry"),
    ("changes_process", "process", "the handler of SIGTERM"),
    ("prints", "output", '{"began":"nothing"}'),
    ("sluggish", "time", "review takes more than 10 ms"),
    ("slow_sessions", "time", "session_opened takes more than 10 ms"),
    ("slow_sessions", "time", "session_closed takes more than 10 ms"),
    ("slow_sessions", "time", "tick takes more than 10 ms"),
    ("drops", "deliver.ordinary", "Put the number into the payload of a frame, as messageSeq"),
    ("forgets_number", "deliver.ordinary", "Put the number into the payload of a frame, as messageSeq"),
    ("two_limits", "limits", "silence_ms (30000) is not longer than heartbeat_ms"),
]


@pytest.mark.parametrize(("name", "found_by", "said"), WARNED)
def test_what_breaks_no_promise_is_a_warning(reports, name, found_by, said):
    _, report = reports(name)
    assert any(said in sentence for sentence in report["checks"][found_by]["seen"]), not_passed(report)


def test_a_thread_that_looks_at_what_was_lent_is_found_out_whichever_check_it_ends(reports):
    _, report = reports("peeks_later")
    seen = [sentence for result in report["checks"].values() if result["outcome"] == "failed" for sentence in result["seen"]]
    assert any("SIGSEGV" in sentence and "lent to an earlier call" in sentence for sentence in seen), not_passed(report)


def test_a_crash_that_one_check_reports_cuts_short_the_one_it_is_about(reports):
    _, report = reports("proud")
    [sentence] = report["checks"]["tickets"]["seen"]
    assert "which second-host reports, cut it short" in sentence


def test_after_a_crash_the_other_checks_are_made(reports):
    _, report = reports("crash_in_receive")
    assert list(not_passed(report)) == ["receive.extreme"]
    assert report["checks"]["receive.hostile"]["outcome"] == "passed"


def test_a_reason_that_quotes_all_of_a_devices_metadata_is_a_warning(built, animal):
    _, report = check(built, animal("quotes"), "--metadata", '{"room":"kitchen"}')
    seen = report["checks"]["review.hostile"]["seen"]
    assert any(
        re.match(r"A reason has more than 512 characters, and is cut, in review of metadata with room being of 16\d+ ", it)
        for it in seen
    ), seen


def test_processes_that_a_plugin_leaves_behind_are_found_and_ended(built, animal):
    library = animal("leaves_daemon")
    status, report = check(built, library)
    assert status == 1 and list(not_passed(report)) == ["processes"]
    assert "It left a process running (zoo-daemon), which the check has ended" in report["checks"]["processes"]["seen"][0]
    assert running_with(library) == []


def test_a_call_that_hangs_is_ended_and_the_other_checks_are_made(built, animal):
    status, report = check(built, animal("hang_in_receive"), "--call-limit", "3")
    assert status == 1
    assert list(not_passed(report)) == ["receive.extreme"]
    assert "did not return from receive of the body false within 3000 ms" in report["checks"]["receive.extreme"]["seen"][0]


def test_tickets_that_nobody_answers_are_given_up(built, animal):
    status, report = check(built, animal("never_answered"), "--call-limit", "1")
    assert status == 1
    assert "did not answer its ticket within 6000 ms" in report["checks"]["review.ordinary"]["seen"][0]
    assert "Two calls did not come back" in report["checks"]["threads"]["seen"][0]


def test_a_refusal_without_a_reason_is_found_out(built, animal):
    status, report = check(built, animal("refusing"), "--sender", "silent")
    assert status == 1
    assert "It refused without a reason, with GOCLAW_INVALID" in report["checks"]["review.ordinary"]["seen"][0]


def test_a_channel_whose_ordinary_device_is_not_known_does_not_pass(built):
    status, report = check(built, built / "libIoTChannel.so")
    assert status == 1
    assert "Say who may pair, with --sender and --metadata" in report["checks"]["review.ordinary"]["seen"][0]
    assert report["checks"]["threads"]["outcome"] == "not applicable"


def test_the_manifest_beside_the_library_is_compared(built, animal):
    library = animal("tame")
    manifest = {
        "id": "zoo", "version": "1.0.0", "abi": "1.2", "sha256": hashlib.sha256(library.read_bytes()).hexdigest(),
    }  # fmt: skip

    def seen(**changes) -> tuple[str, list[str]]:
        library.with_suffix(".json").write_text(json.dumps({**manifest, **changes}))
        _, report = check(built, library)
        return report["checks"]["manifest"]["outcome"], report["checks"]["manifest"]["seen"]

    assert seen() == ("passed", [])
    assert seen(id="circus") == ("failed", ['The manifest says "circus" 1.0.0, the library "zoo" 1.0.0.'])
    outcome, sentences = seen(sha256="0" * 64)
    assert outcome == "failed" and "SHA-256" in sentences[0]


def test_the_report_for_a_person_says_what_to_do(built, animal):
    done = subprocess.run(
        [str(built / "nodesctl"), "channel", "check", str(animal("leaks_reviews"))], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr == ""
    assert re.search(r"^FAILED +leaks\.reviews: A review leaves nothing behind$", done.stdout, re.M)
    assert re.search(r"^ +The rule: ", done.stdout, re.M) and re.search(r"^ +What to do: ", done.stdout, re.M)
    assert re.search(r"^\d+ passed, 1 failed, 0 with warnings, \d+ not applicable\.$", done.stdout, re.M)


def test_a_reason_why_many_checks_were_not_made_is_told_once(built, tmp_path):
    nonsense = tmp_path / "nonsense.so"
    nonsense.write_text("no library")
    done = subprocess.run([str(built / "nodesctl"), "channel", "check", str(nonsense)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.count("The check library failed, without which there is nothing to call.") == 1
    assert re.search(r"^not applicable +\d\d checks: .*receive\.ordinary.*time", done.stdout, re.M)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["/no/such/library.so"], 66, "/no/such/library.so cannot be read: No such file or directory."),
        (["x.so", "--config", "[]"], 64, "--config is not a JSON object"),
        (["x.so", "--message", "{"], 64, "--message is not a JSON value"),
        (["x.so", "--sender", "-"], 64, "--sender"),
        (["x.so", "--call-limit", "0"], 64, "--call-limit is 0.0, expected 0.1 to 60 seconds"),
    ],
)
def test_a_wrong_command_line_says_what_was_expected(built, arguments, status, said):
    done = subprocess.run([str(built / "nodesctl"), "channel", "check", *arguments], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert said in done.stderr


def test_a_file_that_is_no_library_fails_the_first_check(built, tmp_path):
    path = tmp_path / "text.so"
    path.write_text("this is not a library\n")
    status, report = check(built, path)
    assert status == 1
    assert "cannot be loaded as a shared library" in report["checks"]["library"]["seen"][0]
    assert report["checks"]["review.ordinary"]["outcome"] == "not applicable"


def test_the_process_of_a_check_ends_with_the_command(built, animal):
    """Also where the plugin hangs, and whatever ends the command."""
    library = animal("endless_start")
    command = subprocess.Popen(
        [str(built / "nodesctl"), "channel", "check", str(library), "--call-limit", "60"], stdout=subprocess.DEVNULL
    )
    try:

        def children() -> list[int]:
            tasks = pathlib.Path(f"/proc/{command.pid}/task").glob("*/children")
            return [int(pid) for task in tasks for pid in task.read_text().split()]

        def loaded(pid: int) -> bool:
            return str(library) in pathlib.Path(f"/proc/{pid}/maps").read_text()

        [child] = eventually(lambda: [pid for pid in children() if loaded(pid)], "the plugin is loaded")
        command.send_signal(signal.SIGKILL)
        command.wait()
        eventually(lambda: not is_running(child), "the child ends")
    finally:
        command.kill()
        command.wait()


def test_what_the_caller_has_open_is_beyond_the_plugins_reach(built, animal):
    ours, theirs = os.pipe()
    done = subprocess.run(
        [str(built / "nodesctl"), "channel", "check", str(animal("scribbles")), "--call-limit", "1"],
        pass_fds=[theirs], capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    os.close(theirs)
    with os.fdopen(ours, "rb") as stream:
        assert stream.read() == b""
    assert done.returncode == 1 and "It wrote into a descriptor that is not its own." in done.stdout


def running_with(library: pathlib.Path) -> list[int]:
    """The processes that have a library loaded."""
    found = []
    for maps in pathlib.Path("/proc").glob("[0-9]*/maps"):
        try:
            if str(library) in maps.read_text():
                found.append(int(maps.parent.name))
        except OSError:
            continue
    return found


def is_running(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_c2_a_channel_that_delivers_what_its_agent_says_passes_with_agent_message(built, animal):
    library = animal("refuses_agents")
    _, report = check(built, library, "--agent-message", '"please"')
    assert not_passed(report) == {}
    done = subprocess.run(
        [str(built / "nodesctl"), "channel", "check", str(library), "--agent-message", "{"], capture_output=True, text=True
    )
    assert done.returncode == 64 and "--agent-message is not a JSON value" in done.stderr


def test_c9_a_crash_fails_one_check_with_file_and_line_and_is_named_where_it_cut_others_short(built, tmp_path):
    source = ZOO / "crashes_everywhere.c"
    line = next(number for number, text in enumerate(source.read_text().splitlines(), 1) if "/* the crash */" in text)
    status, report = check(built, compile_c(source, tmp_path / "crashes.so", "-g"))
    assert status == 1
    failed = {name: result for name, result in report["checks"].items() if result["outcome"] == "failed"}
    assert list(failed) == ["review.ordinary"], failed.keys()
    [sentence, *_] = failed["review.ordinary"]["seen"]
    assert f"crashes_everywhere.c:{line}" in sentence and "in look" in sentence, sentence
    assert "What remained of this check was not made." in sentence
    cut = [result["seen"][0] for result in report["checks"].values() if "cut it short" in " ".join(result["seen"])]
    assert len(cut) > 2 and all("which review.ordinary reports" in text for text in cut), cut
    _, report = check(built, compile_c(source, tmp_path / "plain.so"))
    assert "Build it with -g to be told the line." in report["checks"]["review.ordinary"]["seen"][0]


def test_c9_a_library_that_was_built_for_address_sanitizer_is_checked(built, tmp_path):
    sanitized = ["-g", "-fsanitize=address,undefined"]
    status, report = check(built, compile_c(ZOO / "tame.c", tmp_path / "tame.so", *sanitized))
    assert not_passed(report) == {} and status == 0
    assert "AddressSanitizer keeps what is freed" in " ".join(report["checks"]["leaks.reviews"]["seen"])
    source = ZOO / "overruns.c"
    line = next(number for number, text in enumerate(source.read_text().splitlines(), 1) if "/* the overrun */" in text)
    status, report = check(built, compile_c(source, tmp_path / "overruns.so", *sanitized))
    assert status == 1
    [sentence, *_] = report["checks"]["review.ordinary"]["seen"]
    assert f"overruns.c:{line}" in sentence and "heap-buffer-overflow" in sentence, sentence
