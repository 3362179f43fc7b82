import PairingCore

/// The texts of the files that `nodesctl setup` writes.
enum SetupFiles {
    /// The configuration of every process on this machine.
    static func configuration(_ answers: SetupAnswers, _ places: SetupPlaces) -> String {
        let database =
            switch answers.database {
            case .local: "postgresql:///nodes?host=\(places.postgresSocket)&user=\(SetupPlaces.account)"
            case .remote(let servers, _): servers
            }
        func quoted(_ text: String) -> String { JSONValue.string(text).text }
        return """
            {
              "database": {"url": \(quoted(database))},
              "gateway": {"public_origins": [\(quoted("https://\(answers.host)"))]},
              "channels": {"directory": "/usr/lib/goclaw-nodes/channels"},
              "templates": {"directory": "/usr/share/goclaw-nodes/templates"}
            }

            """
    }

    /// nginx's configuration: the one that is shipped, for this host, certificate and number of servers.
    ///
    /// - Parameter shipped: the text of `nginx/production.conf`.
    static func nginx(_ shipped: String, _ answers: SetupAnswers, _ places: SetupPlaces) -> String {
        var text = instances(
            of: "kernel", answers.kernels, in: instances(of: "gateway", answers.gateways, in: shipped))
        var replacements = [(shippedHost, answers.host)]
        if case .files(let certificate, let key) = answers.certificate {
            replacements += [
                (SetupPlaces.shippedTLS + "/fullchain.pem", certificate),
                (SetupPlaces.shippedTLS + "/privkey.pem", key),
            ]
        } else {
            replacements.append((SetupPlaces.shippedTLS, places.tls))
        }
        for (old, new) in replacements { text = new.isEmpty ? text : text.replacing(old, with: new) }
        return text
    }

    private static let shippedHost = "nodes.example.org"

    /// Repeats what the shipped configuration says of the first instance of a kind for each of so many: a line of an
    /// upstream, or a location of the health listener.
    private static func instances(of kind: String, _ count: Int, in text: String) -> String {
        var output: [String] = []
        var location: [String]?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            if location != nil || line.contains("location ~ ^/\(kind)/") {
                location = (location ?? []) + [line]
                guard let block = location, line.allSatisfy({ $0 == " " || $0 == "}" }) else { continue }
                if block[0].contains("^/\(kind)/0/") { output += repeated(block, kind, count) }
                location = nil
            } else if line.contains("server unix:"), line.contains("/\(kind)-") {
                if line.contains("/\(kind)-0.sock") { output += repeated([line], kind, count) }
            } else {
                output.append(line)
            }
        }
        return output.joined(separator: "\n")
    }

    private static func repeated(_ lines: [String], _ kind: String, _ count: Int) -> [String] {
        (0..<count).flatMap { index in
            lines.map {
                $0.replacing("^/\(kind)/0/", with: "^/\(kind)/\(index)/")
                    .replacing("/\(kind)-0.sock", with: "/\(kind)-\(index).sock")
            }
        }
    }
}
