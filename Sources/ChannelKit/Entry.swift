public import CGoClawChannel

/// The host's table, as the entry function receives it.
public typealias HostTable = UnsafePointer<goclaw_host>

/// The channel's table, as the entry function returns it.
public typealias ChannelTable = UnsafePointer<goclaw_channel>

extension Channel {
    /// The channel's table for that host: what the library's one exported function returns.
    ///
    /// - Returns: `nil` where the host speaks another version of the interface.
    public static func table(for host: HostTable?) -> ChannelTable? {
        guard Host(table: host) != nil else { return nil }
        return makeTable(for: Factory<Self>())
    }
}

/// Fills a table, which is never freed: the interface lets tables live as long as the process.
private func makeTable(for factory: AnyFactory) -> ChannelTable {
    let table = UnsafeMutablePointer<goclaw_channel>.allocate(capacity: 1)
    table.initialize(
        to: goclaw_channel(
            size: recordSize(of: goclaw_channel.self), abi_major: UInt16(GOCLAW_ABI_MAJOR),
            abi_minor: UInt16(GOCLAW_ABI_MINOR), context: Unmanaged.passRetained(factory).toOpaque(),
            describe: describe, create: create, destroy: destroy, review: review, get_extension: nil,
            session_opened: sessionOpened, session_closed: sessionClosed, receive: receive,
            deliver: deliver, tick: tick))
    return ChannelTable(table)
}

// The functions of the table. A C function cannot be generic, so they go through two classes.

private func describe(channel: ChannelTable?, sink: UnsafePointer<goclaw_sink>?) -> goclaw_status {
    guard let factory = factory(channel), let sink = Sink(sink) else { return Status.failed.rawValue }
    return sink.describe(factory.identity, factory.declarations).rawValue
}

private func create(
    channel: ChannelTable?, host: HostTable?, configuration: goclaw_text,
    sink: UnsafePointer<goclaw_sink>?, instance: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> goclaw_status {
    guard let factory = factory(channel), let host = Host(table: host), let sink = Sink(sink),
        let configuration = String(configuration), let instance
    else { return Status.failed.rawValue }
    do throws(ConfigurationError) {
        let made = try factory.make(configuration: configuration, host: host)
        sink.limit(made.limits)
        instance.pointee = Unmanaged<AnyInstance>.passRetained(made).toOpaque()
        return Status.ok.rawValue
    } catch {
        sink.reason("invalid_configuration", error.message)
        return Status.invalid.rawValue
    }
}

private func destroy(instance: UnsafeMutableRawPointer?) {
    guard let instance else { return }
    Unmanaged<AnyInstance>.fromOpaque(instance).release()
}

private func review(
    instance: UnsafeMutableRawPointer?, claim: UnsafePointer<goclaw_claim>?,
    sink: UnsafePointer<goclaw_sink>?
) -> goclaw_status {
    call(instance, sink) { instance, sink in
        guard let claim = Claim(claim) else { return nil }
        return instance.review(claim, sink)
    }
}

private func sessionOpened(
    instance: UnsafeMutableRawPointer?, session: UnsafePointer<goclaw_session>?,
    sink: UnsafePointer<goclaw_sink>?
) -> goclaw_status {
    call(instance, sink) { instance, sink in
        guard let record = read(session), let slot = record.slot, let session = Session(record) else {
            return nil
        }
        return instance.opened(session, slot, sink)
    }
}

private func sessionClosed(
    instance: UnsafeMutableRawPointer?, session: UnsafePointer<goclaw_session>?, reason: goclaw_text
) {
    guard let instance, let slot = read(session)?.slot else { return }
    Unmanaged<AnyInstance>.fromOpaque(instance).takeUnretainedValue()
        .closed(slot, reason: String(reason) ?? "")
}

private func receive(
    instance: UnsafeMutableRawPointer?, session: UnsafePointer<goclaw_session>?,
    message: UnsafePointer<goclaw_device_message>?, sink: UnsafePointer<goclaw_sink>?
) -> goclaw_status {
    call(instance, sink) { instance, sink in
        guard let slot = read(session)?.slot?.pointee, let message = DeviceMessage(message) else {
            return nil
        }
        return instance.receive(message, slot, sink)
    }
}

private func deliver(
    instance: UnsafeMutableRawPointer?, session: UnsafePointer<goclaw_session>?,
    message: UnsafePointer<goclaw_agent_message>?, sink: UnsafePointer<goclaw_sink>?
) -> goclaw_status {
    call(instance, sink) { instance, sink in
        guard let slot = read(session)?.slot?.pointee, let message = AgentMessage(message) else {
            return nil
        }
        return instance.deliver(message, slot, sink)
    }
}

private func tick(
    instance: UnsafeMutableRawPointer?, clock: Int64, sink: UnsafePointer<goclaw_sink>?
) -> goclaw_status {
    call(instance, sink) { instance, sink in
        sink.put(instance.tick(clock))
        return .ok
    }
}

private func factory(_ channel: ChannelTable?) -> AnyFactory? {
    guard let context = channel?.pointee.context else { return nil }
    return Unmanaged<AnyFactory>.fromOpaque(context).takeUnretainedValue()
}

/// Runs a call; where `body` finds the host's arguments broken, the log says so and the call fails.
private func call(
    _ instance: UnsafeMutableRawPointer?, _ sink: UnsafePointer<goclaw_sink>?,
    _ body: (AnyInstance, borrowing Sink) -> Status?
) -> goclaw_status {
    guard let instance, let sink = Sink(sink) else { return Status.failed.rawValue }
    let receiver = Unmanaged<AnyInstance>.fromOpaque(instance).takeUnretainedValue()
    guard let status = body(receiver, sink) else {
        receiver.host.log(.hostMisbehaving, "a call had arguments that break the interface's rules")
        return Status.failed.rawValue
    }
    return status.rawValue
}
