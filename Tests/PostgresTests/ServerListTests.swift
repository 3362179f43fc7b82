import Testing

@testable import Postgres

/// Which of several servers libpq is told to try first.
@Suite struct ServerListTests {
    private func ordered(_ parameters: [String: String], _ host: String, _ port: String = "5432") -> [String:
        String]
    {
        ServerList(parameters).beginning(with: ServerAddress(host: host, port: port))
    }

    @Test("The server that took the last connection comes first, and the others stay in their order")
    func order() {
        #expect(ordered(["host": "a,b,c", "port": "5432"], "c") == ["host": "c,a,b"])
        #expect(ordered(["host": "a,b,c"], "b") == ["host": "b,a,c"])
        #expect(
            ordered(["host": "a,a,b", "port": "1,2,3"], "a", "2") == ["host": "a,a,b", "port": "2,1,3"])
        #expect(
            ordered(["host": "a,b", "hostaddr": "10.0.0.1,10.0.0.2", "port": ",5433"], "b", "5433")
                == ["host": "b,a", "hostaddr": "10.0.0.2,10.0.0.1", "port": "5433,"])
        #expect(ordered(["hostaddr": "10.0.0.1,10.0.0.2"], "10.0.0.2") == ["hostaddr": "10.0.0.2,10.0.0.1"])
    }

    @Test("Nothing changes where there is one server, or another one than the string names")
    func unchanged() {
        #expect(ordered(["host": "a"], "a") == [:])
        #expect(ordered([:], "a") == [:])
        #expect(ordered(["host": "a,b"], "a") == [:])
        #expect(ordered(["host": "a,b"], "c") == [:])
        #expect(ordered(["host": "a,b", "port": "1,2"], "b", "1") == [:])
    }

    @Test("Another attempt may lead elsewhere where the string names several servers or a kind of server")
    func choice() throws {
        #expect(try PostgresConfiguration("postgresql://a,b/nodes").choosesServer)
        #expect(
            try PostgresConfiguration("postgresql://a/nodes?target_session_attrs=read-write").choosesServer)
        #expect(try !PostgresConfiguration("postgresql://a/nodes").choosesServer)
        #expect(try !PostgresConfiguration("host=/run/postgresql target_session_attrs=any").choosesServer)
    }

    @Test("Of several servers the one that accepts changes is taken, unless the string says otherwise")
    func attributes() throws {
        func attributes(_ url: String) throws -> String? {
            try PostgresConfiguration(url).connectionParameters["target_session_attrs"]
        }
        #expect(try attributes("postgresql://a,b/nodes") == "read-write")
        #expect(try attributes("postgresql://a,b/nodes?target_session_attrs=primary") == "primary")
        #expect(try attributes("postgresql://a/nodes") == nil)
    }

    @Test("Every copy of a configuration follows where one was led")
    func shared() throws {
        let configuration = try PostgresConfiguration("postgresql://a,b:5433/nodes")
        var copy = configuration
        copy.applicationName = "other"
        configuration.lastServer.took(ServerAddress(host: "b", port: "5433"))
        #expect(copy.connectionParameters["host"] == "b,a")
        #expect(copy.connectionParameters["port"] == "5433,")
    }
}
