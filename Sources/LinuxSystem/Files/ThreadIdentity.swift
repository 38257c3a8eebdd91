import CLinux
import Glibc

/// Whose rights a file operation uses.
///
/// The Sidekick is root in its sandbox, and user code may put a symbolic link anywhere at any moment. No order of
/// checks can win that race, so file operations run on threads that *are* the user: whatever a path leads to, they
/// touch nothing that the user could not touch himself.
package struct ThreadIdentity: Hashable, Sendable {
    package let uid: UInt32
    package let gid: UInt32
    package let supplementary: [UInt32]

    package init(uid: UInt32, gid: UInt32, supplementary: [UInt32]) {
        self.uid = uid
        self.gid = gid
        self.supplementary = supplementary
    }

    /// Turns the calling thread into this identity, for good: only for threads that do nothing else.
    /// - Throws: when the kernel refuses or does not do what it says; the thread must then do no work.
    package func adopt() throws(LinuxSystemError) {
        let failure = clinux_thread_adopt_identity(uid, gid, supplementary, supplementary.count)
        guard failure == 0 else { throw LinuxSystemError(.init(errno: failure), "change identity", "uid \(uid)") }
    }
}
