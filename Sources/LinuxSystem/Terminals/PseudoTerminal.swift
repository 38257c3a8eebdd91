import CLinux
import Glibc

/// Columns and rows of a terminal.
package struct TerminalSize: Hashable, Sendable {
    package let columns: UInt16
    package let rows: UInt16

    package static let standard = TerminalSize(columns: 80, rows: 24)

    package init(columns: UInt16, rows: UInt16) {
        self.columns = columns
        self.rows = rows
    }

    /// What programs can live with: 0 divides by zero in some, 65535 × 65535 makes others allocate gigabytes.
    package static let range: ClosedRange<Double> = 1...1000

    /// From numbers that came from outside, brought into range.
    /// - Returns: nil for what is no number at all.
    package init?(clampingColumns columns: Double, rows: Double) {
        guard !columns.isNaN, !rows.isNaN else { return nil }
        func clamp(_ value: Double) -> UInt16 {
            UInt16(min(max(value, Self.range.lowerBound), Self.range.upperBound))
        }
        self.init(columns: clamp(columns), rows: clamp(rows))
    }
}

/// Both ends of a new terminal, as bare descriptors: whoever makes it closes both.
package struct PseudoTerminal: Sendable {
    /// Non-blocking.
    package let master: Int32
    package let slave: Int32
    /// Of the slave, as the programs in it know it.
    package let path: String

    package static func open(_ size: TerminalSize) throws(LinuxSystemError) -> PseudoTerminal {
        var master: Int32 = -1
        var slave: Int32 = -1
        var number: Int32 = -1
        let failure = clinux_open_terminal(&master, &slave, &number, size.columns, size.rows)
        guard failure == 0 else { throw LinuxSystemError(.init(errno: -failure), "open terminal", "/dev/ptmx") }
        return PseudoTerminal(master: master, slave: slave, path: "/dev/pts/\(number)")
    }

    /// The user's programs open `/dev/pts/N` again by its name. Where the kernel refuses, they still have the
    /// descriptors they inherit.
    package func give(toUID uid: UInt32) {
        _ = fchown(slave, uid, gid_t.max)
        _ = fchmod(slave, 0o620)
    }

    /// The kernel tells the foreground process group by SIGWINCH.
    package static func resize(master: Int32, to size: TerminalSize) {
        _ = clinux_resize_terminal(master, size.columns, size.rows)
    }
}
