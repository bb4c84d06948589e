import Core
import Foundation
import HTTP

extension Request {
    func json<Value: Decodable>(_ type: Value.Type, upTo bytesMax: Int) async throws -> Value {
        let bytes = try await body.collect(upTo: bytesMax)
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty {
            throw Problem(400, .malformedJSON, "body: not JSON")
        } catch {
            throw Problem.invalidField("body", "\(error)")
        }
    }
}

extension Response {
    static func json(_ value: some Encodable, status: Status = .ok) throws -> Response {
        Response(status, contentType: "application/json", Array(try JSONEncoder().encode(value)))
    }
}
