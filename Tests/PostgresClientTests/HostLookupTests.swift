import Dispatch
import Glibc
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
        #expect(elapsed < .seconds(30))
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

    @Test(arguments: ["quiet.invalid", "127.0.0.1"])
    func aSilentAddressLeavesTimeForTheOthers(_ host: String) async throws {
        let (socket, port) = try listening()
        defer { close(socket) }
        let lookup = HostLookup { _ throws(PostgresError) in ["127.0.0.1"] }
        let configuration = try configuration("\(host):\(port),127.0.0.3:2", lookup)
        let error = await error(configuration, within: .seconds(5))
        let message = try #require(error).message
        #expect(message.contains("no connection to \(host)"), "\(message)")
        #expect(message.contains("127.0.0.1 \(port) in time"), "\(message)")
        #expect(message.contains(#""127.0.0.3", port 2"#), "\(message)")
    }

    /// Takes connections, and says nothing on them.
    private func listening() throws -> (socket: Int32, port: Int) {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutableBytes(of: &address) { bytes in
            let address = bytes.assumingMemoryBound(to: sockaddr.self).baseAddress!
            return bind(socket, address, length) == 0 && listen(socket, 9) == 0
                && getsockname(socket, address, &length) == 0
        }
        try #require(isListening)
        return (socket, Int(UInt16(bigEndian: address.sin_port)))
    }

    @Test func allNamesAreAskedForAtOnce() async throws {
        let other = DispatchSemaphore(value: 0)
        let lookup = HostLookup { name throws(PostgresError) in
            if name == "a.invalid" { other.wait() } else { other.signal() }
            return ["127.0.0.1"]
        }
        let error = await error(try configuration("a.invalid:1,b.invalid:2", lookup), within: .seconds(20))
        let message = try #require(error).message
        #expect(message.contains("port 1 ") && message.contains("port 2 "), "\(message)")
    }

    @Test func anEmptyAddressStandsForTheNameBesideIt() async throws {
        let asked = Mutex<[String]>([])
        let lookup = HostLookup { name throws(PostgresError) in
            asked.withLock { $0.append(name) }
            return ["127.0.0.2"]
        }
        let list = "a.invalid:1,b.invalid:2/d?hostaddr=,127.0.0.3&user="
        let error = await error(try configuration(list, lookup), within: .seconds(10))
        let message = try #require(error).message
        #expect(asked.withLock { $0 } == ["a.invalid"])
        #expect(message.contains("127.0.0.2") && message.contains("127.0.0.3"), "\(message)")
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
