import ChannelKit

/// What a browser says about itself when it asks to pair; every member may be absent.
struct Browser: Decodable {
    private let browser: Named?
    private let platform: String?
    private let screen: Screen?
    private let language: String?
    private let timeZone: String?
    private let userAgent: String?

    /// A name, alone or with a version.
    private struct Named: Decodable {
        let text: String

        private enum CodingKeys: String, CodingKey { case name, version }

        init(from decoder: any Decoder) throws {
            if let text = try? decoder.singleValueContainer().decode(String.self) {
                self.text = text
                return
            }
            let container = try decoder.container(keyedBy: CodingKeys.self)
            let version = try container.decodeIfPresent(String.self, forKey: .version)
            text = try container.decode(String.self, forKey: .name) + (version.map { " \($0)" } ?? "")
        }
    }

    /// `{width, height, pixelRatio?}` in CSS pixels, or a text.
    private struct Screen: Decodable {
        let text: String

        private enum CodingKeys: String, CodingKey { case width, height, pixelRatio }

        init(from decoder: any Decoder) throws {
            if let text = try? decoder.singleValueContainer().decode(String.self) {
                self.text = text
                return
            }
            let container = try decoder.container(keyedBy: CodingKeys.self)
            func length(_ key: CodingKeys) throws -> Int {
                let length = try container.decode(Int.self, forKey: key)
                guard (1...100_000).contains(length) else {
                    throw DecodingError.dataCorruptedError(
                        forKey: key, in: container, debugDescription: "expected 1 to 100000 pixels")
                }
                return length
            }
            let size = "\(try length(.width)) × \(try length(.height))"
            let ratio = try container.decodeIfPresent(Double.self, forKey: .pixelRatio)
            text = size + (ratio.map { " at \($0)×" } ?? "")
        }
    }

    /// What the administrator sees.
    var details: [Detail] {
        let facts: [(String, String?)] = [
            ("Browser", browser?.text), ("Platform", platform), ("Screen", screen?.text),
            ("Language", language), ("Time zone", timeZone), ("User agent", userAgent),
        ]
        return facts.compactMap { label, value in value.map { Detail(label, $0) } }
    }
}
