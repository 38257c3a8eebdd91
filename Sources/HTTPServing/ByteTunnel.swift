package import NIOCore

/// A connection that has become a pipe of bytes. The peer's EOF ends `inbound` and leaves the other direction open.
package struct ByteTunnel: Sendable {
    let line: Line

    /// What the peer sends, from the first byte after the upgrade. Single pass, back-pressured.
    package var inbound: Bytes { Bytes(line: line) }

    package func write(_ bytes: ByteBuffer) async throws { try await line.write(bytes) }

    /// Passes an EOF on: the peer reads the end of our stream and may still send.
    package func closeOutput() async { await line.closeOutput() }

    package func close() async { await line.close() }

    package struct Bytes: AsyncSequence, Sendable {
        package typealias Element = ByteBuffer
        let line: Line
        package func makeAsyncIterator() -> Iterator { Iterator(line: line) }

        package struct Iterator: AsyncIteratorProtocol {
            let line: Line
            package mutating func next() async throws -> ByteBuffer? {
                while case let part? = try await line.inbound.next() {
                    if case .bytes(let bytes) = part, bytes.readableBytes > 0 { return bytes }
                }
                return nil
            }
        }
    }
}
