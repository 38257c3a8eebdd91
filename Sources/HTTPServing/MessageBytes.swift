import NIOCore
import NIOHTTP1

/// HTTP/1.1 messages as bytes. Written by hand because a proxy must send heads exactly as it got them, where an
/// encoder would add and remove framing headers.
enum MessageBytes {
    static let continueHead = ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")
    static let lineBreak = ByteBuffer(string: "\r\n")

    static func head(_ head: HTTPRequestHead) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeString("\(head.method.rawValue) \(head.uri) HTTP/\(head.version.major).\(head.version.minor)\r\n")
        write(head.headers, to: &buffer)
        return buffer
    }

    static func head(status: HTTPResponseStatus, headers: HTTPHeaders) -> ByteBuffer {
        var buffer = ByteBuffer()
        // Always our own version: a 1.0 client is told what we speak, and must ignore what it does not know.
        buffer.writeString("HTTP/1.1 \(status.code) \(status.reasonPhrase)\r\n")
        write(headers, to: &buffer)
        return buffer
    }

    /// `size CRLF`, the payload and `CRLF`. An empty payload gives nothing: it would end the body.
    static func chunk(_ payload: ByteBuffer) -> [ByteBuffer] {
        guard payload.readableBytes > 0 else { return [] }
        return [ByteBuffer(string: String(payload.readableBytes, radix: 16) + "\r\n"), payload, lineBreak]
    }

    static func lastChunk(trailers: HTTPHeaders?) -> ByteBuffer {
        var buffer = ByteBuffer(string: "0\r\n")
        write(trailers ?? [:], to: &buffer)
        return buffer
    }

    private static func write(_ headers: HTTPHeaders, to buffer: inout ByteBuffer) {
        for (name, value) in headers { buffer.writeString("\(name): \(value)\r\n") }
        buffer.writeString("\r\n")
    }
}
