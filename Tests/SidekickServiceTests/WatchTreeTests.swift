import LinuxSystem
import SidekickService
import Testing

/// The machine by hand: what the kernel says in, what clients are told out.
struct WatchTreeTests {
    /// A top directory with `old` and `sub/` in it, all of it known at time 0.
    private static func known(ignoring: [String] = [], only: String? = nil) throws -> Stepper {
        var stepper = Stepper(tree: WatchTree(ignoring: try GlobSet(ignoring), only: only))
        stepper.place = ["": FileTree.Scan(files: ["old"], directories: ["sub"]), "sub": FileTree.Scan()]
        stepper.perform(stepper.tree.start())
        #expect(stepper.told.isEmpty, "what was there before is no news")
        return stepper
    }

    @Test func aWrittenFileIsToldAtOnce() throws {
        var stepper = try Self.known()
        stepper.says(0, [.created, .modified, .written], "new")
        #expect(stepper.takeTold() == ["add new"])
        stepper.now = .milliseconds(200)
        stepper.says(0, [.modified, .written], "old")
        #expect(stepper.takeTold() == ["change old"])
        stepper.says(0, [.written], "old")
        stepper.pass(.seconds(1))
        #expect(stepper.takeTold() == [], "opened for writing and closed, with nothing written")
    }

    @Test func aBurstOfWritesIsToldAtItsStartAndAtItsEnd() throws {
        var stepper = try Self.known()
        for _ in 0..<20 {
            stepper.says(0, [.modified, .written], "old")
            stepper.pass(.milliseconds(1))
        }
        #expect(stepper.takeTold() == ["change old"])
        stepper.pass(.seconds(1))
        #expect(stepper.takeTold() == ["change old"])
        stepper.pass(.seconds(1))
        #expect(stepper.tree.nextDeadline == nil)
    }

    @Test func aWriterThatNeverClosesIsToldAboutInTime() throws {
        var stepper = try Self.known()
        stepper.says(0, [.created], "log")
        #expect(stepper.takeTold() == [])
        stepper.pass(.milliseconds(31))
        #expect(stepper.takeTold() == ["add log"])
        for _ in 0..<60 {
            stepper.says(0, [.modified], "log")
            stepper.pass(.milliseconds(10))
        }
        #expect(stepper.takeTold() == ["change log"])
    }

    @Test func aMovedFileIsAnUnlinkAndAnAdd() throws {
        var stepper = try Self.known()
        stepper.says(0, [.movedFrom], "old")
        stepper.says(0, [.movedTo], "new")
        stepper.pass(.seconds(1))
        #expect(stepper.takeTold() == ["add new", "unlink old"])
    }

    @Test func aFileSavedByRenameIsAChangeAlone() throws {
        var stepper = try Self.known()
        stepper.sayAll([
            (0, .created, "old.tmp"), (0, .modified, "old.tmp"), (0, .written, "old.tmp"), (0, .movedFrom, "old.tmp"),
            (0, .movedTo, "old"),
        ])
        stepper.pass(.seconds(1))
        #expect(stepper.takeTold() == ["change old"])
        // Vim: the old one is moved away, a new one written, the old one removed.
        stepper.sayAll([(0, .movedFrom, "old"), (0, .movedTo, "old~")])
        stepper.sayAll([
            (0, .created, "old"), (0, .modified, "old"), (0, .written, "old"), (0, .deleted, "old~"),
        ])
        stepper.pass(.seconds(1))
        #expect(stepper.takeTold() == ["add old~", "change old", "unlink old~"])
    }

    @Test func ourOwnTemporaryFilesAreNotSeen() throws {
        var stepper = try Self.known()
        for happening in [WatchQueue.Happening.created, .modified, .written, .movedFrom] {
            stepper.says(0, [happening], ".sidekick-77.tmp")
        }
        stepper.says(0, [.movedTo], "old")
        stepper.pass(.seconds(1))
        #expect(stepper.takeTold() == ["change old"])
    }

    @Test func aFileThatComesAndGoesIsNotWorthAWord() throws {
        var stepper = try Self.known()
        stepper.says(0, [.created, .modified, .written, .deleted], "temporary")
        stepper.pass(.seconds(1))
        #expect(stepper.takeTold() == [])
    }

    @Test func aDirectoryCreatedAndFilledAtOnceLosesNothingAndDoublesNothing() throws {
        var stepper = try Self.known()
        stepper.place["new"] = FileTree.Scan(files: ["a", "b"], directories: ["deep"])
        stepper.place["new/deep"] = FileTree.Scan(files: ["c"])
        stepper.says(0, [.created], "new", isDirectory: true)
        // What the kernel says of `b` and `deep`, which were there at the scan.
        let new = try #require(stepper.watches["new"])
        stepper.says(new, [.created, .modified, .written], "b")
        stepper.says(new, [.created], "deep", isDirectory: true)
        stepper.pass(.seconds(1))
        #expect(stepper.takeTold() == ["addDir new", "addDir new/deep", "add new/b", "add new/a", "add new/deep/c"])
    }

    @Test func aRemovedDirectoryIsToldFromTheInsideOut() throws {
        var stepper = try Self.known()
        stepper.place["new"] = FileTree.Scan(files: ["a"], directories: ["deep"])
        stepper.place["new/deep"] = FileTree.Scan(files: ["c"])
        stepper.says(0, [.movedTo], "new", isDirectory: true)
        stepper.pass(.seconds(1))
        _ = stepper.takeTold()
        stepper.says(0, [.movedFrom], "new", isDirectory: true)
        #expect(
            stepper.takeTold()
                == ["unlink new/a", "unlink new/deep/c", "unlinkDir new/deep", "unlinkDir new"])
        #expect(stepper.unwatched.count == 2)
        #expect(stepper.tree.watchCount == 2)
    }

    @Test func ignoredNamesAreNeitherToldNorEntered() throws {
        var stepper = try Self.known(ignoring: ["node_modules", "*.log", "/sub"])
        stepper.says(0, [.created, .written], "x.log")
        stepper.says(0, [.created], "node_modules", isDirectory: true)
        stepper.pass(.seconds(1))
        #expect(stepper.tree.watchCount == 1)
        #expect(stepper.takeTold() == [])
    }

    @Test func aSingleFileIsWatchedAcrossItsReplacement() throws {
        var stepper = Stepper(tree: WatchTree(ignoring: try GlobSet([]), only: "old"))
        stepper.place = ["": FileTree.Scan(files: ["old", "other"])]
        stepper.perform(stepper.tree.start())
        stepper.says(0, [.modified, .written], "other")
        stepper.says(0, [.created, .written], "tmp")
        stepper.says(0, [.movedTo], "old")
        stepper.pass(.seconds(1))
        #expect(stepper.takeTold() == ["change old"])
        stepper.says(0, [.deleted], "old")
        stepper.pass(.seconds(1))
        #expect(stepper.takeTold() == ["unlink old"])
    }

    @Test func afterAnOverflowTheDifferenceIsTold() throws {
        var stepper = try Self.known()
        stepper.place = [
            "": FileTree.Scan(files: ["old", "new"], directories: ["sub"]), "sub": FileTree.Scan(files: ["x"]),
        ]
        stepper.changed = ["": ["old"]]
        stepper.perform(stepper.tree.received([.init(.init(-1), .overflow)], now: stepper.now))
        stepper.pass(.seconds(1))
        #expect(stepper.losses == 1)
        #expect(Set(stepper.takeTold()) == ["add new", "change old", "add sub/x"])
        stepper.place = ["": FileTree.Scan(files: ["new"])]
        stepper.changed = [:]
        stepper.perform(stepper.tree.received([.init(.init(-1), .overflow)], now: stepper.now))
        stepper.pass(.seconds(1))
        #expect(Set(stepper.takeTold()) == ["unlink old", "unlink sub/x", "unlinkDir sub"])
    }

    @Test func theEndOfTheTopIsTheEnd() throws {
        var stepper = try Self.known()
        stepper.says(0, [.deleted], "old")
        stepper.says(0, [.deleted], "sub", isDirectory: true)
        stepper.perform(stepper.tree.received([.init(.init(0), .selfGone), .init(.init(0), .ended)], now: stepper.now))
        #expect(stepper.takeTold() == ["unlinkDir sub", "unlink old", "unlinkDir "])
        let isOver = stepper.isOver
        #expect(isOver)
    }

    @Test func tooManyDirectoriesLeaveTheDeepestUnwatchedAndSaySo() throws {
        var limits = WatchTree.Limits()
        limits.directories = 3
        var stepper = Stepper(tree: WatchTree(ignoring: try GlobSet([]), limits: limits))
        stepper.place = [
            "": FileTree.Scan(directories: ["a", "b"]), "a": FileTree.Scan(directories: ["deep"]), "b": FileTree.Scan(),
        ]
        stepper.perform(stepper.tree.start())
        #expect(stepper.tree.watchCount == 3)
        #expect(stepper.degradations == [.directories])
        #expect(stepper.watches["a/deep"] == nil)
    }

    @Test func tooManyNamesAreNotKeptAndThatIsSaid() throws {
        var limits = WatchTree.Limits()
        limits.entries = 2
        var stepper = Stepper(tree: WatchTree(ignoring: try GlobSet([]), limits: limits))
        stepper.place = ["": FileTree.Scan(files: ["a", "b", "c", "d"])]
        stepper.perform(stepper.tree.start())
        #expect(stepper.degradations == [.entries])
        stepper.says(0, [.deleted], "a")
        // One that was not kept was there, as far as anybody knows.
        stepper.says(0, [.modified, .written], "d")
        stepper.pass(.seconds(1))
        #expect(Set(stepper.takeTold()) == ["unlink a", "change d"])
    }
}

/// Does what the machine orders, over directories that a test makes up.
private struct Stepper: ~Copyable {
    var tree: WatchTree
    var place: [String: FileTree.Scan] = [:]
    var changed: [String: Set<String>] = [:]
    var now: Duration = .zero
    var watches: [String: Int32] = [:]
    var told: [String] = []
    var unwatched: [WatchQueue.Watch] = []
    var losses = 0
    var degradations: [WatchTree.Degradation] = []
    var isOver = false

    init(tree: consuming WatchTree) { self.tree = tree }

    mutating func perform(_ orders: [WatchTree.Order]) {
        var orders = orders[...]
        while let order = orders.popFirst() {
            switch order {
            case .scan(let id):
                guard let path = tree.pathToScan(id) else { continue }
                guard let scan = place[path] else {
                    orders += tree.refused(id, nil)
                    continue
                }
                let watch = watches[path] ?? Int32(watches.count)
                watches[path] = watch
                orders += tree.scanned(id, WatchQueue.Watch(watch), scan, changed: changed[path] ?? [], now: now)
            case .unwatch(let watch): unwatched.append(watch)
            case .tell(let change): told.append("\(change.kind.rawValue) \(change.path)")
            case .reportLoss: losses += 1
            case .degrade(let degradation): degradations.append(degradation)
            case .end: isOver = true
            }
        }
    }

    mutating func sayAll(_ records: [(watch: Int32, happening: WatchQueue.Happening, name: String)]) {
        perform(tree.received(records.map { .init(.init($0.watch), $0.happening, $0.name) }, now: now))
    }

    mutating func says(
        _ watch: Int32, _ happenings: [WatchQueue.Happening], _ name: String, isDirectory: Bool = false
    ) {
        perform(
            tree.received(
                happenings.map { .init(.init(watch), $0, name, isDirectory: isDirectory) }, now: now))
    }

    mutating func pass(_ duration: Duration) {
        now += duration
        perform(tree.ticked(now: now))
    }

    mutating func takeTold() -> [String] {
        defer { told = [] }
        return told
    }
}
