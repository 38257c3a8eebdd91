package import ComputeCore
package import ComputeRuntime
import GVisor
import Glibc
import LinuxHost
package import Logging

extension MachineRuntime {
    /// Members in gVisor. Finds out what this machine can do, by trying; makes nothing that stays.
    /// - Throws: `.unavailable` with the reason where gVisor cannot run.
    package static func gvisor(
        _ settings: Settings, _ gvisor: GVisorSettings, logger: Logger, clock: any WallClock = SystemWallClock()
    ) async throws(RuntimeError) -> MachineRuntime {
        for directory in [settings.dataDirectory, settings.members] {
            guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw .system("cannot make \(directory)") }
        }
        // The kernel's tables have real paths, and two names of one folder must not look like two instances.
        guard let real = realpath(settings.dataDirectory, nil) else {
            throw .system("cannot find \(settings.dataDirectory)")
        }
        defer { free(real) }
        var settings = settings
        settings.dataDirectory = String(cString: real)
        // A start is mostly gVisor's own work on a processor.
        settings.concurrentStarts = min(8, max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        settings.startDeadline = .seconds(30)
        let tag = GVisorIsolation.tag(of: settings.dataDirectory)
        let tools = gvisor.searchPath.map { Tools(path: $0) } ?? .ofThisProcess
        let runsc: Runsc
        do throws(RunscError) {
            runsc = try await Runsc.probe(
                executable: gvisor.runsc, root: "\(settings.dataDirectory)/runsc",
                memory: "\(settings.dataDirectory)/runsc.json", platform: gvisor.platform,
                tools: tools)
        } catch {
            throw RuntimeError(.unavailable, error.message, cause: error)
        }
        let cgroups: CgroupTree
        do throws(HostError) { cgroups = try CgroupTree.detect(tree: "/computesdk-\(tag)") } catch {
            throw RuntimeError(error)
        }
        return try MachineRuntime(
            settings: settings,
            isolation: GVisorIsolation(
                dataDirectory: settings.dataDirectory, members: settings.members, sidekick: settings.sidekick,
                claimKey: settings.claimKey, settings: gvisor, runsc: runsc, cgroups: cgroups, tools: tools, tag: tag,
                logger: logger), logger: logger, clock: clock)
    }
}
