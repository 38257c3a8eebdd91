import ComputeCore
import Glibc
import LinuxSystem
import Synchronization

/// Looks for content and names below a directory, bounded in time and results, with the user's rights. It does not enter other
/// file systems, and follows no links.
final class SearchService: Sendable {
    /// Each may hold a descriptor for every level of a tree, and keeps a thread busy.
    private static let maxAtOnce = 8

    private let files: FileService
    private let running = Mutex(0)

    init(files: FileService) { self.files = files }

    /// - Parameter take: gets results as they are found; the search waits for it.
    func run(
        _ request: SearchRequest, as user: UserIdentity, take: ([SearchResult]) async throws -> Void
    ) async throws -> SearchSummary {
        let isGranted = running.withLock { count in
            guard count < Self.maxAtOnce else { return false }
            count += 1
            return true
        }
        guard isGranted else { throw Problem.unavailable("\(Self.maxAtOnce) searches are under way; try again later") }
        defer { running.withLock { $0 -= 1 } }
        let path = request.path.absolute
        let job = try await files.perform(path, user) { () throws(LinuxSystemError) in try SearchJob(request) }
        while true {
            let (results, isDone) = try await files.perform(path, user) { () throws(LinuxSystemError) in try job.step()
            }
            if !results.isEmpty { try await take(results) }
            if isDone { return job.summary }
        }
    }
}

/// A search between its steps.
private final class SearchJob: Sendable {
    private struct State: ~Copyable {
        var walk: TreeWalk?
        /// The file itself, when the search is in one alone.
        var single: (SharedDescriptor, String, Int64)?
        var scanner: LineScanner?
        var file: (path: String, size: Int64) = ("", 0)
        var summary = SearchSummary()
        var found: [SearchResult] = []
    }

    private let request: SearchRequest
    private let deadline: ContinuousClock.Instant
    private let state: Mutex<State>

    init(_ request: SearchRequest) throws(LinuxSystemError) {
        self.request = request
        deadline = .now + request.timeout
        let path = request.path.absolute
        let status = try FileTree.status(path)
        if status.isDirectory {
            state = Mutex(State(walk: try TreeWalk(path)))
        } else {
            let opened = try OpenedFile(path)
            state = Mutex(State(single: (opened.file, status.name, opened.size)))
        }
    }

    var summary: SearchSummary {
        state.withLock { state in
            var summary = state.summary
            summary.skipped += state.walk?.skipped ?? 0
            return summary
        }
    }

    /// Works for a moment, so that the thread is free again soon.
    func step() throws(LinuxSystemError) -> (results: [SearchResult], isDone: Bool) {
        try state.withLock { state -> Result<(results: [SearchResult], isDone: Bool), LinuxSystemError> in
            let pause = ContinuousClock.now + .milliseconds(20)
            var isDone = false
            do throws(LinuxSystemError) {
                while !isDone {
                    isDone = try !advance(&state)
                    let now = ContinuousClock.now
                    if !isDone, now >= deadline {
                        state.summary.limit = .time
                        isDone = true
                    }
                    if now >= pause || state.found.count >= 100 { break }
                }
            } catch { return .failure(error) }
            defer { state.found = [] }
            return .success((state.found, isDone))
        }.get()
    }

    /// One entry, or one piece of a file.
    private func advance(_ state: inout State) throws(LinuxSystemError) -> Bool {
        if state.scanner != nil { return scan(&state) }
        if let (file, name, size) = state.single {
            state.single = nil
            guard let pattern = request.pattern else { return report(&state, name, size, .file) }
            state.summary.files += 1
            state.file = (name, size)
            state.scanner = LineScanner(file, pattern, context: request.context)
            return true
        }
        guard let step = try state.walk?.next() else { return false }
        guard case .entry(let entry) = step else { return true }
        let path = entry.text
        if !request.ignore.isEmpty, request.ignore.matches(path) {
            state.walk?.leaveOut()
            return true
        }
        let kind: SearchRequest.Kind
        switch entry.kind {
        case S_IFREG: kind = .file
        case S_IFDIR: kind = .directory
        case S_IFLNK: kind = .symlink
        default: return true
        }
        guard request.glob.isEmpty || request.glob.matches(path) else { return true }
        guard let pattern = request.pattern else {
            guard request.kind == nil || request.kind == kind else { return true }
            return report(&state, path, Int64(entry.info.st_size), kind)
        }
        guard kind == .file else { return true }
        guard let descriptor = try? state.walk?.openFile() else {
            state.summary.skipped += 1
            return true
        }
        state.summary.files += 1
        state.file = (path, Int64(entry.info.st_size))
        state.scanner = LineScanner(SharedDescriptor(descriptor), pattern, context: request.context)
        return true
    }

    private func scan(_ state: inout State) -> Bool {
        // A file that cannot be read to its end is left out like one that cannot be opened.
        let goesOn: Bool
        do throws(LinuxSystemError) { goesOn = try state.scanner?.step() ?? false } catch {
            state.summary.skipped += 1
            state.scanner = nil
            return true
        }
        for line in state.scanner?.take() ?? [] {
            guard add(&state, SearchResult(path: state.file.path, size: state.file.size, kind: .file, line: line))
            else {
                return false
            }
        }
        if !goesOn {
            if state.scanner?.isBinary ?? false { state.summary.skipped += 1 }
            state.scanner = nil
        }
        return true
    }

    private func report(_ state: inout State, _ path: String, _ size: Int64, _ kind: SearchRequest.Kind) -> Bool {
        add(&state, SearchResult(path: path, size: size, kind: kind, line: nil))
    }

    /// - Returns: false when there are enough.
    private func add(_ state: inout State, _ result: SearchResult) -> Bool {
        guard state.summary.results < request.maxResults else {
            state.summary.limit = .results
            return false
        }
        state.summary.results += 1
        state.found.append(result)
        return true
    }
}
