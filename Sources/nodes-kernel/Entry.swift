import AdminPages
import ArgumentParser
import FastCGI
import Logging
import NodesConfiguration
import NodesProcess
import PairingCore
import ServiceLifecycle
import UnixSignals

/// The pairing kernel behind FastCGI: the administrators' pages.
@main
struct NodesKernel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes-kernel",
        abstract: "Serves the administrators' pages to nginx over FastCGI.",
        version: NodesProcess.versionText)

    @Option(help: "The configuration file; without it, the environment alone decides.")
    var config: String?

    func run() async throws {
        let process = try await NodesProcess(program: "nodes-kernel", file: config, for: .server)
        let configuration = process.configuration
        let files = try TemplateFiles(directory: configuration.templatesDirectory)
        let pages = AdminPages(
            kernel: process.kernel, templates: files.templates, assetVersion: files.assetVersion,
            processName: process.name, now: { .now })
        let pageMetrics = PageMetrics()
        let status = Status(kernel: process.kernel, metrics: process.metrics)
        var limits = FastCGIServer.Configuration()
        limits.threads = configuration.kernel.threads
        limits.maximumBodyBytes = configuration.kernel.maximumBody
        limits.requestTimeout = configuration.kernel.requestTimeout
        let server = try FastCGIServer(
            path: configuration.kernel.socket, configuration: limits, logger: process.logger
        ) { request in
            if let answer = await status.respond(to: request) { return answer }
            let start = ContinuousClock.now
            let answer = await process.tracer.recording(request) { await pages.respond(to: request) }
            pageMetrics.answered(answer.status, in: ContinuousClock.now - start)
            return answer
        }
        // Shut down in the opposite order: what has been accepted is still answered from the database.
        var group = ServiceGroupConfiguration(
            services: process.upkeep + [
                process.pool, process.pulse, process.schema(listens: false), server,
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: process.logger)
        group.maximumGracefulShutdownDuration = configuration.kernel.requestTimeout + .seconds(5)
        group.maximumCancellationDuration = .seconds(5)
        process.logger.notice(
            "Serving pages",
            metadata: ["socket": "\(configuration.kernel.socket)", "instance": "\(process.name)"])
        try await ServiceGroup(configuration: group).run()
        await process.stopChannels()
    }
}
