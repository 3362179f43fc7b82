import PairingCore
import Tracing

/// Spans as OTLP has them in JSON (OpenTelemetry Protocol 1.5, "JSON Protobuf Encoding": identifiers in hexadecimal, 64-bit
/// numbers as strings, enumerations as numbers).
struct TraceDocument {
    /// What the spans are of.
    var resource: TraceResource

    func text(of spans: [FinishedSpan]) -> String {
        let attributes: [String: SpanAttribute] = [
            "service.name": .string(resource.program), "service.instance.id": .string(resource.instance),
            "service.version": .string(resource.version),
        ]
        return JSONValue.object([
            "resourceSpans": .array([
                .object([
                    "resource": .object(["attributes": Self.list(attributes)]),
                    "scopeSpans": .array([
                        .object([
                            "scope": .object(["name": .string("goclaw-nodes")]),
                            "spans": .array(spans.map(Self.span)),
                        ])
                    ]),
                ])
            ])
        ]).text
    }

    private static func span(_ span: FinishedSpan) -> JSONValue {
        var members: [String: JSONValue] = [
            "traceId": .string(span.place.traceID), "spanId": .string(span.place.spanID),
            "name": .string(span.name), "kind": .integer(number(of: span.kind)), "flags": .integer(1),
            "startTimeUnixNano": .string(String(span.start)), "endTimeUnixNano": .string(String(span.end)),
            "attributes": list(span.attributes),
        ]
        if let parent = span.parentID { members["parentSpanId"] = .string(parent) }
        if !span.links.isEmpty {
            members["links"] = .array(
                span.links.map {
                    .object(["traceId": .string($0.traceID), "spanId": .string($0.spanID)])
                })
        }
        if span.hasFailed { members["status"] = .object(["code": .integer(2)]) }
        return .object(members)
    }

    private static func number(of kind: SpanKind) -> Int64 {
        switch kind {
        case .internal: 1
        case .server: 2
        case .client: 3
        case .producer: 4
        case .consumer: 5
        }
    }

    private static func list(_ attributes: [String: SpanAttribute]) -> JSONValue {
        .array(
            attributes.sorted { $0.key < $1.key }.map { name, value in
                .object(["key": .string(name), "value": .object(self.value(value))])
            })
    }

    private static func value(_ value: SpanAttribute) -> [String: JSONValue] {
        switch value {
        case .int32(let number): ["intValue": .string(String(number))]
        case .int64(let number): ["intValue": .string(String(number))]
        case .bool(let flag): ["boolValue": .bool(flag)]
        case .double(let number): ["doubleValue": .number(number)]
        case .string(let text): ["stringValue": .string(text)]
        default: ["stringValue": .string("\(value)")]
        }
    }
}

/// Which process spans are of.
package struct TraceResource: Sendable {
    /// The program's name.
    package var program: String
    /// What operators call the process.
    package var instance: String
    /// The program's version.
    package var version: String

    /// Wraps the parts.
    package init(program: String, instance: String, version: String) {
        self.program = program
        self.instance = instance
        self.version = version
    }
}
