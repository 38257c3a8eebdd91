import ComputeCore
import Foundation
import Glibc
import Subprocess
import Synchronization
import TestSupport
import Testing

/// The real `computesdk serve` on databases that have no room, or do not answer.
@Suite(.serialized) struct DatabaseFaultTests {
    /// Also when it is killed while there is no room.
    @Test(.timeLimit(.minutes(4)), .enabled(if: geteuid() == 0))
    func aFullDiskUnderSQLiteLosesNothingAndIsOverWhenThereIsRoom() async throws {
        let system = ServedSystem()
        try await SmallDisk.with(mebibytes: 96, at: system.dataDirectory) { disk in
            let written = Written()
            let killed = try await system.run { running in
                let url = try await running.url()
                try await fillUp(system, url, disk, written)
                disk.makeRoom()
                try await goesOn(system, url, written)
                try await fillUp(system, url, disk, written)
                running.signal(SIGKILL)
            }
            #expect(killed == .signaled(SIGKILL))
            disk.makeRoom()
            let status = try await system.run { running in
                try await goesOn(system, try await running.url(), written)
                running.signal(SIGTERM)
            }
            #expect(status == .exited(0), "\(system.said)")
        }
    }

    @Test(.timeLimit(.minutes(4)), .enabled(if: geteuid() == 0))
    func aFullDiskUnderPostgresLosesNothingAndIsOverWhenThereIsRoom() async throws {
        try await PostgresServer.with(onDiskOf: 320) { server in
            let system = ServedSystem(settings: try await server.settings(ofNew: "sandboxes"))
            let disk = SmallDisk(folder: server.folder)
            let written = Written()
            let status = try await system.run { running in
                let url = try await running.url()
                for _ in 0..<2 {
                    try await fillUp(system, url, disk, written)
                    disk.makeRoom()
                    try await goesOn(system, url, written)
                }
                running.signal(SIGTERM)
            }
            #expect(status == .exited(0), "\(system.said)")
        }
    }

    @Test(.timeLimit(.minutes(3))) func aDatabaseThatStandsStillIsSaidWithinADeadlineAndIsUsedAgainAtOnce() async throws
    {
        try await PostgresServer.with { server in
            let system = ServedSystem(settings: try await server.settings(ofNew: "sandboxes"))
            let status = try await system.run { running in
                let url = try await running.url()
                let made = try await system.send("POST", "\(url)/v1/sandboxes", "{}")
                let path = "\(url)/v1/sandboxes/\(try #require(made.text("sandboxId")))"
                server.signalAll(SIGSTOP)
                defer { server.signalAll(SIGCONT) }
                // All at once, so that they wait behind each other as well.
                await withTaskGroup(of: Void.self) { group in
                    for number in 0..<40 {
                        group.addTask {
                            let began = ContinuousClock.now
                            let order = number.isMultiple(of: 2) ? ("GET", path) : ("POST", "\(url)/v1/sandboxes")
                            let answer = try? await system.send(order.0, order.1, order.0 == "POST" ? "{}" : nil)
                            #expect(answer?.status == 503)
                            #expect(answer?.body["code"] == .string("unavailable"))
                            #expect(ContinuousClock.now - began < .seconds(25), "before clients give up")
                        }
                    }
                }
                server.signalAll(SIGCONT)
                let began = ContinuousClock.now
                try await eventually("it is read again") { try await system.send("GET", path).status == 200 }
                try await eventually("it is written again") {
                    try await system.send("POST", "\(url)/v1/sandboxes", "{}").status == 200
                }
                #expect(ContinuousClock.now - began < .seconds(5))
                running.signal(SIGTERM)
            }
            #expect(status == .exited(0), "\(system.said)")
            #expect(await Leftovers(of: system.dataDirectory).isEmpty)
        }
    }

    // MARK: - Parts

    /// Takes all room and writes until that is noticed. Whatever is answered then is said plainly, and what is there is
    /// read.
    private func fillUp(_ system: ServedSystem, _ url: String, _ disk: SmallDisk, _ written: Written) async throws {
        let sandbox = try await system.send("POST", "\(url)/v1/sandboxes", "{}")
        let id = try #require(sandbox.text("sandboxId"), "\(sandbox)")
        try disk.fill()
        // The log and its pages have some room of their own, which is used up first.
        var refusals = 0
        for _ in 0..<2000 where refusals < 20 {
            if try await write(system, url, written) == false { refusals += 1 }
        }
        #expect(refusals == 20, "nobody noticed that the disk is full")
        for (method, path, body) in [
            ("POST", "sandboxes", "{}"), ("POST", "sandboxes/find-or-create", #"{"name":"full"}"#),
            ("PATCH", "sandboxes/\(id)", #"{"metadata":{"a":"\#(String(repeating: "x", count: 9000))"}}"#),
            ("PUT", "secrets/full", #"{"value":"\#(String(repeating: "x", count: 30_000))"}"#),
            ("POST", "keys", #"{"label":"full","role":"viewer"}"#),
        ] {
            let answer = try await system.send(method, "\(url)/v1/\(path)", body)
            if answer.status != 200 {
                #expect(
                    [503, 507].contains(answer.status) && answer.body["code"] == .string("unavailable"),
                    "\(method) \(path): \(answer)")
            }
        }
        for path in ["sandboxes", "sandboxes/\(id)", "templates", "events", "usage", "secrets"] {
            let answer = try await system.send("GET", "\(url)/v1/\(path)")
            #expect(answer.status == 200, "\(path): \(answer)")
        }
        try await everythingIsThere(system, url, written)
    }

    /// - Returns: false when it was refused for lack of room.
    private func write(_ system: ServedSystem, _ url: String, _ written: Written) async throws -> Bool {
        let name = "t\(String.randomLabel(length: 12))"
        let text = String(repeating: "x", count: 1000)
        let answer = try await system.send(
            "PUT", "\(url)/v1/secrets/\(name)", #"{"value":"\#(text)"}"#)
        guard answer.status != 200 else {
            written.note(name)
            return true
        }
        #expect([503, 507].contains(answer.status), "\(answer)")
        #expect(answer.body["code"] == .string("unavailable"), "\(answer)")
        return false
    }

    private func everythingIsThere(_ system: ServedSystem, _ url: String, _ written: Written) async throws {
        var (found, next): (Set<String>, String?) = ([], "")
        while let cursor = next {
            let page = try await system.send("GET", "\(url)/v1/secrets?limit=1000&cursor=\(cursor)")
            guard case .array(let list)? = page.body["data"] else { throw ServedCompute.Refused(page) }
            for case .object(let fields) in list {
                if case .string(let name)? = fields["name"] { found.insert(name) }
            }
            if case .string(let more)? = page.body["next"] { next = more } else { next = nil }
        }
        #expect(written.names.subtracting(found).isEmpty, "what was acknowledged is there")
    }

    private func goesOn(_ system: ServedSystem, _ url: String, _ written: Written) async throws {
        let began = ContinuousClock.now
        try await eventually("writing goes on by itself") { try await write(system, url, written) }
        try await eventually("creates go on by themselves") {
            try await system.send("POST", "\(url)/v1/sandboxes", "{}").status == 200
        }
        #expect(ContinuousClock.now - began < .seconds(20))
        try await everythingIsThere(system, url, written)
        // Room for the next one.
        let listed = try await system.send("GET", "\(url)/v1/sandboxes")
        guard case .array(let all)? = listed.body["data"] else { throw ServedCompute.Refused(listed) }
        for case .object(let fields) in all {
            guard case .string(let id)? = fields["sandboxId"] else { continue }
            _ = try await system.send("DELETE", "\(url)/v1/sandboxes/\(id)")
        }
    }
}

/// What a client was told is kept.
private final class Written: Sendable {
    private let state = Mutex<Set<String>>([])
    var names: Set<String> { state.withLock { $0 } }
    func note(_ name: String) { _ = state.withLock { $0.insert(name) } }
}

/// A disk of the test's own, with a file that takes what is left of it.
private struct SmallDisk: Sendable {
    let folder: String
    private var ballast: String { "\(folder)/ballast" }

    init(folder: String) { self.folder = folder }

    static func with(mebibytes: Int, at folder: String, _ run: (SmallDisk) async throws -> Void) async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try await HostCommand.output("mount", ["-t", "tmpfs", "-o", "mode=0700,size=\(mebibytes)m", "test", folder])
        do { try await run(SmallDisk(folder: folder)) } catch {
            try await HostCommand.output("umount", ["--lazy", folder])
            throw error
        }
        try await HostCommand.output("umount", ["--lazy", folder])
    }

    func fill() throws {
        let file = open(ballast, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        defer { close(file) }
        var size = 1 << 20
        let zeros = [UInt8](repeating: 0, count: size)
        while size > 0 {
            if Glibc.write(file, zeros, size) <= 0 { size /= 2 }
        }
    }

    func makeRoom() { unlink(ballast) }
}
