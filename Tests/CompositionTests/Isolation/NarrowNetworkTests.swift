import ComputeCore
import Foundation
import Subprocess
import Synchronization
import Testing

extension IsolationTests {
    @Test(.timeLimit(.minutes(3)), arguments: GVisorPair.available)
    func aComputeReachesWhatItsNetworkAllowsFromItsFirstMomentToTheNextChange(_ pair: GVisorPair) async throws {
        let internet = try SharedSystems.internet
        let (one, other) = (internet.publicTarget, internet.otherPublicTarget)
        let all = [one, other] + internet.closedTargets
        let order = #"{"network":{"internet":false,"allowOut":["\#(internet.publicAddress)"]}}"#
        try await SharedSystems.withCompute(on: pair, order) { compute async throws in
            #expect(try await compute.reachable(all) == [one])
            #expect(try await compute.reachable(all, asRoot: true) == [one])
            #expect(try await compute.change(#"{"network":{"denyOut":["203.0.113.0/24"]}}"#).status == 200)
            #expect(try await compute.reachable(all) == [other])
            let wide = #"{"network":{"internet":false,"allowOut":["0.0.0.0/0"],"denyOut":["198.51.100.0/24"]}}"#
            #expect(try await compute.change(wide).status == 200)
            #expect(try await compute.reachable(all) == [one, other].sorted(), "what is closed to all stays closed")
            #expect(try await compute.change(#"{"network":{"internet":false}}"#).status == 200)
            #expect(try await compute.reachable(all) == [])
            #expect(try await compute.change(#"{"network":{}}"#).status == 200)
            #expect(try await compute.reachable(all) == [one, other].sorted())
        }
    }

    @Test(.timeLimit(.minutes(3)), arguments: GVisorPair.available)
    func connectionsThatAreNotAllowedAnyMoreEndAndOthersGoOn(_ pair: GVisorPair) async throws {
        let internet = try SharedSystems.internet
        try await SharedSystems.withCompute(on: pair) { compute in
            try await compute.talk(to: internet.publicAddress)
            try await compute.talk(to: internet.otherPublicAddress)
            #expect(try await compute.change(#"{"network":{"denyOut":["\#(internet.publicAddress)"]}}"#).status == 200)
            try await eventually("what is denied ends") {
                try await compute.lastWord(of: internet.publicAddress).hasPrefix("ended")
            }
            let before = try await compute.lastWord(of: internet.otherPublicAddress)
            try await eventually("what is allowed goes on") {
                let now = try await compute.lastWord(of: internet.otherPublicAddress)
                return now != before && Int(now) != nil
            }
        }
    }
}

extension ServedCompute {
    /// Goes on sending until it cannot, and keeps what came of it last.
    fileprivate func talk(to address: String) async throws {
        let started = try await run(
            """
            cat > /tmp/talk.py <<'END'
            import socket, sys, time
            address, n = sys.argv[1], 0
            def say(word):
                with open("/tmp/" + address + ".new", "w") as file: file.write(word)
                __import__("os").rename("/tmp/" + address + ".new", "/tmp/" + address)
            s = socket.create_connection((address, \(StandInInternet.port)), 5)
            try:
                while True:
                    s.sendall(b"x")
                    n += 1
                    say(str(n))
                    time.sleep(0.05)
            except OSError as error:
                say("ended " + str(error))
            END
            nohup python3 /tmp/talk.py \(address) > /dev/null 2>&1 &
            """)
        #expect(started.exitCode == 0, "\(started)")
        try await eventually("it talks") { Int(try await lastWord(of: address)) != nil }
    }

    fileprivate func lastWord(of address: String) async throws -> String { try await run("cat /tmp/\(address)").line }
}

/// Networks across a `kill -9` of the real `computesdk serve`.
@Suite(.serialized, .enabled(if: !GVisorPair.available.isEmpty)) struct NetworkCrashTests {
    // Skipped without root (containers need namespaces, mounts and control groups) or without a runsc.
    @Test(.timeLimit(.minutes(4))) func aNetworkOutlivesAKillAndIsChangedAfterwards() async throws {
        let pair = try #require(GVisorPair.available.first)
        let internet = try await StandInInternet.make()
        let system = ServedSystem(.gvisor(pair))
        let known = Mutex<[(id: String, token: String)]>([])
        let (one, other) = (internet.publicTarget, internet.otherPublicTarget)
        do {
            let killed = try await system.run { running in
                let url = try await running.url()
                let made = try await ServedCompute.create(
                    system, url, #"{"network":{"internet":false,"allowOut":["\#(internet.publicAddress)"]}}"#)
                let changed = try await ServedCompute.create(system, url)
                let order = #"{"network":{"denyOut":["\#(internet.publicAddress)"]}}"#
                #expect(try await changed.change(order).status == 200)
                #expect(try await made.reachable([one, other]) == [one])
                #expect(try await changed.reachable([one, other]) == [other])
                known.withLock { $0 = [made, changed].map { ($0.id, $0.token) } }
                running.signal(SIGKILL)
            }
            #expect(killed == .signaled(SIGKILL))

            let ended = try await system.run { running in
                let url = try await running.url()
                let computes = known.withLock { $0 }.map {
                    ServedCompute(system: system, url: url, id: $0.id, token: $0.token)
                }
                #expect(try await computes[0].reachable([one, other]) == [one])
                #expect(try await computes[1].reachable([one, other]) == [other])
                let shown = try await system.send("GET", "\(url)/v1/sandboxes/\(computes[1].id)")
                #expect("\(shown.body)".contains(internet.publicAddress))
                #expect(try await computes[0].change(#"{"network":{}}"#).status == 200)
                #expect(try await computes[0].reachable([one, other]) == [one, other].sorted())
                #expect(try await computes[1].reachable([one, other]) == [other])
                running.signal(SIGTERM)
            }
            let left = await Leftovers(of: system.dataDirectory)
            #expect(ended == .exited(0) && left.isEmpty, "left \(left)\n\(system.said)")
        } catch {
            await internet.remove()
            throw error
        }
        await internet.remove()
    }
}
