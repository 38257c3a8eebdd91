import ComputeCore
import Glibc
import HTTPServing
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

final class NIOLockedValue<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>
    init(_ value: Value) { mutex = Mutex(value) }
    @discardableResult
    func withValue<T: Sendable>(_ perform: (inout Value) -> T) -> T {
        mutex.withLock { value in perform(&value) }
    }
}

struct DeadlinePassed: Error {}

func deadline<T: Sendable>(
    _ duration: Duration, _ perform: @escaping @Sendable () async throws -> T
) async throws -> T {
    try await withThrowingTaskGroup(of: T?.self) { group in
        group.addTask { try await perform() }
        group.addTask {
            try? await Task.sleep(for: duration)
            return nil
        }
        defer { group.cancelAll() }
        guard let result = try await group.next() ?? nil else { throw DeadlinePassed() }
        return result
    }
}

/// A value that one side sets and the other waits for.
final class Expectation<Value: Sendable>: Sendable {
    private let queue = BoundedQueue<Value> {}
    func fulfil(_ value: Value) { queue.push(value, cost: 0) }
    func value() async throws -> Value {
        let queue = queue
        return try await deadline(.seconds(60)) { try await queue.next()! }
    }
}

struct Handler: HTTPHandler {
    let perform: @Sendable (HTTPExchange) async throws -> Void
    func handle(_ exchange: HTTPExchange) async throws { try await perform(exchange) }
}

/// Runs a server for the length of the closure.
func withServer<T: Sendable>(
    listen: Endpoint = .tcp(host: "127.0.0.1", port: 0), limits: HTTPLimits = .init(),
    _ handle: @escaping @Sendable (HTTPExchange) async throws -> Void,
    _ perform: @escaping @Sendable (Endpoint, HTTPServer) async throws -> T
) async throws -> T {
    let server = HTTPServer(listen: listen, limits: limits, handler: Handler(perform: handle))
    let endpoint = try await server.bind()
    async let running: Void = server.run()
    let result: Result<T, any Error>
    do { result = .success(try await perform(endpoint, server)) } catch { result = .failure(error) }
    await server.shutdown(deadline: .zero)
    try await running
    return try result.get()
}

func temporarySocketPath() -> String {
    var template = Array("/tmp/http-serving-XXXXXX".utf8CString)
    return String(cString: mkdtemp(&template)!) + "/s"
}

func removeSocketDirectory(_ path: String) {
    unlink(path)
    rmdir(String(path.dropLast(2)))
}
