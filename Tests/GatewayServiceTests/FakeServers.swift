import APIContract
import Auth
import ComputeCore
import Crypto
import Foundation
import GatewayService
import HTTPServing
import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// A handler made of a closure.
struct Answering: HTTPHandler {
    let answer: @Sendable (HTTPExchange) async throws -> Void
    init(_ answer: @escaping @Sendable (HTTPExchange) async throws -> Void) { self.answer = answer }
    func handle(_ exchange: HTTPExchange) async throws { try await answer(exchange) }
}

/// What a server behind the Gateway saw of a request.
struct Seen: Sendable {
    var method: String
    var uri: String
    var headers: HTTPHeaders
}

final class Recorder: Sendable {
    private let requests = Mutex<[Seen]>([])
    func add(_ head: HTTPRequestHead) {
        requests.withLock { $0.append(Seen(method: head.method.rawValue, uri: head.uri, headers: head.headers)) }
    }
    var all: [Seen] { requests.withLock { $0 } }
    var last: Seen? { all.last }
}

/// The API's internal listener: events and routes as the test says.
final class FakeInternalAPI: Sendable {
    struct State {
        var lines: [FeedLine] = []
        var routes: [ComputeID: RouteRecord] = [:]
        var lookups: [ComputeID: Int] = [:]
        var sessions: [SessionID: SessionRecord] = [:]
        var sessionLookups = 0
        var sessionsAreBroken = false
        var uses: [SessionUses.Use] = []
        var signals: [AsyncStream<Void>.Continuation] = []
        var feedTrouble: FeedTrouble?
        var feedRequests = 0
    }
    enum FeedTrouble { case broken, forgetsCursors }
    let state = Mutex(State())
    let keys: TokenKeys

    init(keys: TokenKeys) { self.keys = keys }

    /// Known to a lookup; not in the feed.
    func know(_ record: RouteRecord) { state.withLock { $0.routes[record.computeId] = record } }

    /// Known, and told by the feed.
    func tell(_ record: RouteRecord) {
        let signals = state.withLock { state in
            state.routes[record.computeId] = record
            state.lines.append(FeedLine(cursor: "c\(state.lines.count + 1)", type: "RouteChanged", route: record))
            return state.signals
        }
        for signal in signals { signal.yield() }
    }

    /// Told by the feed, and known to lookups from now on.
    func tell(_ record: PortsRecord) {
        let signals = state.withLock { state in
            state.routes[record.computeId]?.ports = record.ports
            state.lines.append(
                FeedLine(cursor: "c\(state.lines.count + 1)", type: "ComputePortsChanged", ports: record))
            return state.signals
        }
        for signal in signals { signal.yield() }
    }

    /// Known to a lookup; not in the feed.
    func know(_ record: SessionRecord) { state.withLock { $0.sessions[record.sessionId] = record } }

    /// Known, and told by the feed.
    func tell(_ record: SessionRecord) {
        let signals = state.withLock { state in
            state.sessions[record.sessionId] = record
            state.lines.append(
                FeedLine(cursor: "c\(state.lines.count + 1)", type: "SessionTokenRevoked", session: record))
            return state.signals
        }
        for signal in signals { signal.yield() }
    }

    var sessionLookups: Int { state.withLock { $0.sessionLookups } }
    var uses: [SessionUses.Use] { state.withLock { $0.uses } }

    /// Questions about sessions are answered with a failure from now on.
    func breakSessions() { state.withLock { $0.sessionsAreBroken = true } }

    /// Ends the feeds that are open, and spoils those to come.
    func breakFeed(_ trouble: FeedTrouble?) {
        let signals = state.withLock { state in
            state.feedTrouble = trouble
            return state.signals
        }
        for signal in signals { signal.yield() }
    }

    var feedRequests: Int { state.withLock { $0.feedRequests } }

    func lookups(of id: ComputeID) -> Int { state.withLock { $0.lookups[id] ?? 0 } }

    var handler: Answering {
        Answering { [self] exchange in
            let uri = exchange.head.uri
            if uri.hasPrefix("/internal/v1/events?") {
                try await feed(exchange)
            } else if uri == "/internal/v1/keys" {
                try await answer(exchange, keys)
            } else if uri == "/internal/v1/sessions/uses" {
                let body = try await exchange.collectBody(upTo: 1 << 20)
                let told = try JSONDecoder().decode(SessionUses.self, from: Data(body.readableBytesView))
                state.withLock { $0.uses += told.uses }
                try await exchange.respond(status: .noContent)
            } else if uri.hasPrefix("/internal/v1/sessions/") {
                let id = SessionID(uri.dropFirst("/internal/v1/sessions/".count))
                let (record, isBroken) = state.withLock { state in
                    state.sessionLookups += 1
                    return (id.flatMap { state.sessions[$0] }, state.sessionsAreBroken)
                }
                if isBroken {
                    try await exchange.respond(status: .serviceUnavailable)
                } else if let record {
                    try await answer(exchange, record)
                } else {
                    try await exchange.respond(status: .notFound)
                }
            } else if let id = ComputeID(uri.dropFirst("/internal/v1/routes/".count)) {
                let record = state.withLock { state in
                    state.lookups[id, default: 0] += 1
                    return state.routes[id]
                }
                if let record {
                    try await answer(exchange, record)
                } else {
                    try await exchange.respond(status: .notFound)
                }
            } else {
                try await exchange.respond(status: .badRequest)
            }
        }
    }

    private func answer(_ exchange: HTTPExchange, _ value: some Encodable) async throws {
        try await exchange.respond(status: .ok, body: ByteBuffer(bytes: try JSONEncoder().encode(value)))
    }

    private func feed(_ exchange: HTTPExchange) async throws {
        let query = URLComponents(string: exchange.head.uri)?.queryItems ?? []
        var sent = query.first { $0.name == "after" }?.value.flatMap { Int($0.dropFirst()) } ?? 0
        let wait = query.first { $0.name == "wait" }?.value.flatMap { Int($0) } ?? 0
        let (stream, signal) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let trouble = state.withLock { state in
            state.signals.append(signal)
            state.feedRequests += 1
            return state.feedTrouble
        }
        switch trouble {
        case .broken: return try await exchange.respond(status: .internalServerError)
        case .forgetsCursors where sent > 0: return try await exchange.respond(status: .gone)
        case .forgetsCursors, nil: break
        }
        let writer = try await exchange.startResponse(status: .ok)
        while true {
            let lines = state.withLock { Array($0.lines.dropFirst(sent)) }
            // The connection breaks in the middle of the answer.
            guard wait == 0 || state.withLock({ $0.feedTrouble == nil }) else {
                throw GatewayError(.internalAPI, "broken")
            }
            sent += lines.count
            for line in lines {
                try await writer.write(ByteBuffer(bytes: try JSONEncoder().encode(line) + [UInt8(ascii: "\n")]))
            }
            guard wait > 0 else { break }
            var waiting = stream.makeAsyncIterator()
            guard await waiting.next() != nil else { break }
        }
        try await writer.write(ByteBuffer(string: "{\"cursor\":\"c\(sent)\"}\n"))
        try await writer.finish()
    }
}
