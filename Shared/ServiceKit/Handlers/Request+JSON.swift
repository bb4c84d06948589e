import Core
import Foundation
package import HTTP

extension Request {
    /// The body as JSON.
    ///
    /// - Parameters:
    ///   - type: What the body must be; unknown members are ignored.
    ///   - bytesMax: The largest body.
    /// - Returns: The decoded value.
    /// - Throws: `Problem` 415 when it is not called `application/json`, 413 beyond `bytesMax`, 400 `malformed_json`
    ///   when it is no JSON, 422 `invalid_field` naming the member that is missing or wrong. A decoding error of one's
    ///   own whose description starts with `must` is passed on in the detail.
    package func json<Value: Decodable & Sendable>(
        _ type: Value.Type = Value.self,
        upTo bytesMax: Int = 65536
    ) async throws -> Value {
        try JSONBody.decode(type, from: try await jsonBytes(upTo: bytesMax))
    }

    /// The body of a request that calls it JSON, for a reader of its own.
    ///
    /// - Throws: `Problem` 415, 413.
    package func jsonBytes(upTo bytesMax: Int) async throws -> [UInt8] {
        guard isJSON else {
            throw Problem(415, .unsupportedMediaType, "Content-Type: must be application/json")
        }
        return try await body.collect(upTo: bytesMax)
    }

    /// Whether its body is called JSON, by the media type without its parameters (RFC 9110 §8.3.1).
    package var isJSON: Bool {
        let values = headers.values("Content-Type")
        guard values.count == 1, let value = values.first else { return false }
        // By bytes: the value need not be ASCII.
        let mediaType = value.utf8.prefix { $0 != UInt8(ascii: ";") }.filter {
            $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t")
        }
        return Headers.equal(String(decoding: mediaType, as: UTF8.self), "application/json")
    }
}

extension Response {
    /// A JSON answer.
    ///
    /// - Parameters:
    ///   - value: Names its members in `CodingKeys`.
    ///   - status: The answer's status.
    /// - Returns: The answer, `application/json`.
    /// - Throws: `EncodingError` for a number that JSON cannot hold.
    package static func json(_ value: some Encodable, status: Status = .ok) throws -> Response {
        Response(status, contentType: "application/json", try JSONBody.encode(value))
    }
}

/// JSON of request and response bodies.
package enum JSONBody {
    /// The value's JSON text, slashes unescaped.
    package static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return Array(try encoder.encode(value))
    }

    /// Reads a value.
    ///
    /// - Throws: `Problem` 400 `malformed_json` or 422 `invalid_field`.
    package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw Problem(400, .malformedJSON, "body: not UTF-8")
        }
        if let fault = JSONSyntax.firstFault(in: bytes) {
            let what =
                switch fault {
                case .noJSON(bytes.count): "the JSON text ends too early"
                case .noJSON(let offset): "no JSON at byte \(offset)"
                case .nameTooLong(let offset):
                    "the name at byte \(offset) has more than \(JSONSyntax.nameBytesMax) bytes"
                }
            throw Problem(400, .malformedJSON, "body: \(what)")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as DecodingError {
            throw problem(of: error)
        }
    }

    private static func problem(of error: DecodingError) -> Problem {
        switch error {
        case .keyNotFound(let key, let context):
            return .invalidField(path(context.codingPath + [key]), "is required")
        case .valueNotFound(_, let context):
            return .invalidField(path(context.codingPath), "must not be null")
        case .typeMismatch(let type, let context):
            return .invalidField(path(context.codingPath), "must be \(name(of: type))")
        case .dataCorrupted(let context):
            let rule = isRule(context.debugDescription) ? context.debugDescription : "is not one of the possible values"
            // Of a number that does not fit its type the decoder does not say which member it was.
            return .invalidField(path(context.codingPath), rule)
        @unknown default:
            return .invalidField("body", "not readable")
        }
    }

    /// Decoders of ours describe what must be; Foundation's texts name Swift types, which are nobody's business.
    private static func isRule(_ text: String) -> Bool { text.hasPrefix("must ") }

    /// `users[3].name`; `body` for the whole.
    private static func path(_ keys: [any CodingKey]) -> String {
        var result = ""
        for key in keys {
            if let index = key.intValue {
                result += "[\(index)]"
            } else {
                result += (result.isEmpty ? "" : ".") + key.stringValue
            }
        }
        return result.isEmpty ? "body" : result
    }

    private static func name(of type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is any FixedWidthInteger.Type: "a whole number"
        case is any BinaryFloatingPoint.Type: "a number"
        case is any Collection.Type where !(type is any DictionaryType.Type): "a list"
        default: "an object"
        }
    }
}

/// Tells a dictionary from the other collections.
private protocol DictionaryType {}
extension Dictionary: DictionaryType {}
