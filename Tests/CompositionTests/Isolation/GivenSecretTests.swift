import Foundation
import Testing

extension IsolationTests {
    /// The record of the claim is in memory there: a variable is on no disk, also not on the compute's own.
    @Test(arguments: GVisorPair.available) func aSecretVariableIsOnNoDiskAndASecretFileIsTheUsers(
        _ pair: GVisorPair
    ) async throws {
        try await SharedSystems.withCompute(on: pair) { other in
            let (system, url) = (other.system, other.url)
            for name in ["variable", "file"] {
                let written = try await system.send(
                    "PUT", "\(url)/v1/secrets/\(name)", #"{"value":"canary-\#(name)-e07d"}"#)
                #expect(written.status == 200)
            }
            let compute = try await ServedCompute.create(
                system, url,
                #"""
                {"secrets":[{"name":"variable","env":"TOKEN"},{"name":"file","path":"/run/secrets/token"}]}
                """#)
            #expect(try await compute.run("printf %s \"$TOKEN\"").stdout == "canary-variable-e07d")
            #expect(try await compute.run("cat /run/secrets/token").stdout == "canary-file-e07d")
            #expect(try await compute.run("stat -c '%U %a' /run/secrets/token").line == "user 400")
            #expect(try await other.run("cat /run/secrets/token; echo \"$TOKEN\"").line == "")
            for (canary, isThere) in [("canary-variable-e07d", false), ("canary-file-e07d", true)] {
                // It ends with 1 when it finds nothing.
                let found = try? await HostCommand.output("grep", ["-rlF", "-D", "skip", canary, system.dataDirectory])
                #expect((found != nil) == isThere, "\(found ?? "")")
            }
            try await compute.delete()
        }
    }
}
