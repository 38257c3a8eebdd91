import Glibc

/// What `/proc` tells of a process beyond its `ProcessLine`. What the kernel does not tell is nil.
package struct ProcessDetails: Hashable, Sendable {
    /// Real, effective, saved, file system.
    package let uids: [UInt32]
    /// Its program and arguments; empty when it hides or has none left.
    package let arguments: [String]

    /// Longer command lines are cut: a list of processes is to be read by people.
    package static let maxCommandBytes = 4096

    /// nil: there is no such process.
    package init?(of pid: Int32) {
        guard let status = Self.read("/proc/\(pid)/status", upTo: 1 << 14) else { return nil }
        uids = Self.uids(String(decoding: status, as: UTF8.self))
        arguments = (Self.read("/proc/\(pid)/cmdline", upTo: Self.maxCommandBytes) ?? [])
            .split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    package static func uids(_ status: String) -> [UInt32] {
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Uid:") }) else { return [] }
        return line.dropFirst(4).split(whereSeparator: { $0 == "\t" || $0 == " " }).compactMap { UInt32($0) }
    }

    /// The beginning of a file, however much there is.
    private static func read(_ path: String, upTo limit: Int) -> [UInt8]? {
        guard let file = try? FileDescriptor.open(path, O_RDONLY) else { return nil }
        var bytes = [UInt8](repeating: 0, count: limit)
        var total = 0
        while total < limit {
            let count = bytes.withUnsafeMutableBytes { Glibc.read(file.raw, $0.baseAddress! + total, limit - total) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            total += count
        }
        return Array(bytes[..<total])
    }
}

/// What the kernel counts for the whole machine or sandbox.
package enum KernelFigures {
    package static let ticksPerSecond = max(1, sysconf(Int32(_SC_CLK_TCK)))
    package static let pageSize = max(1, sysconf(Int32(_SC_PAGESIZE)))

    /// When the kernel started, in seconds since 1970; what `ProcessLine.startTicks` counts from.
    package static func bootTime() -> Int? {
        text("/proc/stat").flatMap { text in
            text.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Int($0.dropFirst(6)) }
        }
    }

    package static func totalMemory() -> Int? {
        guard let line = text("/proc/meminfo")?.split(separator: "\n").first(where: { $0.hasPrefix("MemTotal:") })
        else { return nil }
        return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }

    package struct Traffic: Hashable, Sendable {
        package var received: UInt64
        package var sent: UInt64
        package init(received: UInt64, sent: UInt64) {
            self.received = received
            self.sent = sent
        }
    }

    /// Over all interfaces but the loopback; nil where the kernel does not count.
    package static func traffic() -> Traffic? { text("/proc/net/dev").flatMap(traffic) }

    package static func traffic(_ text: String) -> Traffic? {
        var sum: Traffic?
        for line in text.split(separator: "\n") {
            guard let colon = line.lastIndex(of: ":") else { continue }
            let name = line[..<colon].drop { $0 == " " }
            let fields = line[line.index(after: colon)...].split(separator: " ")
            guard name != "lo", fields.count >= 9, let received = UInt64(fields[0]), let sent = UInt64(fields[8])
            else { continue }
            sum = Traffic(received: (sum?.received ?? 0) &+ received, sent: (sum?.sent ?? 0) &+ sent)
        }
        return sum
    }

    private static func text(_ path: String) -> String? {
        guard let file = try? FileDescriptor.open(path, O_RDONLY), let bytes = try? file.readAll(upTo: 1 << 20, path)
        else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
