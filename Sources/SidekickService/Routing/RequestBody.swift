package import ComputeCore
import HTTPServing
package import NIOCore

/// Reads JSON bodies that came from outside, within bounds.
package enum RequestBody {
    /// Room for a 12 MiB file in base64, or a 16 MiB one in text with few escapes.
    package static let maxBytes = 16 << 20

    /// - Throws: a 400 for what is not one JSON object. An empty body reads as `{}`: clients send a JSON content type on
    ///   everything.
    package static func parse(_ bytes: some Collection<UInt8>) throws(Problem) -> FieldReader {
        try FieldReader(try JSONDocument.parse(Array(bytes)))
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
