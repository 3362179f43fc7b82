import PairingCore
import Testing

@testable import AdminPages

/// What a page says of a request that it refuses.
@Suite("Refusals of the pages")
struct PageFaultTests {
    private static let origins = OriginPolicy(["https://nodes.example.org"].compactMap { Origin($0) })

    /// Each fault, its status, and what its advice has to name: what came, what was expected, what to do.
    private static let faults: [(PageFault, Int, [String])] = [
        (.repeatedCookie("__Host-nodes_session"), 400, [#""__Host-nodes_session""#, "delete"]),
        (.unknownPage("/nowhere"), 404, [#""/nowhere""#, "menu"]),
        (
            .crossSite(origin: "https://evil.example", fetchSite: nil, origins), 403,
            [
                #"Origin says "https://evil.example""#, "gateway.public_origins",
            ]
        ),
        (
            .crossSite(origin: "https://nodes.example.org", fetchSite: "cross-site", origins), 403,
            [
                #"Sec-Fetch-Site says "cross-site""#, "gateway.public_origins",
            ]
        ),
        (.notAForm("application/json"), 415, [#""application/json""#, "application/x-www-form-urlencoded"]),
        (.wrongMethod("PUT", allowed: ["GET", "HEAD", "POST"]), 405, [#""PUT""#, "GET, HEAD, POST"]),
        (.wrongHost("evil.example", origins), 421, [#""evil.example""#, "gateway.public_origins"]),
        (.noAddress("unix:"), 500, [#""unix:""#, "set_real_ip_from"]),
        (PageFault(FormFault.tooLong(bytes: 20_000)), 413, ["20000", "16384"]),
        (PageFault(FormFault.tooMany(most: 16)), 413, ["16 fields"]),
        (PageFault(FormFault.malformed(field: "q")), 400, [#""q""#, "%", "reload"]),
        (PageFault(FormFault.repeated(field: "code")), 400, [#""code""#, "once", "reload"]),
    ]

    @Test("A refusal names what came, what was expected and what to do", arguments: faults.indices)
    func named(index: Int) {
        let (fault, status, words) = Self.faults[index]
        #expect(fault.status == status)
        for word in words { #expect(fault.advice.contains(word), "\(fault.advice)") }
    }

    @Test("What came cannot steer or flood the page (I7)")
    func harmless() {
        let fault = PageFault.unknownPage("/\u{202E}\u{1B}[31m" + String(repeating: "x", count: 5000))
        #expect(fault.advice.utf8.count < 400)
        #expect(fault.advice.unicodeScalars.allSatisfy { (0x20...0x7E).contains($0.value) || $0 == "…" })
    }

    @Test("Only where the database can't be reached is it said to be so (I5, I6)")
    func unavailable() {
        let stopping = Refusal(
            .unavailable, "stopping", "The server is stopping. Try again.", retryable: true)
        #expect(PageFault(stopping, changes: false).advice == stopping.message)
        #expect(PageFault(stopping, changes: true).advice.contains("may have been carried out"))
        #expect(!PageFault(stopping, changes: true).title.contains("database"))
        #expect(PageFault(.unavailable, changes: false).title == "The database can't be reached")
        let busy = Refusal(
            .resourceExhausted, "overloaded", "The server has too much to do. Try again shortly.")
        #expect(PageFault(busy, changes: true).title == "The server is busy")
    }
}
