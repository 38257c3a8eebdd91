import ComputeCore
import Crypto
import FoundationEssentials
import Glibc
import LinuxSystem
import NIOPosix
import SidekickProtocol
import Synchronization

/// Takes the one claim of this member. Shell of `ClaimState`.
///
/// Claims run one after the other on a thread of their own, so that each finds the one before it either on the disk
/// or failed.
final class ClaimService: Sendable {
    private let settings: SidekickSettings
    private let user: UserIdentity
    private let image: [String: String]
    private let file: ClaimFile
    private let state: Mutex<ClaimState>
    private let thread = NIOThreadPool(numberOfThreads: 1)
    /// Settled once at the claim, so that no request has to put it together.
    private let context: Mutex<ClaimedContext?>

    struct ClaimedContext: Sendable {
        let compute: ComputeContext
        let secretDigest: SHA256.Digest
        let setup: JSONValue?
    }

    /// Loads the claim of an earlier process over the same directory.
    /// - Parameter image: the image's variables.
    init(settings: SidekickSettings, user: UserIdentity, image: [String: String]) throws {
        self.settings = settings
        self.user = user
        self.image = image
        file = ClaimFile(stateDirectory: settings.stateDirectory)
        let record = try file.load()
        state = Mutex(record.map { .claimed($0) } ?? .unclaimed)
        context = Mutex(record.map { Self.context($0.order, user, image) })
        thread.start()
    }

    var current: ClaimedContext? { context.withLock { $0 } }

    var protocolState: SidekickState {
        let record = state.withLock { $0.claimed }
        return SidekickState(
            member: settings.member, computeId: record?.computeID, generation: record?.order.generation,
            version: SidekickVersion.current)
    }

    func claim(credential: String?, body: [UInt8], now: WallTime) async throws {
        let record = try verified(credential, body, now)
        do {
            try await thread.runIfActive { try self.take(record) }
        } catch is CancellationError {
            throw Problem.unavailable("the Sidekick is shutting down")
        }
    }

    /// All that a claim does but the claiming; nothing of it stays.
    func rehearse() async throws {
        let order = ClaimOrder(
            computeId: .random(), generation: Generation(1), secret: String(repeating: "0", count: 64), env: [:],
            directory: nil, url: "http://localhost", portURLTemplate: nil)
        let body = Array(try JSONEncoder().encode(order))
        let credential = ClaimCredential(
            member: settings.member, computeID: order.computeId, generation: order.generation,
            expiresAt: WallTime(milliseconds: .max / 2), body: body)
        // Its signature is nobody's, which takes as long to see as that it were the API's.
        _ = try? verified(try credential.signed(with: Curve25519.Signing.PrivateKey()), body, WallTime(milliseconds: 0))
        let record = ClaimRecord(
            order: try ClaimOrder.read(try RequestBody.parse(body)), bodySHA256: SHA256.hash(data: body).hex)
        let file = ClaimFile(rehearsalIn: settings.stateDirectory)
        try await thread.runIfActive {
            _ = Self.context(record.order, self.user, self.image)
            try file.save(record)
            file.remove()
        }
    }

    private func verified(_ credential: String?, _ body: [UInt8], _ now: WallTime) throws(Problem) -> ClaimRecord {
        guard let credential else { throw Self.forbidden("the header \(ClaimCredential.header) is missing") }
        let claimed: (computeID: ComputeID, generation: Generation)
        do throws(ClaimCredential.Refusal) {
            claimed = try ClaimCredential.verify(
                credential, key: settings.claimKey, member: settings.member, body: body, now: now)
        } catch {
            let reason =
                switch error {
                case .badSignature: "the claim credential's signature is not valid"
                case .otherMember: "the claim credential is for another member"
                case .expired: "the claim credential has expired"
                case .otherBody: "the claim credential is for another body"
                }
            throw Self.forbidden(reason)
        }
        let order = try ClaimOrder.read(try RequestBody.parse(body))
        guard order.computeId == claimed.computeID, order.generation == claimed.generation else {
            throw Self.forbidden("the claim credential is for another compute")
        }
        return ClaimRecord(order: order, bodySHA256: SHA256.hash(data: body).hex)
    }

    private static func forbidden(_ message: String) -> Problem {
        Problem(status: 403, code: .forbidden, message: message)
    }

    /// Blocking, on the one claim thread.
    private func take(_ record: ClaimRecord) throws {
        switch state.withLock({ $0.claimRequested(record) }) {
        case .answerClaimed: return
        case .answerAlreadyClaimed:
            throw Problem(status: 409, code: "already_claimed", message: "this member belongs to another compute")
        case .waitForRecording:
            // Cannot come: this thread is the only one that records.
            throw Problem.unavailable("another claim is being recorded")
        case .record(let record):
            do {
                let context = Self.context(record.order, user, image)
                try makeDirectory(context.compute.directory)
                try file.save(record)
                self.context.withLock { $0 = context }
                state.withLock { $0.recorded() }
            } catch {
                state.withLock { $0.recordFailed() }
                SidekickLog.write(.error, "claim failed", ["reason": "\(error)"])
                guard let error = error as? LinuxSystemError else { throw error }
                guard error.code.isDiskFull else {
                    throw Problem(status: 500, code: .internalError, message: "the claim could not be recorded")
                }
                throw Problem(status: 507, code: .diskFull, message: "the disk is full: the claim was not recorded")
            }
        }
    }

    /// As ourselves: a directory such as `/workspace` is not in the user's power to make.
    private func makeDirectory(_ path: String) throws(LinuxSystemError) {
        do throws(LinuxSystemError) {
            _ = try FileTree.status(path)
        } catch  where error.code == .notFound {
            if let ids = user.ids {
                try FileTree.makeDirectories(path, owner: ids.threadIdentity)
            } else {
                try FileTree.makeDirectories(path)
            }
        }
    }

    private static func context(
        _ order: ClaimOrder, _ user: UserIdentity, _ image: [String: String]
    ) -> ClaimedContext {
        // `read` has refused a directory that makes no sense; an old record cannot hold one either.
        let directory = order.directory.flatMap { try? FilePath($0, directory: user.home).absolute } ?? user.home
        return ClaimedContext(
            compute: ComputeContext(
                computeID: order.computeId, env: image.merging(order.env) { _, later in later }, directory: directory,
                user: user, url: order.url,
                portURLTemplate: order.portURLTemplate, timeoutMs: order.timeoutMs),
            secretDigest: SHA256.hash(data: Array(order.secret.utf8)), setup: order.setup)
    }
}

extension ClaimService.ClaimedContext {
    /// In constant time, whatever is shown: digests are compared, and crypto's comparison does not stop early.
    func accepts(bearer: some StringProtocol) -> Bool {
        SHA256.hash(data: Array(bearer.utf8)) == secretDigest
    }
}

extension UserIdentity.IDs {
    var threadIdentity: ThreadIdentity { ThreadIdentity(uid: uid, gid: gid, supplementary: supplementary) }
}

extension LinuxSystemError.Code {
    var isDiskFull: Bool { errno == ENOSPC || errno == EDQUOT }
}
