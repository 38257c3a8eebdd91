import ComputeCore
import Crypto
import FoundationEssentials
import Glibc
import LinuxSystem
import SidekickProtocol
import Synchronization

/// Takes the one claim of this member. There is no way back, in this process or the next one over the same directory.
final class ClaimService: Sendable {
    private let settings: SidekickSettings
    private let user: UserIdentity
    private let image: [String: String]
    private let file: ClaimFile
    /// Held while a claim is written, so that the next one finds it either on the disk or failed.
    private let holder: Mutex<Holder>
    /// Settled once at the claim, so that no request has to put it together.
    private let context: Mutex<ClaimedContext?>

    private enum Holder {
        case nobody
        case compute(ClaimRecord)
        /// A claim failed, and may be on the disk for all that.
        case unknown
    }

    struct ClaimedContext: Sendable {
        let compute: ComputeContext
        let generation: Generation
        let secretDigest: SHA256.Digest
        let setup: JSONValue?
        /// It had a place before, on this disk.
        let goesOn: Bool
    }

    /// Loads the claim of an earlier process over the same directory.
    /// - Parameter image: the image's variables.
    init(settings: SidekickSettings, user: UserIdentity, image: [String: String]) throws {
        self.settings = settings
        self.user = user
        self.image = image
        file = try ClaimFile(in: settings.stateDirectory)
        let found = try file.load()
        holder = Mutex(found.map { .compute($0.record) } ?? .nobody)
        // Without its files it serves nobody: whoever claims it again brings them.
        context = Mutex(found.flatMap { $0.isWhole ? Self.context($0.record.order, user, image) : nil })
    }

    var current: ClaimedContext? { context.withLock { $0 } }

    var protocolState: SidekickState {
        let claimed = current
        return SidekickState(
            member: settings.member, computeId: claimed?.compute.computeID, generation: claimed?.generation,
            version: SidekickVersion.current)
    }

    /// **Blocks** for as long as the disk takes, which nobody else waits for: before its claim a member serves nobody.
    func claim(credential: String?, body: [UInt8], now: WallTime) throws {
        var record = try verified(credential, body, now)
        // What is put in its place is not needed in the record, where it would be a second copy.
        let files = record.order.secretFiles ?? []
        record.order.secretFiles = nil
        record.hasSecretFiles = files.isEmpty ? nil : true
        try take(record, files)
    }

    /// All that a claim does but the claiming; nothing of it stays.
    /// - Returns: what it would have left, with its secret.
    func rehearse() throws -> (ClaimedContext, secret: String) {
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
        let file = try ClaimFile(in: settings.stateDirectory, name: "rehearsal.json")
        defer { file.remove() }
        // What a rehearsal that was cut off may have left.
        try file.clear()
        try file.save(record)
        return (Self.context(record.order, user, image), order.secret)
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
        var order = try ClaimOrder.read(try RequestBody.parse(body))
        guard order.computeId == claimed.computeID, order.generation == claimed.generation else {
            throw Self.forbidden("the claim credential is for another compute")
        }
        if order.goesOn == true, let kept = KeptOrder.load(from: settings.keepDirectory, of: order.computeId) {
            order.env.merge(kept.env) { ordered, _ in ordered }
            order.setup = order.setup ?? kept.setup
        }
        return ClaimRecord(order: order, bodySHA256: SHA256.hash(data: body).hex)
    }

    private static func forbidden(_ message: String) -> Problem {
        Problem(status: 403, code: .forbidden, message: message)
    }

    private func take(_ record: ClaimRecord, _ files: [SecretFile]) throws {
        try holder.withLock { holder in
            switch holder {
            // Again, because its answer was lost, or its files could not be written.
            case .nobody, .compute(record): break
            case .compute:
                throw Problem(status: 409, code: "already_claimed", message: "this member belongs to another compute")
            case .unknown: throw Self.notRecorded
            }
            // Nothing is written where the user may have laid a link by now.
            guard current == nil else { return }
            do {
                if case .nobody = holder {
                    try prepare(record.order)
                    // Before the files: from the first of them on this member is nobody else's.
                    try save(record, &holder)
                }
                try settle(record, files)
            } catch {
                if case .nobody = holder, record.order.goesOn != true {
                    KeptOrder.remove(from: settings.keepDirectory)
                }
                SidekickLog.write(.error, "claim failed", ["reason": "\(error)"])
                guard let error = error as? LinuxSystemError else { throw error }
                guard error.code.isDiskFull else { throw Self.notRecorded }
                throw Problem(status: 507, code: .diskFull, message: "the disk is full: the claim was not recorded")
            }
        }
    }

    /// Before the claim is taken: whoever claims a member that cannot take it shall find that out.
    private func prepare(_ order: ClaimOrder) throws {
        let directory = Self.context(order, user, image).compute.directory
        guard order.goesOn == true else {
            if order.directory == nil { try makeDirectory(directory) } else { try makeNamedDirectory(directory) }
            let kept = KeptOrder(order)
            if !kept.isEmpty { try kept.save(in: settings.keepDirectory) }
            return
        }
        do throws(LinuxSystemError) { try makeDirectory(directory) } catch {
            // His files are his, however he left them: that is no reason not to give them back.
            SidekickLog.write(.warning, "the working directory cannot be made", ["reason": "\(error)"])
        }
    }

    /// What is left to do of a claim that is recorded. Requests are served from here on.
    private func settle(_ record: ClaimRecord, _ files: [SecretFile]) throws {
        let places = SecretFiles(user: user)
        if record.order.goesOn == true { places.renew(files) } else { try places.write(files) }
        if !files.isEmpty { try file.markWhole() }
        context.withLock { $0 = Self.context(record.order, user, image) }
    }

    private static let notRecorded = Problem(
        status: 500, code: .internalError, message: "the claim could not be recorded")

    private func save(_ record: ClaimRecord, _ holder: inout Holder) throws {
        do {
            try file.save(record)
            holder = .compute(record)
        } catch {
            holder = .unknown
            try file.clear()
            holder = .nobody
            throw error
        }
    }

    /// What the claim names as its directory: one in which the user's commands can start.
    /// - Throws: a 400 that names the field. Later there would be nobody to tell.
    private func makeNamedDirectory(_ path: String) throws {
        do {
            try makeDirectory(path)
        } catch {
            if error.code.isDiskFull { throw error }
            throw Self.refused(path, "cannot be made: \(error.reason)")
        }
        guard try FileTree.status(path).isDirectory else { throw Self.refused(path, "is not a directory") }
        do {
            try Self.checkEntry(to: path, as: user.ids?.threadIdentity)
        } catch {
            guard error.code == .accessDenied else { throw error }
            throw Self.refused(path, "is not open to the user \(user.name)")
        }
    }

    private static func refused(_ directory: String, _ reason: String) -> Problem {
        .invalid("directory", "directory \(directory.prefix(1024)) \(reason)")
    }

    private static func checkEntry(to path: String, as identity: ThreadIdentity?) throws(LinuxSystemError) {
        try OwnThread.run("enter") { () throws(LinuxSystemError) in
            try identity?.adopt()
            try FileTree.checkEntry(to: path)
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
            generation: order.generation, secretDigest: SHA256.hash(data: Array(order.secret.utf8)), setup: order.setup,
            goesOn: order.goesOn == true)
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
