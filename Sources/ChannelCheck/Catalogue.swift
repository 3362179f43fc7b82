/// A check: what it is called, what is promised, what to do, and how it is made in the child.
struct Check: Sendable {
    let name: String
    let title: String
    let promise: String
    let advice: String
    let run: @Sendable (Bench) throws -> Void

    init(
        _ name: String, _ title: String, promise: String, advice: String,
        _ run: @escaping @Sendable (Bench) throws -> Void
    ) {
        self.name = name
        self.title = title
        self.promise = promise
        self.advice = advice
        self.run = run
    }

    /// All checks that are made in the child, in their order.
    static let all: [Check] = loading + calling + promises

    /// Without these no other check can be made.
    static let essential: Set<String> = ["library", "table"]

    private static let answers =
        "A call ends with a status of the header; GOCLAW_INVALID, GOCLAW_FORBIDDEN and GOCLAW_UNAVAILABLE are "
        + "refusals, for the reason put into the sink before."
    private static let whole =
        "Check what you are given before you use it; put a reason (code and sentence) into the sink before you "
        + "refuse, and return GOCLAW_FAILED for a fault of your own only."

    private static let freeing =
        "Free what you allocated after the sink took it, also where you refuse."

    private static let loading: [Check] = [
        Check(
            "library", "It is a shared library that loads, with the entry goclaw_channel_entry",
            promise:
                "The host loads it with every symbol resolved (RTLD_NOW) and calls goclaw_channel_entry.",
            advice:
                "Link what you need (-Wl,-z,defs finds what is missing), export the entry with C linkage.",
            { try $0.checkLibrary() }),
        Check(
            "table", "Its table is complete and of this ABI",
            promise:
                "A table starts with size, abi_major, abi_minor; describe, create, destroy, review are required.",
            advice:
                "Set size to sizeof(goclaw_channel), the versions to GOCLAW_ABI_…, and fill the functions.",
            { try $0.checkTable() }),
        Check(
            "describe", "It describes itself, once and always the same way",
            promise: "describe puts one description into the sink; it does not depend on the configuration.",
            advice: "Fill a zeroed goclaw_description with constants and return what the sink returns.",
            { try $0.checkDescribe() }),
        Check(
            "create", "It can be created with its configuration",
            promise: "create is given the operator's configuration, a JSON object, {} where there is none.",
            advice: "If it cannot work without a configuration, give one with --config.",
            { try $0.checkCreate() }),
        Check(
            "create.hostile", "It answers configurations of every kind, and refuses them with a reason",
            promise:
                "An instance that cannot be made is a refused plugin: the sink's reason says what is wrong.",
            advice: "Name the key and what was expected in the reason, and return GOCLAW_INVALID.",
            { try $0.checkHostileConfigurations() }),
        Check(
            "limits", "The limits it asks for can be kept",
            promise: "create may put limits into the sink, at most once; zero leaves a limit to the host.",
            advice: "Set the record to zero, then size, then what you need, in the units of the names.",
            { try $0.checkLimits() }),
    ]

    private static let calling: [Check] = [
        Check(
            "review.ordinary", "It reviews an ordinary request to pair",
            promise: answers, advice: "Name a device that may pair, with --sender and --metadata. \(whole)",
            { try $0.checkOrdinaryReview() }),
        Check(
            "review.extreme", "It reviews requests of the shortest, longest and strangest form",
            promise:
                "sender_id has 1 to 128 bytes, metadata up to 16 KiB of JSON or none; both are UTF-8. \(answers)",
            advice: whole, { try $0.checkExtremeReviews() }),
        Check(
            "review.hostile", "It reviews requests that mean to do harm",
            promise: "metadata is any JSON object. \(answers)", advice: whole,
            { try $0.checkHostileReviews() }),
        Check(
            "sessions", "Sessions open and close, many at a time, and are refused with a reason",
            promise:
                "*session->slot is null at first and then what the plugin stored; session_closed is the last call.",
            advice: "Free in session_closed what you stored in the slot. \(whole)",
            { try $0.checkSessions() }),
        Check(
            "receive.ordinary", "It takes an ordinary message of a device",
            promise: "receive turns a message into messages and frames. \(answers)", advice: whole,
            { try $0.checkOrdinaryReceive() }),
        Check(
            "receive.extreme", "It answers messages of every type, size and number",
            promise:
                "body is one JSON value; the same message may come again, with the same number. \(answers)",
            advice: whole, { try $0.checkExtremeReceive() }),
        Check(
            "receive.hostile", "It answers messages that mean to do harm",
            promise: "body is any JSON value. \(answers)", advice: whole, { try $0.checkHostileReceive() }),
        Check(
            "deliver.ordinary", "It delivers an agent's message, whole and in parts",
            promise:
                "deliver turns an agent's message into frames: an event [a-z][a-z0-9._]{0,63}, a JSON object.",
            advice: "Put the message's number into a frame's payload, as messageSeq. \(whole)",
            { try $0.checkDeliver() }),
        Check(
            "deliver.extreme", "It delivers agents' messages of every type and size",
            promise: "body is any JSON value. \(answers)", advice: whole, { try $0.checkExtremeDeliver() }),
        Check(
            "tick", "It ticks", promise: "tick is called again and again, with and without sessions.",
            advice: whole, { try $0.checkTick() }),
    ]

    private static let promises: [Check] = [
        Check(
            "second-host", "It works with two hosts in one process",
            promise: "The entry may be called again with another table; each instance keeps to its own host.",
            advice: "Keep the host in the instance, not in a global variable.",
            { try $0.checkSecondHost() }),
        Check(
            "order", "Instances and sessions come and go in every order",
            promise:
                "destroy ends one instance after its calls returned; others live on. tick may come first.",
            advice:
                "Keep what belongs to an instance in *instance and what belongs to a session in its slot.",
            { try $0.checkOrder() }),
        Check(
            "tickets", "It answers its tickets once, and an answer that comes too late does no harm",
            promise:
                "A second answer, or one that came too late, gets GOCLAW_GONE; destroy voids open tickets.",
            advice: "Answer each ticket once; keep what the answer needs until host->answer has returned.",
            { try $0.checkTickets() }),
        Check(
            "ownership", "It uses what it was lent during the call only, and no further than it reaches",
            promise:
                "Arguments are borrowed for the call; a text has len bytes, no NUL; the sink ends with the call.",
            advice: "Copy what you keep; use len, not strlen; answer later with a ticket, not with the sink.",
            { try $0.checkOwnership() }),
        Check(
            "newer-host", "It works with a newer host of the same major version",
            promise:
                "Tables and records grow at their end; whoever reads one reads what it knows and no more.",
            advice:
                "Compare sizes with >=, never with ==, and copy sizeof of your own record, not of the host's.",
            { try $0.checkNewerHost() }),
        Check(
            "threads", "It answers on eight threads as it does on one",
            promise:
                "review runs on several threads at once, and so do the calls of different sessions, and tick.",
            advice: "Lock what calls share, or keep it in the session's slot or on the stack.",
            { try $0.checkThreads() }),
        Check(
            "leaks.instances", "An instance leaves nothing behind",
            promise: "The plugin frees what instance stands for, in destroy.",
            advice: "Free, close and join in destroy all that create made.",
            { try $0.checkLeakingInstances() }),
        Check(
            "leaks.reviews", "A review leaves nothing behind", promise: "What goes into the sink is copied.",
            advice: "\(freeing) Keep nothing for a device that is not there.",
            { try $0.checkLeakingReviews() }),
        Check(
            "leaks.sessions", "A session leaves nothing behind",
            promise: "The plugin frees what the slot points to, in session_closed.",
            advice:
                "Free in session_closed what session_opened made; keep nothing for a device that is not there.",
            { try $0.checkLeakingSessions() }),
        Check(
            "leaks.messages", "A message leaves nothing behind",
            promise: "What goes into the sink is copied.",
            advice: "\(freeing) Bound what a session keeps of its messages.",
            { try $0.checkLeakingMessages() }),
        Check(
            "time", "Its calls return soon",
            promise:
                "Calls may block within the host's time (five seconds), but there are only a few threads.",
            advice: "Let slow work take a ticket and answer from a thread of your own.",
            { try $0.checkTime() }),
        Check(
            "process", "It leaves the process as it was",
            promise:
                "Tables do not change. Signal handlers, locale, folder, umask and environment are not yours.",
            advice: "Use functions that need none of it, such as strtod_l and absolute paths.",
            { try $0.checkProcess() }),
    ]
}
