import Auth
import Foundation
import Glibc
import Synchronization

/// A client of server-sent events on a bare socket: it reads only when asked, and sees how the answer ended.
final class StreamReader: Sendable {
    struct Event: Equatable {
        var id = ""
        var event = ""
        var data = ""
        var retry = ""
        var isComment = false
    }
    fileprivate struct State {
        var descriptor: Int32
        var raw: [UInt8] = []
        var head: String?
        var body: [UInt8] = []
        var endedInOrder = false
        var isOver = false
    }
    private let state: Mutex<State>

    /// - Parameter receives: what the kernel keeps for a reader who does not read; nil for as much as it likes.
    init(
        port: Int, key: String, headers: String = "", query: String = "", method: String = "GET",
        receives: Int32? = nil
    ) throws {
        // The test server binds localhost, whichever of the two that is.
        let descriptor = try Self.connect(port, receives)
        let text =
            "\(method) /v1/events/stream\(query) HTTP/1.1\r\nHost: x\r\nX-ComputeSDK-API-Key: \(key)\r\n\(headers)\r\n"
        _ = text.withCString { send(descriptor, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
        state = Mutex(State(descriptor: descriptor))
    }

    deinit { close() }

    static func connect(_ port: Int, _ receives: Int32?) throws -> Int32 {
        for name in ["127.0.0.1", "::1"] {
            var hints = addrinfo()
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            hints.ai_flags = AI_NUMERICHOST
            var list: UnsafeMutablePointer<addrinfo>?
            guard getaddrinfo(name, "\(port)", &hints, &list) == 0, let list else { continue }
            defer { freeaddrinfo(list) }
            let descriptor = socket(
                list.pointee.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            if var size = receives { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(4)) }
            if Glibc.connect(descriptor, list.pointee.ai_addr, list.pointee.ai_addrlen) == 0 { return descriptor }
            _ = Glibc.close(descriptor)
        }
        throw POSIXError(.ECONNREFUSED)
    }

    func close() {
        state.withLock { state in
            if state.descriptor >= 0 { _ = Glibc.close(state.descriptor) }
            state.descriptor = -1
        }
    }

    /// Whether the last chunk came.
    var endedInOrder: Bool { state.withLock { $0.endedInOrder } }

    func status() async throws -> Int {
        while true {
            let head = state.withLock { $0.head }
            if let head { return Int(head.split(separator: " ").dropFirst().first ?? "") ?? 0 }
            guard try await more() else { return 0 }
        }
    }

    /// The next block; nil at the end.
    func next() async throws -> Event? {
        while true {
            let block = state.withLock { state -> [UInt8]? in
                guard let end = state.body.place(of: "\n\n") else { return nil }
                let block = Array(state.body[..<end.lowerBound])
                state.body.removeSubrange(..<end.upperBound)
                return block
            }
            if let block { return Self.parse(String(decoding: block, as: UTF8.self)) }
            guard try await more() else { return nil }
        }
    }

    private static func parse(_ block: String) -> Event {
        var event = Event()
        for line in block.split(separator: "\n") {
            if line.hasPrefix(":") { event.isComment = true }
            if line.hasPrefix("id: ") { event.id = String(line.dropFirst(4)) }
            if line.hasPrefix("event: ") { event.event = String(line.dropFirst(7)) }
            if line.hasPrefix("data: ") { event.data += line.dropFirst(6) }
            if line.hasPrefix("retry: ") { event.retry = String(line.dropFirst(7)) }
        }
        return event
    }

    private func more() async throws -> Bool {
        let end = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < end {
            let step = state.withLock { state -> Bool? in
                guard state.descriptor >= 0, !state.isOver else { return false }
                var buffer = [UInt8](repeating: 0, count: 65536)
                let count = recv(state.descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
                if count > 0 {
                    state.raw += buffer[..<count]
                    state.takeChunks()
                    return true
                }
                if count < 0, errno == EAGAIN { return nil }
                state.isOver = true
                return false
            }
            if let step { return step }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw POSIXError(.ETIMEDOUT)
    }
}

extension StreamReader.State {
    fileprivate mutating func takeChunks() {
        if head == nil {
            guard let end = raw.place(of: "\r\n\r\n") else { return }
            head = String(decoding: raw[..<end.lowerBound], as: UTF8.self)
            raw.removeSubrange(..<end.upperBound)
        }
        while let line = raw.place(of: "\r\n"),
            let size = Int(String(decoding: raw[..<line.lowerBound], as: UTF8.self), radix: 16)
        {
            if size == 0 { (endedInOrder, isOver) = (true, true) }
            guard size > 0, raw.count >= line.upperBound + size + 2 else { return }
            body += raw[line.upperBound..<(line.upperBound + size)]
            raw.removeSubrange(..<(line.upperBound + size + 2))
        }
    }
}

extension [UInt8] {
    /// Foundation's search: one of ours is too slow, without optimization, for a reader that has to keep up.
    fileprivate func place(of text: String) -> Range<Int>? { Data(self).range(of: Data(text.utf8)) }
}

/// The hash that a key is stored under.
struct HashOfKey {
    let hash: String?
    init(_ key: String) { hash = APIKey(key)?.hash }
}
