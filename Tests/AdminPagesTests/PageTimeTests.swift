import PairingCore
import Testing

@testable import AdminPages

@Suite("Times are shown in UTC")
struct PageTimeTests {
    @Test(
        "A moment has its date and time",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1_795_364_994_999, "2026-11-22T16:29:54Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"), (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"), (1_709_164_800_000, "2024-02-29T00:00:00Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59Z"),
        ] as [(Int64, String)])
    func machine(milliseconds: Int64, text: String) {
        #expect(PageTime(Timestamp(milliseconds: milliseconds)).machine == text)
    }

    @Test("People read it without seconds")
    func people() {
        #expect(PageTime(Timestamp(milliseconds: 1_795_364_994_999)).text == "2026-11-22 16:29 UTC")
    }

    @Test(
        "A length of time is in its greatest unit",
        arguments: [
            (-5, "0 s"), (0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"),
            (86_399, "23 h"),
            (86_400, "1 d"), (40 * 86_400, "40 d"),
        ])
    func brief(seconds: Int, text: String) {
        #expect(briefDuration(.seconds(seconds)) == text)
    }
}
