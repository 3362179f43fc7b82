import PairingCore

/// What the checks need to know of the configuration.
struct ConfigurationFacts: Sendable {
    /// The file, where one was named.
    var file: FileFacts?
    /// What is wrong with it, in the words of the servers.
    var problems: [String] = []
    /// The account the servers run as.
    var account: AccountFacts
    /// What it says; `nil` where it is refused.
    var settings: Settings?
    /// The agents' key files.
    var keyFiles: [KeyFile] = []
    /// The folder of the templates, and a file of it that has to be there.
    var templates: FileFacts?

    /// The settings that something else has to fit.
    struct Settings: Equatable, Sendable {
        var origins: [Origin] = []
        var gatewaySocket = "/run/goclaw-nodes/gateway.sock"
        var kernelSocket = "/run/goclaw-nodes/kernel.sock"
        var silenceTimeout: Duration = .seconds(75)
        var requestTimeout: Duration = .seconds(30)
        var maximumBody = 64 << 10
        var gatewaySockets = 16_000
        var poolSize = 8
        var hasChannels = true
    }

    /// A file with the key of an agent's server.
    struct KeyFile: Equatable, Sendable {
        var agent: String
        var file: FileFacts
    }
}

/// The configuration file, what is in it, and the files that it names.
enum ConfigurationChecks {
    static func findings(_ facts: ConfigurationFacts) -> [Finding] {
        file(facts) + values(facts) + origins(facts) + templates(facts)
            + facts.keyFiles.map { keyFile($0, facts.account) }
    }

    private static func file(_ facts: ConfigurationFacts) -> [Finding] {
        let check = "configuration.file"
        guard let file = facts.file else {
            return [.skipped(check, "--config", "no file is named; the environment alone decides")]
        }
        let path = file.path
        guard case .file = file.kind else {
            return [
                .error(
                    check, path, found: unusable(file),
                    expected: "a file that \(facts.account.name) may read",
                    advice: "Name the configuration file with --config.")
            ]
        }
        var findings: [Finding] = []
        if !facts.account.may(4, file) {
            findings.append(
                .error(
                    check, path, found: "\(facts.account.name), as which the servers run, may not read it",
                    expected: "mode 0640 and the servers' group",
                    advice: "chgrp it to the servers' group and chmod it 0640."))
        }
        if file.isReadableByAll || file.isWritableByOthers {
            findings.append(
                .error(
                    check, path, found: "mode \(file.modeText)",
                    expected: "mode 0640 or 0600: it holds the database's password",
                    advice:
                        "chmod 0640 \(path)\(file.isReadableByAll ? ", and change the password that all could read" : "")."
                ))
        }
        return findings.isEmpty ? [.ok(check, path, "mode \(file.modeText)")] : findings
    }

    private static func values(_ facts: ConfigurationFacts) -> [Finding] {
        let check = "configuration.values"
        let subject = facts.file?.path ?? "environment"
        if facts.problems.isEmpty { return [.ok(check, subject, "every key and value is accepted")] }
        return facts.problems.map {
            .error(
                check, subject, found: $0, expected: "what nodesctl config lists",
                advice: "Correct it: no server starts with it.")
        }
    }

    private static func origins(_ facts: ConfigurationFacts) -> [Finding] {
        let check = "configuration.origins"
        return (facts.settings?.origins ?? []).map { origin in
            if origin.isSecure || origin.isLoopback { return .ok(check, origin.text, "served") }
            return .error(
                check, origin.text, found: "http, for a host that others can reach",
                expected: "https://\(origin.host): passwords, cookies and tokens travel in clear otherwise",
                advice: "Get a certificate, let nginx serve TLS, and put https into gateway.public_origins.")
        }
    }

    private static func templates(_ facts: ConfigurationFacts) -> [Finding] {
        let check = "configuration.templates"
        guard let file = facts.templates else { return [] }
        guard case .file = file.kind, facts.account.may(4, file) else {
            let found = file.kind == .file ? "\(facts.account.name) may not read it" : unusable(file)
            return [
                .error(
                    check, file.path, found: found, expected: "the pages' templates in templates.directory",
                    advice: "Install the templates, or set templates.directory to their folder.")
            ]
        }
        return [.ok(check, file.path, "readable")]
    }

    private static func keyFile(_ key: ConfigurationFacts.KeyFile, _ account: AccountFacts) -> Finding {
        let check = "agents.key_file"
        let subject = "\(key.file.path) (agent \(key.agent))"
        let expected = "a file with the key that \(account.name) may read and no other account"
        let found: String
        if key.file.kind != .file {
            found = unusable(key.file)
        } else if !account.may(4, key.file) {
            found = "\(account.name), as which the servers run, may not read it"
        } else if key.file.isReadableByAll || key.file.isWritableByOthers {
            found = "mode \(key.file.modeText)"
        } else if key.file.size == 0 {
            found = "it is empty"
        } else {
            return .ok(check, subject, "mode \(key.file.modeText)")
        }
        return .error(
            check, subject, found: found, expected: expected,
            advice: "Put the key there, chown it to \(account.name) and chmod it 0600.")
    }

    private static func unusable(_ file: FileFacts) -> String {
        if case .unreachable(let why) = file.kind { return "it cannot be looked at: \(why)" }
        return "it is no file"
    }
}

extension Origin {
    /// The host without its port.
    var host: String { port.map { String(authority.dropLast($0.count + 1)) } ?? authority }

    /// Whether only programs of the same machine reach it.
    var isLoopback: Bool {
        let name = host.hasSuffix(".") ? String(host.dropLast()) : host
        return name == "localhost" || name.hasSuffix(".localhost") || name == "[::1]"
            || name.hasPrefix("127.") && name.split(separator: ".").count == 4
    }

    /// The port it is dialled on.
    var dialledPort: Int { port.flatMap(Int.init) ?? (isSecure ? 443 : 80) }
}
