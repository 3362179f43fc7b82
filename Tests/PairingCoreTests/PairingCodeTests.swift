import PairingCore
import Testing

@Suite("Pairing codes")
struct PairingCodeTests {
    @Test(
        "A code is read in any case, with blanks and dashes of any kind anywhere, and in full width",
        arguments: [
            "ABCD2345", "abcd2345", "ABCD-2345", " abcd - 2345 ", "a-b-c-d-2-3-4-5", "ABCD-2345\t",
            "ABCD\t2345\r\n", "\u{FEFF}ABCD\u{AD}2345\u{200B}", "ABCD\u{A0}2345", "ABCD\u{3000}2345",
            "ABCD\u{2003}2345", "ABCD\u{2010}2345", "ABCD\u{2011}2345", "ABCD\u{2012}2345",
            "ABCD\u{2013}2345", "ABCD\u{2014}2345", "ABCD\u{2015}2345", "ABCD\u{2212}2345",
            "\u{FF21}\u{FF22}\u{FF23}\u{FF24}\u{FF0D}\u{FF12}\u{FF13}\u{FF14}\u{FF15}",
            "\u{FF41}\u{FF42}\u{FF43}\u{FF44}\u{30FC}\u{FF12}\u{FF13}\u{FF14}\u{FF15}",
        ])
    func reads(_ text: String) throws {
        let code = try #require(PairingCode(text))
        #expect(code.text == "ABCD2345")
        #expect(code.description == "ABCD-2345")
    }

    @Test(
        "Anything but eight characters of the alphabet is refused",
        arguments: [
            "", "ABCD234", "ABCD23456", "ABCD-234O", "ABCD-2340", "ABCD-234I", "ABCD-2341", "ABCD_2345",
            "\u{410}BCD2345", "ABCD234\u{665}", "ABCD2345\u{0}", "ABCD+2345", "ABCD234\u{FF10}",
            "ABCD234\u{FF29}", "ABCD\u{301}2345", "\u{1D400}BCD2345",
            // Upper-casing turns these into characters of the alphabet.
            "\u{DF}CD2345", "\u{17F}BCD2345",
            String(repeating: "-", count: 124) + "ABCD2345",
        ])
    func refuses(_ text: String) {
        #expect(PairingCode(text) == nil)
    }

    @Test("A code made of random bytes uses every character of the alphabet evenly")
    func random() {
        var seen: [Character: Int] = [:]
        for byte in UInt8.min...UInt8.max {
            let code = PairingCode(randomBytes: Array(repeating: byte, count: 9))
            #expect(PairingCode(code.description) == code)
            if let first = code.text.first { seen[first, default: 0] += 1 }
        }
        #expect(seen.count == PairingCode.alphabet.count)
        #expect(seen.values.allSatisfy { $0 == 256 / 32 })
    }

    @Test("The alphabet has no I, O, 0 and 1")
    func alphabet() {
        #expect(PairingCode.alphabet.count == 32)
        #expect(Set(PairingCode.alphabet).isDisjoint(with: "IO01".utf8))
    }
}
