import ChannelHost
import Cryptography
import Glibc
import PairingCore

/// What can be told from the files alone.
struct FileChecks {
    let path: String
    let bytes: [UInt8]
    let sha256: String

    /// - Returns: `nil` where the library cannot be read; `errno` says why.
    init?(path: String) {
        guard let bytes = contents(of: path) else { return nil }
        self.path = path
        self.bytes = bytes
        sha256 = hexadecimal(Cryptography.sha256(bytes))
    }

    private var needsSwift: Bool { bytes.firstRange(of: Array("libswiftCore.so".utf8)) != nil }

    /// AddressSanitizer's runtime that the library was built for, such as `libasan.so.8`, which has to be loaded before
    /// everything else; `nil` where it was built for none.
    ///
    /// - Throws: why such a library cannot be checked.
    var sanitizer: String? {
        get throws(CannotCheck) {
            guard bytes.firstRange(of: Array("__asan_init".utf8)) != nil else { return nil }
            for start in ["libasan.so", "libclang_rt.asan"] {
                guard let range = bytes.firstRange(of: Array(start.utf8)) else { continue }
                return String(decoding: bytes[range.lowerBound...].prefix { $0 != 0 }, as: UTF8.self)
            }
            throw CannotCheck(
                message:
                    "\(path) was built for AddressSanitizer without naming its runtime: with clang, link with "
                    + "-shared-libasan; gcc needs nothing more.")
        }
    }

    var symbols: CheckResult {
        var findings = Findings()
        if let symbols = ELFSymbols(bytes) {
            let others = symbols.exported.filter { $0 != "goclaw_channel_entry" }
            if !others.isEmpty {
                let named = others.prefix(5).joined(separator: ", ")
                findings.warn(
                    "It exports \(others.count) more: \(named)\(others.count > 5 ? ", …" : "").")
            }
        } else {
            findings.notApplicable = "Its table of symbols cannot be read: no library for 64 bits."
        }
        return CheckResult(
            name: "symbols", title: "It exports its entry and nothing else", findings: findings,
            promise: "goclaw_channel_entry is the one symbol a plugin exports.",
            advice: "Compile with -fvisibility=hidden, or link with --version-script.")
    }

    /// - Parameter identity: who the library says it is, where it came to that.
    func manifest(_ identity: CheckedIdentity?) -> CheckResult {
        var findings = Findings()
        let file = path.hasSuffix(".so") ? String(path.dropLast(3)) + ".json" : path + ".json"
        let name = String(file.split(separator: "/").last ?? "")
        if let json = contents(of: file, atMost: 64 * 1024) {
            check(json, named: name, identity, &findings)
        } else if errno == ENOENT {
            findings.notApplicable =
                "There is no \(name) beside it: it is not installed yet. scripts/install-channels writes one."
        } else {
            findings.fail("\(name) cannot be read, or is larger than 64 KiB.")
        }
        return CheckResult(
            name: "manifest", title: "The manifest beside it tells the truth", findings: findings,
            promise: "NAME.json beside NAME.so names ID, version, ABI, SHA-256 and the Swift version if any.",
            advice: "Install the library again with scripts/install-channels.")
    }

    private func check(
        _ json: [UInt8], named name: String, _ identity: CheckedIdentity?, _ findings: inout Findings
    ) {
        do throws(Untrusted) {
            let manifest = try PluginManifest(json: json, named: name)
            try manifest.check(
                sha256: sha256, libraryName: String(path.split(separator: "/").last ?? ""), host: hostABI,
                swift: runtimeSwiftVersion)
            if manifest.swift == nil, needsSwift {
                findings.fail("It needs libswiftCore.so, and the manifest names no \"swift\" version.")
            }
            guard let identity else { return }
            if (manifest.id.text, manifest.version) != (identity.id, identity.version) {
                findings.fail(
                    "The manifest says \"\(manifest.id)\" \(manifest.version), the library \"\(identity.id)\" "
                        + "\(identity.version).")
            }
            if manifest.abi.description != identity.abi {
                findings.fail("The manifest says ABI \(manifest.abi), the library's table \(identity.abi).")
            }
        } catch {
            findings.fail("\(error.message).")
        }
    }
}

extension CheckResult {
    init(name: String, title: String, findings: Findings, promise: String, advice: String) {
        self.init(
            name: name, title: title, outcome: findings.outcome, seen: findings.seen, promise: promise,
            advice: advice)
    }

    init(_ check: Check, _ findings: Findings) {
        self.init(
            name: check.name, title: check.title, findings: findings, promise: check.promise,
            advice: check.advice)
    }
}
