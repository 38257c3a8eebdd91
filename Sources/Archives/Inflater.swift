import CZlib

/// Expands a stream of bytes with zlib, a bounded piece at a time, so that a bomb costs no memory.
package struct Inflater: ~Copyable {
    package enum Format: Sendable {
        /// Several one after the other are one stream, as for `gunzip`.
        case gzip
        case raw
    }

    static let pieceBytes = 1 << 16

    private let stream: UnsafeMutablePointer<z_stream>
    private let format: Format
    private var isBetweenMembers = false
    package private(set) var hasEnded = false
    /// The last piece was full, so there may be more without more input.
    private var isFull = false

    package init(_ format: Format) {
        self.format = format
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        precondition(czlib_inflate_init(stream, format == .gzip ? 15 + 16 : -15) == Z_OK)
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Takes what it needs off `input`.
    /// - Returns: the next piece, never empty; nil when it needs more input, or has ended.
    package mutating func next(_ input: inout ArraySlice<UInt8>) throws(ArchiveError) -> [UInt8]? {
        while !hasEnded, !input.isEmpty || isFull {
            if isBetweenMembers {
                // Zeros after the end are what block devices and `tar` leave there.
                input = input.drop { $0 == 0 }
                guard !input.isEmpty else { return nil }
                guard input.first == 0x1f else {
                    throw ArchiveError(.malformed, "something after the end of the gzip data")
                }
                inflateReset(stream)
                isBetweenMembers = false
            }
            var chunk = [UInt8](repeating: 0, count: Self.pieceBytes)
            let (result, used, count) = input.withUnsafeBufferPointer { bytes -> (Int32, Int, Int) in
                chunk.withUnsafeMutableBufferPointer { room -> (Int32, Int, Int) in
                    stream.pointee.next_in = UnsafeMutablePointer(mutating: bytes.baseAddress)
                    stream.pointee.avail_in = UInt32(bytes.count)
                    stream.pointee.next_out = room.baseAddress
                    stream.pointee.avail_out = UInt32(room.count)
                    let result = inflate(stream, Z_NO_FLUSH)
                    return (
                        result, bytes.count - Int(stream.pointee.avail_in), room.count - Int(stream.pointee.avail_out)
                    )
                }
            }
            input = input.dropFirst(used)
            isFull = count == chunk.count
            switch result {
            case Z_STREAM_END:
                isFull = false
                if format == .gzip { isBetweenMembers = true } else { hasEnded = true }
            case Z_OK: break
            // No progress: more input is needed.
            case Z_BUF_ERROR: isFull = false
            default: throw ArchiveError(.malformed, "the compressed data is broken")
            }
            if count > 0 { return Array(chunk[..<count]) }
            if result == Z_BUF_ERROR { return nil }
        }
        return nil
    }

    /// No more bytes will come.
    package func finish() throws(ArchiveError) {
        guard hasEnded || isBetweenMembers else { throw ArchiveError(.truncated, "the compressed data ends too early") }
    }
}
