import ChannelKit

/// What this library exports.
@c(goclaw_channel_entry)
public func entry(host: HostTable?) -> ChannelTable? { MobileChannel.table(for: host) }

/// The channel of phone and tablet apps.
struct MobileChannel: Channel {
    struct Configuration: Decodable {
        /// The oldest app version that may pair, by platform; a platform that is not named has no minimum.
        var minimumVersions: [String: String]?
        /// Whether an app must have a key; default: no.
        var requireKey: Bool?
    }

    static let identity = Identity(id: "mobile", displayName: "Mobile", version: "1.2.0")

    /// An app that is in the background has to be woken; one in front shows that somebody writes.
    static var declarations: Declarations {
        var declarations = Declarations()
        declarations.pushHook = "mobile"
        declarations.typing = true
        return declarations
    }

    /// By platform in lower case.
    private let minimumVersions: [String: AppVersion]
    private let requiresKey: Bool

    init(configuration: Configuration, host: Host) throws(ConfigurationError) {
        var minimumVersions: [String: AppVersion] = [:]
        for (platform, text) in configuration.minimumVersions ?? [:] {
            guard let version = AppVersion(text) else {
                throw ConfigurationError(
                    "minimumVersions.\(platform) is \"\(text)\", expected numbers with dots such as 2.4.0.")
            }
            minimumVersions[platform.lowercased()] = version
        }
        self.minimumVersions = minimumVersions
        requiresKey = configuration.requireKey ?? false
    }

    var limits: Limits {
        var limits = Limits()
        limits.requiresKey = requiresKey
        return limits
    }

    func review(_ claim: Claim) throws(Refusal) -> Answer<Detail> {
        guard !claim.senderID.utf8.contains(where: { $0 == UInt8(ascii: "@") || $0 == UInt8(ascii: ":") })
        else {
            throw .invalid(
                "invalid_sender_id",
                "The senderId of a mobile app names an installation, such as a UUID made at its first start; "
                    + "it has neither @ nor :, so that no account's address becomes one.")
        }
        let app = try claim.metadata.decode(App.self)
        try checkVersion(of: app)
        return .now(app.details)
    }

    func receive(
        _ message: DeviceMessage, in session: Session, state: inout Void
    ) throws(Refusal) -> Answer<Output> {
        switch try message.body.decode(MobileMessage.self) {
        case .receipt(let number, let status):
            return [.receipt(MessageReceipt(number: number, isRead: status == .read))]
        case .background(let isBackground): return .ephemeral(isBackground: isBackground)
        case .typing: return .ephemeral()
        case .content:
            let receipt = AppReceipt(messageID: message.id, status: .delivered)
            return [
                .message(AgentMessage(body: message.body)),
                .frame(DeviceFrame(event: "receipt", payload: try JSON(encoding: receipt))),
            ]
        }
    }

    func deliver(
        _ message: AgentMessage, in session: Session, state: inout Void
    ) throws(Refusal) -> Answer<DeviceFrame> {
        // What an agent says is its own affair; only a receipt gets a frame of its own.
        if let saying = try? message.body.decode(AppReceipt.Saying.self), let receipt = AppReceipt(saying) {
            let delivered = DeliveredReceipt(messageSeq: message.number, receipt)
            return [DeviceFrame(event: "receipt", payload: try JSON(encoding: delivered))]
        }
        return [DeviceFrame(event: message.part == nil ? "message" : "message.part", message: message)]
    }

    private func checkVersion(of app: App) throws(Refusal) {
        guard !minimumVersions.isEmpty else { return }
        guard let platform = app.platform else {
            throw .invalid(
                "platform_required",
                "The metadata's platform is missing; expected one such as "
                    + "\(minimumVersions.keys.sorted().joined(separator: " or ")).")
        }
        guard let minimum = minimumVersions[platform.lowercased()] else { return }
        guard let text = app.appVersion else {
            throw .invalid(
                "app_version_required",
                "The metadata's appVersion is missing; on \(platform) \(minimum) or newer is expected.")
        }
        guard let version = AppVersion(text) else {
            throw .invalid(
                "invalid_app_version",
                "The metadata's appVersion is not made of numbers with dots such as 2.4.0; on \(platform) "
                    + "\(minimum) or newer is expected.")
        }
        guard version >= minimum else {
            throw .forbidden(
                "app_version_too_old",
                "The app is version \(version); on \(platform) \(minimum) or newer is expected. Update it.")
        }
    }
}

/// What an app says about itself when it asks to pair.
private struct App: Decodable {
    let platform: String?
    let model: String?
    let appVersion: String?
    let locale: String?

    /// What the administrator sees.
    var details: [Detail] {
        let facts: [(String, String?)] = [
            ("Platform", platform), ("Model", model), ("App version", appVersion), ("Locale", locale),
        ]
        return facts.compactMap { label, value in value.map { Detail(label, $0) } }
    }
}
