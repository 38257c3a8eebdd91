import CLinux
import Glibc
import Synchronization

/// inotify: tells what happens in directories. For one thread, with whose rights directories are looked at.
package struct WatchQueue: ~Copyable {
    /// One directory that is watched. Numbers are not given out twice.
    package struct Watch: Hashable, Sendable {
        package let number: Int32
        package init(_ number: Int32) { self.number = number }
    }

    /// One thing that happened.
    package struct Record: Hashable, Sendable {
        package var watch: Watch
        package var happening: Happening
        package var isDirectory: Bool
        /// Empty when it happened to the directory itself. nil: not UTF-8.
        package var name: String?

        package init(_ watch: Watch, _ happening: Happening, _ name: String? = "", isDirectory: Bool = false) {
            self.watch = watch
            self.happening = happening
            self.isDirectory = isDirectory
            self.name = name
        }
    }

    package enum Happening: Hashable, Sendable {
        case created, deleted, movedFrom, movedTo, modified, attributesChanged
        /// Closed by somebody who could write.
        case written
        /// The watched directory itself is gone, moved away or unmounted.
        case selfGone
        /// This watch will say nothing more.
        case ended
        /// Something was lost, of whichever directory.
        case overflow
    }

    private let raw: Int32
    private var buffer = [UInt8](repeating: 0, count: 1 << 15)

    package init() throws(LinuxSystemError) {
        raw = clinux_watch_open()
        guard raw >= 0 else { throw LinuxSystemError(.init(errno: -raw), "inotify_init") }
    }
    deinit { close(raw) }

    /// - Parameter followsLink: a link in the last place is otherwise refused as not a directory.
    package func add(_ path: String, followsLink: Bool) throws(LinuxSystemError) -> Watch {
        let number = clinux_watch_add(raw, path, followsLink ? 1 : 0)
        guard number >= 0 else { throw LinuxSystemError(.init(errno: -number), "watch", path) }
        return Watch(number)
    }

    package func remove(_ watch: Watch) { clinux_watch_remove(raw, watch.number) }

    /// Blocks until there is something to read, `stop` is raised or the time is over.
    /// - Returns: whether there is something to read.
    package func wait(atMost duration: Duration?, stop: StopSignal) -> Bool {
        let milliseconds = duration.map { duration -> Int32 in
            let (seconds, attoseconds) = duration.components
            guard seconds >= 0, attoseconds >= 0 else { return 0 }
            // Rounded up, or the last fraction would be waited for in circles.
            return Int32(clamping: seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
        }
        return clinux_watch_wait(raw, stop.raw, milliseconds ?? -1) == 1
    }

    /// What is there, without waiting; empty when nothing is.
    package mutating func read() -> [Record] {
        let count = buffer.withUnsafeMutableBytes { Glibc.read(raw, $0.baseAddress, $0.count) }
        guard count > 0 else { return [] }
        return buffer.withUnsafeBytes { Self.records(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }

    private static func records(_ bytes: UnsafeRawBufferPointer) -> [Record] {
        var records: [Record] = []
        var rest = bytes
        var found = clinux_watch_record()
        while clinux_watch_next(rest.baseAddress, rest.count, &found) == 1 {
            let isDirectory = found.mask & UInt32(clinux_watch_directory) != 0
            let name = String(validatingCString: found.name)
            // The kernel says one thing at a time; of what it says about a watch's end both matter.
            for happening in happenings(found.mask) {
                records.append(Record(Watch(found.watch), happening, name, isDirectory: isDirectory))
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[found.size...])
        }
        return records
    }

    private static func happenings(_ mask: UInt32) -> [Happening] {
        let all: [(UInt32, Happening)] = [
            (UInt32(clinux_watch_overflow), .overflow), (UInt32(clinux_watch_created), .created),
            (UInt32(clinux_watch_deleted), .deleted), (UInt32(clinux_watch_moved_from), .movedFrom),
            (UInt32(clinux_watch_moved_to), .movedTo), (UInt32(clinux_watch_modified), .modified),
            (UInt32(clinux_watch_attributes), .attributesChanged),
            (UInt32(clinux_watch_written), .written),
            (
                UInt32(
                    clinux_watch_self_deleted | clinux_watch_self_moved
                        | clinux_watch_unmounted), .selfGone
            ),
            (UInt32(clinux_watch_ended), .ended),
        ]
        return all.filter { mask & $0.0 != 0 }.map(\.1)
    }
}

/// Ends a wait on another thread. Raised once, for good.
package final class StopSignal: Sendable {
    let raw: Int32
    private let raised = Mutex(false)

    package init() throws(LinuxSystemError) {
        raw = clinux_event_open()
        guard raw >= 0 else { throw LinuxSystemError(.init(errno: -raw), "eventfd") }
    }
    deinit { close(raw) }

    package func raise() {
        raised.withLock { $0 = true }
        clinux_event_raise(raw)
    }

    package var isRaised: Bool { raised.withLock { $0 } }
}
