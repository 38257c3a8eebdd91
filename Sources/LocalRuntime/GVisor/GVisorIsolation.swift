import ComputeCore
import ComputeRuntime
import Crypto
import FoundationEssentials
import GVisor
import Glibc
import LinuxHost
import Logging
import OCIImages
import Synchronization

/// Members in gVisor: each a container with its own disk, address and limits.
///
/// ```
///   members/<name>/            record, log, mark, bundle/config.json, pid
///                  disk/       disk.img ─loop─► layer ─overlay─► rootfs      over  agent layer : image
///   /computesdk-<tag>/<name>   control group: limits, freezer, and the list of what to end
///   csdk-<tag>-<name>          network namespace, one address on the bridge csdk<tag>
///   filesystems/<id>/          what outlives members: `VolumeDisk`
///   kept/<compute>/            and disks of theirs that do: `KeptDisk`
/// ```
/// `tag` stands for the data directory. Several instances on one machine therefore never touch each other's, and what
/// a crash of ours left is found on the machine itself, by name.
final class GVisorIsolation: Isolation {
    /// What a container may take beside its compute's own memory: gVisor's kernel and file server, some 16 MiB; the host's
    /// tasks that processes inside stand on, some 100 MiB for a few hundred of them; and what programs fill before the
    /// Sidekick, which on a crowded machine has to wait for a processor, has ended them.
    private static let memoryAllowance: Int64 = 384 << 20

    let members: String
    let settings: GVisorSettings
    let sidekick: String
    let claimKey: String
    let dns: [String]
    let tools: Tools
    let runsc: Runsc
    let cgroups: CgroupTree
    let network: HostNetwork
    let shelf: ImageShelf
    let volumeTurns = Turns<FilesystemID>()
    let diskTurns = Turns<ComputeID>()
    let networkTurns = Turns<MemberName>()
    let dataDirectory: String
    let watch = ProcessWatch()
    let grounds: Grounds
    let logger: Logger
    /// Members that were started here and have not ended.
    let running = Mutex<Set<MemberName>>([])
    /// The packet filter is there, with all that earlier processes set.
    let isNetworkReady = Mutex(false)
    private let template = Mutex<Blueprint?>(nil)

    /// What a member is made of.
    struct Blueprint: Sendable {
        var image: StoredImage
        var layer: AgentLayer
        var resources: ComputeResources
    }

    init(
        dataDirectory: String, members: String, sidekick: String, claimKey: String, settings: GVisorSettings,
        runsc: Runsc, cgroups: CgroupTree, tools: Tools, tag: String, logger: Logger
    ) throws(RuntimeError) {
        self.dataDirectory = dataDirectory
        self.members = members
        self.sidekick = sidekick
        self.claimKey = claimKey
        self.settings = settings
        self.runsc = runsc
        self.cgroups = cgroups
        self.tools = tools
        self.logger = logger
        dns = settings.dns.isEmpty ? Resolvers.ofThisMachine : settings.dns
        var networking = HostNetwork.Settings(
            tag: tag, stateDirectory: "\(dataDirectory)/network", internet: settings.internet, dns: dns,
            subnet: settings.subnet)
        if let directories = settings.pluginDirectories { networking.pluginDirectories = directories }
        network = HostNetwork(settings: networking, tools: tools)
        grounds = Grounds(target: settings.groundsAhead)
        shelf = ImageShelf(store: ImageStore(folder: settings.imageDirectory, tools: tools))
        try requireExecutable(sidekick)
    }

    /// Everything of one instance carries it: first digits of a hash of the data directory's real path.
    static func tag(of dataDirectory: String) -> String {
        let digest = SHA256.hash(data: Data(dataDirectory.utf8))
        return digest.prefix(3).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    var abilities: RuntimeAbilities {
        var abilities: RuntimeAbilities = [.isolated, .resources, .images, .filesystems, .keepDisk, .network]
        if cgroups.canFreeze { abilities.insert(.freeze) }
        return abilities
    }

    var description: RuntimeDescription {
        RuntimeDescription(
            isolation: "gvisor", abilities: abilities,
            gvisor: .init(
                version: runsc.abilities.version, platform: runsc.abilities.platform, network: runsc.abilities.network),
            cgroup: cgroups.version, defaultImage: settings.image, defaultResources: settings.resources)
    }

    // MARK: - Before the first start

    func prepare() async throws(RuntimeError) {
        for warning in cgroups.warnings {
            logger.warning("A limit does not hold here", metadata: ["reason": "\(warning)"])
        }
        // Before the table is written, in which the rules of such a one would be missing; and after it, which may have taken
        // the network from some.
        await endUnreachable()
        do throws(HostError) {
            for warning in try await network.prepare() {
                logger.warning("The computes' network is not as set", metadata: ["reason": "\(warning)"])
            }
            isNetworkReady.withLock { $0 = true }
        } catch {
            throw RuntimeError(error)
        }
        await endUnreachable()
        // It may have been frozen on its way to its taker; of one that is paused the sweep sees that.
        for survey in survey() where survey.isAlive { try? cgroups.group(survey.member.name.rawValue).thaw() }
        await unmountUnusedVolumes()
        // What a process that was killed left half made may be of an image that nobody asks for again.
        await shelf.store.removeLeftovers()
        let reference: ImageReference
        do throws(ImageError) { reference = try ImageReference(settings.image) } catch { throw RuntimeError(error) }
        let progress = settings.progress
        let made = await withTaskCancellationHandler { () async -> Result<Blueprint, RuntimeError> in
            do throws(RuntimeError) {
                return .success(
                    try await blueprint(
                        reference, settings.resources, deadline: .now + .seconds(3600),
                        progress: { progress($0.phase, $0.fraction) }))
            } catch {
                return .failure(error)
            }
        } onCancel: {
            shelf.cancelAll()
        }
        let ready = try made.get()
        do throws(HostError) {
            try await OverlayDisk.prepareTemplate(
                sizeBytes: Int(settings.diskBytes), in: diskTemplates, tools: tools)
        } catch {
            throw RuntimeError(error)
        }
        template.withLock { $0 = ready }
    }

    /// A compute that an earlier process left may have lost its network to another setting, or its address with the file
    /// that keeps it: nobody will reach it any more, or its address is the next one's. The sweep shall see that.
    private func endUnreachable() async {
        let attached = network.attached()
        for survey in survey() where survey.isAlive && !attached.contains(survey.member.name.rawValue) {
            let group = cgroups.group(survey.member.name.rawValue)
            try? group.thaw()
            try? await group.killAll(deadline: .seconds(5))
        }
    }

    func blueprint(_ order: MemberOrder, deadline: ContinuousClock.Instant) async throws(RuntimeError) -> Blueprint {
        guard let template = template.withLock({ $0 }) else {
            throw RuntimeError(.unavailable, "the runtime is not prepared")
        }
        let resources = order.resources?.over(settings.resources) ?? settings.resources
        guard let image = order.image else {
            return Blueprint(image: template.image, layer: template.layer, resources: resources)
        }
        let reference: ImageReference
        do throws(ImageError) {
            reference = try ImageReference(fromRequest: image, own: OwnAddresses.now())
        } catch {
            throw RuntimeError(error)
        }
        return try await blueprint(reference, resources, deadline: deadline)
    }

    private func blueprint(
        _ reference: ImageReference, _ resources: ComputeResources, deadline: ContinuousClock.Instant,
        progress: @escaping ImageProgress.Report = { _ in }
    ) async throws(RuntimeError) -> Blueprint {
        let image = try await shelf.image(reference, deadline: deadline, progress: progress)
        let layer = try await BlockingThreads.run { [dataDirectory, sidekick, dns] () throws(RuntimeError) in
            try AgentLayer.make(
                in: "\(dataDirectory)/agent", sidekick: sidekick, image: image, dns: dns)
        }
        return Blueprint(image: image, layer: layer, resources: resources)
    }

    // MARK: - Parts

    var diskTemplates: String { "\(dataDirectory)/disks" }

    func limits(_ resources: ComputeResources) -> CgroupLimits {
        CgroupLimits(
            memoryBytes: resources.memoryBytes.map { Int($0 + Self.memoryAllowance) }, cpus: resources.cpus,
            processes: Self.hostTasks(settings.maxProcesses))
    }

    /// What counts is the limit inside. On the host each process inside is a task for every thread of gVisor that ever ran
    /// it (35 were seen under ptrace), kept for the next one; a sandbox that gets none when it wants one is dead. The bound is
    /// there so that none takes all that the machine has.
    private static func hostTasks(_ maxProcesses: Int) -> Int {
        let machine = (try? String(contentsOfFile: "/proc/sys/kernel/pid_max", encoding: .utf8)).flatMap {
            Int($0.prefix { $0.isNumber })
        }
        return min(maxProcesses * 64 + 1024, max(4096, (machine ?? 32768) / 4))
    }

    func disk(_ directory: MemberDirectory) -> OverlayDisk {
        OverlayDisk(folder: "\(directory.path)/disk", templates: diskTemplates, tools: tools)
    }

    func directory(_ name: MemberName) throws(RuntimeError) -> MemberDirectory {
        guard let directory = MemberDirectory(members: members, name: name) else {
            throw RuntimeError(.unavailable, "\(name) is no member's name")
        }
        return directory
    }

    // MARK: - Freezing

    func take(_ name: MemberName) throws(RuntimeError) {
        try directory(name).markTaken()
        try thaw(name)
    }

    func freeze(_ name: MemberName) throws(RuntimeError) {
        guard cgroups.canFreeze else { throw RuntimeError(.unsupported, "this machine has no freezer") }
        do throws(HostError) { try cgroups.group(name.rawValue).freeze() } catch { throw RuntimeError(error) }
    }

    func thaw(_ name: MemberName) throws(RuntimeError) {
        guard cgroups.canFreeze else { return }
        do throws(HostError) { try cgroups.group(name.rawValue).thaw() } catch { throw RuntimeError(error) }
    }
}

extension RuntimeError {
    init(_ error: HostError) {
        let code: Code =
            switch error.code {
            case .exhausted: .outOfCapacity
            case .deadlineExceeded: .deadlineExceeded
            default: .unavailable
            }
        self.init(code, error.message, cause: error)
    }

    init(_ error: RunscError) {
        let code: Code =
            switch error.code {
            case .deadlineExceeded: .deadlineExceeded
            case .unavailable, .cancelled, .failed: .unavailable
            }
        self.init(code, error.message, cause: error)
    }
}
