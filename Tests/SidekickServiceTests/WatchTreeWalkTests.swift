import LinuxSystem
import SidekickService
import Testing

/// Random changes of a tree, with the machine looking and listening at any moment in between. Whoever applies what is told
/// must end up with the tree as it is, and must never be told what cannot be.
struct WatchTreeWalkTests {
    @Test(arguments: 0..<150)
    func whatIsToldAddsUpToWhatIsThere(walk: Int) throws {
        try check(seed: .random(in: 0 ... .max), overflows: walk % 3 == 0)
    }

    /// Walks that went wrong once. In this one a directory was moved and another made in its place, of which the kernel's
    /// word was lost.
    @Test(arguments: [10_361_832_712_106_067_336])
    func walksThatWentWrongGoRight(seed: UInt64) throws { try check(seed: seed, overflows: true) }

    private func check(seed: UInt64, overflows: Bool) throws {
        var world = World(seed: seed, overflows: overflows)
        world.run(steps: 300)
        #expect(world.failures == [], "seed \(seed), overflows \(overflows)")
        #expect(world.view == world.truth(), "seed \(seed), overflows \(overflows)")
    }
}

/// A file system with inotify, a machine that watches it, and a client that believes what it is told.
private struct World: ~Copyable {
    final class Node {
        let isDirectory: Bool
        var children: [String: Node] = [:]
        var watch: Int32?
        init(isDirectory: Bool) { self.isDirectory = isDirectory }
    }

    var random: Seeded
    let overflows: Bool
    let top = Node(isDirectory: true)
    var records: [WatchQueue.Record] = []
    var nextWatch: Int32 = 0
    var tree: WatchTree
    var scans: [WatchTree.DirectoryID] = []
    var now: Duration = .zero
    var isReady = false
    /// By path; whether it is a directory.
    var view: [String: Bool] = [:]
    var failures: [String] = []

    init(seed: UInt64, overflows: Bool) {
        random = Seeded(state: seed)
        self.overflows = overflows
        tree = WatchTree(ignoring: try! GlobSet([]))
    }

    mutating func run(steps: Int) {
        for _ in 0..<10 { change() }
        records = []
        perform(tree.start())
        while let id = scans.first {
            scans.removeFirst()
            scan(id)
        }
        view = truth()
        isReady = true
        for _ in 0..<steps {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5: change()
            case 5, 6:
                if let id = scans.first {
                    scans.removeFirst()
                    scan(id)
                }
            case 7, 8: read(Int.random(in: 1...8, using: &random))
            default:
                now += .milliseconds(Int.random(in: 1...80, using: &random))
                perform(tree.ticked(now: now))
            }
        }
        while !records.isEmpty || !scans.isEmpty || tree.nextDeadline != nil {
            while !scans.isEmpty { scan(scans.removeFirst()) }
            read(.max)
            now += .seconds(1)
            perform(tree.ticked(now: now))
        }
    }

    // MARK: The file system

    private mutating func change() {
        let names = ["a", "b", "c"]
        let (directory, _) = pickDirectory()
        let name = names.randomElement(using: &random)!
        switch (directory.children[name], Int.random(in: 0..<4, using: &random)) {
        case (nil, 0...1):
            directory.children[name] = Node(isDirectory: false)
            say(directory, .created, name)
            if Bool.random(using: &random) { write(directory, name) }
        case (nil, _):
            directory.children[name] = Node(isDirectory: true)
            say(directory, .created, name, isDirectory: true)
        case (let node?, 0): remove(directory, name, node)
        case (let node?, 1...2): rename(directory, name, node)
        case (let node?, _): if !node.isDirectory { write(directory, name) }
        }
    }

    private mutating func write(_ directory: Node, _ name: String) {
        say(directory, .modified, name)
        if Bool.random(using: &random) { say(directory, .written, name) }
    }

    private mutating func remove(_ directory: Node, _ name: String, _ node: Node) {
        for (child, below) in node.children { remove(node, child, below) }
        directory.children[name] = nil
        say(directory, .deleted, name, isDirectory: node.isDirectory)
        guard let watch = node.watch else { return }
        append(.init(.init(watch), .selfGone))
        append(.init(.init(watch), .ended))
        node.watch = nil
    }

    private mutating func rename(_ directory: Node, _ name: String, _ node: Node) {
        let (target, _) = pickDirectory()
        let newName = ["a", "b", "c"].randomElement(using: &random)!
        guard !contains(node, target), target.children[newName] !== node else { return }
        if let replaced = target.children[newName] {
            guard !replaced.isDirectory, !node.isDirectory else { return }
        }
        directory.children[name] = nil
        target.children[newName] = node
        say(directory, .movedFrom, name, isDirectory: node.isDirectory)
        say(target, .movedTo, newName, isDirectory: node.isDirectory)
        if let watch = node.watch { append(.init(.init(watch), .selfGone)) }
    }

    private func contains(_ node: Node, _ other: Node) -> Bool {
        node === other || node.children.values.contains { contains($0, other) }
    }

    private mutating func pickDirectory() -> (Node, String) {
        var node = top
        var path = ""
        while Bool.random(using: &random) {
            let below = node.children.filter { $0.value.isDirectory }.sorted { $0.key < $1.key }
            guard let next = below.randomElement(using: &random) else { break }
            node = next.value
            path += "/" + next.key
        }
        return (node, path)
    }

    private mutating func say(
        _ directory: Node, _ happening: WatchQueue.Happening, _ name: String, isDirectory: Bool = false
    ) {
        guard let watch = directory.watch else { return }
        append(.init(.init(watch), happening, name, isDirectory: isDirectory))
    }

    private mutating func append(_ record: WatchQueue.Record) {
        guard overflows, isReady, records.count > 12 else { return records.append(record) }
        if records.last?.happening != .overflow { records.append(.init(.init(-1), .overflow)) }
    }

    func truth() -> [String: Bool] {
        var paths: [String: Bool] = [:]
        func walk(_ node: Node, _ prefix: String) {
            for (name, child) in node.children {
                paths[prefix + name] = child.isDirectory
                walk(child, prefix + name + "/")
            }
        }
        walk(top, "")
        return paths
    }

    private func find(_ path: String) -> Node? {
        path.split(separator: "/").reduce(Optional(top)) { $0?.children[String($1)] }
    }

    private func find(_ watch: Int32, in node: Node? = nil) -> Node? {
        let node = node ?? top
        if node.watch == watch { return node }
        for child in node.children.values where child.isDirectory {
            if let found = find(watch, in: child) { return found }
        }
        return nil
    }

    // MARK: The shell

    private mutating func read(_ count: Int) {
        let batch = Array(records.prefix(count))
        records.removeFirst(batch.count)
        perform(tree.received(batch, now: now))
    }

    private mutating func scan(_ id: WatchTree.DirectoryID) {
        guard let path = tree.pathToScan(id) else { return }
        guard let node = find(path), node.isDirectory else { return perform(tree.refused(id, nil)) }
        if node.watch == nil {
            node.watch = nextWatch
            nextWatch += 1
        }
        let found = FileTree.Scan(
            files: node.children.filter { !$0.value.isDirectory }.map(\.key),
            directories: node.children.filter { $0.value.isDirectory }.map(\.key))
        perform(
            tree.scanned(
                id, .init(node.watch!), found, changed: tree.isRepeated(id) ? Set(found.files) : [], now: now))
    }

    private mutating func perform(_ orders: [WatchTree.Order]) {
        for order in orders {
            switch order {
            case .scan(let id): scans.append(id)
            case .unwatch(let watch):
                find(watch.number)?.watch = nil
                append(.init(watch, .ended))
            case .tell(let change): apply(change)
            case .reportLoss: break
            case .degrade, .end: failures.append("\(order)")
            }
        }
    }

    private mutating func apply(_ change: FileChange) {
        let known = view[change.path]
        let isPossible =
            switch change.kind {
            case .add, .addDir: known == nil
            case .change, .unlink: known == false
            case .unlinkDir: known == true
            }
        if !isPossible { failures.append("\(change.kind) \(change.path), known: \(String(describing: known))") }
        switch change.kind {
        case .add: view[change.path] = false
        case .addDir: view[change.path] = true
        case .change: break
        case .unlink, .unlinkDir: view[change.path] = nil
        }
    }
}

private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
