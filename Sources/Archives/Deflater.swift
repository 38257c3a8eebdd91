import CZlib

/// Compresses a stream of bytes with zlib.
package struct Deflater: ~Copyable {
    package enum Format: Sendable {
        case gzip
        /// As in a zip archive.
        case raw
    }

    // zlib keeps a pointer to this, so it must not move.
    private let stream: UnsafeMutablePointer<z_stream>

    /// - Parameter level: 1 (fast) to 9 (small).
    package init(_ format: Format, level: Int32 = 6) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // Fails only without memory, or for a wrong argument of ours.
        precondition(czlib_deflate_init(stream, level, format == .gzip ? 15 + 16 : -15) == Z_OK)
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Appends what is ready of the compressed stream to `output`.
    package mutating func write(_ bytes: ArraySlice<UInt8>, finishing: Bool = false, to output: inout [UInt8]) {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        bytes.withUnsafeBufferPointer { input in
            // zlib only reads there, whatever its declaration says.
            stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
            stream.pointee.avail_in = UInt32(input.count)
            var isFull = true
            while isFull {
                let count = chunk.withUnsafeMutableBufferPointer { room -> Int in
                    stream.pointee.next_out = room.baseAddress
                    stream.pointee.avail_out = UInt32(room.count)
                    _ = deflate(stream, finishing ? Z_FINISH : Z_NO_FLUSH)
                    return room.count - Int(stream.pointee.avail_out)
                }
                output += chunk[..<count]
                isFull = count == chunk.count
            }
        }
    }
}

/// The checksum of gzip and zip.
package struct CRC32: Hashable, Sendable {
    package private(set) var value: UInt32 = 0
    package init() {}
    package mutating func update(_ bytes: ArraySlice<UInt8>) {
        // zlib reads a null pointer as "begin again".
        guard !bytes.isEmpty else { return }
        let before = UInt(value)
        value = bytes.withUnsafeBufferPointer { UInt32(crc32(before, $0.baseAddress, UInt32($0.count))) }
    }
}
