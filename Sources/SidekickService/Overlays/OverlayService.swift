package import ComputeCore
import Glibc
import LinuxSystem
import Synchronization

/// Copies template directories into the compute, with the rights of the user (contract §1.4).
///
///     create ─▶ queue ─▶ a thread that is the user: small directories, then large ones, then onto the disk
///                                                   └─ `smart` is answered here     `copy` here ─┘
///
/// They are recorded in the state directory: what a crash has cut short is copied by the next process.
package final class OverlayService: Sendable {
    /// Those that are over make room for new ones.
    package static let maxOverlays = 32
    /// More at once would only take the disk from each other.
    private static let maxRunning = 2
    /// Public clients wait for 30 s, and then ask how far it is.
    private static let answerDeadline: Duration = .seconds(25)
    private static let smartAnswerDeadline: Duration = .seconds(5)

    private struct Job {
        let user: UserIdentity
        /// Whether the answer waits for files.
        let isAwaited: Bool
        var info: OverlayInfo
        var request: OverlayRequest { info.request }
        /// When the request is answered; what it is refused with.
        let answer = OneShot<Problem?>()
    }

    private struct State {
        var jobs: [OverlayID: Job] = [:]
        var queue: [OverlayID] = []
        var running = 0
    }

    private let state = Mutex(State())
    private let store: Mutex<OverlayStore>
    private let threads: UserThreads
    private let observer = Mutex<(@Sendable () -> Void)?>(nil)

    package init(stateDirectory: String, threads: UserThreads) {
        store = Mutex(OverlayStore(stateDirectory: stateDirectory))
        self.threads = threads
    }

    /// - Parameter changed: called after each end of an overlay.
    func observe(_ changed: @escaping @Sendable () -> Void) { observer.withLock { $0 = changed } }

    /// Takes up what an earlier process over the same state directory was given.
    func resume(in compute: ComputeContext) async {
        guard let stored = try? await threads.run(as: nil, { self.store.withLock { $0.load() } }) else { return }
        state.withLock { state in
            for info in stored where state.jobs[info.id] == nil {
                state.jobs[info.id] = Job(user: compute.user, isAwaited: false, info: info)
                if !info.state.isOver { state.queue.append(info.id) }
            }
        }
        startNext()
    }

    package func list() -> [OverlayInfo] {
        state.withLock { state in state.jobs.values.map(\.info) }
            .sorted { ($0.createdAt.milliseconds, $0.id.rawValue) < ($1.createdAt.milliseconds, $1.id.rawValue) }
    }

    package func get(_ id: OverlayID) throws(Problem) -> OverlayInfo {
        guard let job = state.withLock({ $0.jobs[id] }) else { throw .notFound("there is no overlay \(id)") }
        return job.info
    }

    /// - Parameter isAwaited: false: returns as soon as source and target are known to be of use.
    package func create(
        _ request: OverlayRequest, as user: UserIdentity, isAwaited: Bool = true
    ) async throws -> OverlayInfo {
        let job = Job(user: user, isAwaited: isAwaited, info: OverlayInfo(id: .random(), request: request))
        let id = job.info.id
        try admit(job)
        do {
            try await record()
        } catch {
            forget(id)
            throw error
        }
        state.withLock { $0.queue.append(id) }
        startNext()
        let waitsForAll = isAwaited && request.strategy == .copy
        let deadline = Task {
            try await Task.sleep(for: waitsForAll ? Self.answerDeadline : Self.smartAnswerDeadline)
            job.answer.set(nil)
        }
        defer { deadline.cancel() }
        if let problem = await job.answer.wait() {
            forget(id)
            recordLater()
            throw problem
        }
        return try get(id)
    }

    private func admit(_ job: Job) throws(Problem) {
        let isAdmitted = state.withLock { state in
            if state.jobs.count >= Self.maxOverlays {
                let over = state.jobs.values.filter(\.info.state.isOver)
                guard let oldest = over.min(by: { $0.info.createdAt.milliseconds < $1.info.createdAt.milliseconds })
                else { return false }
                state.jobs[oldest.info.id] = nil
            }
            state.jobs[job.info.id] = job
            return true
        }
        guard isAdmitted else {
            throw .unavailable("\(Self.maxOverlays) overlays are being copied", retryAfterSeconds: 5)
        }
    }

    /// The copy stops; what it has copied stays.
    package func delete(_ id: OverlayID) async throws {
        guard forget(id) else { throw Problem.notFound("there is no overlay \(id)") }
        try await record()
    }

    /// - Returns: whether it was there.
    @discardableResult
    private func forget(_ id: OverlayID) -> Bool {
        let job = state.withLock { state -> Job? in
            state.queue.removeAll { $0 == id }
            return state.jobs.removeValue(forKey: id)
        }
        guard let job else { return false }
        job.answer.set(.notFound("the overlay was deleted"))
        observer.withLock { $0 }?()
        return true
    }

    // MARK: The record

    /// Returns when what is there now is on the disk.
    private func record() async throws {
        try await threads.run(as: nil) {
            // One at a time, so a later state never comes before an earlier one.
            try self.store.withLock { store in try store.save(self.list()) }
        }
    }

    /// What is not recorded is only done once more by the next process.
    private func recordLater() { Task { try? await record() } }

    // MARK: The work

    private func startNext() {
        while true {
            let next = state.withLock { state -> Job? in
                guard state.running < Self.maxRunning, !state.queue.isEmpty else { return nil }
                guard let job = state.jobs[state.queue.removeFirst()] else { return nil }
                state.running += 1
                state.jobs[job.info.id]?.info.state = .inProgress
                return job
            }
            guard let next else { return }
            do throws(LinuxSystemError) {
                try OwnThread.start("overlay") {
                    self.work(next)
                    self.state.withLock { $0.running -= 1 }
                    self.startNext()
                }
            } catch {
                state.withLock { $0.running -= 1 }
                end(next, .failed("no thread could be started: \(error.reason)"))
            }
        }
    }

    private func work(_ job: Job) {
        let id = job.info.id
        do throws(LinuxSystemError) {
            try job.user.ids?.threadIdentity.adopt()
            try check(job)
            let ignores = job.request.ignores
            var copy: OverlayCopy
            do throws(LinuxSystemError) {
                copy = try OverlayCopy(
                    from: job.request.source, to: job.request.targetPath, isIgnored: { ignores.matches($0) },
                    isLarge: { OverlayRequest.isLarge($0) })
            } catch {
                return refuse(job, error)
            }
            if !job.isAwaited { job.answer.set(nil) }
            let isCancelled = { self.state.withLock { $0.jobs[id] == nil } }
            while try copy.step(isCancelled: isCancelled), !isCancelled() {
                let stats = copy.stats
                state.withLock { $0.jobs[id]?.info.stats = stats }
                if copy.isSmallPartDone, job.request.strategy == .smart { job.answer.set(nil) }
            }
            try copy.sync()
            end(job, .complete)
        } catch {
            end(job, .failed(FileService.problem(error, job.request.target).message))
        }
    }

    /// The source is there, and the user may see it.
    private func check(_ job: Job) throws(LinuxSystemError) {
        do throws(LinuxSystemError) {
            guard try FileTree.status(job.request.source).isDirectory else {
                throw LinuxSystemError(.notDirectory, "stat", job.request.source)
            }
        } catch {
            refuse(job, error)
            throw error
        }
    }

    /// Before anything was copied.
    private func refuse(_ job: Job, _ error: LinuxSystemError) {
        let isSource = error.subject == job.request.source
        let path = isSource ? job.request.source : job.request.targetPath
        let fields = job.request.fields
        var problem = FileService.problem(error, path)
        problem.field = isSource ? fields.source : fields.target
        if error.code == .notDirectory { problem.message = "\(path) is not a directory" }
        if error.code.errno == EINVAL { problem = .invalid(fields.target, "source and target are the same directory") }
        job.answer.set(problem)
        end(job, .failed(problem.message))
    }

    private func end(_ job: Job, _ outcome: OverlayState) {
        let isFirst = state.withLock { state in
            guard state.jobs[job.info.id]?.info.state.isOver == false else { return false }
            state.jobs[job.info.id]?.info.state = outcome
            return true
        }
        job.answer.set(nil)
        guard isFirst else { return }
        observer.withLock { $0 }?()
        recordLater()
    }
}
