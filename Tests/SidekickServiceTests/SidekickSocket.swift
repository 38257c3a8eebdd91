import ComputeCore
import FoundationEssentials
import HTTPServing
import NIOCore
import NIOHTTP1
import Testing

/// A client of `/ws` that hides nothing: frames go out as they are given and come in as they are.
actor SidekickSocket {
    struct Event: Sendable {
        let type: String
        let channel: String?
        let data: [String: JSONValue]
    }

    enum Frame: Hashable, Sendable {
        case text(String)
        case binary([UInt8])
        /// Nil: a close without a code.
        case close(UInt16?)
        case ping, pong
    }

    enum Opening: Sendable {
        case open(SidekickSocket)
        case refused(status: Int, headers: HTTPHeaders)
    }

    private let tunnel: ByteTunnel
    private var received = ByteBuffer()
    /// All terminal output so far.
    private(set) var transcript = ""
    /// The same as bytes, where it came in base64.
    private(set) var bytes: [UInt8] = []
    /// From where to go on.
    private(set) var nextOffset = 0

    private init(tunnel: ByteTunnel) { self.tunnel = tunnel }

    static func open(
        _ place: SidekickPlace, bearer: String?, target: String = "/ws", version: Int? = 13
    ) async throws -> Opening {
        let connection = try await HTTPClientConnection.connect(to: place.listen, timeout: .seconds(30))
        var headers: HTTPHeaders = ["Host": "sidekick"]
        if let bearer { headers.add(name: "Authorization", value: "Bearer \(bearer)") }
        if let version {
            headers.add(name: "Connection", value: "Upgrade")
            headers.add(name: "Upgrade", value: "websocket")
            headers.add(name: "Sec-WebSocket-Version", value: "\(version)")
            headers.add(name: "Sec-WebSocket-Key", value: "dGhlIHNhbXBsZSBub25jZQ==")
        }
        try await connection.sendHead(
            HTTPRequestHead(version: .http1_1, method: .GET, uri: target, headers: headers))
        try await connection.finish()
        let head = try await connection.receiveHead()
        guard head.status == .switchingProtocols else {
            await connection.close()
            return .refused(status: Int(head.status.code), headers: head.headers)
        }
        return .open(SidekickSocket(tunnel: try await connection.becomeTunnel()))
    }

    static func open(_ place: SidekickPlace) async throws -> SidekickSocket {
        guard case .open(let socket) = try await open(place, bearer: place.secret) else {
            throw DeadlinePassed(description: "the upgrade was refused")
        }
        return socket
    }

    func close() async { await tunnel.close() }

    // MARK: Sending

    func send(_ type: String, channel: String = "", _ data: [String: JSONValue] = [:]) async throws {
        try await send(text: Self.document(type, channel, data).line)
    }

    static func document(_ type: String, _ channel: String, _ data: [String: JSONValue]) -> JSONValue {
        .object(["type": .string(type), "channel": .string(channel), "data": .object(data)])
    }

    func send(text: String) async throws { try await write(opcode: 1, Array(text.utf8)) }
    func send(bytes: [UInt8]) async throws { try await write(opcode: 2, bytes) }

    func input(_ terminal: String, _ text: String) async throws {
        try await send("terminal:input", ["terminal_id": .string(terminal), "input": .string(text)])
    }

    /// Subscribes, and returns when that is done: the answer to what comes behind it has come.
    func subscribe(_ terminal: String) async throws {
        try await send("subscribe", channel: "terminal:\(terminal)")
        try await send("marker")
        try await event("error")
    }

    /// The same again and again, without a look at what comes back.
    func send(text: String, times: Int) async throws {
        let frame = Self.frame(opcode: 1, Array(text.utf8))
        var frames = ByteBuffer()
        for _ in 0..<times { frames.writeImmutableBuffer(frame) }
        try await tunnel.write(frames)
    }

    private func write(opcode: UInt8, _ payload: [UInt8]) async throws {
        try await tunnel.write(Self.frame(opcode: opcode, payload))
    }

    private static func frame(opcode: UInt8, _ payload: [UInt8]) -> ByteBuffer {
        let key: [UInt8] = [0x11, 0x22, 0x33, 0x44]
        var frame = ByteBuffer(bytes: [0x80 | opcode])
        if payload.count < 126 {
            frame.writeInteger(0x80 | UInt8(payload.count))
        } else {
            frame.writeInteger(UInt8(0x80 | 126))
            frame.writeInteger(UInt16(payload.count))
        }
        frame.writeBytes(key)
        frame.writeBytes(payload.enumerated().map { $0.element ^ key[$0.offset % 4] })
        return frame
    }

    // MARK: Receiving

    /// The next one of this type; others before it are passed over, their output is in the transcript.
    @discardableResult
    func event(
        _ type: String, where matches: @Sendable (Event) -> Bool = { _ in true }
    ) async throws -> Event {
        while true {
            let event = try await nextEvent(before: "the event \(type)")
            if event.type == type, matches(event) { return event }
        }
    }

    /// The next one, whatever it is.
    func anyEvent(before what: String) async throws -> Event { try await nextEvent(before: what) }

    /// Reads until the transcript has the text.
    func output(_ text: String) async throws {
        while !transcript.contains(text) {
            _ = try await nextEvent(before: "\(text.debugDescription) in \(transcript.debugDescription)")
        }
    }

    /// Reads to the close frame and past it.
    func closeCode() async throws -> UInt16? {
        while true {
            if case .close(let code) = try await frame(before: "a close") { return code }
        }
    }

    private func nextEvent(before what: String) async throws -> Event {
        // Pings come also while what is waited for hangs.
        let deadline = ContinuousClock.now + Self.patience
        while true {
            switch try await frame(before: what, until: deadline) {
            case .text(let text):
                let members = JSONValue.members(of: text)
                let event = Event(
                    type: members["type"]?.text ?? "", channel: members["channel"]?.text,
                    data: members["data"]?.members ?? [:])
                if event.type == "terminal:output" { note(event) }
                return event
            case .ping: try await write(opcode: 10, [])
            case .pong: continue
            case .binary, .close: throw DeadlinePassed(description: "an unexpected frame before \(what)")
            }
        }
    }

    private func note(_ event: Event) {
        let output = event.data["output"]?.text ?? ""
        if event.data["encoding"]?.text == "base64" {
            bytes += Array(Data(base64Encoded: output) ?? Data())
        } else {
            transcript += output
        }
        if case .int(let next) = event.data["next_offset"] { nextOffset = Int(next) }
    }

    private static let patience: Duration = .seconds(60)

    private func frame(
        before what: String, until deadline: ContinuousClock.Instant = .now + patience
    ) async throws -> Frame {
        // What hangs is let go, so that the test says what it waited for.
        let watchdog = Task { [tunnel] in
            try await Task.sleep(until: deadline)
            await tunnel.close()
        }
        defer { watchdog.cancel() }
        var parts = tunnel.inbound.makeAsyncIterator()
        while true {
            if let frame = Self.take(&received) { return frame }
            guard let part = try? await parts.next() else {
                throw DeadlinePassed(description: "the connection ended before \(what)")
            }
            received.writeImmutableBuffer(part)
        }
    }

    private static func take(_ bytes: inout ByteBuffer) -> Frame? {
        var reader = bytes
        guard let first = reader.readInteger(as: UInt8.self), let second = reader.readInteger(as: UInt8.self) else {
            return nil
        }
        #expect(first & 0x80 != 0 && second & 0x80 == 0, "whole and unmasked")
        let length: Int?
        switch second {
        case 126: length = reader.readInteger(as: UInt16.self).map(Int.init)
        case 127: length = reader.readInteger(as: UInt64.self).map(Int.init)
        default: length = Int(second)
        }
        guard let length, let payload = reader.readBytes(length: length) else { return nil }
        bytes = reader
        switch first & 0x0F {
        case 1: return .text(String(decoding: payload, as: UTF8.self))
        case 8: return .close(payload.count < 2 ? nil : UInt16(payload[0]) << 8 | UInt16(payload[1]))
        case 9: return .ping
        case 10: return .pong
        default: return .binary(payload)
        }
    }
}
