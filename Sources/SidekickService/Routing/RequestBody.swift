package import ComputeCore
import FoundationEssentials
import HTTPServing
package import NIOCore

/// Reads JSON bodies that came from outside, within bounds.
package enum RequestBody {
    /// Room for a 12 MiB file in base64, or a 16 MiB one in text with few escapes.
    package static let maxBytes = 16 << 20
    /// Far above any real request; keeps a recursive decoder from running out of stack.
    package static let maxDepth = 64

    /// An empty body reads as `{}`: clients send a JSON content type on everything.
    package static func parse(_ bytes: some Collection<UInt8>) throws(Problem) -> FieldReader {
        let bytes = Array(bytes)
        if bytes.allSatisfy({ [0x20, 0x09, 0x0a, 0x0d].contains($0) }) { return FieldReader([:]) }
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw Problem(status: 400, code: .invalidRequest, message: "the request body is not valid UTF-8")
        }
        guard depth(of: bytes) <= maxDepth else {
            throw Problem(
                status: 400, code: .invalidRequest,
                message: "the request body is nested more than \(maxDepth) levels deep")
        }
        let document: JSONValue
        do {
            document = try JSONDecoder().decode(JSONValue.self, from: Data(bytes))
        } catch {
            throw Problem(status: 400, code: .invalidRequest, message: "the request body is not valid JSON")
        }
        return try FieldReader(document)
    }

    /// How deep brackets nest outside strings. Meaningless for what is not JSON, which the decoder refuses.
    static func depth(of bytes: [UInt8]) -> Int {
        var depth = 0
        var deepest = 0
        var inString = false
        var escaped = false
        for byte in bytes {
            if inString {
                if escaped {
                    escaped = false
                } else if byte == UInt8(ascii: "\\") {
                    escaped = true
                } else if byte == UInt8(ascii: "\"") {
                    inString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): inString = true
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                depth += 1
                deepest = max(deepest, depth)
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            default: break
            }
        }
        return deepest
    }
}

extension SidekickRequest {
    /// The JSON object in the body.
    /// - Throws: 400 when it is not one, 413 above 16 MiB.
    package func fields() async throws -> FieldReader {
        try RequestBody.parse(try await body(upTo: RequestBody.maxBytes).readableBytesView)
    }

    package func body(upTo maxBytes: Int) async throws -> ByteBuffer {
        do {
            return try await exchange.collectBody(upTo: maxBytes)
        } catch let error as HTTPServingError where error.code == .bodyTooLarge {
            throw Problem(
                status: 413, code: .tooLarge, message: "the request body is larger than \(maxBytes) bytes")
        }
    }
}
