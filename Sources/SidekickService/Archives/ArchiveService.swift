import Archives
import ComputeCore
import LinuxSystem
import NIOCore
import Synchronization

/// Archives of directories, and directories of archives, in constant memory and with the user's rights.
final class ArchiveService: Sendable {
    /// Each may hold a descriptor for every level of a tree.
    private static let maxAtOnce = 16

    private let files: FileService
    private let running = Mutex(0)

    init(files: FileService) { self.files = files }

    /// - Parameter body: takes the archive from the one it gets, piece by piece.
    func pack<T>(
        _ path: FilePath, _ format: ArchiveFormat, ignore: GlobSet, as user: UserIdentity,
        _ body: (PackedArchive) async throws -> T
    ) async throws -> T {
        try acquire()
        defer { running.withLock { $0 -= 1 } }
        let job = try await files.withFallback(path, user) { path throws(LinuxSystemError) in
            PackingJob(try ArchivePacker.open(path, format, ignore: ignore))
        }
        return try await body(PackedArchive(files: files, job: job, path: path.absolute, user: user))
    }

    /// - Parameter format: nil: as the first bytes say.
    /// - Returns: when all of it is on disk. What was unpacked before a failure stays.
    func unpack(
        _ path: FilePath, _ format: ArchiveFormat?, _ limits: UnpackLimits, _ body: BodyPieces, as user: UserIdentity
    ) async throws -> UnpackOutcome {
        try acquire()
        defer { running.withLock { $0 -= 1 } }
        let job = UnpackingJob(path.absolute, format, limits)
        let threads = files.threads
        try await body.forEach { piece in
            for var rest in piece.parts {
                // Expanded it may be a thousand times as much, and the thread shall be free again soon.
                while let part = rest.readSlice(length: min(rest.readableBytes, 32 << 10)), part.readableBytes > 0 {
                    try await threads.run(as: user) { try job.take(Array(part.readableBytesView)) }
                }
            }
        }
        while try await threads.run(as: user, { try job.finish() }) {}
        return job.outcome
    }

    private func acquire() throws(Problem) {
        let isGranted = running.withLock { count in
            guard count < Self.maxAtOnce else { return false }
            count += 1
            return true
        }
        guard isGranted else { throw .unavailable("\(Self.maxAtOnce) archives are under way; try again later") }
    }
}

/// An archive as it comes into being.
struct PackedArchive: Sendable {
    fileprivate let files: FileService
    fileprivate let job: PackingJob
    fileprivate let path: String
    fileprivate let user: UserIdentity

    /// - Returns: nil when it is complete.
    func next() async throws -> ByteBuffer? {
        try await files.perform(path, user) { [job] () throws(LinuxSystemError) in try job.next() }
            .map { ByteBuffer(bytes: $0) }
    }

    /// How many entries were left out so far.
    var skipped: Int { job.skipped }
}

/// A packer between its steps.
fileprivate final class PackingJob: Sendable {
    private let state: Mutex<ArchivePacker>

    init(_ packer: consuming sending ArchivePacker) { state = Mutex(packer) }

    func next() throws(LinuxSystemError) -> [UInt8]? {
        try state.withLock { packer -> Result<[UInt8]?, LinuxSystemError> in
            do throws(LinuxSystemError) { return .success(try packer.next()) } catch { return .failure(error) }
        }.get()
    }

    var skipped: Int { state.withLock { $0.skipped } }
}

/// An unpacker between its pieces; which one, the first of them says.
private final class UnpackingJob: Sendable {
    private struct State: ~Copyable {
        var tar: TarUnpacker?
        var zip: ZipUnpacker?
        /// What came before it was enough to tell the format.
        var begin: [UInt8] = []
        var hasBegun = false
        var outcome = UnpackOutcome()
    }

    private let state = Mutex(State())
    private let path: String
    private let format: ArchiveFormat?
    private let limits: UnpackLimits

    init(_ path: String, _ format: ArchiveFormat?, _ limits: UnpackLimits) {
        self.path = path
        self.format = format
        self.limits = limits
    }

    var outcome: UnpackOutcome { state.withLock { $0.outcome } }

    func take(_ bytes: [UInt8]) throws(Problem) {
        try state.withLock { state -> Result<Void, Problem> in
            do throws(Problem) {
                guard !state.hasBegun else { return .success(try pass(bytes, &state)) }
                state.begin += bytes
                if state.begin.count >= ArchiveFormat.tellingBytes { try begin(&state) }
                return .success(())
            } catch { return .failure(error) }
        }.get()
    }

    private func pass(_ bytes: [UInt8], _ state: inout State) throws(Problem) {
        if state.zip != nil { try state.zip?.take(bytes) } else { try state.tar?.take(bytes[...]) }
    }

    private func begin(_ state: inout State) throws(Problem) {
        let bytes = state.begin
        state.begin = []
        state.hasBegun = true
        let recognized = try ArchiveFormat(firstBytes: bytes)
        let format = format ?? recognized
        do throws(LinuxSystemError) {
            switch format {
            case .tar, .tarGzip: state.tar = TarUnpacker(try UnpackTarget(path, limits), gzip: format == .tarGzip)
            case .zip:
                let target = try UnpackTarget(path, limits)
                state.zip = ZipUnpacker(target, spool: SharedDescriptor(try SpillBuffer.nameless(in: path)), path)
            }
        } catch { throw FileService.problem(error, path) }
        try pass(bytes, &state)
    }

    /// - Returns: false when it is done.
    func finish() throws(Problem) -> Bool {
        try state.withLock { state -> Result<Bool, Problem> in
            do throws(Problem) {
                if !state.begin.isEmpty { try begin(&state) }
                guard state.hasBegun else { throw .invalid("archive", "the body is empty; it must be an archive") }
                if state.zip != nil {
                    if try state.zip?.step() ?? false { return .success(true) }
                    state.outcome = state.zip?.outcome ?? state.outcome
                } else {
                    state.outcome = try state.tar?.finish() ?? state.outcome
                }
                return .success(false)
            } catch { return .failure(error) }
        }.get()
    }
}
