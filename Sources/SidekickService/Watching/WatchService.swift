package import ComputeCore
import FoundationEssentials
import LinuxSystem
import Synchronization

/// Watches directories, and tells on a channel of each watcher what changes in them. Watchers outlive connections.
package final class WatchService: Sendable {
    package static let maxWatchers = 32
    /// Public clients wait for 30 s.
    private static let scanDeadline: Duration = .seconds(20)

    private struct Running {
        var info: WatcherInfo
        let thread: WatchThread
    }

    private struct State {
        var running: [WatcherID: Running] = [:]
        var starting = 0
    }

    /// How a start went.
    private enum Start: Sendable {
        case watching
        case failed(LinuxSystemError?)
        case late
    }

    private let broker: EventBroker
    private let budget = WatchBudget()
    private let state = Mutex(State())

    package init(broker: EventBroker) { self.broker = broker }

    package func list() -> [WatcherInfo] {
        state.withLock { state in state.running.values.map(\.info) }.sorted { $0.id.rawValue < $1.id.rawValue }
    }

    package func get(_ id: WatcherID) throws(Problem) -> WatcherInfo {
        guard let running = state.withLock({ $0.running[id] }) else { throw .notFound("there is no watcher \(id)") }
        return running.info
    }

    /// Returns when nothing that happens from then on is missed.
    package func create(_ request: WatchRequest, as user: UserIdentity) async throws(Problem) -> WatcherInfo {
        try reservePlace()
        defer { state.withLock { $0.starting -= 1 } }
        let id = WatcherID.random()
        broker.open(id.channel)
        let start = OneShot<Start>()
        do throws(LinuxSystemError) {
            // Held until it is in the list, where what the thread says belongs.
            try state.withLock { state throws(LinuxSystemError) in
                let thread = try WatchThread(request, as: user, budget: budget) { [weak self] news in
                    self?.heard(news, of: id, start)
                }
                state.running[id] = Running(info: WatcherInfo(id: id, request: request), thread: thread)
            }
        } catch {
            broker.forget(id.channel)
            throw Self.problem(error, request.path)
        }
        let deadline = Task { [start] in
            try await Task.sleep(for: Self.scanDeadline)
            start.set(.late)
        }
        defer { deadline.cancel() }
        switch await start.wait() {
        case .watching: break
        case .failed(let error):
            throw error.map { Self.problem($0, request.path) } ?? .notFound("\(request.path) is gone")
        case .late:
            try? delete(id)
            throw .unavailable("\(request.path) could not be looked through in time; add what is large to `ignored`")
        }
        let info = try get(id)
        broker.publish(
            SocketEvent(
                "watcher:created", channel: id.channel, ["id": .string(id.rawValue), "path": .string(request.path)]),
            to: .everyone)
        return info
    }

    package func delete(_ id: WatcherID) throws(Problem) {
        guard let running = state.withLock({ $0.running.removeValue(forKey: id) }) else {
            throw .notFound("there is no watcher \(id)")
        }
        running.thread.stop()
        end(id, reason: "deleted")
    }

    private func reservePlace() throws(Problem) {
        let admitted = state.withLock { state in
            guard state.running.count + state.starting < Self.maxWatchers else { return false }
            state.starting += 1
            return true
        }
        guard admitted else {
            throw .overQuota("\(Self.maxWatchers) watchers are there already; delete one")
        }
    }

    // MARK: What the threads say

    private func heard(_ news: WatchThread.News, of id: WatcherID, _ start: OneShot<Start>) {
        switch news {
        case .watching(let directories):
            state.withLock { $0.running[id]?.info.directories = directories }
            start.set(.watching)
        case .changed(let kind, let path, let content): publish(kind, path, content, id)
        case .lost:
            broker.publish(
                SocketEvent(
                    "watcher:overflow", channel: id.channel,
                    [
                        "id": .string(id.rawValue),
                        "message": .string("changes came too fast; what is different now is told"),
                    ]))
        case .degraded(let degradation):
            state.withLock { $0.running[id]?.info.degradation = degradation }
            broker.publish(
                SocketEvent(
                    "watcher:error", channel: id.channel,
                    ["id": .string(id.rawValue), "error": .string(degradation.message)]))
        case .ended(let error):
            start.set(.failed(error))
            let removed = state.withLock { $0.running.removeValue(forKey: id) }
            // When it was deleted, that has been told; and one that never began has never been there.
            guard let removed else { return }
            guard removed.info.directories > 0 else { return broker.forget(id.channel) }
            end(id, reason: "the watched directory is gone")
        }
    }

    private func publish(_ kind: FileChange.Kind, _ path: String, _ content: [UInt8]?, _ id: WatcherID) {
        guard let encoding = state.withLock({ $0.running[id]?.info.request.encoding }) else { return }
        var data: [String: JSONValue] = ["event": .string(kind.rawValue), "path": .string(path)]
        if let content {
            // What is not text travels in base64, and says so.
            if encoding == .raw, let text = String(validating: content, as: UTF8.self) {
                data["content"] = .string(text)
                data["encoding"] = .string(OutputEncoding.raw.rawValue)
            } else {
                data["content"] = .string(Data(content).base64EncodedString())
                data["encoding"] = .string(OutputEncoding.base64.rawValue)
            }
        }
        broker.publish(SocketEvent("file:changed", channel: id.channel, data), isDroppable: true)
    }

    private func end(_ id: WatcherID, reason: String) {
        broker.publish(
            SocketEvent(
                "watcher:destroyed", channel: id.channel, ["id": .string(id.rawValue), "reason": .string(reason)]),
            to: .everyone)
        broker.forget(id.channel)
    }

    private static func problem(_ error: LinuxSystemError, _ path: String) -> Problem {
        switch error.step {
        case "inotify_init", "eventfd", "start thread":
            Problem(
                status: 503, code: .unavailable, message: "no more can be watched now: \(error.reason)",
                retryAfterSeconds: 1)
        default: FileService.problem(error, path)
        }
    }
}
