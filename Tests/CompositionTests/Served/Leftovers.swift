import Crypto
import Foundation

/// What of a served system is on this machine, read from the machine itself and not from what the system says.
struct Leftovers: Sendable, CustomStringConvertible {
    /// Each a kind and a name: `mount /tmp/x/members/y/disk/rootfs`.
    private(set) var found: [String] = []

    var isEmpty: Bool { found.isEmpty }
    var description: String { found.isEmpty ? "nothing" : found.joined(separator: "\n") }

    /// Everything of the system that keeps its data there, whose `serve` has ended.
    init(of dataDirectory: String) async {
        await look(for: dataDirectory)
        // The kernel lets go of the device of a disk that is unmounted with its last user, and whoever has just made a mount
        // namespace, as every sandbox begins, is one for a moment. Nothing else comes later.
        let end = ContinuousClock.now + .seconds(30)
        while !isEmpty, found == Self.loops(dataDirectory), ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(20))
            await look(for: dataDirectory)
        }
    }

    private mutating func look(for dataDirectory: String) async {
        let tag = Self.tag(of: dataDirectory)
        found = [
            Self.processes(dataDirectory, tag), Self.mounts(dataDirectory), Self.loops(dataDirectory),
            Self.names(in: "/run/netns", "namespace") { $0.hasPrefix("csdk-\(tag)-") }, Self.interfaces(tag),
            await Self.tables(tag), Self.cgroups(tag), Self.files(dataDirectory),
        ].flatMap { $0 }
    }

    /// The names of members whose container was started: not of grounds that are laid ahead.
    static func started(of dataDirectory: String) -> Set<String> {
        Set(trees(tag(of: dataDirectory)).flatMap(directories))
    }

    /// The names of members that have anything on the machine.
    static func members(of dataDirectory: String) -> Set<String> {
        let tag = tag(of: dataDirectory)
        var names = Set(list("\(dataDirectory)/members"))
        for name in list("/run/netns") where name.hasPrefix("csdk-\(tag)-") {
            names.insert(String(name.dropFirst("csdk-\(tag)-".count)))
        }
        for tree in trees(tag) { names.formUnion(directories(tree)) }
        let prefix = "\(dataDirectory)/members/"
        for line in text("/proc/self/mountinfo").split(separator: "\n") {
            for word in line.split(separator: " ") where word.hasPrefix(prefix) {
                names.insert(String(word.dropFirst(prefix.count).prefix { $0 != "/" }))
            }
        }
        return names
    }

    /// First digits of a hash of the data directory's path; whatever of a system is outside the directory carries it.
    static func tag(of dataDirectory: String) -> String {
        SHA256.hash(data: Data(dataDirectory.utf8)).prefix(3).map { String(format: "%02x", $0) }.joined()
    }

    // MARK: - The machine's tables

    private static func processes(_ dataDirectory: String, _ tag: String) -> [String] {
        list("/proc").compactMap { Int32($0) }.filter { $0 != getpid() }.compactMap { pid in
            let arguments = text("/proc/\(pid)/cmdline").replacingOccurrences(of: "\0", with: " ")
            // The processes of a container have their memory to themselves, and no arguments that can be read.
            guard arguments.contains(dataDirectory) || text("/proc/\(pid)/cgroup").contains("/computesdk-\(tag)"),
                !isZombie(pid)
            else { return nil }
            return "process \(pid) \(arguments.prefix(200))"
        }
    }

    private static func isZombie(_ pid: Int32) -> Bool {
        let stat = text("/proc/\(pid)/stat")
        guard let end = stat.lastIndex(of: ")") else { return true }
        return stat[end...].dropFirst(2).hasPrefix("Z")
    }

    private static func mounts(_ dataDirectory: String) -> [String] {
        text("/proc/self/mountinfo").split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 4, line.contains(dataDirectory) else { return nil }
            return "mount \(fields[4])"
        }
    }

    private static func loops(_ dataDirectory: String) -> [String] {
        list("/sys/block").filter { $0.hasPrefix("loop") }.compactMap { device in
            let file = text("/sys/block/\(device)/loop/backing_file")
            return file.contains(dataDirectory) ? "loop device \(device) \(file)" : nil
        }
    }

    /// The bridge, and ends of cables that carry a member's name.
    private static func interfaces(_ tag: String) -> [String] {
        list("/sys/class/net").compactMap { name in
            let alias = text("/sys/class/net/\(name)/ifalias")
            guard name == "csdk\(tag)" || alias.contains("csdk-\(tag)-") else { return nil }
            return "interface \(name) \(alias)"
        }
    }

    private static func tables(_ tag: String) async -> [String] {
        guard let output = try? await HostCommand.output("nft", ["list", "tables"]) else { return [] }
        return output.split(separator: "\n").filter { $0.contains("computesdk_\(tag)") }.map { "firewall \($0)" }
    }

    private static func cgroups(_ tag: String) -> [String] { trees(tag).map { "control group \($0)" } }

    /// The folder of a system in each hierarchy, also where the hierarchies are not at their root for us.
    private static func trees(_ tag: String) -> [String] {
        let points = text("/proc/self/mountinfo").split(separator: "\n").compactMap { line -> String? in
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count, fields[dash + 1].hasPrefix("cgroup")
            else { return nil }
            return String(fields[4])
        }
        return Set(points).sorted().flatMap { point in
            ([point] + directories(point).map { "\(point)/\($0)" })
                .map { "\($0)/computesdk-\(tag)" }
                .filter { FileManager.default.fileExists(atPath: $0) }
        }
    }

    /// What a stopped system keeps in its folder is its data, and nothing that belonged to a compute or to a run of it.
    private static func files(_ dataDirectory: String) -> [String] {
        let transient = ["members", "runsc", "network/policies", "network/leases/csdk\(tag(of: dataDirectory))"].flatMap
        { folder in
            // `host-local` keeps its lock and its last address there, for the next run.
            names(in: "\(dataDirectory)/\(folder)", "file") { $0 != "lock" && !$0.hasPrefix("last_reserved_ip") }
        }
        return transient + names(in: dataDirectory, "file") { $0.hasSuffix(".sock") || $0.hasSuffix(".new") }
    }

    // MARK: - Reading

    private static func names(in folder: String, _ kind: String, _ matches: (String) -> Bool) -> [String] {
        list(folder).filter(matches).map { "\(kind) \(folder)/\($0)" }
    }

    private static func list(_ folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }

    private static func directories(_ folder: String) -> [String] {
        list(folder).filter { name in
            var isDirectory: ObjCBool = false
            return FileManager.default.fileExists(atPath: "\(folder)/\(name)", isDirectory: &isDirectory)
                && isDirectory.boolValue
        }
    }

    private static func text(_ path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
