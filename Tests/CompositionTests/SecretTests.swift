import ComputeCore
import Foundation
import Subprocess
import Testing

/// Secrets over the real `computesdk serve`.
@Suite(.serialized) struct SecretTests {
    private static let canary = "canary-9b51e7d2c4"

    @Test(.timeLimit(.minutes(2))) func aValueIsFoundNowhereButInsideTheComputeThatItWasGivenTo() async throws {
        let system = ServedSystem()
        let killed = try await system.run { running in
            let url = try await running.url()
            let written = try await system.send(
                "PUT", "\(url)/v1/secrets/token", #"{"value":"\#(Self.canary)"}"#)
            #expect(written.status == 200, "\(system.said)")
            #expect(
                try await system.send("PUT", "\(url)/v1/secrets/token", #"{"value":["\#(Self.canary)"]}"#).status == 400
            )
            running.signal(SIGKILL)
        }
        #expect(killed == .signaled(SIGKILL))
        let status = try await system.run { running in
            let url = try await running.url()
            let compute = try await ServedCompute.create(
                system, url,
                """
                {"secrets":[{"name":"token","env":"TOKEN"},{"name":"token","path":"\(system.dataDirectory)/given"}]}
                """)
            #expect(try await compute.run("printf %s \"$TOKEN\"").stdout == Self.canary)
            #expect(try await compute.run("cat \(system.dataDirectory)/given").stdout == Self.canary)
            for path in ["secrets", "secrets/token", "events", "sandboxes", "sandboxes/\(compute.id)"] {
                let answer = try await system.send("GET", "\(url)/v1/\(path)")
                #expect(answer.status == 200)
                #expect(!"\(answer.body)".contains("canary"), "\(path)")
            }
            for pid in system.processes {
                let arguments = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
                #expect(arguments.firstRange(of: Data(Self.canary.utf8)) == nil)
            }
            let found = Self.files(below: system.dataDirectory)
            // The file that was asked for, and the Sidekick's record, by which it goes on after a restart.
            #expect(found.contains("given"))
            let records = found.filter { $0 != "given" }
            #expect(records.count == 1 && records.allSatisfy { $0.hasSuffix("/claim.json") }, "\(found)")
            for record in records {
                let path = "\(system.dataDirectory)/\(record)"
                let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
                #expect(mode?.intValue == 0o600)
            }
            try? FileManager.default.removeItem(atPath: "\(system.dataDirectory)/given")
            running.signal(SIGTERM)
        }
        #expect(status == .exited(0), "\(system.said)")
        #expect(Self.files(below: system.dataDirectory) == [])
        let log = FileManager.default.contents(atPath: "\(system.dataDirectory).log") ?? Data()
        #expect(!log.isEmpty && log.firstRange(of: Data("canary".utf8)) == nil)
        let keys = try FileManager.default.attributesOfItem(atPath: "\(system.dataDirectory)/secrets.keys")
        #expect((keys[.posixPermissions] as? NSNumber)?.intValue == 0o600)
    }

    /// Those that hold the canary, as it is or in base64, by their path below the folder.
    private static func files(below folder: String) -> [String] {
        let spellings = [Array(canary.utf8), Array(Data(canary.utf8).base64EncodedString().utf8)].map { Data($0) }
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return names.filter { name in
            let path = "\(folder)/\(name)"
            let type = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
            guard type == .typeRegular, let data = FileManager.default.contents(atPath: path) else { return false }
            return spellings.contains { data.firstRange(of: $0) != nil }
        }
    }
}
