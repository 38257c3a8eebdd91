import NIOCore

/// A message in the binary protocol, written from its description (integers big-endian).
struct BinaryMessage {
    enum Value {
        case text(String)
        case number(Double)
    }
    let kind: UInt8
    var channel = ""
    let type: String
    /// Nil: no data at all rather than an empty list.
    var data: [(String, Value)]?

    var bytes: [UInt8] {
        var buffer = ByteBuffer(bytes: [kind])
        buffer.writeInteger(UInt16(channel.utf8.count))
        buffer.writeString(channel)
        buffer.writeInteger(UInt16(type.utf8.count))
        buffer.writeString(type)
        var pairs = ByteBuffer()
        if let data {
            pairs.writeInteger(UInt16(data.count))
            for (key, value) in data {
                pairs.writeInteger(UInt16(key.utf8.count))
                pairs.writeString(key)
                switch value {
                case .text(let text):
                    pairs.writeInteger(UInt8(1))
                    pairs.writeInteger(UInt32(text.utf8.count))
                    pairs.writeString(text)
                case .number(let number):
                    pairs.writeInteger(UInt8(2))
                    pairs.writeInteger(UInt32(8))
                    pairs.writeInteger(number.bitPattern)
                }
            }
        }
        buffer.writeInteger(UInt32(pairs.readableBytes))
        buffer.writeBuffer(&pairs)
        return Array(buffer.readableBytesView)
    }
}
