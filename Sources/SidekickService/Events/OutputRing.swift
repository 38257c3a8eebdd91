/// The newest part of a stream of bytes, found by absolute offset: byte 0 is the first that was ever written.
///
///     0 ······ start ▓▓▓▓▓▓▓▓▓▓ end          start = end − what is kept, which is `capacity` at most
///
/// Whoever reads brings an offset of his own, so any number of readers, fast and slow, cost nothing.
package struct OutputRing: Sendable {
    /// Most bytes kept.
    package let capacity: Int
    /// The offset behind the newest byte: how many were ever written.
    package private(set) var end = 0
    /// The byte of offset `o` is at `o % storage.count`. Grows by doubling: most outputs are small.
    private var storage: [UInt8] = []
    private var kept = 0

    package init(capacity: Int) { self.capacity = capacity }

    /// The offset of the oldest byte that is kept.
    package var start: Int { end - kept }
    /// Bytes of memory in use.
    package var footprint: Int { storage.count }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        let newest = UnsafeRawBufferPointer(rebasing: bytes.suffix(capacity))
        makeRoom(for: newest.count)
        end += bytes.count - newest.count
        // Offsets went on without their bytes; what is older than those is of no use any more.
        if newest.count < bytes.count { kept = 0 }
        var rest = newest[...]
        while !rest.isEmpty {
            let position = end % storage.count
            let part = rest.prefix(storage.count - position)
            storage.withUnsafeMutableBytes { target in
                UnsafeMutableRawBufferPointer(rebasing: target[position...])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
            }
            end += part.count
            rest = rest.dropFirst(part.count)
        }
        kept = min(kept + newest.count, capacity, storage.count)
    }

    package struct Piece: Hashable, Sendable {
        /// The offset of the first byte.
        package var offset: Int
        package var bytes: [UInt8]
        /// How many bytes between the offset asked for and `offset` are gone.
        package var dropped: Int

        package init(offset: Int, bytes: [UInt8], dropped: Int) {
            self.offset = offset
            self.bytes = bytes
            self.dropped = dropped
        }
    }

    /// What is kept from an offset on, `limit` bytes at most. An offset beyond the end reads as the end.
    package func read(from asked: Int, upTo limit: Int) -> Piece {
        let from = min(max(asked, start), end)
        let count = min(limit, end - from)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            let position = (from + bytes.count) % storage.count
            bytes += storage[position..<min(storage.count, position + count - bytes.count)]
        }
        return Piece(offset: from, bytes: bytes, dropped: max(0, from - max(asked, 0)))
    }

    private mutating func makeRoom(for count: Int) {
        let needed = min(kept + count, capacity)
        guard needed > storage.count else { return }
        var size = max(storage.count, 4096)
        while size < needed { size *= 2 }
        let old = read(from: start, upTo: kept).bytes
        storage = [UInt8](repeating: 0, count: min(size, capacity))
        for (index, byte) in old.enumerated() { storage[(start + index) % storage.count] = byte }
    }
}
