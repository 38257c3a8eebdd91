import Foundation
import Glibc
import LinuxHost
import OCIImages
import Synchronization
import Testing

/// Against a registry on loopback: Debian's `docker-registry`, which scripts/install-packages brings for tests.
@Suite(
    .enabled(if: TestImages.arePossible && TestImages.tools.path(of: "docker-registry") != nil), .timeLimit(.minutes(3))
)
struct RegistryTests {
    /// Runs a registry as long as `body` does.
    private func withRegistry(_ images: TestImages, _ body: (_ host: String) async throws -> Void) async throws {
        let folder = images.folder
        try FileManager.default.createDirectory(atPath: "\(folder)/registry", withIntermediateDirectories: true)
        let configuration = """
            version: 0.1
            storage: {filesystem: {rootdirectory: \(folder)/registry}}
            http: {addr: "127.0.0.1:0"}
            """
        try Data(configuration.utf8).write(to: URL(fileURLWithPath: "\(folder)/registry.yml"))
        let server = Task {
            try await TestImages.tools.run(
                "sh", ["-c", "exec docker-registry serve $1/registry.yml >$1/registry.log 2>&1", "sh", folder],
                deadline: .seconds(180))
        }
        defer { server.cancel() }
        // It says on which port it listens.
        let port = Mutex<String?>(nil)
        let listens = try await eventually {
            guard let log = contents("\(folder)/registry.log"),
                let match = log.firstMatch(of: /listening on [^ "]*:([0-9]+)/)
            else { return false }
            port.withLock { $0 = String(match.1) }
            return true
        }
        try #require(listens)
        do { try await body("127.0.0.1:\(port.withLock { $0 } ?? "")") } catch {
            server.cancel()
            _ = await server.result
            throw error
        }
        server.cancel()
        _ = await server.result
    }

    private func push(_ images: TestImages, _ host: String, _ tag: String) async throws {
        try await images.shell(
            "skopeo copy --quiet --dest-tls-verify=false oci:$D/layout:$2 docker://$1/team/app:v1", host, tag)
    }

    @Test func aTagIsFetchedOnceAndFollowedWhenAskedTo() async throws {
        let images = try TestImages()
        defer { images.remove() }
        try await images.layout(tag: "one", layers: ["echo 1 >file; echo gone >gone", ": >.wh.gone"])
        try await images.layout(tag: "two", layers: ["echo 2 >file"])
        try await withRegistry(images) { host in
            try await push(images, host, "one")
            let reference = try ImageReference("\(host)/team/app:v1")
            let one = try await images.store.resolve(reference)
            #expect(contents("\(one.rootfs)/file") == "1\n" && !exists("\(one.rootfs)/gone"))

            try await push(images, host, "two")
            #expect(try await images.store.resolve(reference) == one)
            let two = try await images.store.pull(reference)
            #expect(contents("\(two.rootfs)/file") == "2\n")
            #expect(try await images.store.resolve(reference) == two)
            #expect(images.store.list().count == 2)

            // By digest the first one is still to be had, also in a store that has never seen it.
            let other = ImageStore(folder: "\(images.folder)/other", tools: TestImages.tools)
            let again = try await other.resolve(try ImageReference("\(host)/team/app@\(one.digest)"))
            #expect(again.digest == one.digest && contents("\(again.rootfs)/file") == "1\n")
        }
        // The registry is gone now.
        #expect(images.store.list().count == 2)
    }

    @Test func whatTheRegistryLacksIsNotFound() async throws {
        let images = try TestImages()
        defer { images.remove() }
        try await withRegistry(images) { host in
            let error = await #expect(throws: ImageError.self) {
                try await images.store.resolve(try ImageReference("\(host)/team/app:none"))
            }
            #expect(error?.code == .notFound)
        }
        #expect(images.left == [])
    }

    @Test func aRegistryThatDoesNotAnswerIsUnavailable() async throws {
        let images = try TestImages()
        defer { images.remove() }
        // Nobody listens on port 1 of a machine.
        let error = await #expect(throws: ImageError.self) {
            try await images.store.resolve(try ImageReference("127.0.0.1:1/team/app"))
        }
        #expect(error?.code == .unavailable)
    }
}
