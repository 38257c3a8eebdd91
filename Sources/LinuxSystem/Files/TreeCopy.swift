import Glibc

/// Copies a directory with all that is in it, in steps. Links stay links; devices, pipes and sockets are left out.
package struct TreeCopy: ~Copyable {
    private var walk: TreeWalk
    private var builder: TreeBuilder
    private var source: SharedDescriptor?
    private var buffer = [UInt8](repeating: 0, count: 256 << 10)
    private let path: String
    /// What is seen of the destination on the way, when it is inside the source, must not be copied again.
    private let destinationInode: (dev_t, ino_t)
    package private(set) var entries = 0
    package private(set) var bytes: Int64 = 0

    package init(_ from: String, to: String, replacing: Bool) throws(LinuxSystemError) {
        let walk = try TreeWalk(from)
        let mode = try FileTree.status(from).mode
        let builder = try TreeBuilder(to, replacing: replacing)
        let top = try FileDescriptor.open(to, O_RDONLY | O_DIRECTORY)
        let info = try top.status(to)
        guard fchmod(top.raw, mode & 0o777 | 0o700) == 0 || errno == EPERM else { throw .last("chmod", to) }
        self.walk = walk
        self.builder = builder
        destinationInode = (info.st_dev, info.st_ino)
        path = from
    }

    /// What was left out because the user may not read it.
    package var skipped: Int { walk.skipped }

    /// Does about a buffer's worth of work.
    /// - Returns: false when all is there, and on disk.
    package mutating func step() throws(LinuxSystemError) -> Bool {
        if source != nil {
            try copyPiece()
            return true
        }
        for _ in 0..<64 {
            guard let step = try walk.next() else {
                try builder.finish()
                return false
            }
            guard case .entry(let entry) = step, let target = TreePath(entry.path) else { continue }
            switch entry.kind {
            case S_IFDIR:
                if entry.info.st_dev == destinationInode.0, entry.info.st_ino == destinationInode.1 {
                    walk.leaveOut()
                    continue
                }
                try builder.makeDirectory(target, mode: entry.mode)
            case S_IFLNK: try builder.makeLink(target, to: try walk.readLink())
            case S_IFREG:
                do throws(LinuxSystemError) { source = SharedDescriptor(try walk.openFile()) } catch
                    where error.code == .notFound
                {
                    continue
                }
                try builder.beginFile(target, mode: entry.mode, modified: entry.info.st_mtim)
                entries += 1
                return true
            default: continue
            }
            entries += 1
        }
        return true
    }

    private mutating func copyPiece() throws(LinuxSystemError) {
        guard let source else { return }
        let path = path
        let count = try buffer.withUnsafeMutableBytes { buffer -> Result<Int, LinuxSystemError> in
            do throws(LinuxSystemError) { return .success(try source.descriptor.read(into: buffer, path)) } catch {
                return .failure(error)
            }
        }.get()
        guard count > 0 else {
            self.source = nil
            return try builder.endFile()
        }
        let failure = buffer.withUnsafeBytes { buffer in
            do throws(LinuxSystemError) {
                try builder.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                return LinuxSystemError?.none
            } catch { return error }
        }
        if let failure { throw failure }
        bytes += Int64(count)
    }
}
