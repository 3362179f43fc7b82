import CGoClawChannel

extension Bench {
    func checkLibrary() throws {
        do {
            _ = try library()
        } catch let error as Unusable {
            findings.fail(error.problem)
        }
    }

    func checkTable() throws {
        let host = TestHost()
        do {
            let table = try table(for: host)
            findings.note(
                "ABI \(table.abi), \(table.functions.size) bytes, with \(table.names.joined(separator: ", "))."
            )
            if table.functions.size > UInt32(MemoryLayout<goclaw_channel>.size),
                table.functions.abi_minor <= UInt16(GOCLAW_ABI_MINOR)
            {
                findings.warn(
                    "The table states \(table.functions.size) bytes, more than ABI \(table.abi) has.")
            }
        } catch let error as Unusable {
            findings.fail(error.problem)
        }
        drain(host, "in goclaw_channel_entry")
    }

    func checkSecondHost() throws {
        let (firstHost, first) = try plugin()
        let secondHost = TestHost()
        let second: PluginTable
        do {
            second = try table(for: secondHost)
        } catch let error as Unusable {
            return findings.fail("For a second host: \(error.problem)")
        }
        if second.names != first.names || second.abi != first.abi {
            findings.fail("A second host got a table with other functions or another version than the first.")
        }
        if !first.isUnchanged { findings.fail("The first host's table changed when a second host asked.") }
        let one = try create()
        defer { destroy(one) }
        let two = try create(on: secondHost)
        defer { destroy(two) }
        // A call into one instance that reaches the other's host shows a host kept in a global variable.
        for (instance, other) in [(one, secondHost), (two, firstHost)] {
            other.expect(false)
            try exercise(instance)
            other.expect(true)
            drain(other, "with two hosts")
            drain(instance.host, "with two hosts")
        }
    }

    /// Makes each kind of call once.
    func exercise(_ instance: Instance) throws {
        guard let claim = try ifApplicable({ try ordinary(instance) }) else { return }
        calling("review of \(claim.what)")
        _ = instance.review(claim, caller)
        try ifSession(instance) { session in
            if instance.table.functions.receive != nil,
                let message = try ifApplicable({ try ordinaryMessage(instance, in: session) })
            {
                calling("receive of \(message.what)")
                _ = instance.receive(message, in: session, caller)
            }
            if instance.table.functions.deliver != nil {
                calling("deliver of an ordinary message")
                _ = instance.deliver(Samples.agentMessage(plan.subject), in: session, caller)
            }
        }
        if instance.table.functions.tick != nil {
            calling("tick")
            _ = instance.tick(caller)
        }
    }

    func checkDescribe() throws {
        let (host, table) = try plugin()
        let first = describe(table, host: host)
        drain(host, "in describe")
        guard first.status == goclaw_status(GOCLAW_OK), let identity = first.output.identity else {
            findings.fail(
                "describe returned \(statusName(first.status)) and "
                    + (first.output.identity == nil ? "no description" : "a description")
                    + ", expected GOCLAW_OK and a description."
                    + (first.output.reason.map { " Its reason: \($0.message)" } ?? ""))
            return
        }
        line.send(CheckMessage(identity: identity))
        findings.note("\"\(identity.id)\" (\(identity.displayName)) \(identity.version).")
        if first.output.descriptions != 1 {
            findings.fail(
                "describe put \(first.output.descriptions) descriptions into its sink, expected one.")
        }
        if !isChannelID(identity.id) {
            findings.fail("The ID is \"\(short(identity.id))\", expected [a-z][a-z0-9_-]{0,31}.")
        }
        if !(1...64).contains(identity.displayName.unicodeScalars.count) {
            findings.fail("The display name has not 1 to 64 characters: \"\(short(identity.displayName))\".")
        }
        if !(1...64).contains(identity.version.count) {
            findings.fail("The version has not 1 to 64 characters: \"\(short(identity.version))\".")
        }
        let second = describe(table, host: host)
        drain(host, "in describe")
        if second != first { findings.fail("describe said something else the second time.") }
    }

    func checkLimits() throws {
        // An instance of its own: create has to be seen.
        let (host, table) = try plugin()
        calling("create with the configuration \(short(plan.subject.configuration))")
        let (instance, reply) = Instance.create(
            table, host: host, configuration: plan.subject.configuration, ticketLimit: plan.ticketLimit,
            caller: caller)
        guard let instance else {
            throw Inapplicable(reason: "create refuses the configuration: \(text(of: reply))")
        }
        defer { destroy(instance) }
        drain(host, "in create")
        if reply.output.limitsRecords > 1 {
            findings.fail(
                "create put \(reply.output.limitsRecords) limits records into its sink, at most one.")
        }
        guard let limits = instance.limits else { return findings.note("It leaves every limit to the host.") }
        if limits.burst > 0, limits.messagesPerSecond == 0 {
            findings.warn("It sets burst and not messages_per_second, which alone limits nothing.")
        }
        if (1..<16).contains(limits.maximumMessageBytes) {
            findings.warn("max_message_bytes is \(limits.maximumMessageBytes): hardly any message fits.")
        }
        if (1..<1000).contains(limits.heartbeat) {
            findings.warn("heartbeat_ms is \(limits.heartbeat): more than a ping a second for each device.")
        }
        if limits.silence > 0, limits.silence <= limits.heartbeat {
            findings.warn(
                "silence_ms (\(limits.silence)) is not longer than heartbeat_ms (\(limits.heartbeat)): a device "
                    + "is closed before it could answer a ping.")
        }
        if (1..<10_000).contains(limits.pairingLifetime) {
            findings.warn("pairing_lifetime_ms is \(limits.pairingLifetime): nobody can decide in that time.")
        }
        if (1..<10).contains(limits.tick) {
            findings.warn("tick_ms is \(limits.tick): tick is called as often as the host can.")
        }
        if limits.tick > 0, instance.table.functions.tick == nil {
            findings.warn("It sets tick_ms and has no tick.")
        }
    }
}

/// Whether a text is `[a-z][a-z0-9_-]{0,31}`.
private func isChannelID(_ text: String) -> Bool {
    text.utf8.count <= 32 && isName(text.replacing("-", with: "_"))
}
