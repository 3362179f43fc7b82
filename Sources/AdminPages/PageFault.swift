import PairingCore
import PairingKernel

/// Why a page was not shown or a form not carried out: an answer of its own, in the page's frame.
struct PageFault: Error, Equatable {
    /// The HTTP status.
    var status: Int
    /// What happened, as a heading.
    var title: String
    /// What was expected and what to do next.
    var advice: String
    /// Headers beyond those of every page.
    var headers: [Header] = []
    /// Why it belongs into the audit: somebody may have tried what they may not.
    var trespass: Accounts.Trespass?

    /// A header of an answer.
    struct Header: Equatable {
        var name: String
        var value: String
    }

    static let staleForm = PageFault(
        status: 403, title: "This form is out of date",
        advice:
            "Nothing was changed. It belongs to another session or was changed on its way. Go back, reload the "
            + "page and try again.", trespass: .csrf)
    static let noChannels = PageFault(
        status: 404, title: "This edition has no devices",
        advice:
            "Nodes and Channels belong to the standard edition. The lite edition has no channels, so no device "
            + "can be paired. Set edition to \"standard\" to use it.")

    static func repeatedCookie(_ name: String) -> PageFault {
        PageFault(
            status: 400, title: "A cookie arrived twice",
            advice:
                "Nothing was changed. Your browser has two cookies \(quoted(name)); delete this site's cookies in it and "
                + "sign in again.")
    }

    static func unknownPage(_ path: String) -> PageFault {
        PageFault(
            status: 404, title: "There is no such page",
            advice: "Nothing is at \(quoted(path)). Check the address, or choose a page from the menu.")
    }

    static func crossSite(origin: String?, fetchSite: String?, _ origins: OriginPolicy) -> PageFault {
        let said =
            origins.allows(originHeader: origin)
            ? "Sec-Fetch-Site says \(quoted(fetchSite ?? ""))" : "Origin says \(quoted(origin ?? ""))"
        return PageFault(
            status: 403, title: "This form was sent from another site",
            advice:
                "Nothing was changed. The header \(said); forms are accepted only from pages under the addresses in "
                + "gateway.public_origins. Open this site under one of them and try again.",
            trespass: .crossSite)
    }

    static func notAForm(_ contentType: String) -> PageFault {
        PageFault(
            status: 415, title: "This is not a form",
            advice:
                "Nothing was changed. The header Content-Type says \(quoted(contentType)); send "
                + "application/x-www-form-urlencoded in UTF-8.")
    }

    static let unknownExport = PageFault(
        status: 400, title: "There is no such export",
        advice: "Choose devices, requests or events, and CSV or JSON, on the page Nodes.")
    static let exportsBusy = PageFault(
        status: 503, title: "Others are exporting",
        advice: "This server writes \(ExportRoom.places) files at a time. Try again in a minute.",
        headers: [Header(name: "Retry-After", value: "60")])

    static func noAddress(_ sent: String) -> PageFault {
        PageFault(
            status: 500, title: "The web server is not set up", advice: ClientAddress.absence(sent: sent))
    }

    static func wrongHost(_ host: String, _ origins: OriginPolicy) -> PageFault {
        PageFault(
            status: 421, title: "This host is not served here", advice: origins.hostRefusal(host: host))
    }

    static func wrongMethod(_ method: String, allowed: [String]) -> PageFault {
        PageFault(
            status: 405, title: "This page can't be used like that",
            advice:
                "Nothing was changed. It was asked with \(quoted(method)) and takes \(allowed.joined(separator: ", ")). "
                + "Open it, or send its form, from the menu.",
            headers: [Header(name: "Allow", value: allowed.joined(separator: ", "))])
    }

    init(
        status: Int, title: String, advice: String, headers: [Header] = [], trespass: Accounts.Trespass? = nil
    ) {
        self.trespass = trespass
        self.status = status
        self.title = title
        self.advice = advice
        self.headers = headers
    }

    /// What to say of a form's text that was not accepted.
    init(_ fault: FormFault) {
        switch fault {
        case .tooLong(let bytes):
            self.init(
                status: 413, title: "This form is too long",
                advice: "Nothing was changed. It has \(bytes) bytes; send at most \(FormFields.maximumBytes)."
            )
        case .tooMany(let most):
            self.init(
                status: 413, title: "This form is too long",
                advice: "Nothing was changed. It has more than the \(most) fields that this page takes.")
        case .malformed(let field):
            self.init(
                status: 400, title: "The request can't be read",
                advice:
                    "The field \(quoted(field)) is not encoded as a browser encodes it: it has a % without two "
                    + "hexadecimal digits, bytes that are not UTF-8, or NUL. Nothing was changed. Go back, reload and try "
                    + "again.")
        case .repeated(let field):
            self.init(
                status: 400, title: "A field arrived twice",
                advice:
                    "Nothing was changed. The field \(quoted(field)) came more than once; expected it once. Go back, "
                    + "reload the page and try again.")
        }
    }

    /// What to say of a decision whose answer was lost (I5).
    private static let openOutcome =
        "Your decision may have been carried out. Look at the list when the database is back, or repeat it: a repeat "
        + "decides nothing twice."

    /// What to say of a use case that was refused.
    ///
    /// - Parameter changes: whether it would have changed something; then a lost answer leaves its outcome
    ///   open (I5).
    init(_ refusal: Refusal, changes: Bool) {
        switch refusal.code {
        case .unavailable where refusal.isOf(.databaseBusy):
            self.init(
                status: 503, title: "The database is busy",
                advice: "Nothing was changed: others are at work on the same. Try again in a moment.")
        case .unavailable where refusal.isOf(.databaseReadOnly):
            self.init(
                status: 503, title: "The database accepts no changes",
                advice:
                    "Nothing was changed: the database is a standby at the moment, or set to be read-only. Try again "
                    + "in a moment; where that lasts, tell whoever operates it.")
        case .unavailable where refusal.isOf(.databaseUnprepared):
            self.init(
                status: 503, title: "The database is not prepared",
                advice:
                    "Nothing was changed: the database has no schema yet, or refuses this server rights. Its log, and "
                    + "/readyz, say what to do.")
        case .unavailable where refusal.reason != Refusal.unavailable.reason:
            self.init(
                status: 503, title: "This is not possible at the moment",
                advice: changes ? refusal.message + " " + Self.openOutcome : refusal.message)
        case .unavailable:
            self.init(
                status: 503, title: "The database can't be reached",
                advice: changes
                    ? Self.openOutcome
                    : "Nothing was changed, and no device was let in or locked out meanwhile. Try again in a moment."
            )
        case .invalidRequest:
            self.init(status: 400, title: "The request was not accepted", advice: refusal.message)
        case .unauthorized, .forbidden:
            self.init(status: 403, title: "This is not allowed", advice: refusal.message)
        case .notFound, .notPaired: self.init(status: 404, title: "Not found", advice: refusal.message)
        case .alreadyExists, .failedPrecondition:
            self.init(status: 409, title: "Something has changed since", advice: refusal.message)
        case .resourceExhausted where refusal.isOf(.overloaded):
            self.init(status: 429, title: "The server is busy", advice: refusal.message)
        case .resourceExhausted: self.init(status: 429, title: "Too many attempts", advice: refusal.message)
        case .internal:
            self.init(
                status: 500, title: "The server failed",
                advice:
                    "Its log has the cause. Look at the list to see whether your decision was carried out.")
        }
        if let wait = refusal.retryAfter {
            headers = [Header(name: "Retry-After", value: String(max(1, (wait.milliseconds + 999) / 1000)))]
        }
    }
}
