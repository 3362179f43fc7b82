import PairingCore
import Testing

@Suite("QR codes")
struct QRCodeTests {
    /// Other readers (ZXing) read this one, and greater ones, as the text.
    @Test("A code is drawn as other readers read it")
    func drawing() throws {
        let code = try #require(QRCode("HELLO"))
        #expect(code.size == 21)
        let rows = (0..<21).map { y in String((0..<21).map { code[$0, y] ? "#" : "." }) }
        #expect(rows == Self.hello)
    }

    @Test(
        "A longer text takes a greater code, and one that is too long has none",
        arguments: [14, 15, 62, 63, 300, 666])
    func sizes(bytes: Int) throws {
        let code = try #require(QRCode(String(repeating: "x", count: bytes)))
        #expect(code.size == [14: 21, 15: 25, 62: 33, 63: 37, 300: 69, 666: 97][bytes])
        #expect(code.isDark.count == code.size * code.size)
        #expect(QRCode(String(repeating: "x", count: 667)) == nil)
    }

    private static let hello = [
        "#######.##.#..#######",
        "#.....#..##.#.#.....#",
        "#.###.#..####.#.###.#",
        "#.###.#.#..#..#.###.#",
        "#.###.#.#...#.#.###.#",
        "#.....#.#.##..#.....#",
        "#######.#.#.#.#######",
        "........#####........",
        "#...#.######.#####..#",
        "...###..#.###..#.####",
        "#.##..#.#.##..###..#.",
        "###..#...#...##.#....",
        "..#.###..#..###...##.",
        "........###.###..#.##",
        "#######.##..##...#.#.",
        "#.....#....##..#...#.",
        "#.###.#.#..#..###.#.#",
        "#.###.#....##....#.##",
        "#.###.#..###..####...",
        "#.....#..#...##......",
        "#######.#...#####.#.#",
    ]
}
