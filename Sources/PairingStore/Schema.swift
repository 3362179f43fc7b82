import Postgres

/// The schema this program works with, as numbered migrations.
public enum Schema {
    /// Every migration, in order. One that has landed is never changed; a change is a new file.
    public static let migrations = [
        Migration(
            number: 1, name: "pairing",
            sql: String(decoding: PackageResources.v001_pairing_sql, as: UTF8.self)),
        Migration(
            number: 2, name: "forwarded_messages",
            sql: String(decoding: PackageResources.v002_forwarded_messages_sql, as: UTF8.self)),
        Migration(
            number: 3, name: "instance_channels",
            sql: String(decoding: PackageResources.v003_instance_channels_sql, as: UTF8.self)),
        Migration(
            number: 4, name: "exact_metadata",
            sql: String(decoding: PackageResources.v004_exact_metadata_sql, as: UTF8.self)),
        Migration(
            number: 5, name: "counted_streams",
            sql: String(decoding: PackageResources.v005_counted_streams_sql, as: UTF8.self)),
        Migration(
            number: 6, name: "agent_work",
            sql: String(decoding: PackageResources.v006_agent_work_sql, as: UTF8.self)),
        Migration(
            number: 7, name: "pushes",
            sql: String(decoding: PackageResources.v007_pushes_sql, as: UTF8.self)),
        Migration(
            number: 8, name: "replaced_sessions",
            sql: String(decoding: PackageResources.v008_replaced_sessions_sql, as: UTF8.self)),
        Migration(
            number: 9, name: "decision_reasons",
            sql: String(decoding: PackageResources.v009_decision_reasons_sql, as: UTF8.self)),
        Migration(
            number: 10, name: "silence",
            sql: String(decoding: PackageResources.v010_silence_sql, as: UTF8.self)),
        Migration(
            number: 11, name: "find",
            sql: String(decoding: PackageResources.v011_find_sql, as: UTF8.self)),
        Migration(
            number: 12, name: "suspect_calls",
            sql: String(decoding: PackageResources.v012_suspect_calls_sql, as: UTF8.self)),
        Migration(
            number: 13, name: "requests_by_token",
            sql: String(decoding: PackageResources.v013_requests_by_token_sql, as: UTF8.self)),
        Migration(
            number: 14, name: "accounts",
            sql: String(decoding: PackageResources.v014_accounts_sql, as: UTF8.self)),
        Migration(
            number: 15, name: "event_chain",
            sql: String(decoding: PackageResources.v015_event_chain_sql, as: UTF8.self)),
        Migration(
            number: 16, name: "invitations",
            sql: String(decoding: PackageResources.v016_invitations_sql, as: UTF8.self)),
        Migration(
            number: 17, name: "feed_epoch",
            sql: String(decoding: PackageResources.v017_feed_epoch_sql, as: UTF8.self)),
        Migration(
            number: 18, name: "webhooks",
            sql: String(decoding: PackageResources.v018_webhooks_sql, as: UTF8.self)),
        Migration(
            number: 19, name: "conversations",
            sql: String(decoding: PackageResources.v019_conversations_sql, as: UTF8.self)),
        Migration(
            number: 20, name: "command_calls",
            sql: String(decoding: PackageResources.v020_command_calls_sql, as: UTF8.self)),
        Migration(
            number: 21, name: "device_word",
            sql: String(decoding: PackageResources.v021_device_word_sql, as: UTF8.self)),
        Migration(
            number: 22, name: "passkeys",
            sql: String(decoding: PackageResources.v022_passkeys_sql, as: UTF8.self)),
        Migration(
            number: 23, name: "commands_off",
            sql: String(decoding: PackageResources.v023_commands_off_sql, as: UTF8.self)),
    ]
}
