import ComputeCore
import ComputeRuntime
import GVisor
import Glibc
import LinuxHost
import Logging
import OCIImages
import SidekickProtocol
import Synchronization

// folder ─► disk ─────┐
//        └► network ──┴► filesystems ─► control group ─► bundle ─► runsc ─► record ─► ready line
//  (the ground, mostly laid ahead)
//
// Whatever is cut off anywhere is found by its name; whoever called `start` removes it.
extension GVisorIsolation {
    func start(
        _ name: MemberName, _ order: MemberOrder, startedAt: WallTime, deadline: ContinuousClock.Instant,
        onEnd: @escaping @Sendable () -> Void
    ) async throws(RuntimeError) -> Member {
        let directory = try directory(name)
        let blueprint: Blueprint =
            if let disk = order.disk {
                try await self.blueprint(on: disk, order)
            } else {
                try await self.blueprint(order, deadline: deadline)
            }
        do throws(RuntimeError) {
            return try await within(deadline) { () async throws(RuntimeError) in
                try await self.build(
                    directory, blueprint, order, startedAt: startedAt, deadline: deadline, onEnd: onEnd)
            }
        } catch {
            _ = running.withLock { $0.remove(name) }
            let log = String(decoding: (readSmallFile(directory.log) ?? []).suffix(500), as: UTF8.self)
            throw log.isEmpty || error.message.contains(log)
                ? error : RuntimeError(error.code, "\(error.message); it said: \(log)", cause: error)
        }
    }

    private func build(
        _ directory: MemberDirectory, _ blueprint: Blueprint, _ order: MemberOrder, startedAt: WallTime,
        deadline: ContinuousClock.Instant, onEnd: @escaping @Sendable () -> Void
    ) async throws(RuntimeError) -> Member {
        let name = directory.name
        let bundle = bundle(directory)
        let ground: Grounds.Ground
        if let laid = grounds.claim(name) {
            ground = laid
        } else {
            ground = try await lay(directory, blueprint, on: order.disk, deadline: deadline)
        }
        let attachment = ground.attachment
        let group = cgroups.group(name.rawValue)
        var container = container(name, blueprint, ground)
        container.hostFolders = try await mountVolumes(order.mounts, for: name, deadline: deadline)
        let bundled = container
        let limits = limits(blueprint.resources)
        try await BlockingThreads.run { () throws(RuntimeError) in
            do throws(HostError) { _ = try group.create(limits) } catch { throw RuntimeError(error) }
            do throws(RunscError) { try bundled.write(to: bundle) } catch { throw RuntimeError(error) }
        }
        let pipe = try ReadyPipe()
        let pid: Int32
        do throws(RunscError) {
            pid = try await runsc.run(
                id: name.rawValue, bundle: bundle, cgroup: group.joinFiles, standardOutput: pipe.writeEnd,
                standardError: directory.log, pidFile: "\(directory.path)/pid", deadline: deadline - .now)
        } catch {
            throw RuntimeError(error)
        }
        guard let process = ProcessIdentity(pid: pid) else {
            throw RuntimeError(.unavailable, "the sandbox ended at once")
        }
        let member = Member(
            name: name, sidekick: .tcp(host: attachment.address, port: SidekickPorts.requests),
            sidekickInternal: .tcp(host: attachment.address, port: SidekickPorts.claims), portHost: attachment.address)
        try await BlockingThreads.run { () throws(RuntimeError) in
            try directory.write(
                MemberRecord(
                    member: member, process: process, startedAt: startedAt, image: blueprint.image.digest,
                    disk: order.disk))
        }
        _ = running.withLock { $0.insert(name) }
        try await pipe.waitUntilReady(deadline: deadline)
        // Nobody's child: it waits for a process that outlives both its starter and `run()`.
        Task { [watch] in
            await watch.ended(pid)
            _ = self.running.withLock { $0.remove(name) }
            onEnd()
        }
        return member
    }

    private func bundle(_ directory: MemberDirectory) -> String { "\(directory.path)/bundle" }

    // MARK: - Grounds

    func nextName(_ order: MemberOrder) -> MemberName {
        // Another image or another size of the disk needs another ground.
        guard order.image == nil, order.resources?.diskBytes == nil, order.disk == nil else { return .random() }
        return grounds.next() ?? .random()
    }

    var spares: Set<MemberName> { grounds.spares }

    func close() async { await grounds.close() }

    func lookAfter() async {
        for await _ in grounds.wakes {
            while let name = grounds.begin() {
                do throws(RuntimeError) {
                    grounds.finish(
                        name, try await lay(try directory(name), try await blueprint(.fromPool, deadline: .now)))
                } catch {
                    // In a task of its own: ours may be the one that was cancelled.
                    await Task { try? await remove(name) }.value
                    grounds.fail(name)
                    guard !Task.isCancelled else { return }
                    logger.warning("A member's ground cannot be laid ahead", metadata: ["error": "\(error)"])
                    // The next start lays its own and says what is wrong; this one only must not spin.
                    try? await Task.sleep(for: .seconds(5))
                }
            }
        }
    }

    /// Folder, then disk and network side by side: they have nothing to do with each other.
    private func lay(
        _ directory: MemberDirectory, _ blueprint: Blueprint, on kept: ComputeID? = nil,
        deadline: ContinuousClock.Instant = .now
    ) async throws(RuntimeError) -> Grounds.Ground {
        let bundle = bundle(directory)
        try await BlockingThreads.run { () throws(RuntimeError) in try directory.create(folders: [bundle]) }
        let network = network
        async let attachment = network.attach(directory.name.rawValue)
        async let rootfs = mountRootfs(directory, blueprint, on: kept, deadline: deadline)
        do {
            return Grounds.Ground(attachment: try await attachment, rootfs: try await rootfs)
        } catch let error as HostError {
            throw RuntimeError(error)
        } catch let error as RuntimeError {
            throw error
        } catch {
            throw RuntimeError(.unavailable, "a member's ground cannot be laid", cause: error)
        }
    }

    private func mountRootfs(
        _ directory: MemberDirectory, _ blueprint: Blueprint, on kept: ComputeID?, deadline: ContinuousClock.Instant
    ) async throws(RuntimeError) -> String {
        if let kept { return try await mount(directory, blueprint, on: kept, deadline: deadline) }
        do throws(HostError) {
            return try await disk(directory).mount(
                lower: [blueprint.layer.folder, blueprint.image.rootfs],
                sizeBytes: Int(blueprint.resources.diskBytes ?? settings.diskBytes))
        } catch {
            throw RuntimeError(error)
        }
    }

    private func container(
        _ name: MemberName, _ blueprint: Blueprint, _ ground: Grounds.Ground
    ) -> ContainerBundle {
        let user = blueprint.layer.user
        let processes = settings.processes(besideMemory: blueprint.resources.memoryBytes ?? settings.memoryBytes)
        var arguments = [
            AgentLayer.sidekick,
            "--listen", "0.0.0.0:\(SidekickPorts.requests)", "--internal-listen", "0.0.0.0:\(SidekickPorts.claims)",
            "--member", name.rawValue, "--claim-key", claimKey, "--state-dir", AgentLayer.state, "--keep-dir",
            AgentLayer.keep,
            "--user", user.name, "--home", user.home, "--max-processes", "\(processes)",
            "--sudo-socket", AgentLayer.sudoSocket, "--image-env", AgentLayer.imageEnvironment,
        ]
        if let bytes = blueprint.resources.memoryBytes { arguments += ["--memory-limit", "\(bytes)"] }
        return ContainerBundle(
            rootfs: ground.rootfs, arguments: arguments,
            environment: ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            hostname: AgentLayer.hostname, networkNamespacePath: ground.attachment.namespacePath,
            // It is of no use to anybody once the Sidekick, and with it the sandbox, has ended; and a claim that had to
            // reach a disk would be slow.
            privateFolders: [AgentLayer.state])
    }

    /// Cancels `work` at the deadline, and waits until it has ended.
    private func within<Value: Sendable>(
        _ deadline: ContinuousClock.Instant, _ work: @escaping @Sendable () async throws(RuntimeError) -> Value
    ) async throws(RuntimeError) -> Value {
        let result = await withTaskGroup(of: Result<Value, RuntimeError>?.self) {
            group -> Result<Value, RuntimeError> in
            group.addTask {
                do throws(RuntimeError) { return .success(try await work()) } catch { return .failure(error) }
            }
            group.addTask {
                try? await Task.sleep(until: deadline, clock: .continuous)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            if let first { return first }
            // It ends now, and may have made it in the last moment.
            let late = await group.next() ?? nil
            if case .success(let value)? = late { return .success(value) }
            return .failure(
                ContinuousClock.now < deadline
                    ? RuntimeError(.unavailable, "the start was given up")
                    : RuntimeError(.deadlineExceeded, "a member was not ready in time"))
        }
        return try result.get()
    }
}
