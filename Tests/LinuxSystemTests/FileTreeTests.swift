import Glibc
import LinuxSystem
import Synchronization
import Testing

/// A directory under /tmp that goes away with the value.
private final class Scratch: Sendable {
    let path: String
    init() throws {
        path = "/tmp/filetree-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        try FileTree.makeDirectories(path)
    }
    deinit { try? FileTree.remove(path) }
    func write(_ name: String, _ text: String = "x") throws {
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(LinuxSystemError) in try FileTree.write("\(path)/\(name)", buffer) }
        }
        _ = try result.get()
    }
    func text(_ name: String) throws -> String {
        String(decoding: try FileTree.read("\(path)/\(name)", limit: 1 << 20).1, as: UTF8.self)
    }
}

struct FileTreeTests {
    @Test func writeMakesParentsAndKeepsTheMode() throws {
        let scratch = try Scratch()
        try scratch.write("a/b/c", "one")
        chmod("\(scratch.path)/a/b/c", 0o751)
        try scratch.write("a/b/c", "two")
        #expect(try scratch.text("a/b/c") == "two")
        var info = stat()
        #expect(stat("\(scratch.path)/a/b/c", &info) == 0)
        #expect(info.st_mode & 0o777 == 0o751)
        #expect(try FileTree.list("\(scratch.path)/a/b", limit: 10).map(\.name) == ["c"])
    }

    @Test func writeGoesThroughALinkAndRemoveDoesNot() throws {
        let scratch = try Scratch()
        try scratch.write("real", "one")
        symlink("real", "\(scratch.path)/link")
        try scratch.write("link", "two")
        #expect(try scratch.text("real") == "two")
        try FileTree.remove("\(scratch.path)/link")
        #expect(try scratch.text("real") == "two")
    }

    @Test func removeTakesALinkToADirectoryAndNotWhatIsBehindIt() throws {
        let scratch = try Scratch()
        try scratch.write("kept/file")
        try scratch.write("gone/deep/file")
        symlink("\(scratch.path)/kept", "\(scratch.path)/gone/deep/link")
        try FileTree.remove("\(scratch.path)/gone")
        #expect(try scratch.text("kept/file") == "x")
        #expect(throws: LinuxSystemError.self) { try FileTree.status("\(scratch.path)/gone") }
    }

    @Test func pipesAndDirectoriesAreNotRead() throws {
        let scratch = try Scratch()
        mkfifo("\(scratch.path)/pipe", 0o600)
        #expect(throws: LinuxSystemError(.notRegularFile, "read", "\(scratch.path)/pipe")) {
            try FileTree.read("\(scratch.path)/pipe", limit: 10)
        }
        #expect(throws: LinuxSystemError(.isDirectory, "read", scratch.path)) {
            try FileTree.read(scratch.path, limit: 10)
        }
        #expect(throws: LinuxSystemError.self) { try FileTree.read("/proc/self/environ", limit: 1 << 20) }
    }

    @Test func removeNeverLeavesItsTreeWhileDirectoriesAreSwappedForLinks() throws {
        let scratch = try Scratch()
        for number in 0..<50 { try scratch.write("precious/\(number)") }
        try withRacingThread(scratch.path) {
            for _ in 0..<50 {
                for number in 0..<5 { try? scratch.write("tree/d/\(number)") }
                try? FileTree.remove("\(scratch.path)/tree")
            }
        }
        #expect(try FileTree.list("\(scratch.path)/precious", limit: 100).count == 50)
    }

    /// Swaps `tree/d` for a link to `precious` and back, as fast as it can.
    private func withRacingThread(_ path: String, _ body: () -> Void) throws {
        final class Racer: Sendable {
            let stopped = Atomic(false)
            let path: String
            init(_ path: String) { self.path = path }
            func run() {
                while !stopped.load(ordering: .relaxed) {
                    rename("\(path)/tree/d", "\(path)/aside")
                    symlink("\(path)/precious", "\(path)/tree/d")
                    unlink("\(path)/tree/d")
                    rename("\(path)/aside", "\(path)/tree/d")
                }
            }
        }
        let racer = Racer(path)
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Racer>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(racer).toOpaque())
        try #require(failure == 0)
        body()
        racer.stopped.store(true, ordering: .relaxed)
        pthread_join(thread, nil)
    }
}
