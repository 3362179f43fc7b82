"""What people meet in systems like this one: every row of the list, its right value, and the tests that hold it.

`pytest Tests/system/test_field.py -k "[A4]"` says which tests are row A4's, and fails where one of them is gone.
"""

import re

import pytest
from support.deployment import ROOT

# A test is a file below Tests/ and its name: a function's, or the beginning of a sentence.
ROWS = {
    "1": ("two quick taps open one decision and decide nothing", [
        "system/test_double_tap.py: test_two_quick_taps_open_a_decision_and_decide_nothing",
        "system/test_double_tap.py: test_both_orders_of_decision_on_a_phone",
        "system/test_double_tap.py: test_two_quick_taps_on_cancel_open_nothing_that_lies_under_it",
        "system/test_double_tap.py: test_a_form_is_sent_once_however_often_its_button_is_pressed",
        "system/test_double_tap.py: test_a_held_key_opens_one_dialog_and_confirms_nothing",
        "system/test_double_tap.py: test_a_click_counts_only_where_it_began",
    ]),
    "2": ("a lost standby: as many server processes as the pool has, retryable answers, decisions as they ended", [
        "PostgresTests/PulseTests.swift: Commits that wait for a lost standby are ended",
        "system/test_field_kinds.py: test_2_a_lost_synchronous_standby_is_retryable_and_ends_what_it_ended",
        "system/test_commits_in_doubt.py: test_an_approval_in_doubt_is_carried_out_once_and_lets_the_device_in",
        "system/test_commits_in_doubt.py: test_a_revocation_in_doubt_is_carried_out_once_and_closes_the_session",
    ]),
    "3": ("two installations on one host both stay signed in", [
        "system/test_pages.py: test_installations_on_two_ports_of_one_host_keep_both_signed_in",
        "AdminPagesTests/BrowserInputTests.swift: Installations on other ports of one host have cookies of other names",
    ]),
    "4": ("apps' origins open sockets where configured and never post; every program judges a configuration alike", [
        "system/test_wire.py: test_an_apps_origin_opens_sockets_where_it_is_listed_and_does_nothing_else",
        "system/test_wire.py: test_a_configuration_is_judged_alike_by_every_program",
        "PairingCoreTests/OriginTests.swift: The origins of apps may upgrade where they are configured, and never post",
        "NodesConfigurationTests/ConfigurationTests.swift: Apps' origins may be listed",
    ]),
    "5": ("a database that is not UTF-8 is refused at the start with the command that makes a right one", [
        "PostgresTests/PulseTests.swift: A database in another encoding is refused",
        "PairingStoreTests/SchemaTests.swift: A database in another encoding than UTF8",
        "system/test_field_kinds.py: test_5_no_program_starts_on_a_database_that_is_not_utf8",
    ]),
    "6": ("whole numbers are read in any spelling, fractions refused", [
        "system/test_wire.py: test_whole_numbers_are_read_in_any_spelling",
        "system/test_field_kinds.py: test_6_every_whole_number_is_read_as_a_double_writes_it",
        "NodesProtocolTests/DeviceRequestTests.swift: A whole number is read in any spelling",
        "PairingCoreTests/JSONReaderTests.swift: A whole number is one in any spelling, exactly",
    ]),
    "7": ("an error has its request's id; the example gives up what is refused for good", [
        "system/test_wire.py: test_a_frame_that_is_no_json_is_answered_under_its_id",
        "NodesProtocolTests/RequestFrameTests.swift: A frame that is no JSON is answered under its identifier",
        "system/test_nodesctl.py: test_the_example_gives_up_what_is_refused_for_good_and_goes_on",
        "DeviceClientTests/DeviceMachineTests.swift: A retryable refusal is waited out on the same socket",
    ]),
    "10": ("a slash at the end is no other origin; a refusal names header, value and setting", [
        "DeviceGatewayTests/UpgradePolicyTests.swift: An origin with a slash at its end",
        "DeviceGatewayTests/UpgradePolicyTests.swift: A refusal names the header, its value and the setting to change",
        "system/test_wire.py: test_a_refused_origin_or_host_is_told_what_came_and_what_to_change",
    ]),
    "11": ("the server's time decides what is shown", [
        "system/test_pages_browser.py: test_times_are_by_the_servers_clock_whatever_the_readers_says",
    ]),
    "12": ("what must be compared is never translated", [
        "system/test_pages_browser.py: test_what_is_compared_is_never_translated",
        "system/test_field_kinds.py: test_12_what_is_compared_is_marked_on_every_page",
    ]),
    "14": ("a message's body passes as it was sent", [
        "system/test_wire.py: test_a_message_comes_back_as_it_was_sent",
        "NodesProtocolTests/RequestFrameTests.swift: A message is kept as it was sent",
        "AgentsTests/WebhookAgentTests.swift: The body is JSON that holds the message as it was sent",
        "PairingStoreTests/ClaimTests.swift: Metadata is kept to the byte",
    ]),
    "15": ("limits are documented and named in the error; a name is twice only where its bytes are", [
        "NodesProtocolTests/RequestFrameTests.swift: A frame beyond a limit is told the limit, what came and where",
        "PairingCoreTests/JSONReaderTests.swift: What is beyond a limit is said with the limit",
        "PairingCoreTests/JSONReaderTests.swift: A member is named twice only where the bytes of its names are the same",
        "system/test_field_kinds.py: test_15_the_limits_of_json_are_in_the_document",
    ]),
    "16": ("a code that was typed by hand is read", [
        "PairingCoreTests/PairingCodeTests.swift: A code is read in any case, with blanks and dashes of any kind",
        "system/test_field_kinds.py: test_16_a_code_typed_by_hand_is_read_wherever_it_is_typed",
    ]),
    "17": ("a read-only database: not ready, not overrun, words that fit", [
        "system/test_database_states.py: test_a_read_only_database_is_said_to_be_one_and_is_not_overrun",
        "PostgresTests/PulseTests.swift: A read-only database is said to be one",
        "PostgresTests/ErrorTests.swift: A read-only server counts as unavailable",
    ]),
    "18": ("a decision that is repeated is done, by you, at …", [
        "system/test_repeated_decisions.py: test_a_decision_that_is_repeated_after_a_lost_answer_is_done",
        "system/test_repeated_decisions.py: test_a_decision_repeated_over_the_socket_is_answered_as_the_first_time",
        "system/test_repeated_decisions.py: test_a_decision_repeated_at_the_command_line_is_done",
        "system/test_repeated_decisions.py: test_a_revocation_that_is_repeated_after_a_new_pairing_is_not_done",
    ]),
    "19": ("another name or port is told both, and what to write where", [
        "system/test_wire.py: test_a_refused_origin_or_host_is_told_what_came_and_what_to_change",
        "DeviceGatewayTests/UpgradePolicyTests.swift: A refusal names the header, its value and the setting to change",
    ]),
    "20": ("nginx behind a proxy on a unix socket works, or is told what to write", [
        "system/test_unix_front.py: test_behind_a_proxy_that_nginx_believes_clients_have_their_own_address",
        "system/test_unix_front.py: test_behind_a_proxy_that_nginx_does_not_believe_answer_and_log_say_what_to_write",
    ]),
    "22": ("two programs with one credential are slowed, counted and shown", [
        "system/test_trouble.py: test_two_programs_with_one_credential_are_slowed_counted_and_shown",
        "system/test_trouble.py: test_a_device_that_comes_back_now_and_then_is_no_trouble",
        "PairingKernelTests/ContentionPaceTests.swift: A few replacements are let pass",
    ]),
    "24": ("a letter keeps few marks, and what is shown stays in its lines", [
        "system/test_shown_text.py: test_a_letter_keeps_few_marks",
        "system/test_pages_browser.py: test_marks_on_a_name_do_not_reach_what_is_compared",
        "PairingCoreTests/DeviceTextTests.swift: A letter keeps as many marks as any script needs and no more",
    ]),
    "28": ("many small fragments cost little more of the rate than one piece", [
        "DeviceGatewayTests/WebSocketTests.swift: A message costs one frame of the rate in few pieces or many",
    ]),
    "29": ("the filter finds names whatever language the database sorts by", [
        "PairingStoreTests/ListingTests.swift: A filter finds what it says in a database of any language",
    ]),
    "33": ("verify-full works as documented, and every line has the reason", [
        "PostgresTests/RootCertificatesTests.swift: verify-full and verify-ca check by the system's authorities",
        "PostgresTests/RootCertificatesTests.swift: What the operator chose stays",
        "PostgresTests/PulseTests.swift: Every caller is told why there is no connection, on one line",
    ]),
    "36": ("byte order marks are ignored or named", [
        "NodesConfigurationTests/ConfigurationTests.swift: A byte order mark of UTF-8 is no part of a file",
        "NodesProcessTests/ConfiguredAgentsTests.swift: A byte order mark is no part of a key",
        "system/test_wire.py: test_a_configuration_is_judged_alike_by_every_program",
        "system/test_wire.py: test_a_password_from_a_file_with_a_byte_order_mark_is_the_password",
        "system/test_run.py: test_settings_of_a_file_reach_every_process_and_survive_a_restart",
        "system/test_run.py: test_settings_that_cannot_be_used_stop_the_start_and_say_why",
    ]),
    "38": ("many devices behind one address wait for the time that is left, and it is shown", [
        "system/test_trouble.py: test_many_devices_behind_one_address_wait_for_the_time_that_is_left",
        "system/test_trouble.py: test_a_request_that_expires_soon_makes_the_wait_shorter",
    ]),
    "C1": ("output that breaks a rule is the plugin's failure, and nothing is lost", [
        "ChannelHostTests/FieldTests.swift: C1, I4: A plugin that hands on what a sink answered fails",
        "ChannelHostTests/FieldTests.swift: C1: A plugin that cannot be created for what it put into the sink",
        "ChannelHostTests/SessionTests.swift: A message or frame that the sink does not take fails the call",
        "system/test_channel_check.py: test_a_broken_plugin_is_found_out",
    ]),
    "C2": ("a deliver that refuses everything fails the check; --agent-message", [
        "system/test_channel_check.py: test_c2_a_channel_that_delivers_what_its_agent_says_passes_with_agent_message",
        "system/test_channel_check.py: test_a_broken_plugin_is_found_out",
    ]),
    "C3": ("the check tries quotes, backslashes and newlines in every text", [
        "system/test_channel_check.py: test_a_broken_plugin_is_found_out",
        "system/test_field_kinds.py: test_c3_text_that_is_copied_unescaped_fails_with_every_kind_of_text",
    ]),
    "C4": ("SETTINGS is in every process's configuration at every start", [
        "system/test_run.py: test_settings_of_a_file_reach_every_process_and_survive_a_restart",
        "system/test_channel_dev.py: test_a_library_that_is_built_elsewhere_is_taken_with_its_configuration",
    ]),
    "C5": ("a library that was changed in place is told", [
        "system/test_channel_field.py: test_c5_a_library_that_was_copied_over_is_told_at_the_next_installation",
        "ChannelHostTests/FieldTests.swift: C5: A library that was changed in place is told from one that was installed",
    ]),
    "C6": ("nodesctl channels says what is true, with its age", [
        "system/test_channel_field.py: test_c6_what_runs_is_told_as_it_is_with_its_age",
        "system/test_channels_page.py: test_a_plugin_that_appears_is_announced_and_a_gateway_that_is_gone_is_not_shown",
        "system/test_channels_page.py: test_a_replaced_plugin_is_announced_and_changes_nothing_until_the_restart",
    ]),
    "C7": ("calls that take long are named with their times", [
        "ChannelHostTests/FieldTests.swift: C7: Calls that take too long are named, with their times and the way out",
        "ChannelHostTests/CallTests.swift: A channel whose calls come back late is back in service when they do",
    ]),
    "C8": ("a refusal in deliver is in the log with its sentence", [
        "system/test_channel_field.py: test_c8_a_refusal_in_deliver_is_in_the_log_with_its_sentence",
    ]),
    "C9": ("CHECK_ARGS, AddressSanitizer, a crash by file and line, once", [
        "system/test_channel_check.py: test_c9_a_crash_fails_one_check_with_file_and_line",
        "system/test_channel_check.py: test_c9_a_library_that_was_built_for_address_sanitizer_is_checked",
        "system/test_field_kinds.py: test_c9_a_new_project_has_its_sanitizer_and_its_device_in_make",
    ]),
    "C10": ("the sentence without a crash's report; JSON is Codable", [
        "ChannelKitTests/FieldTests.swift: C10: JSON is a value like others",
        "system/test_channel_new.py: test_a_new_channel_in_swift_builds_and_passes",
        "system/test_field_kinds.py: test_c10_without_nodes_the_package_says_one_sentence",
    ]),
    "A1": ("wrong sign-ins slow neither pages nor a known browser", [
        "system/test_sign_in_flood.py: test_two_hundred_wrong_sign_ins_at_once_slow_neither_pages_nor_a_known_browser",
        "PairingKernelTests/AccountTests.swift: While wrong sign-ins come from everywhere at once",
    ]),
    "A2": ("a known place has a limit of its own; the browser's cookie is new at every sign-in", [
        "system/test_sign_in_flood.py: test_guesses_from_where_somebody_signed_in_before_come_to_an_end",
        "PairingStoreTests/AccountTests.swift: A place that signed in before guesses so often, then it waits",
        "PairingStoreTests/AccountTests.swift: A browser cookie that somebody planted is known to no account",
    ]),
    "A3": ("a way in for the owner", [
        "PairingStoreTests/AccountTests.swift: An operator's unlocking, and a new password, let the owner in",
        "system/test_sign_in_flood.py: test_guesses_from_where_somebody_signed_in_before_come_to_an_end",
    ]),
    "A4": ("invented API tokens keep no valid one out", [
        "PairingKernelTests/AccountTests.swift: Thousands of invented tokens keep no valid one out",
    ]),
    "A5": ("wrong codes are limited and recorded", [
        "PairingStoreTests/DecisionTests.swift: Wrong codes are looked at five times a minute",
        "system/test_field_kinds.py: test_a5_wrong_codes_are_limited_over_the_socket_and_recorded",
    ]),
    "A6": ("the password is in no environment and in no log", [
        "system/test_run.py: test_the_password_is_in_no_servers_environment_and_in_no_log",
    ]),
    "A7": ("what nginx refuses is a page of ours", [
        "system/test_nginx.py: test_what_the_web_server_refuses_says_what_was_wrong",
        "system/test_errors.py: test_what_the_web_server_answers_by_itself_is_a_page_of_ours",
        "system/test_errors.py: test_nobody_behind_the_web_server_is_a_page_that_says_so",
        "system/test_errors.py: test_a_server_that_does_not_answer_is_a_page_that_says_so",
    ]),
    "A8": ("X-Frame-Options on every answer", [
        "system/test_pages.py: test_every_answer_carries_the_headers_that_keep_others_out",
        "system/test_nginx.py: test_what_the_web_server_refuses_says_what_was_wrong",
    ]),
    "idea: dev": ("nodesctl channel dev: every save is in service or says why not", [
        "system/test_channel_dev.py: test_every_save_is_in_service_or_says_why_not",
        "system/test_channel_dev.py: test_what_cannot_be_run_is_refused_with_what_to_do",
    ]),
    "idea: scaffolds": ("-g, JSON and make install in C, tests in Swift", [
        "system/test_channel_new.py: test_a_new_channel_in_c_builds_with_one_command_and_passes",
        "system/test_channel_new.py: test_a_new_channel_in_swift_builds_and_passes",
    ]),
    "idea: details": ("requests list shows its details", [
        "system/test_field_kinds.py: test_requests_are_listed_with_what_their_channel_says_of_them",
    ]),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_the_tests_of_a_row_are_there(row: str):
    right, tests = ROWS[row]
    assert right and tests
    for test in tests:
        file, name = test.split(": ", 1)
        text = (ROOT / "Tests" / file).read_text()
        if file.endswith(".py"):
            found = re.findall(rf"^def {re.escape(name)}\w*\(", text, re.M)
        else:
            # Between the attribute and its title there may be a line's end, and quotation marks are escaped.
            found = re.findall(rf'@Test\(\s*"{re.escape(name)}', text)
        assert len(found) == 1, f"{test}: {found}"
