import PairingCore
import PairingKernel

/// What the channels' page has to say, before it is words: the processes' reports side by side.
struct ChannelsView {
    /// A process that reports.
    struct Member {
        /// What it is called here; no two are called the same.
        var label: String
        /// When it started; `nil` for the process that shows the page.
        var startedAt: Timestamp?
        var report: ChannelsReport
    }

    /// One channel in every process.
    struct Channel {
        var id: ChannelID
        /// The processes, and what each says of the channel; `nil` where it has not loaded it.
        var places: [(member: Member, channel: ChannelsReport.Channel?)]
        /// The channel where devices meet it: in the first gateway that has it, else in this process.
        var model: ChannelsReport.Channel

        /// Whether not every process has loaded the same library.
        var isMixed: Bool {
            places.contains { $0.channel?.library.sha256 != model.library.sha256 }
        }

        /// Whether calls reach it in one process at least.
        var isServedSomewhere: Bool {
            places.contains { $0.channel.map { $0.outOfService == nil } ?? false }
        }

        /// What a restart would change, with the processes it is true of.
        var changes: [Common<ChannelsReport.Outlook>] {
            Common.collect(
                places.compactMap { place in place.channel.map { (place.member.label, [$0.outlook]) } }
            ).filter { $0.value != .same }
        }

        /// Why it is out of service, with the processes it is true of.
        var troubles: [Common<Trouble>] {
            Common.collect(
                places.map { place in
                    let trouble = place.channel.flatMap { channel in
                        channel.outOfService.map { Trouble(reason: $0, isStuck: channel.isStuck) }
                    }
                    return (place.member.label, trouble.map { [$0] } ?? [])
                })
        }
    }

    /// Why a channel is out of service.
    struct Trouble: Equatable {
        var reason: String
        /// Whether only a restart helps.
        var isStuck: Bool
    }

    /// Something with the processes that say so.
    struct Common<Value: Equatable> {
        var value: Value
        var labels: [String]

        /// Puts what several processes say together, in the order in which it is said first.
        static func collect(_ said: [(label: String, values: [Value])]) -> [Common] {
            var all: [Common] = []
            for (label, values) in said {
                for value in values {
                    if let index = all.firstIndex(where: { $0.value == value }) {
                        all[index].labels.append(label)
                    } else {
                        all.append(Common(value: value, labels: [label]))
                    }
                }
            }
            return all
        }
    }

    /// The processes that report: the gateways in the order of their names, then the one that shows the page.
    let members: [Member]
    /// The gateways that have not said anything yet.
    let silent: [String]
    /// The gateways whose words are not understood: they run another version of this software.
    let foreign: [String]
    /// The channels that any process has loaded, sorted by ID.
    let channels: [Channel]

    /// - Parameter processName: what operators call the process that shows the page.
    init(_ overview: ChannelsOverview, processName: String) {
        let labels = Self.labels(of: overview.gateways, processName: processName)
        var members: [Member] = []
        var silent: [String] = []
        var foreign: [String] = []
        for (gateway, label) in zip(overview.gateways, labels.gateways) {
            switch gateway.account {
            case .none: silent.append(label)
            case .foreign: foreign.append(label)
            case .report(let report):
                members.append(Member(label: label, startedAt: gateway.startedAt, report: report))
            }
        }
        members.append(Member(label: labels.here, startedAt: nil, report: overview.here))
        self.members = members
        self.silent = silent
        self.foreign = foreign
        let ids = Set(members.flatMap { $0.report.channels.map(\.id) }).sorted { $0.text < $1.text }
        channels = ids.compactMap { id in
            let places = members.map { member in
                (member: member, channel: member.report.channels.first { $0.id == id })
            }
            // Some process has it, or the ID would not be here.
            return places.lazy.compactMap(\.channel).first.map {
                Channel(id: id, places: places, model: $0)
            }
        }
    }

    /// The refused plugins, with the processes that refused them.
    var refused: [Common<ChannelsReport.Refused>] { common(\.refused) }

    /// What a restart would try to load, with the processes it is true of.
    var newcomers: [Common<ChannelsReport.Found>] { common(\.newcomers) }

    /// What a restart would refuse, with the processes it is true of.
    var newlyRefused: [Common<ChannelsReport.Refused>] { common(\.newlyRefused) }

    private func common<Value>(_ values: (ChannelsReport) -> [Value]) -> [Common<Value>] {
        Common.collect(members.map { ($0.label, values($0.report)) })
    }

    /// Processes are called what operators call them, and more where that is not enough to tell them apart.
    private static func labels(
        of gateways: [GatewayChannels], processName: String
    ) -> (gateways: [String], here: String) {
        let names = gateways.map(\.name)
        let labels = gateways.map { gateway in
            let namesakes = names.count { $0 == gateway.name }
            if namesakes > 1 { return "\(gateway.name) (gateway \(gateway.instanceID.text.prefix(8)))" }
            return gateway.name == processName ? "\(gateway.name) (gateway)" : gateway.name
        }
        return (labels, names.contains(processName) ? "\(processName) (kernel)" : processName)
    }
}
