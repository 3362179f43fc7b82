import Cryptography
import PairingCore
import Testing

@testable import PairingKernel

@Suite("One-time codes")
struct OneTimeCodeTests {
    /// The secret of RFC 6238, appendix B.
    private let secret = Array("12345678901234567890".utf8)

    @Test(
        "Codes are those of RFC 6238",
        arguments: [
            (59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (1_234_567_890, "005924"),
            (2_000_000_000, "279037"), (20_000_000_000, "353130"),
        ] as [(Int64, String)])
    func vectors(seconds: Int64, code: String) {
        let step = OneTimeCodes.step(at: Timestamp(milliseconds: seconds * 1000))
        #expect(OneTimeCodes.code(of: secret, step: step) == code)
    }

    @Test("A code is taken a step early and a step late, and no more")
    func window() {
        let now = Timestamp(milliseconds: 1_111_111_111_000)
        let step = OneTimeCodes.step(at: now)
        for (offset, isTaken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)]
            as [(Int64, Bool)]
        {
            let code = Array(OneTimeCodes.code(of: secret, step: step + offset).utf8)
            #expect(OneTimeCodes.step(of: code, secret: secret, now: now) == (isTaken ? step + offset : nil))
        }
    }

    @Test("I9: a secret is opened under its key and for its account only")
    func sealing() throws {
        let keys = AccountKeys(Array(repeating: 1, count: 32))
        let sealed = try keys.seal(secret, of: "maria")
        #expect(try keys.open(sealed, of: "maria") == secret)
        #expect(try keys.open(sealed, of: "paul") == nil)
        #expect(try AccountKeys(Array(repeating: 2, count: 32)).open(sealed, of: "maria") == nil)
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 1
            #expect(try keys.open(changed, of: "maria") == nil)
        }
        #expect(try keys.open([], of: "maria") == nil)
    }

    @Test("Recovery codes are ten, always the same of a secret, and read as people type them")
    func recovery() throws {
        let keys = AccountKeys(Array(repeating: 1, count: 32))
        let codes = keys.recoveryCodes(of: [1, 2, 3])
        #expect(Set(codes.map(\.text)).count == 10 && codes == keys.recoveryCodes(of: [1, 2, 3]))
        #expect(codes != keys.recoveryCodes(of: [1, 2, 4]))
        let typed = codes[0].text.lowercased().replacing("-", with: " ").replacing("o", with: "0")
        #expect(RecoveryCode(typed: try #require(typedCharacters(typed))) == codes[0])
        #expect(RecoveryCode(typed: Array("123456".utf8)) == nil)
    }

    @Test("Apps are told the account and the installation")
    func uri() {
        #expect(
            OneTimeCodes.uri(secret: secret, username: "a@b", issuer: "GoClaw nodes.example.org")
                == "otpauth://totp/GoClaw%20nodes.example.org:a%40b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
                + "&issuer=GoClaw%20nodes.example.org")
    }
}
