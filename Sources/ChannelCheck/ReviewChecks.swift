import CGoClawChannel

extension Bench {
    func checkOrdinaryReview() throws {
        try withInstance { instance in
            var replies: [Reply] = []
            for claim in Samples.ordinary(plan.subject, id: try identity()?.id) {
                let reply = try review(claim, instance)
                replies.append(reply)
                if reply.status == goclaw_status(GOCLAW_OK) { try judgeDetails(reply, claim) }
            }
            guard replies.contains(where: { $0.status == goclaw_status(GOCLAW_OK) }) else {
                let why = replies.last.map(text) ?? ""
                return findings.fail("\(Self.noClaim) The last was refused with \(why)")
            }
            guard !instance.requiresKey, var claim = try ifApplicable({ try ordinary(instance) }) else {
                return
            }
            claim.hasKey = false
            claim.what += " with a token"
            try review(claim, instance)
        }
    }

    func checkExtremeReviews() throws { try reviewAll(Samples.extreme) }

    func checkHostileReviews() throws { try reviewAll(Samples.hostile) }

    private func reviewAll(_ samples: (TestClaim) -> [TestClaim]) throws {
        try withInstance { instance in
            let base =
                (try ifApplicable({ try ordinary(instance) }))
                ?? TestClaim(
                    what: "a device", senderID: plan.subject.senderID ?? "check-1",
                    metadata: plan.subject.metadata ?? "")
            var passed = 0
            let claims = samples(base)
            for claim in claims {
                let reply = try review(claim, instance)
                if reply.status == goclaw_status(GOCLAW_OK) { passed += 1 }
            }
            findings.note("It let \(passed) of \(claims.count) pass.")
        }
    }

    @discardableResult
    private func review(_ claim: TestClaim, _ instance: Instance) throws -> Reply {
        let context = "review of \(claim.what)"
        calling(context)
        let reply = instance.review(claim, caller)
        try judge(reply, context, host: instance.host)
        return reply
    }

    private func judgeDetails(_ reply: Reply, _ claim: TestClaim) throws {
        for detail in reply.output.details {
            if detail.label.unicodeScalars.count > 64 || detail.value.unicodeScalars.count > 256 {
                findings.warn(
                    "The detail \"\(short(detail.label))\" is longer than the page shows: 64 and 256 characters."
                )
            }
            if detail.label.isEmpty { findings.warn("A detail has no label.") }
        }
        let labels = reply.output.details.map(\.label)
        findings.note(
            labels.isEmpty
                ? "The administrator sees no details."
                : "The administrator sees \(labels.prefix(8).map(short).joined(separator: ", ")).")
    }
}
