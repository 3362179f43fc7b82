import CLibPQ
import Synchronization

/// One of the servers that a connection string names.
struct ServerAddress: Sendable, Equatable {
    let host: String
    let port: String

    init(host: String, port: String) {
        self.host = host
        self.port = port.isEmpty ? "5432" : port
    }
}

/// The servers of a connection string that names several, in the order in which libpq tries them.
///
/// Source: PostgreSQL 15 manual, 34.1.1.3 "Specifying Multiple Hosts".
struct ServerList {
    /// What libpq takes as lists: an entry a server.
    private static let lists = ["host", "hostaddr", "port"]

    private let parameters: [String: [String]]
    let count: Int

    init(_ parameters: [String: String]) {
        self.parameters = parameters.filter { Self.lists.contains($0.key) && !$0.value.isEmpty }.mapValues {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        count = (self.parameters["hostaddr"] ?? self.parameters["host"])?.count ?? 1
    }

    /// The parameters that have libpq try `server` first and the others in their order; none where it's not among them,
    /// or first already.
    func beginning(with server: ServerAddress) -> [String: String] {
        let hosts = parameters["host"] ?? parameters["hostaddr"] ?? []
        let ports = parameters["port"] ?? [""]
        let place = hosts.indices.first { index in
            let port = ports.count == 1 ? ports[0] : index < ports.count ? ports[index] : ""
            return hosts[index] == server.host && ServerAddress(host: "", port: port).port == server.port
        }
        guard let place, place > 0 else { return [:] }
        return parameters.filter { $0.value.count == count }.mapValues { entries in
            ([entries[place]] + entries[..<place] + entries[(place + 1)...]).joined(separator: ",")
        }
    }
}

/// Which server took a connection last; shared by every copy of a configuration, so that all follow where one of them
/// was led, and none waits once more for a host that is gone. Safe from any thread.
final class LastServer: Sendable {
    private let last = Mutex<ServerAddress?>(nil)

    var address: ServerAddress? { last.withLock { $0 } }

    func took(_ server: ServerAddress) { last.withLock { $0 = server } }
}

extension PostgresConfiguration {
    /// Whether another attempt to connect may lead to another server: the string names several, or says which kind it
    /// takes.
    var choosesServer: Bool {
        ServerList(parameters).count > 1 || !["", "any"].contains(parameters["target_session_attrs"] ?? "")
    }
}
