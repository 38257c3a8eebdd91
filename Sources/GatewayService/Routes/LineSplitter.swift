package import FoundationEssentials
package import NIOCore

/// Cuts a stream of bytes into lines, wherever its parts end. Empty lines are skipped.
package struct LineSplitter {
    private let maxLineBytes: Int
    private var rest = Data()

    package init(maxLineBytes: Int) { self.maxLineBytes = maxLineBytes }

    /// - Throws: when a line is longer than the bound.
    package mutating func split(_ part: ByteBuffer) throws(GatewayError) -> [Data] {
        var lines: [Data] = []
        var bytes = part.readableBytesView[...]
        while let newline = bytes.firstIndex(of: UInt8(ascii: "\n")) {
            rest.append(contentsOf: bytes[..<newline])
            bytes = bytes[(newline + 1)...]
            if !rest.isEmpty { lines.append(rest) }
            rest = Data()
        }
        rest.append(contentsOf: bytes)
        guard rest.count <= maxLineBytes else { throw GatewayError(.internalAPI, "a feed line is too long") }
        return lines
    }
}
