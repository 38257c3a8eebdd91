import LinuxSystem

/// When the output of a process that has exited is complete.
enum OutputSettling {
    /// Silence after the exit that means: who still holds the other side has nothing to say. Long enough for a helper
    /// in a pipeline to finish its line on a busy machine (and for the kernel to hand over a terminal's last
    /// characters, which it does a moment after the exit), too short to notice.
    private static let quiet: Duration = .milliseconds(150)
    /// A server left in the background may never be silent.
    private static let longest: Duration = .seconds(1)

    /// Returns when all streams have ended, or when a grandchild holds one and is silent, or talks too long. What the
    /// process itself wrote is there by then, and `finish` takes it out.
    static func settle(_ streams: [DescriptorStream], ended: OneShot<Void>) async {
        // Mostly all is there: the kernel closes a process's descriptors before it tells of the exit. To look is cheaper
        // than to wait for the poller's turn.
        for stream in streams { stream.readNow() }
        if ended.current != nil { return }
        await withTaskGroup { group in
            group.addTask { await ended.wait() }
            group.addTask {
                let exit = ContinuousClock.now
                while !Task.isCancelled {
                    let silentSince = max(streams.map(\.lastBytes).max() ?? exit, exit)
                    let until = min(silentSince + quiet, exit + longest)
                    guard ContinuousClock.now < until else { break }
                    try? await Task.sleep(until: until, clock: .continuous)
                }
                for stream in streams { stream.finish() }
            }
            await group.next()
            group.cancelAll()
        }
    }
}
