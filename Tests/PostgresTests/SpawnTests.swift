import Foundation
import Testing

@testable import PostgresTestSupport

@Suite("Programs that tests start")
struct SpawnTests {
    @Test(
        "They inherit nothing: a server would keep somebody's pipe open, and its reader waiting, for as long as it runs"
    )
    func inheritance() throws {
        let pipe = Pipe()
        let inherited = pipe.fileHandleForWriting.fileDescriptor
        #expect(fcntl(inherited, F_SETFD, 0) == 0)
        // Its own listing is the one that is open beside the three.
        let open = try Spawn.run(["/bin/ls", "/proc/self/fd"]).split(separator: "\n").compactMap { Int32($0) }
        #expect(open.filter { $0 > 3 }.isEmpty, "\(open)")
        #expect(open.count == 4)
        try pipe.fileHandleForWriting.close()
    }
}
