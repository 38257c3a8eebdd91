package import ComputeCore
import Glibc
package import LinuxSystem
import Synchronization

/// Copies template directories into the compute, with the rights of the user (contract §1.4).
///
///     create ─▶ queue ─▶ a thread that is the user: small directories, then large ones, then onto the disk
///                                                   └─ `smart` is answered here     `copy` here ─┘
package final class OverlayService: Sendable {
    /// Those that are over make room for new ones.
    package static let maxOverlays = 32
    /// More at once would only take the disk from each other.
    private static let maxRunning = 2
    /// Public clients wait for 30 s, and then ask how far it is.
    private static let answerDeadline: Duration = .seconds(25)
    private static let smartAnswerDeadline: Duration = .seconds(5)

    private struct Job {
        let request: OverlayRequest
        let user: UserIdentity
        var info: OverlayInfo
        /// When the request is answered; what it is refused with.
        let answer = OneShot<Problem?>()
        /// Whether all of it is there.
        let end = OneShot<Bool>()
    }

    private struct State {
        var jobs: [OverlayID: Job] = [:]
        var queue: [OverlayID] = []
        var running = 0
    }

    private let state = Mutex(State())

    package init() {}

    package func list() -> [OverlayInfo] {
        state.withLock { state in state.jobs.values.map(\.info) }
            .sorted { ($0.createdAt.milliseconds, $0.id.rawValue) < ($1.createdAt.milliseconds, $1.id.rawValue) }
    }

    package func get(_ id: OverlayID) throws(Problem) -> OverlayInfo {
        guard let job = state.withLock({ $0.jobs[id] }) else { throw .notFound("there is no overlay \(id)") }
        return job.info
    }

    /// - Returns: whether all of it is there; false too when there is no such overlay.
    package func waitUntilComplete(_ id: OverlayID) async -> Bool {
        guard let job = state.withLock({ $0.jobs[id] }) else { return false }
        return await job.end.wait()
    }

    package func create(_ request: OverlayRequest, as user: UserIdentity) async throws(Problem) -> OverlayInfo {
        let job = Job(request: request, user: user, info: OverlayInfo(id: .random(), request: request))
        let id = job.info.id
        let isAdmitted = state.withLock { state in
            if state.jobs.count >= Self.maxOverlays {
                let over = state.jobs.values.filter(\.info.state.isOver)
                guard let oldest = over.min(by: { $0.info.createdAt.milliseconds < $1.info.createdAt.milliseconds })
                else { return false }
                state.jobs[oldest.info.id] = nil
            }
            state.jobs[id] = job
            state.queue.append(id)
            return true
        }
        guard isAdmitted else {
            throw Problem(
                status: 429, code: .quotaExceeded, message: "\(Self.maxOverlays) overlays are being copied",
                retryAfterSeconds: 5)
        }
        startNext()
        let deadline = Task {
            try await Task.sleep(for: request.strategy == .smart ? Self.smartAnswerDeadline : Self.answerDeadline)
            job.answer.set(nil)
        }
        defer { deadline.cancel() }
        if let problem = await job.answer.wait() {
            state.withLock { $0.jobs[id] = nil }
            throw problem
        }
        return try get(id)
    }

    /// The copy stops; what it has copied stays.
    package func delete(_ id: OverlayID) throws(Problem) {
        let job = state.withLock { state -> Job? in
            state.queue.removeAll { $0 == id }
            return state.jobs.removeValue(forKey: id)
        }
        guard let job else { throw .notFound("there is no overlay \(id)") }
        job.answer.set(.notFound("the overlay was deleted"))
        job.end.set(false)
    }

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
            var copy: TreeCopy
            do throws(LinuxSystemError) {
                copy = try TreeCopy(
                    from: job.request.source, to: job.request.targetPath, isIgnored: { ignores.matches($0) },
                    isLarge: { OverlayRequest.isLarge($0) })
            } catch {
                return refuse(job, error)
            }
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
        var problem = FileService.problem(error, path)
        problem.field = isSource ? "source" : "target"
        if error.code == .notDirectory { problem.message = "\(path) is not a directory" }
        if error.code.errno == EINVAL { problem = .invalid("target", "source and target are the same directory") }
        job.answer.set(problem)
        end(job, .failed(problem.message))
    }

    private func end(_ job: Job, _ outcome: OverlayState) {
        state.withLock { state in
            guard state.jobs[job.info.id]?.info.state.isOver == false else { return }
            state.jobs[job.info.id]?.info.state = outcome
        }
        job.answer.set(nil)
        job.end.set(outcome == .complete)
    }
}

/// An overlay, as the API shows it.
package struct OverlayInfo: Sendable {
    package let id: OverlayID
    package let request: OverlayRequest
    package let createdAt = SystemWallClock().now()
    package var stats = TreeCopy.Stats()
    package var state = OverlayState.pending
}
