import LinuxSystem
import Synchronization

/// A running command and its pipes.
struct StartedCommand: Sendable {
    /// What is kept of input that the command does not read.
    static let maxPendingInput = 1 << 20

    let child: ChildProcess
    /// stdout, stderr.
    let outputs: [DescriptorStream]
    /// Set when both have ended.
    let ended: OneShot<Void>
    /// nil: it was started without.
    let input: PipeWriter?
    /// nil: it was started for this command.
    let waited: WaitingShell?

    /// When the output of the process, which has exited, is complete.
    func settle() async { await OutputSettling.settle(outputs, ended: ended) }
}

extension ProcessLauncher {
    /// - Parameters:
    ///   - mayTake: a shell that waits will do.
    ///   - receive: what comes from stdout (0) and stderr (1); see `DescriptorStream` for what it may do.
    /// - Throws: `SpawnFailure`, or `LinuxSystemError` when there are no descriptors left.
    func start(
        _ order: ProcessOrder, input: CommandInput, mayTake: Bool = false,
        receive: @escaping @Sendable (UnsafeRawBufferPointer, Int) -> Void
    ) async throws -> StartedCommand {
        let open = Mutex(2)
        let ended = OneShot<Void>()
        @Sendable func received(_ event: DescriptorStream.Event, _ stream: Int) {
            switch event {
            case .bytes(let bytes): receive(bytes, stream)
            case .end:
                let left = open.withLock { open in
                    open -= 1
                    return open
                }
                if left == 0 { ended.set(()) }
            }
        }
        let (readEnd, writer) = try Self.open(input, poller)
        defer { closeDescriptor(readEnd) }
        let stdout = try Pipe.open()
        defer { closeDescriptor(stdout.writeEnd) }
        let stderr: Pipe
        do {
            stderr = try Pipe.open()
        } catch {
            closeDescriptor(stdout.readEnd)
            throw error
        }
        defer { closeDescriptor(stderr.writeEnd) }
        // Reading begins before the start: if it cannot, nothing runs.
        let first: DescriptorStream
        do {
            first = try DescriptorStream(adopting: stdout.readEnd, poller: poller) { received($0, 0) }
        } catch {
            closeDescriptor(stderr.readEnd)
            throw error
        }
        let outputs = [first, try DescriptorStream(adopting: stderr.readEnd, poller: poller) { received($0, 1) }]
        do {
            let waited =
                mayTake
                ? await waiting?.take(order, input: readEnd, output: stdout.writeEnd, error: stderr.writeEnd) : nil
            let child: ChildProcess
            if let waited {
                child = waited.child
            } else {
                child = try await launch(order, input: readEnd, output: stdout.writeEnd, error: stderr.writeEnd)
            }
            return StartedCommand(child: child, outputs: outputs, ended: ended, input: writer, waited: waited)
        } catch {
            for output in outputs { output.finish() }
            writer?.abandon()
            throw error
        }
    }

    /// What the command reads from, to be closed once it has it, and where its input goes in.
    private static func open(
        _ input: CommandInput, _ poller: Poller
    ) throws(LinuxSystemError) -> (readEnd: Int32, writer: PipeWriter?) {
        let text: String?
        switch input {
        case .nothing: return (try openNullDevice(), nil)
        case .text(let given): text = given
        case .open: text = nil
        }
        let pipe = try Pipe.open()
        do throws(LinuxSystemError) {
            let writer = try PipeWriter(
                adopting: pipe.writeEnd, poller: poller,
                maxPending: max(StartedCommand.maxPendingInput, text?.utf8.count ?? 0))
            if let text {
                _ = writer.write(Array(text.utf8))
                writer.finish()
            }
            return (pipe.readEnd, writer)
        } catch {
            closeDescriptor(pipe.readEnd)
            throw error
        }
    }
}
