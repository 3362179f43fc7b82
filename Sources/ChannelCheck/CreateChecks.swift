import CGoClawChannel

extension Bench {
    func checkCreate() throws {
        let (host, table) = try plugin()
        calling("create with the configuration \(short(plan.subject.configuration))")
        let (instance, reply) = Instance.create(
            table, host: host, configuration: plan.subject.configuration, ticketLimit: plan.ticketLimit,
            caller: caller)
        try judge(reply, "create", host: host)
        guard let instance else {
            findings.fail(
                "create refused the configuration \(short(plan.subject.configuration)): \(text(of: reply))")
            return
        }
        destroy(instance)
    }

    func checkHostileConfigurations() throws {
        let (host, table) = try plugin()
        var accepted = 0
        for sample in Samples.hostileConfigurations {
            calling("create with \(sample.what)")
            let (instance, reply) = Instance.create(
                table, host: host, configuration: sample.text, ticketLimit: plan.ticketLimit,
                caller: caller)
            try judge(reply, "create with \(sample.what)", host: host, mayFail: sample.isBeyondContract)
            guard let instance else { continue }
            accepted += 1
            destroy(instance)
        }
        findings.note("It accepted \(accepted) of \(Samples.hostileConfigurations.count).")
    }

    func checkOrder() throws {
        // Destroyed at once.
        destroy(try create())
        // Several, destroyed in the order in which they were made.
        let one = try create()
        let two = try create()
        if let claim = try ifApplicable({ try ordinary(one) }) {
            calling("review by the first of two instances")
            let before = one.review(claim, caller)
            destroy(one)
            calling("review by the second instance, the first being destroyed")
            let after = two.review(claim, caller)
            try judge(after, "review by the second of two instances", host: two.host)
            if before.status != after.status {
                findings.fail(
                    "The second of two instances answered \(statusName(after.status)) where the first answered "
                        + "\(statusName(before.status)).")
            }
        } else {
            destroy(one)
        }
        if two.table.functions.tick != nil {
            calling("tick before any session")
            try judge(two.tick(caller), "tick before any session", host: two.host)
        }
        destroy(two)
        // Closed right after it was opened, and a second time for the same device.
        try withInstance { instance in
            guard (try ifApplicable({ try ordinary(instance) })) != nil else { return }
            for _ in 0..<2 { try withSession(instance) { _ in } }
            // The newer connection is there before the older one is closed.
            try withSession(instance) { _ in try withSession(instance) { _ in } }
            drain(instance.host, "in sessions of one device")
        }
    }
}
