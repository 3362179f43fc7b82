/// Base32 without padding (RFC 4648 §6): how the secrets of one-time codes are written.
public enum Base32 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

    /// Encodes bytes; the result has no padding.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var output: [UInt8] = []
        var accumulator: UInt32 = 0
        var bits: UInt32 = 0
        for byte in bytes {
            accumulator = accumulator << 8 | UInt32(byte)
            bits += 8
            while bits >= 5 {
                bits -= 5
                output.append(alphabet[Int(accumulator >> bits & 31)])
            }
            accumulator &= (1 << bits) - 1
        }
        if bits > 0 { output.append(alphabet[Int(accumulator << (5 - bits) & 31)]) }
        return String(decoding: output, as: UTF8.self)
    }
}
