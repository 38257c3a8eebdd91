import Glibc

/// The entries of one directory, without `.` and `..`. Blocking.
struct DirectoryStream: ~Copyable {
    // DIR is an incomplete type, so Swift knows only this pointer.
    private let stream: OpaquePointer
    private let subject: String

    struct Entry {
        /// The name's bytes; names need not be UTF-8. Ends with a zero.
        let name: [CChar]
        let isDirectory: Bool
        var text: String { String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) }
    }

    /// Reads through a new description of the same directory, from its start; `descriptor` stays as it was.
    init(_ descriptor: Int32, subject: String) throws(LinuxSystemError) {
        let own = try FileDescriptor.open(".", at: descriptor, O_RDONLY | O_DIRECTORY, subject: subject)
        // fdopendir takes the descriptor over, so it gets one of its own.
        let duplicate = fcntl(own.raw, F_DUPFD_CLOEXEC, 0)
        guard duplicate >= 0 else { throw .last("duplicate", subject) }
        guard let stream = fdopendir(duplicate) else {
            let error = LinuxSystemError.last("list", subject)
            close(duplicate)
            throw error
        }
        self.stream = stream
        self.subject = subject
    }

    deinit { closedir(stream) }

    /// Of the directory, for calls on its entries.
    var descriptor: Int32 { dirfd(stream) }

    mutating func next() throws(LinuxSystemError) -> Entry? {
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw .last("list", subject) }
                return nil
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name)) {
                    Array(UnsafeBufferPointer(start: $0, count: strlen($0) + 1))
                }
            }
            if name.elementsEqual([46, 0]) || name.elementsEqual([46, 46, 0]) { continue }
            return Entry(name: name, isDirectory: entry.pointee.d_type == UInt8(DT_DIR))
        }
    }
}
