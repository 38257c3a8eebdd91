import Glibc
import LinuxSystem

/// Bytes that are written once and read once: in memory while they are few, then in a nameless file.
struct SpillBuffer: ~Copyable {
    private static let maxMemory = 1 << 20

    private var memory: [UInt8] = []
    private var file: SharedDescriptor?
    private var fileBytes: Int64 = 0
    private var readOffset: Int64 = 0

    mutating func append(_ bytes: [UInt8]) throws(LinuxSystemError) {
        memory += bytes
        if memory.count > Self.maxMemory { try spill() }
    }

    private mutating func spill() throws(LinuxSystemError) {
        if file == nil { file = SharedDescriptor(try Self.nameless(in: "/tmp")) }
        guard let file else { return }
        try file.append(memory, "/tmp")
        fileBytes += Int64(memory.count)
        memory.removeAll(keepingCapacity: true)
    }

    /// The next piece; empty at the end. Nothing may be appended any more.
    mutating func read() throws(LinuxSystemError) -> [UInt8] {
        if let file, readOffset < fileBytes {
            let bytes = try file.read(at: readOffset, upTo: Int(min(fileBytes - readOffset, 1 << 17)), "/tmp")
            readOffset += Int64(bytes.count)
            if bytes.isEmpty { throw LinuxSystemError(.changedMeanwhile, "read", "/tmp") }
            return bytes
        }
        defer { memory = [] }
        return memory
    }

    static func nameless(in directory: String) throws(LinuxSystemError) -> FileDescriptor {
        let path = "\(directory)/.sidekick-\(UInt64.random(in: 0 ... .max)).tmp"
        let file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        unlink(path)
        return file
    }
}

extension SharedDescriptor {
    func append(_ bytes: [UInt8], _ subject: String) throws(LinuxSystemError) {
        try FileService.borrow(bytes) { buffer throws(LinuxSystemError) in try descriptor.write(buffer, subject) }
    }

    func read(at offset: Int64?, upTo limit: Int, _ subject: String) throws(LinuxSystemError) -> [UInt8] {
        var failure: LinuxSystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { room, count in
            do throws(LinuxSystemError) {
                count = try descriptor.read(into: UnsafeMutableRawBufferPointer(room), at: offset, subject)
            } catch {
                failure = error
                count = 0
            }
        }
        if let failure { throw failure }
        return bytes
    }
}
