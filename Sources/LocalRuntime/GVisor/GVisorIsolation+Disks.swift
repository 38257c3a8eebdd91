import ComputeCore
import ComputeRuntime
import GVisor
import Glibc
import LinuxHost
import Logging
import OCIImages

// A disk that is kept is a file in a folder of its own, moved there while its member still writes to it: the kernel knows
// the file, not its name. From then on nothing that happens to a member happens to it.
//
//   members/<name>/disk/disk.img ── keepDisk ──► kept/<compute>/disk.img ── the next member's loop device
//
// Who has one is read from the kernel's loop devices, so a crash leaves nothing to be put right.
extension GVisorIsolation {
    /// What programs wrote is in gVisor's memory until it has written it out, which takes as long as a busy disk needs.
    private static let quiesceDeadline: Duration = .seconds(20)

    private static let releaseDelay: Duration = .seconds(2)

    private var keptFolder: String { "\(dataDirectory)/kept" }

    func kept(_ id: ComputeID) -> KeptDisk { KeptDisk(folder: "\(keptFolder)/\(id)") }

    func keptDisks() -> [ComputeID] { DirectoryListing.names(in: keptFolder).compactMap { ComputeID($0) } }

    func keepDisk(of name: MemberName, as id: ComputeID) async throws(RuntimeError) {
        let directory = try directory(name)
        let (kept, disk) = (kept(id), disk(directory))
        try await diskTurns.run(id) { () async throws(RuntimeError) in
            try await BlockingThreads.run { () throws(RuntimeError) in
                guard !kept.isThere else { return }
                guard let digest = directory.record()?.image else {
                    throw RuntimeError(.unavailable, "the disk of \(name) cannot be kept")
                }
                do throws(HostError) { try kept.take(disk.image, image: digest) } catch { throw RuntimeError(error) }
            }
        }
    }

    func removeDisk(_ id: ComputeID) async throws(RuntimeError) {
        let kept = kept(id)
        try await diskTurns.run(id) { () async throws(RuntimeError) in
            // The kernel lets go of it after the unmount has returned, and whoever has just made a mount namespace, as every
            // sandbox begins, is a user for a moment.
            let giveUp = ContinuousClock.now + Self.releaseDelay
            while kept.isInUse, ContinuousClock.now < giveUp { await pause() }
            try await BlockingThreads.run { () throws(RuntimeError) in
                guard !kept.isInUse else { throw RuntimeError(.unavailable, "a member has the disk \(id)") }
                try DirectoryRemoval.remove(kept.folder)
            }
        }
    }

    func quiesce(_ name: MemberName) async {
        guard let directory = try? directory(name), let process = directory.record()?.process, process.isAlive else {
            return
        }
        try? thaw(name)
        do throws(RunscError) {
            try await runsc.signal(name.rawValue, "TERM")
        } catch {
            logger.warning("A member cannot be asked to end", metadata: ["member": "\(name)", "error": "\(error)"])
            return
        }
        let giveUp = ContinuousClock.now + Self.quiesceDeadline
        while process.isAlive {
            guard ContinuousClock.now < giveUp else {
                logger.warning("A member does not end by itself", metadata: ["member": "\(name)"])
                return
            }
            await pause()
        }
    }

    /// What a member on a kept disk is made of: what its first one was, as far as that is the disk's.
    func blueprint(
        on id: ComputeID, _ order: MemberOrder
    ) async throws(RuntimeError) -> Blueprint {
        let kept = kept(id)
        let (store, resources) = (shelf.store, order.resources?.over(settings.resources) ?? settings.resources)
        return try await BlockingThreads.run { [dataDirectory, sidekick, dns] () throws(RuntimeError) in
            guard kept.isThere, let digest = kept.imageDigest else {
                throw RuntimeError(.unavailable, "there is no disk \(id)")
            }
            guard let image = store.stored(digest: digest) else {
                throw RuntimeError(
                    .unavailable, "the image \(digest) that the disk \(id) stands on is not there any more")
            }
            let layer = try AgentLayer.make(in: "\(dataDirectory)/agent", sidekick: sidekick, image: image, dns: dns)
            return Blueprint(image: image, layer: layer, resources: resources)
        }
    }

    /// Waits, until the deadline, while another member has it, which is about to go.
    func mount(
        _ directory: MemberDirectory, _ blueprint: Blueprint, on id: ComputeID, deadline: ContinuousClock.Instant
    ) async throws(RuntimeError) -> String {
        let kept = kept(id)
        let disk = OverlayDisk(
            folder: "\(directory.path)/disk", templates: diskTemplates, image: kept.image, tools: tools)
        while true {
            let rootfs = try await diskTurns.run(id) { () async throws(RuntimeError) -> String? in
                guard !kept.isInUse else { return nil }
                do throws(HostError) {
                    return try await disk.mount(
                        lower: [blueprint.layer.folder, blueprint.image.rootfs], sizeBytes: nil)
                } catch {
                    throw RuntimeError(error)
                }
            }
            if let rootfs { return rootfs }
            guard ContinuousClock.now < deadline, !Task.isCancelled else {
                throw RuntimeError(.deadlineExceeded, "the disk \(id) is still in use by another member")
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }
}

extension MachineRuntime {
    /// The digests of the images that kept disks stand on.
    package static func imagesOfKeptDisks(below dataDirectory: String) -> Set<String> {
        Set(
            DirectoryListing.names(in: "\(dataDirectory)/kept").compactMap {
                KeptDisk(folder: "\(dataDirectory)/kept/\($0)").imageDigest
            })
    }
}
