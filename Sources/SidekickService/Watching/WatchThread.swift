import ComputeCore
import FoundationEssentials
import Glibc
import LinuxSystem
import Synchronization

/// One watcher at work: a thread that is the user, with a queue of the kernel. The shell of `WatchTree`.
///
/// A thread for each, so that neither a large tree, a slow disk nor an overflow of one is felt by another.
final class WatchThread: Sendable {
    /// What it tells. In order, on its thread.
    enum News: Sendable {
        /// All that is there is known: from now on nothing is missed.
        case watching(directories: Int)
        case changed(FileChange.Kind, path: String, content: [UInt8]?)
        case lost
        case degraded(WatchTree.Degradation)
        /// The last one. nil: it was asked to stop.
        case ended(LinuxSystemError?)
    }

    /// What an event carries of a file.
    static let maxContentBytes = 512 << 10
    /// Scans between two looks at what the kernel says, whose queue must not run over meanwhile.
    private static let scansAtOnce = 32

    private let request: WatchRequest
    private let identity: ThreadIdentity?
    private let budget: WatchBudget
    private let stopSignal: StopSignal
    private let tell: @Sendable (News) -> Void

    /// Throws when it cannot be started; then nothing will be told.
    init(
        _ request: WatchRequest, as user: UserIdentity, budget: WatchBudget, tell: @escaping @Sendable (News) -> Void
    ) throws(LinuxSystemError) {
        self.request = request
        self.budget = budget
        self.tell = tell
        identity = user.ids?.threadIdentity
        stopSignal = try StopSignal()
        try OwnThread.start("watcher") { self.run() }
    }

    /// `ended` follows.
    func stop() { stopSignal.raise() }

    private func run() {
        var shell: Shell
        do throws(LinuxSystemError) {
            // As ourselves: what the user may have of these he has not used up for us.
            let queue = try WatchQueue()
            try identity?.adopt()
            shell = try Shell(self, queue)
        } catch {
            return tell(.ended(error))
        }
        shell.run()
        budget.giveBack(shell.taken)
        tell(.ended(shell.failure))
    }

    /// What the thread holds while it runs.
    private struct Shell: ~Copyable {
        let owner: WatchThread
        var queue: WatchQueue
        var tree: WatchTree
        /// The directory at the top.
        let root: String
        let clock = ContinuousClock()
        let beginning: ContinuousClock.Instant
        var scans: [WatchTree.DirectoryID] = []
        var nextScan = 0
        var taken = 0
        var isWatching = false
        var isOver = false
        /// Why it is over before it began.
        var failure: LinuxSystemError?
        /// When there was last nothing left to be read. Milliseconds since 1970.
        var caughtUp = SystemWallClock().now().milliseconds
        /// What changed since then may have been lost.
        var lostSince: Int64 = 0

        init(_ owner: WatchThread, _ queue: consuming WatchQueue) throws(LinuxSystemError) {
            self.owner = owner
            self.queue = queue
            let path = owner.request.path
            // A file is watched from its directory, since it is often replaced by another of its name.
            let isDirectory = try FileTree.status(path).isDirectory
            let parts = path.split(separator: "/")
            root = isDirectory ? path : parts.dropLast().reduce("") { "\($0)/\($1)" }
            tree = WatchTree(ignoring: owner.request.ignores, only: isDirectory ? nil : parts.last.map(String.init))
            beginning = clock.now
        }

        var now: Duration { beginning.duration(to: clock.now) }

        mutating func run() {
            perform(tree.start())
            while !isOver, !owner.stopSignal.isRaised {
                var left = WatchThread.scansAtOnce
                while left > 0, nextScan < scans.count, !isOver {
                    left -= 1
                    nextScan += 1
                    scan(scans[nextScan - 1])
                }
                guard !isOver else { return }
                let isBusy = nextScan < scans.count
                if !isBusy { rested() }
                let wait = isBusy ? .zero : tree.nextDeadline.map { max($0 - now, .zero) }
                if queue.wait(atMost: wait, stop: owner.stopSignal) {
                    perform(tree.received(queue.read(), now: now))
                } else {
                    if !isBusy { caughtUp = SystemWallClock().now().milliseconds }
                    perform(tree.ticked(now: now))
                }
            }
        }

        private mutating func rested() {
            scans.removeAll(keepingCapacity: false)
            nextScan = 0
            guard !isWatching, !isOver else { return }
            isWatching = true
            owner.tell(.watching(directories: tree.watchCount))
        }

        private mutating func perform(_ orders: [WatchTree.Order]) {
            for order in orders {
                switch order {
                case .scan(let id): scans.append(id)
                case .unwatch(let watch):
                    queue.remove(watch)
                    giveBack()
                case .tell(let change): tell(change)
                case .reportLoss:
                    // Both clocks are the kernel's, but the one of files ticks a few milliseconds late.
                    lostSince = caughtUp - 1000
                    owner.tell(.lost)
                case .degrade(let degradation): owner.tell(.degraded(degradation))
                case .end: isOver = true
                }
            }
        }

        private mutating func scan(_ id: WatchTree.DirectoryID) {
            guard let relative = tree.pathToScan(id) else { return }
            let path = absolute(relative)
            let isTop = relative.isEmpty
            guard owner.budget.take() else { return perform(tree.refused(id, .directories)) }
            taken += 1
            do throws(LinuxSystemError) {
                // A link is followed at the top alone, where the user has named it.
                let watch = try queue.add(path, followsLink: isTop)
                if tree.isWatched(watch) { giveBack() }
                let found: FileTree.Scan
                do throws(LinuxSystemError) {
                    found = try FileTree.scan(path, followsLink: isTop, limit: tree.limits.entries)
                } catch  where !isTop {
                    // One that may be watched and not listed: its names come as they change.
                    found = FileTree.Scan(isPartial: true)
                }
                var changed: Set<String> = []
                if tree.isRepeated(id) {
                    for name in found.files {
                        guard let time = FileTree.changedAt(absolute(relative, name)), time >= lostSince else {
                            continue
                        }
                        changed.insert(name)
                    }
                }
                perform(tree.scanned(id, watch, found, changed: changed, now: now))
            } catch {
                giveBack()
                if isTop, !isWatching { return fail(error) }
                let isFull = error.code.errno == ENOSPC || error.code.errno == ENOMEM
                perform(tree.refused(id, isFull ? .kernel : nil))
            }
        }

        private mutating func fail(_ error: LinuxSystemError) {
            failure = error
            isOver = true
        }

        private mutating func giveBack() {
            guard taken > 0 else { return }
            taken -= 1
            owner.budget.giveBack(1)
        }

        private func tell(_ change: FileChange) {
            let path = absolute(change.path)
            let content =
                owner.request.includesContent && change.kind.hasContent
                ? FileTree.readUnlinked(path, limit: WatchThread.maxContentBytes) : nil
            owner.tell(.changed(change.kind, path: path, content: content))
        }

        private func absolute(_ relative: String, _ name: String? = nil) -> String {
            var path = root == "/" ? "" : root
            if !relative.isEmpty { path += "/" + relative }
            if let name { path += "/" + name }
            return path.isEmpty ? "/" : path
        }
    }
}

/// How many directories all watchers together may have.
final class WatchBudget: Sendable {
    static let maxDirectories = 65_536
    private let left: Mutex<Int>

    init(directories: Int = maxDirectories) { left = Mutex(directories) }

    func take() -> Bool {
        left.withLock { left in
            guard left > 0 else { return false }
            left -= 1
            return true
        }
    }

    func giveBack(_ count: Int) { left.withLock { $0 += count } }
}
