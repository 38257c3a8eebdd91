import Foundation
import ServiceHost
import Testing

@Suite struct DataDirectoryTests {
    let path = NSTemporaryDirectory() + "data-directory-\(UUID().uuidString)"

    @Test func aSecretIsMadeOnceAndOnlyItsOwnerReadsIt() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let directory = try DataDirectory(path: path)
        let first = try directory.secret("key") { Data("one".utf8) }
        let second = try directory.secret("key") { Data("two".utf8) }
        #expect(first == Data("one".utf8) && second == first)
        let attributes = try FileManager.default.attributesOfItem(atPath: directory.file("key"))
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let folder = try FileManager.default.attributesOfItem(atPath: path)
        #expect(folder[.posixPermissions] as? Int == 0o700)
    }

    @Test func aSecondUserOfTheFolderIsRefusedUntilTheFirstHasGone() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        do {
            let first = try DataDirectory(path: path)
            let error = #expect(throws: DataDirectoryError.self) { try DataDirectory(path: path) }
            #expect(error?.description.contains("another process is using it") == true)
            withExtendedLifetime(first) {}
        }
        _ = try DataDirectory(path: path)
    }

    @Test func aRelativePathIsRefused() {
        #expect(throws: DataDirectoryError.self) { try DataDirectory(path: "data") }
    }
}
