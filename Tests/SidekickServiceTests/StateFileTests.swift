import ComputeCore
import FoundationEssentials
import Glibc
import SidekickService
import Testing

struct StateFileTests {
    private static func withDirectory(_ body: (String) throws -> Void) throws {
        let path = "/tmp/state-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private static func file(in directory: String, maxBytes: Int = 1000) -> StateFile<[String]> {
        StateFile(directory + "/sub/list.json", of: "the name", maxBytes: maxBytes)
    }

    private static func names(in directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory + "/sub")
    }

    @Test func whatIsSavedIsReadAgainAndNobodyElsesBusiness() throws {
        try Self.withDirectory { directory in
            let file = Self.file(in: directory)
            #expect(try file.read() == nil)
            #expect(file.load { $0 } == nil)
            try file.save(["a"])
            try file.save(["a", "b"])
            #expect(try Self.file(in: directory).read() == ["a", "b"])
            #expect(try Self.names(in: directory) == ["list.json"], "no temporary file is left")
            let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test func whatCannotBeSavedLeavesWhatWasThere() throws {
        try Self.withDirectory { directory in
            let file = Self.file(in: directory)
            try file.save(["kept"])
            let tooLong = #expect(throws: Problem.self) { try file.save([String(repeating: "x", count: 1000)]) }
            #expect(tooLong?.status == 413)
            #expect(try file.read() == ["kept"])

            let blocked = StateFile<[String]>(directory + "/sub", of: "the name", maxBytes: 1000)
            let refused = #expect(throws: Problem.self) { try blocked.save(["a"]) }
            #expect(refused?.status == 500 && refused?.message == "the name could not be recorded")
            #expect(try Self.names(in: directory) == ["list.json"])
        }
    }

    @Test func whatCannotBeReadIsNoReasonToBeOfNoUseAndStaysUntilTheNextSave() throws {
        try Self.withDirectory { directory in
            let file = Self.file(in: directory)
            try file.save([])
            let garbage = Data("{".utf8)
            try garbage.write(to: URL(filePath: file.path))
            #expect(throws: (any Error).self) { try file.read() }
            #expect(file.load { $0 } == nil)
            #expect(FileManager.default.contents(atPath: file.path) == garbage)
            struct NoMeaning: Error {}
            try file.save(["a"])
            #expect(file.load { _ throws -> Int in throw NoMeaning() } == nil)
            try Data(repeating: UInt8(ascii: " "), count: 1001).write(to: URL(filePath: file.path))
            #expect(file.load { $0 } == nil, "longer than it may be")
        }
    }
}
