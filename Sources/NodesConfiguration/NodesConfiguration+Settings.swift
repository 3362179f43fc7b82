import PairingCore

extension NodesConfiguration {
    init(_ reader: inout SettingReader, _ file: ConfigurationFile?, _ program: Program) {
        edition = reader.choice(
            "edition", default: .standard,
            "`lite` has no channels: `/nodes` is not there and pairing methods answer `FORBIDDEN`.")
        database = Database(&reader)
        gateway = Gateway(&reader, program)
        kernel = Kernel(&reader)
        approveRequiresTypedCode = reader.flag(
            "approve.require_typed_code", default: false,
            "The administrator types the pairing code to approve, instead of comparing it; no page and no list "
                + "shows it then.")
        session = Session(&reader)
        channels = Channels(&reader, file)
        var agentReader = AgentReader()
        agents = agentReader.agents(in: file)
        reader.onlyInFile(
            Self.agentsKey, form: "object of agents",
            "`{\"support\": {\"type\": \"openai\", …}}`: the agents that devices' messages go to, by name; "
                + "the settings of one are listed below.")
        defaultAgents = agentReader.defaults(in: file, among: agentReader.names(in: file))
        reader.onlyInFile(
            Self.defaultAgentsKey, form: "object of names",
            "`{\"web\": \"support\"}`: the agent of each channel's devices; `\(Self.defaultAgent)` where none is named."
        )
        for problem in agentReader.problems { reader.problem(problem) }
        messages = Messages(&reader)
        webhooks = Webhooks(&reader)
        tracing = Tracing(&reader)
        templatesDirectory = reader.path(
            "templates.directory", default: "/usr/share/goclaw-nodes/templates",
            "The folder of the pages' Mustache templates.")
        logLevel = reader.choice("log.level", default: .info, "The least severe messages that are logged.")
        logFormat = reader.choice(
            "log.format", default: .text, "How they are written: lines for people, or JSON, an object a line."
        )
        instanceName = reader.text(
            "instance.name", default: "",
            "What this process calls itself in logs and metrics; empty to let it use its host's name.")
    }
}

extension NodesConfiguration.Database {
    init(_ reader: inout SettingReader) {
        url = reader.secret(
            "database.url",
            expected: "a PostgreSQL connection URL, such as postgresql://nodes@db.example.org/nodes",
            "How to reach PostgreSQL, with all of libpq's parameters; not through a transaction-mode pooler.")
        poolSize = reader.count(
            "database.pool_size", default: 8, in: 1...200, "The most connections of one process.")
        acquireTimeout = reader.duration(
            "database.acquire_timeout", default: "5s", in: .milliseconds(100) ... .seconds(60),
            "How long a request waits for a free connection before it is answered `UNAVAILABLE`.")
        statementTimeout = reader.duration(
            "database.statement_timeout", default: "10s", in: .milliseconds(100) ... .seconds(600),
            "How long one statement may run.")
        lockTimeout = reader.duration(
            "database.lock_timeout", default: "3s", in: .milliseconds(10) ... .seconds(60),
            "How long a statement waits for a lock.")
        if lockTimeout > statementTimeout {
            reader.problem(
                "database.lock_timeout (\(Quantities.text(lockTimeout))) must not be longer than "
                    + "database.statement_timeout (\(Quantities.text(statementTimeout)))")
        }
    }
}

extension NodesConfiguration.Kernel {
    init(_ reader: inout SettingReader) {
        socket = reader.path(
            "kernel.socket", default: "/run/goclaw-nodes/kernel.sock", maximumBytes: 107,
            "The unix socket that `nodes-kernel` listens on.")
        threads = reader.count(
            "kernel.threads", default: 32, in: 1...512, "How many pages are worked on at a time.")
        maximumBody = reader.size(
            "kernel.maximum_body", default: "64KiB", in: 1 << 10...1 << 20,
            "The greatest body of a request.")
        requestTimeout = reader.duration(
            "kernel.request_timeout", default: "30s", in: .seconds(1) ... .seconds(300),
            "How long a request may take before it is answered 503.")
    }
}

extension NodesConfiguration.Session {
    init(_ reader: inout SettingReader) {
        idleTimeout = reader.duration(
            "session.idle_timeout", default: "12h", in: .seconds(60) ... .seconds(30 * 86400),
            "A browser session unused for this long ends.")
        absoluteTimeout = reader.duration(
            "session.absolute_timeout", default: "7d", in: .seconds(60) ... .seconds(90 * 86400),
            "A browser session ends at this age, used or not.")
        let file = reader.text(
            "session.key_file", default: "",
            "The file with the key that the secrets of one-time codes and web hooks are encrypted under: 32 random "
                + "bytes or more, the same for every server. Empty: nobody can turn one-time codes on, who did signs in "
                + "with a recovery code only, and there are no web hooks.")
        keyFile = file.isEmpty ? nil : file
        if !file.isEmpty, !file.hasPrefix("/") {
            reader.problem("session.key_file: “\(file)” is refused; expected an absolute path")
        }
        if idleTimeout > absoluteTimeout {
            reader.problem(
                "session.idle_timeout (\(Quantities.text(idleTimeout))) must not be longer than session.absolute_timeout "
                    + "(\(Quantities.text(absoluteTimeout)))")
        }
    }
}

extension NodesConfiguration.Channels {
    /// Below this key lies one object per channel, for that channel's plugin to read.
    static let configurationsKey = "channels.config"

    init(_ reader: inout SettingReader, _ file: ConfigurationFile?) {
        directory = reader.path(
            "channels.directory", default: "/usr/lib/goclaw-nodes/channels",
            "The folder that channel plugins are loaded from.")
        threads = reader.count(
            "channels.threads", default: 2, in: 1...64,
            "How many threads each channel's plugin has to itself.")
        callTimeout = reader.duration(
            "channels.call_timeout", default: "5s", in: .milliseconds(100)...(.seconds(60)),
            "The time a plugin has for one call; then its caller is told `UNAVAILABLE`.")
        ticketTimeout = reader.duration(
            "channels.ticket_timeout", default: "30s", in: .seconds(1)...(.seconds(300)),
            "The time a plugin has for an answer that it promised for later.")
        configurations = reader.objects(
            Self.configurationsKey, in: file,
            "`{\"iot\": {…}}`: what each channel's plugin is given as its configuration; only in the file.")
    }
}
