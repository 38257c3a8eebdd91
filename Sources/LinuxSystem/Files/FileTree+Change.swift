import CLinux
import Glibc

extension FileTree {
    /// `mkdir`, or `mkdir -p`, which is content with a directory that is there.
    package static func makeDirectory(
        _ path: String, parents: Bool, mode: UInt32 = 0o755
    ) throws(LinuxSystemError) -> Entry {
        let (parentPath, name) = split(path)
        if parents { try makeDirectories(parentPath) }
        if !name.isEmpty {
            let parent = try FileDescriptor.open(parentPath, O_RDONLY | O_DIRECTORY, subject: path)
            try refuseProcess(parent.raw, path)
            if mkdirat(parent.raw, name, mode) == 0 {
                // By name and not from the mask of the process, which is not the user's.
                guard fchmodat(parent.raw, name, mode, AT_SYMLINK_NOFOLLOW) == 0 else { throw .last("chmod", path) }
                try parent.sync(path)
                return try status(path)
            }
            guard errno == EEXIST, parents else { throw .last("mkdir", path) }
        }
        let existing = try status(path)
        guard existing.isDirectory else { throw LinuxSystemError(.alreadyThere, "mkdir", path) }
        return existing
    }

    /// `ln -s`: `target` is stored as it is and need not lead anywhere.
    package static func makeLink(
        _ path: String, to target: String, replacing: Bool
    ) throws(LinuxSystemError) -> Entry {
        let (parentPath, name) = split(path)
        guard !name.isEmpty else { throw LinuxSystemError(.isDirectory, "link", path) }
        try makeDirectories(parentPath)
        let parent = try FileDescriptor.open(parentPath, O_RDONLY | O_DIRECTORY)
        try refuseProcess(parent.raw, path)
        if symlinkat(target, parent.raw, name) != 0 {
            guard errno == EEXIST, replacing else { throw .last("link", path) }
            _ = try replaceable(name, in: parent.raw, path)
            let temporary = ".sidekick-\(UInt64.random(in: 0 ... .max)).tmp"
            guard symlinkat(target, parent.raw, temporary) == 0 else { throw .last("link", path) }
            guard renameat(parent.raw, temporary, parent.raw, name) == 0 else {
                let failure = LinuxSystemError.last("rename", path)
                unlinkat(parent.raw, temporary, 0)
                throw failure
            }
        }
        try parent.sync(path)
        return try status(path, follow: false)
    }

    /// Renames, making the parents of `to` that are missing.
    /// - Throws: `.crossesMount` when they are on different file systems: then it takes a copy.
    package static func move(_ from: String, to: String, replacing: Bool) throws(LinuxSystemError) -> Entry {
        let (fromParentPath, fromName) = split(from)
        let (toParentPath, toName) = split(to)
        guard !fromName.isEmpty else { throw LinuxSystemError(.notPermitted, "move", from) }
        guard !toName.isEmpty else { throw LinuxSystemError(.alreadyThere, "move", to) }
        let fromParent = try FileDescriptor.open(fromParentPath, O_RDONLY | O_DIRECTORY, subject: from)
        try refuseProcess(fromParent.raw, from)
        var info = stat()
        guard fstatat(fromParent.raw, fromName, &info, AT_SYMLINK_NOFOLLOW) == 0 else { throw .last("move", from) }
        guard !info.isDirectory || !"\(to)/".hasPrefix("\(from)/") else {
            throw LinuxSystemError(.intoItself, "move", to)
        }
        try makeDirectories(toParentPath)
        let toParent = try FileDescriptor.open(toParentPath, O_RDONLY | O_DIRECTORY, subject: to)
        try refuseProcess(toParent.raw, to)
        try rename(fromParent.raw, fromName, toParent.raw, toName, replacing: replacing, to)
        try toParent.sync(to)
        try fromParent.sync(from)
        return try status(to, follow: false)
    }

    /// Of what a link leads to, as `chmod` does.
    package static func changeMode(_ path: String, _ mode: UInt32) throws(LinuxSystemError) -> Entry {
        guard chmod(path, mode) == 0 else { throw .last("chmod", path) }
        return try status(path)
    }
}
