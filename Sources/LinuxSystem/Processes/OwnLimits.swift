import CLinux
import Glibc

/// What the kernel allows, shows and keeps of this process itself.
package enum OwnLimits {
    /// As many descriptors as may be, up to 65,536. Call it before anything sizes itself by the limit.
    /// - Returns: what the limits were.
    package static func raiseFileLimit() -> (soft: Int, hard: Int) {
        var soft = 0
        var hard = 0
        clinux_raise_file_limit(&soft, &hard)
        return (soft, hard)
    }

    /// No core file, and no process of ours may be looked into or traced by an unprivileged one, whatever identity its
    /// threads have for the moment.
    package static func hide() { clinux_hide_process() }

    /// Every thread shares one of two heaps. With one for each, as is usual, what streams have passed through a thread stays with
    /// it: some megabytes in all, where the whole Sidekick has few. Call it before there are threads.
    package static func shareHeaps() { clinux_limit_heaps(2) }

    /// Gives back the memory of machine code that only a start needs. Call it at its end.
    package static func releaseText() throws(LinuxSystemError) {
        let failure = clinux_release_own_text_soon()
        guard failure == 0 else { throw LinuxSystemError(.init(errno: -failure), "start thread", "text") }
    }
}
