import FoundationEssentials
import Glibc
import LinuxSystem
import Synchronization

/// Starts commands as root for the compute's user: the other side of `sudo`.
///
/// In gVisor no program gains rights by being executed, so a set-uid `sudo` cannot work there. The Sidekick is root
/// already; it lends that to who is its compute's user, whose every right in the compute this is, and to nobody else.
///
/// Each conversation blocks a thread of its own, of which there are few, and takes none from the service.
final class ElevationService: Sendable {
    /// Commands at once. Together with the bounds of a frame it bounds all that clients can take here.
    private static let maxConcurrent = 64
    private static let requestTimeout: Duration = .seconds(10)

    private let launcher: ProcessLauncher
    private let claims: ClaimService
    private let user: UserIdentity
    private let allowed: Set<UInt32>
    private let taken = Mutex(0)

    init(launcher: ProcessLauncher, claims: ClaimService, user: UserIdentity) {
        self.launcher = launcher
        self.claims = claims
        self.user = user
        allowed = [0, user.ids?.uid ?? geteuid()]
    }

    /// Listens from now on, as long as the process lives.
    func serve(at path: String) throws(LinuxSystemError) {
        try Self.prepareDirectory(of: path)
        try LocalListener.bind(path).serve { connection in
            let isRoom = self.taken.withLock { taken in
                guard taken < Self.maxConcurrent else { return false }
                taken += 1
                return true
            }
            if !isRoom { Self.refuse(connection, "\(Self.maxConcurrent) commands are running; try again later") }
            return isRoom
        } _: { connection in
            self.converse(connection, Place { self.release() })
        } failed: { connection in
            self.release()
            Self.refuse(connection, "there is no thread for it")
        }
    }

    /// Ours alone, whatever the image has there: who could put another socket in its place would be asked for root's work.
    private static func prepareDirectory(of path: String) throws(LinuxSystemError) {
        let parent = path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
        try FileTree.makeDirectories(parent)
        let directory = try FileDescriptor.open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        guard fchown(directory.raw, geteuid(), gid_t.max) == 0, fchmod(directory.raw, 0o755) == 0 else {
            throw .last("protect", parent)
        }
    }

    /// One of the places for commands, until nobody holds it.
    private final class Place: Sendable {
        private let release: @Sendable () -> Void
        init(_ release: @escaping @Sendable () -> Void) { self.release = release }
        deinit { release() }
    }

    private func release() { taken.withLock { $0 -= 1 } }

    /// Blocks until the client has gone or been sent away.
    private func converse(_ connection: LocalConnection, _ place: Place) {
        let session: ElevationSession
        do {
            session = try begin(connection, place)
        } catch let refusal as ElevationPlan.Refusal {
            return Self.refuse(connection, refusal.message)
        } catch {
            return Self.refuse(connection, "the request was not understood")
        }
        // Whatever is wrong with a frame, its client is not one of ours any more.
        while let frame = try? connection.receive(limit: 1) {
            guard frame.kind == ElevationFrame.signal, let number = frame.bytes.first.map(Int32.init),
                ElevationFrame.signals.contains(number)
            else { break }
            session.signalled(number)
        }
        session.hungUp()
    }

    /// Reads the request, checks who it is from, and has its command started.
    private func begin(_ connection: LocalConnection, _ place: Place) throws -> ElevationSession {
        // Before anything of it is read. In gVisor this is our own uid, and the sender's, below, decides.
        guard claims.current != nil else { throw ElevationPlan.Refusal("this compute is not in use yet") }
        guard allowed.contains(try connection.peerUID()) else { throw Self.notAllowed }
        let (frame, raw, uid) = try connection.receiveWithDescriptors(
            limit: ElevationFrame.maxRequest, deadline: .now + Self.requestTimeout)
        let descriptors = PassedDescriptors(raw)
        guard allowed.contains(uid) else { throw Self.notAllowed }
        guard frame.kind == ElevationFrame.request else {
            throw ElevationPlan.Refusal("the request was not understood")
        }
        let request = try JSONDecoder().decode(ElevationRequest.self, from: Data(frame.bytes))
        let accounts = (try? AccountFiles.read()) ?? AccountFiles(passwd: "", group: "")
        let order = try ElevationPlan(senderUID: uid, user: user, accounts: accounts).order(request)

        let session = ElevationSession()
        // The command's own life; it ends when the process does.
        Task { [launcher] in
            defer { withExtendedLifetime(place) {} }
            do {
                let child = try await launcher.launch(
                    order, input: descriptors.input, output: descriptors.output, error: descriptors.error)
                if request.isBackground {
                    Self.answer(connection, exitCode: 0)
                } else {
                    session.started(child)
                }
                let status = await child.exitStatus()
                session.ended()
                Self.answer(connection, exitCode: status.shellCode)
            } catch let failure as SpawnFailure {
                Self.refuse(connection, ElevationPlan.refusal(failure, order).message)
            } catch {
                Self.refuse(connection, "the Sidekick is stopping")
            }
        }
        return session
    }

    private static let notAllowed = ElevationPlan.Refusal("this account may not run commands as another one")

    private static func answer(_ connection: LocalConnection, exitCode: Int) {
        connection.sendWithoutWaiting(.init(ElevationFrame.exit, [UInt8(clamping: exitCode)]))
        connection.hangUp()
    }

    private static func refuse(_ connection: LocalConnection, _ reason: String) {
        connection.sendWithoutWaiting(
            .init(ElevationFrame.refusal, Array(reason.utf8.prefix(ElevationFrame.maxRefusal))))
        connection.hangUp()
    }
}
