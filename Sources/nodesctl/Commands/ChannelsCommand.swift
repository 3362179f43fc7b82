import ArgumentParser
import ChannelHost
import Logging
import NodesConfiguration
import NodesProcess
import PairingCore
import PairingKernel
import Postgres

/// `nodesctl channels`
struct ChannelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "channels",
        abstract: "Load the channel plugins as the servers do, and say what came of it.",
        discussion: """
            The plugins' code runs in this process, as this account. What was refused is listed with the reason. \
            What the running gateways say of their channels follows, where PostgreSQL can be reached.
            """)

    @OptionGroup var options: OperatorOptions

    mutating func run() async throws {
        let options = options
        try await reporting(asJSON: options.json) {
            // The list below says what the log would.
            let process = try await NodesProcess(
                program: "nodesctl", file: options.file, for: .command, logLevel: .critical)
            let kernel = process.kernel
            defer { kernel.channels.shutdown() }
            let authority = kernel.accounts.commandLineAuthority(account: operatingSystemAccount())
            let here = try kernel.administration.channelsHere(by: authority)
            let gateways: Result<[GatewayChannels], Refusal>
            do throws(Refusal) {
                gateways = .success(try await kernel.administration.channels(by: authority).gateways)
            } catch {
                gateways = .failure(error)
            }
            await process.pool.close()
            let listing = ChannelsListing(
                directory: process.configuration.channels.directory,
                isLite: process.configuration.edition == .lite, here: here, gateways: gateways)
            try Terminal.print(options.json ? listing.json.text : listing.text)
        }
    }
}

/// What `nodesctl channels` prints.
struct ChannelsListing {
    /// The folder of channels.
    var directory: String
    /// Whether this is the edition without channels.
    var isLite: Bool
    /// What this process loaded from the folder.
    var here: ChannelsReport
    /// What the running gateways say, or why they could not be asked.
    var gateways: Result<[GatewayChannels], Refusal>

    /// For a program.
    var json: JSONValue {
        let (told, problem): (JSONValue, JSONValue) =
            switch gateways {
            case .success(let gateways): (.array(gateways.map(\.json)), .null)
            case .failure(let refusal): (.null, .string(refusal.message))
            }
        return .object([
            "directory": .string(directory), "edition": .string(isLite ? "lite" : "standard"),
            "channels": .array(here.channels.map(\.json)),
            "refused": .array(here.refused.map(\.json)),
            "gateways": told, "gatewaysProblem": problem,
        ])
    }

    /// For a person.
    var text: String {
        var parts: [String] = []
        if isLite { parts.append("The lite edition has no channels.") }
        if here.channels.isEmpty {
            parts.append("No channel is loaded from \(directory).")
        } else {
            parts.append(loaded)
            parts += here.channels.map(\.sheet)
        }
        if !here.refused.isEmpty {
            parts.append(lines("Refused:", here.refused.map { "\($0.path): \($0.reason)" }))
        }
        switch gateways {
        case .failure(let refusal):
            parts.append("The running gateways could not be asked: \(refusal.message)")
        case .success(let gateways) where gateways.isEmpty:
            parts.append("No gateway is running.")
        case .success(let gateways):
            if let table = running(gateways) { parts.append(table) }
            let notes = gateways.flatMap { $0.notes(beside: gateways, folder: here) }
            if !notes.isEmpty { parts.append(lines("To be noted:", notes)) }
        }
        return parts.joined(separator: "\n\n")
    }

    private var loaded: String {
        var table = TextTable("CHANNEL", "NAME", "VERSION", "ABI", "KEY", "PATH")
        for channel in here.channels {
            let library = channel.library
            table.add(
                channel.id.text, library.displayName, library.version, library.abi,
                channel.limits.requiresKey ? "required" : "optional", library.path)
        }
        return table.text
    }

    private func running(_ gateways: [GatewayChannels]) -> String? {
        let told = gateways.flatMap { gateway -> [(GatewayChannels, ChannelsReport.Channel)] in
            guard case .report(let report) = gateway.account else { return [] }
            return report.channels.map { (gateway, $0) }
        }
        if told.isEmpty { return nil }
        var table = TextTable(
            "GATEWAY", "HEARD", "CHANNEL", "VERSION", "SHA-256", "STATE", "SESSIONS", "RULES BROKEN",
            "OPEN CALLS",
            "COUNTERS AND GAUGES")
        for (gateway, channel) in told {
            table.add(
                gateway.name, "\(gateway.heardSeconds) s ago", channel.id.text, channel.library.version,
                String(channel.library.sha256.prefix(12)),
                gateway.isLate
                    ? "unknown" : channel.outOfService == nil ? "in service" : "out of service",
                "\(channel.sessions)",
                "\(channel.misbehaviours)", channel.openCalls ?? "",
                channel.valueFacts.map { "\($0.label) \($0.value)" }.joined(separator: ", "))
        }
        return table.text
    }

    private func lines(_ heading: String, _ lines: [String]) -> String {
        ([heading] + lines.map { "  " + terminalText($0) }).joined(separator: "\n")
    }
}

extension ChannelsReport.Channel {
    /// Its digest and its limits.
    fileprivate var sheet: String {
        var sheet = TextSheet()
        sheet.add("Channel", id.text)
        sheet.add("SHA-256", library.sha256)
        sheet.add("Swift", library.swiftVersion)
        for fact in facts { sheet.add(fact.label, fact.value) }
        return sheet.text
    }
}

extension GatewayChannels {
    fileprivate var json: JSONValue {
        let report: JSONValue = if case .report(let report) = account { report.json } else { .null }
        return .object([
            "instanceId": .string(instanceID.text), "name": .string(name),
            "startedAt": .integer(startedAt.milliseconds),
            "heardAgoMs": .integer(heardAgo.milliseconds), "isLate": .bool(isLate), "report": report,
        ])
    }

    fileprivate var heardSeconds: Int64 { heardAgo.milliseconds / 1000 }

    /// What an operator should know or do.
    ///
    /// - Parameter here: what a start would load of the folder at this moment.
    fileprivate func notes(beside others: [GatewayChannels], folder here: ChannelsReport) -> [String] {
        if isLate {
            let isReplaced = others.contains { $0.name == name && $0.startedAt > startedAt }
            return [
                "\(name) (started \(startedAt.text)) was not heard of for \(heardSeconds) s: "
                    + (isReplaced
                        ? "it ended, and another was started under its name."
                        : "it ended, or cannot reach the database. What it said before may not be true any more.")
            ]
        }
        switch account {
        case .none:
            return [
                "\(name) started at \(startedAt.text) and has not said yet what it loaded; look again in 5 s."
            ]
        case .foreign:
            return ["\(name) runs another version of this software; bring all processes to the same version."]
        case .report(let report):
            return report.channels.flatMap { $0.notes(folder: here) }.map { "\(name): \($0)" }
                + report.refused.map { "\(name): refused \($0.path): \($0.reason)" }
                + report.newcomers.map {
                    "\(name): a restart would load the channel \($0.id), version \($0.version), from \($0.path)."
                }
                + report.unseen(in: here).map { "\(name): \($0)" }
                + report.newlyRefused.map { "\(name): a restart would refuse \($0.path): \($0.reason)" }
        }
    }
}

extension ChannelsReport {
    /// What the folder has and the gateway has not seen yet: it looks every few seconds.
    fileprivate func unseen(in here: ChannelsReport) -> [String] {
        here.channels.filter { channel in
            !channels.contains { $0.id == channel.id } && !newcomers.contains { $0.id == channel.id }
                && !refused.contains { $0.path == channel.library.path }
        }
        .map {
            "has not loaded the channel \($0.id), version \($0.library.version), of \($0.library.path): a restart "
                + "would, if it has that folder."
        }
    }
}

extension ChannelsReport.Channel {
    /// - Parameter here: what a start would load of the folder at this moment.
    fileprivate func notes(folder here: ChannelsReport) -> [String] {
        var notes: [String] = []
        if let outOfService {
            notes.append(
                "\(id) is out of service: \(outOfService)."
                    + (isStuck
                        ? " It is back when one of them returns; start this process again if none does." : "")
            )
        }
        switch outlook {
        // The gateway looks at its folder every few seconds; what is here is newer.
        case .same:
            if let refused = here.refused.first(where: { $0.path == library.path }) {
                notes.append("a restart would refuse \(id), if it has that folder: \(refused.reason)")
            } else if let found = here.channels.first(where: { $0.id == id }),
                found.library.path == library.path, found.library.sha256 != library.sha256
            {
                notes.append(
                    "a restart would load another library of \(id), if it has that folder: version "
                        + "\(found.library.version), SHA-256 \(found.library.sha256), from \(found.library.path)."
                )
            }
        case .other(let found):
            notes.append(
                "a restart would load another library of \(id): version \(found.version), SHA-256 "
                    + "\(found.sha256), from \(found.path).")
        case .refused(let reason): notes.append("a restart would refuse \(id): \(reason)")
        case .gone: notes.append("a restart would not find \(id): its files are gone.")
        }
        return notes
    }
}
