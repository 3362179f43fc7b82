import Foundation
import Testing

@testable import ChannelCheck

@Suite("A library's symbols")
struct ELFSymbolsTests {
    private static let library: [UInt8] = {
        let folder = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        return contents(of: folder.appending(path: "libWebChannel.so").path()) ?? []
    }()

    @Test("A channel of this package exports its entry alone")
    func channel() throws {
        let symbols = try #require(ELFSymbols(Self.library))
        #expect(symbols.exported == ["goclaw_channel_entry"])
    }

    @Test("Bytes that are no library, or a broken one, are refused or read, and never trap")
    func broken() {
        #expect(ELFSymbols([]) == nil)
        #expect(ELFSymbols(Array("this is not a library".utf8)) == nil)
        // Every byte of the header set to every extreme value.
        for offset in 0..<64 {
            for value: UInt8 in [0, 1, 0x7F, 0x80, 0xFF] {
                var bytes = Self.library
                bytes[offset] = value
                _ = ELFSymbols(bytes)
            }
        }
        for length in stride(from: 0, to: Self.library.count, by: max(1, Self.library.count / 50)) {
            _ = ELFSymbols(Array(Self.library.prefix(length)))
        }
    }
}
