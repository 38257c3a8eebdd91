import ComputeCore
import HTTPServing
import LinuxSystem
import NIOHTTP1

/// One health check: a GET to a port of this compute.
enum HealthProbe {
    /// Only the head of the answer is read.
    /// - Returns: its status; 0 when none came in time.
    static func status(of port: Int, reach: ListeningSocket.Reach, path: String, within limit: Duration) async -> Int {
        let deadline = ContinuousClock.now + limit
        let host = reach == .loopback6 ? "::1" : "127.0.0.1"
        guard
            let connection = try? await HTTPClientConnection.connect(
                to: .tcp(host: host, port: port), timeout: limit)
        else { return 0 }
        let status = await withTaskGroup(of: Int.self) { group in
            group.addTask { (try? await ask(connection, port, path)) ?? 0 }
            group.addTask {
                try? await Task.sleep(until: deadline, clock: .continuous)
                // Whoever still waits for an answer is woken by it.
                await connection.close()
                return 0
            }
            let status = await group.next() ?? 0
            group.cancelAll()
            return status
        }
        await connection.close()
        return status
    }

    private static func ask(_ connection: HTTPClientConnection, _ port: Int, _ path: String) async throws -> Int {
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: path,
            headers: [
                "Host": "localhost:\(port)", "User-Agent": "computesdk-sidekick", "Accept": "*/*",
                "Connection": "close",
            ])
        try await connection.sendHead(head)
        try await connection.finish()
        return Int(try await connection.receiveHead().status.code)
    }
}
