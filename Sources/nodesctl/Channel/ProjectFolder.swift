import FoundationEssentials
import Glibc

/// The folder into which a new project is written.
struct ProjectFolder {
    let path: String

    /// Makes the folder.
    ///
    /// - Throws: why nothing can be written there; nothing has been.
    init(creating path: String) throws(CommandFailure) {
        self.path = path
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(.failure, "The folder \(path) cannot be made: \(Self.reason(error)).")
        }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path)
        } catch {
            throw CommandFailure(.failure, "The folder \(path) cannot be read: \(Self.reason(error)).")
        }
        guard names.isEmpty else {
            throw CommandFailure(
                .refused,
                "The folder \(path) is not empty. Nothing was written; name another with --directory.")
        }
    }

    /// Writes a file, with the folders on the way.
    func write(_ file: ChannelProject.File) throws(CommandFailure) {
        let target = path + "/" + file.path
        do {
            let folder = target.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            try FileManager.default.createDirectory(
                atPath: folder.joined(separator: "/"), withIntermediateDirectories: true)
            try Data(file.text.utf8).write(to: URL(filePath: target))
        } catch {
            throw CommandFailure(.failure, "\(target) cannot be written: \(Self.reason(error)).")
        }
    }

    /// What an error of the system says.
    private static func reason(_ error: any Error) -> String {
        let code = (error as? CocoaError)?.underlying as? POSIXError
        return code.flatMap { strerror($0.code.rawValue) }.map { String(cString: $0) } ?? "\(error)"
    }
}
