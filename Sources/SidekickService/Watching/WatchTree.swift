package import LinuxSystem

/// The heart of a watcher: what the kernel says goes in, what clients are told comes out. A value: no file system, no
/// clock. `WatchThread` is its shell.
///
///     start ─▶ scan(top) ─▶ scanned ─▶ scan(each directory in it) ─▶ …        silent until all of it is known
///     records of the kernel ─▶ entries, pending changes ─▶ tell
///     a new directory ─▶ scan: watched first and listed then, so nothing in it is lost; what the kernel says about it
///                        once more is known by then
///     overflow ─▶ reportLoss, scan of everything: the difference is told
///
/// Changes wait in `pending` (see `PendingChange`), so that a burst becomes one.
package struct WatchTree: ~Copyable {
    package struct DirectoryID: Hashable, Sendable { let value: Int }

    package struct Limits: Sendable {
        package var directories = 16_384
        package var entries = 200_000
        package init() {}
    }

    package enum Order: Hashable, Sendable {
        /// Watch it, then list it, and say `scanned` or `refused`. Nearest to the top first.
        case scan(DirectoryID)
        case unwatch(WatchQueue.Watch)
        case tell(FileChange)
        /// Something was lost; scans follow.
        case reportLoss
        /// From now on not everything is told.
        case degrade(Degradation)
        /// The watched directory is no more. The last order.
        case end
    }

    /// Why a watcher does not see everything.
    package enum Degradation: Hashable, Sendable {
        /// More directories than one watcher, or all of them together, may have.
        case directories
        /// More names than one watcher keeps.
        case entries
        /// The kernel's own limit, `fs.inotify.max_user_watches`.
        case kernel
    }

    enum Entry {
        case file
        case directory(DirectoryID)
    }

    struct Directory {
        let parent: DirectoryID?
        let name: String
        var watch: WatchQueue.Watch?
        var entries: [String: Entry] = [:]
        var pending: [String: PendingChange] = [:]
        /// It was there when watching began, so what is found in it at first is no news.
        let isOld: Bool
        /// Not all that is in it is in `entries`.
        var isPartial = false
        var isScanned = false
        var isQueued = true
    }

    let limits: Limits
    let ignores: GlobSet
    /// nil: everything. Else the one name in the top directory that counts: a file is watched.
    let only: String?
    var directories: [DirectoryID: Directory] = [:]
    var byWatch: [WatchQueue.Watch: DirectoryID] = [:]
    /// Directories that have something pending.
    var restless: Set<DirectoryID> = []
    var entryCount = 0
    private var next = 1
    private var nextSequence: UInt64 = 0
    private(set) var degradation: Degradation?

    static let top = DirectoryID(value: 0)

    package init(ignoring ignores: GlobSet, only: String? = nil, limits: Limits = Limits()) {
        self.ignores = ignores
        self.only = only
        self.limits = limits
        directories[Self.top] = Directory(parent: nil, name: "", isOld: true)
    }

    package func start() -> [Order] { [.scan(Self.top)] }

    /// How many directories are watched.
    package var watchCount: Int { byWatch.count }

    package func isWatched(_ watch: WatchQueue.Watch) -> Bool { byWatch[watch] != nil }

    // MARK: - Scans

    /// Where a directory is that was ordered to be scanned, below the top; nil when that has become needless.
    package mutating func pathToScan(_ id: DirectoryID) -> String? {
        guard directories[id] != nil else { return nil }
        directories[id]?.isQueued = false
        return path(id)
    }

    /// Whether `scanned` wants to know which files have changed while the kernel's word was lost.
    package func isRepeated(_ id: DirectoryID) -> Bool { directories[id]?.isScanned ?? false }

    /// - Parameter changed: of the files in it, those that changed while nobody could say so.
    package mutating func scanned(
        _ id: DirectoryID, _ watch: WatchQueue.Watch, _ scan: FileTree.Scan, changed: Set<String> = [], now: Duration
    ) -> [Order] {
        guard let directory = directories[id] else { return [.unwatch(watch)] }
        var orders: [Order] = []
        if let other = byWatch[watch], other != id {
            // The same directory under its old name: it was moved, and the word of that is still under way.
            byWatch[watch] = nil
            let left = directories[other]?.parent
            directories[other]?.watch = nil
            vanished(other, &orders)
            // Another one may be in the place that it left, and the word of that be lost.
            if let left { queue(left, &orders) }
        }
        // Another directory than before may be at this place, and then also at those below it.
        let isAnother = directory.isScanned && directory.watch != watch
        if let old = directory.watch, old != watch {
            byWatch[old] = nil
            orders.append(.unwatch(old))
        }
        // The one that vanished may have been one above it.
        guard directories[id] != nil else { return orders + [.unwatch(watch)] }
        byWatch[watch] = id
        directories[id]?.watch = watch
        directories[id]?.isPartial = scan.isPartial
        let isNews = directory.isScanned || !directory.isOld
        directories[id]?.isScanned = true
        compare(id, scan, changed, isNews: isNews, isAnother: isAnother, now, &orders)
        tick(now, &orders)
        return orders
    }

    private mutating func compare(
        _ id: DirectoryID, _ scan: FileTree.Scan, _ changed: Set<String>, isNews: Bool, isAnother: Bool,
        _ now: Duration, _ orders: inout [Order]
    ) {
        let files = Set(scan.files)
        let subdirectories = Set(scan.directories)
        if !scan.isPartial {
            for (name, entry) in directories[id]?.entries ?? [:] {
                switch entry {
                case .file: if !files.contains(name) { disappeared(id, name, now, &orders) }
                case .directory: if !subdirectories.contains(name) { disappeared(id, name, now, &orders) }
                }
            }
        }
        for name in scan.files {
            if case .file = directories[id]?.entries[name] {
                if changed.contains(name) { modified(id, name, now) }
            } else if isNews {
                appeared(id, name, isDirectory: false, isWhole: false, now, &orders)
            } else if mayKeep(id, name, &orders) {
                directories[id]?.entries[name] = .file
            }
        }
        for name in scan.directories {
            if case .directory(let child) = directories[id]?.entries[name] {
                if isAnother || directories[child]?.watch == nil { queue(child, &orders) }
            } else if isNews {
                appeared(id, name, isDirectory: true, isWhole: true, now, &orders)
            } else if mayKeep(id, name, &orders) {
                make(id, name, isOld: true, &orders)
            }
        }
    }

    /// It cannot be watched, or not be listed.
    /// - Parameter degradation: nil: it is gone again, or not the user's to see.
    package mutating func refused(_ id: DirectoryID, _ degradation: Degradation?) -> [Order] {
        var orders: [Order] = []
        if id == Self.top, degradation == nil { return [.end] }
        if let degradation { degrade(degradation, &orders) }
        return orders
    }

    // MARK: - The parts others use

    mutating func queue(_ id: DirectoryID, _ orders: inout [Order]) {
        guard directories[id]?.isQueued == false else { return }
        directories[id]?.isQueued = true
        orders.append(.scan(id))
    }

    /// A new directory below `parent`, to be scanned.
    mutating func make(_ parent: DirectoryID, _ name: String, isOld: Bool, _ orders: inout [Order]) {
        let id = DirectoryID(value: next)
        next += 1
        directories[id] = Directory(parent: parent, name: name, isOld: isOld)
        directories[parent]?.entries[name] = .directory(id)
        // One that is not scanned stays as if it were queued, so nothing asks for it later either.
        if directories.count > limits.directories { degrade(.directories, &orders) } else { orders.append(.scan(id)) }
    }

    /// Whether the name counts and there is room for it.
    mutating func mayKeep(_ id: DirectoryID, _ name: String, _ orders: inout [Order]) -> Bool {
        guard !isIgnored(id, name) else { return false }
        guard entryCount < limits.entries else {
            directories[id]?.isPartial = true
            degrade(.entries, &orders)
            return false
        }
        entryCount += 1
        return true
    }

    func isIgnored(_ id: DirectoryID, _ name: String) -> Bool {
        // What our own writes are called until they are done.
        if name.hasPrefix(".sidekick-"), name.hasSuffix(".tmp") { return true }
        if id == Self.top, let only { return name != only }
        return !ignores.isEmpty && ignores.matches(path(id, name))
    }

    mutating func degrade(_ degradation: Degradation, _ orders: inout [Order]) {
        guard self.degradation == nil else { return }
        self.degradation = degradation
        orders.append(.degrade(degradation))
    }

    func path(_ id: DirectoryID, _ name: String? = nil) -> String {
        var parts = name.map { [$0] } ?? []
        var current = directories[id]
        while let directory = current, let parent = directory.parent {
            parts.append(directory.name)
            current = directories[parent]
        }
        return parts.reversed().joined(separator: "/")
    }

    mutating func sequence() -> UInt64 {
        defer { nextSequence += 1 }
        return nextSequence
    }
}
