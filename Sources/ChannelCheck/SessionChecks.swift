import CGoClawChannel

extension Bench {
    func checkSessions() throws {
        try withInstance { instance in
            guard instance.table.functions.session_opened != nil else {
                throw Inapplicable(reason: "It has no session_opened; every session is accepted.")
            }
            let claim = try ordinary(instance)
            // Many at the same time, each with a slot of its own.
            var open: [TestSession] = []
            for index in 0..<20 {
                let session = TestSession(claim)
                let context = "session_opened, with \(index) others open"
                calling(context)
                let reply = instance.open(session, caller)
                try judge(reply, context, host: instance.host)
                guard reply.status == goclaw_status(GOCLAW_OK) else {
                    findings.fail("It refused an ordinary device: \(text(of: reply))")
                    break
                }
                open.append(session)
            }
            let slots = open.compactMap(\.slot)
            if instance.table.functions.session_closed == nil, !slots.isEmpty {
                findings.fail("It stores something in the slot and has no session_closed to free it.")
            }
            for session in open.reversed() {
                calling("session_closed")
                instance.close(session, reason: "The device left. žluť 漢字", caller)
            }
            drain(instance.host, "in session_closed")
            try refuseSessions(claim, instance)
        }
    }

    /// Devices that the channel would not let pair, as an earlier version of it may have.
    private func refuseSessions(_ claim: TestClaim, _ instance: Instance) throws {
        var refused = 0
        let others = Samples.extreme(claim) + Samples.hostile(claim)
        for other in others {
            let session = TestSession(other)
            let context = "session_opened of \(other.what)"
            calling(context)
            let reply = instance.open(session, caller)
            try judge(reply, context, host: instance.host)
            guard reply.status == goclaw_status(GOCLAW_OK) else {
                refused += 1
                continue
            }
            calling("session_closed after \(other.what)")
            instance.close(session, reason: "", caller)
        }
        drain(instance.host, "in session_closed")
        findings.note("It refused \(refused) of \(others.count) devices with unusual names and metadata.")
    }

    func checkTick() throws {
        try withInstance { instance in
            guard instance.table.functions.tick != nil else { throw Inapplicable(reason: "It has no tick.") }
            for _ in 0..<3 {
                calling("tick")
                try judge(instance.tick(caller), "tick", host: instance.host)
            }
            try ifSession(instance) { _ in
                calling("tick with a session open")
                try judge(instance.tick(caller), "tick with a session open", host: instance.host)
            }
        }
    }
}
