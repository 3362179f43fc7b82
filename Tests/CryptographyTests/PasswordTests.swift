import Testing

@testable import Cryptography

@Suite("Passwords")
struct PasswordTests {
    /// Cheap enough to run often: 16 KiB.
    static let cheap = {
        guard let parameters = try? ScryptParameters(logN: 7, r: 1, p: 1) else {
            preconditionFailure("in range")
        }
        return parameters
    }()

    @Test("scrypt gives RFC 7914's example keys")
    func examples() throws {
        let first = try ScryptParameters(logN: 4, r: 1, p: 1).derive(password: [], salt: [], length: 64)
        #expect(
            hexadecimal(first) == "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
                + "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906")
        let second = try ScryptParameters(logN: 10, r: 8, p: 16).derive(
            password: Array("password".utf8), salt: Array("NaCl".utf8), length: 64)
        #expect(
            hexadecimal(second) == "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
                + "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640")
    }

    @Test("A hash of the default cost matches its password only, also after being stored")
    func roundTrip() async throws {
        let hasher = try PasswordHasher()
        let hash = try await hasher.hash("correct horse")
        #expect(hash.encoded.hasPrefix("$scrypt$ln=17,r=8,p=1$"))
        let stored = try #require(PasswordHash(encoded: hash.encoded))
        #expect(stored == hash)
        #expect(try await hasher.verify("correct horse", against: stored))
        #expect(try await !hasher.verify("correct horsf", against: stored))
        #expect(try await !hasher.verify("", against: stored))
    }

    @Test("A check for an unknown name is false for every password")
    func unknownName() async throws {
        let hasher = try PasswordHasher(parameters: Self.cheap)
        #expect(try await !hasher.verify("anything", against: nil))
        #expect(try await !hasher.verify("", against: nil))
    }

    @Test("Two hashes of one password differ, and any text is a password")
    func salts() async throws {
        let hasher = try PasswordHasher(parameters: Self.cheap)
        for password in ["", "pässword", "\0", String(repeating: "long ", count: 1_000)] {
            let first = try await hasher.hash(password)
            let second = try await hasher.hash(password)
            #expect(first.encoded != second.encoded)
            #expect(try await hasher.verify(password, against: first))
            #expect(try await !hasher.verify(password + "x", against: second))
        }
    }

    @Test("A hash of another cost is due for a rehash and still verifies")
    func rehash() async throws {
        let old = try await PasswordHasher(parameters: Self.cheap).hash("secret")
        let parameters = try ScryptParameters(logN: 5, r: 1, p: 1)
        let hasher = try PasswordHasher(parameters: parameters)
        #expect(old.needsRehash(for: parameters))
        #expect(try await hasher.verify("secret", against: old))
        #expect(try await !hasher.hash("secret").needsRehash(for: parameters))
    }

    @Test(
        "Text that is not a stored hash is refused",
        arguments: [
            "", "$", "$scrypt$", "plain", "$argon2id$ln=4,r=1,p=1$MTIzNDU2Nzg$MTIzNDU2Nzg5MDEyMzQ1Ng",
            "$scrypt$ln=04,r=1,p=1$MTIzNDU2Nzg$MTIzNDU2Nzg5MDEyMzQ1Ng",
            "$scrypt$ln=+4,r=1,p=1$MTIzNDU2Nzg$MTIzNDU2Nzg5MDEyMzQ1Ng",
            "$scrypt$ln=4,r=1$MTIzNDU2Nzg$MTIzNDU2Nzg5MDEyMzQ1Ng",
            "$scrypt$ln=30,r=8,p=1$MTIzNDU2Nzg$MTIzNDU2Nzg5MDEyMzQ1Ng",
            "$scrypt$ln=20,r=32,p=1$MTIzNDU2Nzg$MTIzNDU2Nzg5MDEyMzQ1Ng",
            "$scrypt$ln=4,r=1,p=1$MTIz$MTIzNDU2Nzg5MDEyMzQ1Ng",
            "$scrypt$ln=4,r=1,p=1$MTIzNDU2Nzg$MTIz",
            "$scrypt$ln=4,r=1,p=1$MTIzNDU2Nzg=$MTIzNDU2Nzg5MDEyMzQ1Ng",
            "$scrypt$ln=4,r=1,p=1$MTIzNDU2Nzh$MTIzNDU2Nzg5MDEyMzQ1Ng",
            "$scrypt$ln=4,r=1,p=1$ MTIzNDU2Nz$MTIzNDU2Nzg5MDEyMzQ1Ng",
            "$scrypt$ln=4,r=1,p=1$MTIzNDU2Nzg$MTIzNDU2Nzg5MDEyMzQ1Ng$",
        ])
    func malformed(text: String) {
        #expect(PasswordHash(encoded: text) == nil)
    }

    @Test("The smallest well-formed hash is accepted")
    func wellFormed() {
        #expect(PasswordHash(encoded: "$scrypt$ln=4,r=1,p=1$MTIzNDU2Nzg$MTIzNDU2Nzg5MDEyMzQ1Ng") != nil)
    }

    @Test(
        "scrypt parameters out of range are refused",
        arguments: [
            (0, 8, 1), (21, 8, 1), (17, 0, 1), (17, 33, 1), (17, 8, 0), (17, 8, 17), (20, 8, 1), (16, 1, 1),
        ])
    func parameterRanges(logN: Int, r: Int, p: Int) {
        #expect(throws: CryptographyError.invalidScryptParameters) {
            try ScryptParameters(logN: logN, r: r, p: p)
        }
    }

    @Test("Callers beyond the queue are refused at once and the others are served")
    func bound() async throws {
        let hasher = try PasswordHasher(
            parameters: try ScryptParameters(logN: 14, r: 8, p: 1), concurrency: 2, maximumWaiting: 4)
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<24 {
                group.addTask {
                    do {
                        _ = try await hasher.hash("secret")
                        return true
                    } catch {
                        #expect(error as? CryptographyError == .tooManyWaiting)
                        return false
                    }
                }
            }
            return await group.reduce(into: [Bool]()) { $0.append($1) }
        }
        #expect(outcomes.count { $0 } >= 6)
        #expect(outcomes.contains(false))
        #expect(try await hasher.verify("x", against: nil) == false)
    }

    @Test("A caller that gave up before its turn costs nothing")
    func cancellation() async throws {
        let hasher = try PasswordHasher(parameters: Self.cheap)
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await hasher.hash("secret")
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await hasher.verify("x", against: nil) == false)
    }

    @Test("A stored hash prints nothing of itself")
    func description() async throws {
        let hash = try await PasswordHasher(parameters: Self.cheap).hash("secret")
        var dumped = ""
        dump(hash, to: &dumped)
        #expect("\(hash)" == "PasswordHash")
        #expect(!dumped.contains("UInt8"))
    }
}
