import ComputeCore
import Foundation
import Subprocess
import Testing

/// Session tokens over the real `computesdk serve`, API and Gateway together.
@Suite(.serialized) struct SessionTests {
    @Test(.timeLimit(.minutes(2))) func aRevocationOutlivesAKillOfTheServer() async throws {
        let system = ServedSystem()
        let tokens = Tokens()
        let killed = try await system.run { running in
            let url = try await running.url()
            let compute = try await ServedCompute.create(system, url)
            let sessions = "\(url)/s/\(compute.id)/auth/session_tokens"
            var made: [(id: String, token: String)] = []
            for _ in 0..<2 {
                let answer = try await system.send("POST", sessions, token: compute.token)
                #expect(answer.status == 201)
                made.append((try #require(answer.text("id")), try #require(answer.text("token"))))
            }
            let revoked = try await system.send("DELETE", "\(sessions)/\(made[0].id)", token: compute.token)
            #expect(revoked.status == 204)
            // Acknowledged, so it holds from the next request on.
            #expect(try await info(system, url, compute.id, made[0].token) == 401)
            #expect(try await info(system, url, compute.id, made[1].token) == 200)
            await tokens.set(compute, good: made[1].token, revoked: made[0].token)
            running.signal(SIGKILL)
        }
        #expect(killed == .signaled(SIGKILL), "\(system.said)")
        let status = try await system.run { running in
            let url = try await running.url()
            let known = try #require(await tokens.known)
            #expect(try await info(system, url, known.compute.id, known.revoked) == 401)
            #expect(try await info(system, url, known.compute.id, known.good) == 200)
            #expect(try await info(system, url, known.compute.id, known.compute.token) == 200)
            let list = try await system.send(
                "GET", "\(url)/s/\(known.compute.id)/auth/session_tokens", token: known.compute.token)
            guard case .object(let data)? = list.body["data"], case .array(let left)? = data["tokens"] else { return }
            #expect(left.count == 1)
            running.signal(SIGTERM)
        }
        #expect(status == .exited(0), "\(system.said)")
        #expect(system.processes == [] && system.members == [])
    }

    private func info(_ system: ServedSystem, _ url: String, _ id: String, _ token: String) async throws -> UInt {
        try await system.send("GET", "\(url)/s/\(id)/info", token: token).status
    }
}

private actor Tokens {
    var known: (compute: ServedCompute, good: String, revoked: String)?
    func set(_ compute: ServedCompute, good: String, revoked: String) { known = (compute, good, revoked) }
}
