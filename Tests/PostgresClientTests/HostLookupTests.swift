import Dispatch
import PostgresClient
import Synchronization
import Testing

struct HostLookupTests {
    /// Port 1 of loopback refuses at once.
    private func configuration(_ host: String, _ lookup: HostLookup) throws -> PostgresConfiguration {
        var configuration = try #require(PostgresConfiguration(url: "postgres://u:p@\(host)/d"))
        configuration.lookup = lookup
        return configuration
    }

    private func error(_ configuration: PostgresConfiguration, within time: Duration) async -> PostgresError? {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                do throws(PostgresError) {
                    _ = try PostgresConnection.open(configuration, until: .now + time)
                    continuation.resume(returning: nil)
                } catch {
                    continuation.resume(returning: error)
                }
            }
        }
    }

    @Test func aResolverThatDoesNotAnswerHoldsNoConnectBeyondItsDeadline() async throws {
        let asked = Mutex(0)
        let silence = DispatchSemaphore(value: 0)
        let lookup = HostLookup { _ throws(PostgresError) in
            asked.withLock { $0 += 1 }
            silence.wait()
            return ["127.0.0.1"]
        }
        let configuration = try configuration("db.invalid:1", lookup)
        let elapsed = await ContinuousClock().measure {
            for _ in 0..<3 {
                let error = await error(configuration, within: .milliseconds(100))
                #expect(error?.code == .unreachable)
                #expect(error?.message.contains("db.invalid") == true)
            }
        }
        #expect(elapsed < .seconds(5))
        #expect(asked.withLock { $0 } == 1, "whoever asks again waits for the same answer")
        silence.signal()
    }

    @Test func everyAddressOfAHostIsTriedWithItsPort() async throws {
        let lookup = HostLookup { _ throws(PostgresError) in ["127.0.0.2", "::1"] }
        let error = await error(try configuration("db.invalid:1,127.0.0.3:2", lookup), within: .seconds(10))
        let message = try #require(error).message
        for place in [#""127.0.0.2", port 1 "#, #""::1", port 1 "#, #""127.0.0.3", port 2 "#] {
            #expect(message.contains(place), "\(message)")
        }
    }

    @Test func aHostWithoutAddressIsPassedOverUnlessThereIsNoOther() async throws {
        let lookup = HostLookup { name throws(PostgresError) in throw PostgresError(.unreachable, "no \(name)") }
        let alone = await error(try configuration("a.invalid:1", lookup), within: .seconds(10))
        #expect(alone?.message == "no a.invalid")
        let second = await error(try configuration("a.invalid:1,127.0.0.3:2", lookup), within: .seconds(10))
        #expect(second?.message.contains(#""127.0.0.3", port 2"#) == true)
    }

    @Test func theSystemKnowsThisMachine() async throws {
        let error = await error(try configuration("localhost:1", .system), within: .seconds(10))
        #expect(error?.message.contains(#""127.0.0.1", port 1 "#) == true, "\(String(describing: error))")
    }
}
