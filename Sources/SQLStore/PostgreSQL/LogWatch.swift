import EventSourcing
import Foundation
import Glibc
import Logging
import PostgresClient
import Synchronization

/// Tells readers here and in other instances that the log has grown. A thread with a connection of its own.
///
/// ```
///   commit here ──▶ wake ──▶ look ──▶ readers here
///                             └─────▶ NOTIFY ──▶ look there ──▶ readers there
/// ```
/// The notice is sent after the commits and not with them: PostgreSQL lets only one transaction at a time commit that
/// notifies. One that is lost with its process, or comes while nobody listens, is made good by looking once a second.
final class LogWatch: Sendable {
    private let configuration: PostgresConfiguration
    private let signal: AppendSignal<TransactionPlace>
    private let logger: Logger
    /// A pair of sockets, because Swift sees no `pipe2`: what is in it says that there were commits.
    private let (wakeUp, commits): (Int32, Int32)
    private let isClosed = Mutex(false)
    private let claim: Mutex<DatabaseClaim>
    /// Ends when the claim is lost, or nobody watches any more.
    private let (losses, loss) = AsyncStream.makeStream(of: Void.self)

    /// Whether the database is this instance's alone.
    var claimed: DatabaseClaim { claim.withLock { $0 } }

    private static let channel = "computesdk_events"
    /// How late a reader may be whom no notice reached.
    private let longestLook: Duration
    /// While something is committed and cannot be read yet: whoever holds it up is usually through in a moment.
    private static let shortestLook: Duration = .milliseconds(5)
    /// Under load there is a commit behind each look, and a look costs the server as much as a small commit.
    private static let restBetweenLooks: TimeInterval = 0.003

    /// - Parameter isAlone: whether no other instance with this set may use the database.
    init(
        _ configuration: PostgresConfiguration, isAlone: Bool, longestLook: Duration,
        signal: AppendSignal<TransactionPlace>, logger: Logger
    ) throws(EventStoreError) {
        claim = Mutex(DatabaseClaim(isNeeded: isAlone))
        self.configuration = configuration
        self.longestLook = longestLook
        self.signal = signal
        self.logger = logger
        var ends: [Int32] = [-1, -1]
        let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        guard socketpair(AF_UNIX, Int32(kind), 0, &ends) == 0 else {
            throw EventStoreError(.unavailable, "no pair of sockets: \(String(cString: strerror(errno)))")
        }
        (wakeUp, commits) = (ends[0], ends[1])
    }

    /// To be called once; `close` ends the thread.
    func start() {
        let thread = Thread { self.run() }
        thread.name = "postgres-log"
        thread.start()
    }

    // The thread holds this value, so nobody waits on the sockets any more.
    deinit {
        Glibc.close(wakeUp)
        Glibc.close(commits)
    }

    /// To be called after a commit. One that is full says the same.
    func wake() { _ = write(commits, "!", 1) }

    /// - Returns: whether it was woken since the last time.
    private func wasWoken() -> Bool {
        var bytes = [UInt8](repeating: 0, count: 4096)
        return Glibc.read(wakeUp, &bytes, bytes.count) > 0
    }

    func close() {
        isClosed.withLock { $0 = true }
        loss.finish()
        wake()
    }

    /// Returns when the database became another instance's, this value was closed, or the task is cancelled.
    func waitForLoss() async { for await _ in losses {} }

    /// Tries again by itself and not by the pool's `ReconnectMachine`: one more attempt a second at most, which hinders
    /// nobody, and a watch must not wait for some call to find out that the server is back.
    private func run() {
        var pause = Duration.milliseconds(50)
        // Processes of the server that may hold the lock for connections of ours, until it finds out that these are gone.
        var ours: Set<Int64> = []
        while !isClosed.withLock({ $0 }) && !claimed.isLost {
            do {
                let connection = try PostgresConnection.open(
                    configuration, until: .now + configuration.connectDeadline)
                if claimed.isNeeded { try claimDatabase(connection, of: &ours) }
                // A notice that is lost with the server is made good by looking; waiting for the disk with each would make
                // commits wait.
                try connection.run(
                    script: "SET synchronous_commit = off; LISTEN \(Self.channel)", until: deadline)
                pause = .milliseconds(50)
                try follow(connection)
            } catch {
                claim.withLock { $0.connectionBroke() }
                logger.warning("the log is not watched", metadata: ["error": "\(error)"])
                Thread.sleep(forTimeInterval: pause / .seconds(1))
                pause = min(pause * 2, .seconds(1))
            }
        }
        if claimed.isLost { logger.critical("another instance has taken the database over") }
        loss.finish()
    }

    private func claimDatabase(_ connection: PostgresConnection, of ours: inout Set<Int64>) throws {
        let db = PostgresSQLConnection(connection: connection, deadline: deadline)
        let arguments: SQLArguments = ["lock": Self.claimLock]
        let process = try db.readRows(sql: "SELECT pg_backend_pid() AS process") {
            try $0.required("process") as Int64
        }[0]
        // Before it is asked: the answer may be lost.
        ours.insert(process)
        let isHeld =
            try db.readRows(
                sql: "SELECT CAST(pg_try_advisory_lock(:lock) AS INT) AS held", arguments: arguments
            ) { try $0.required("held") as Int }[0] == 1
        if isHeld {
            ours = [process]
            return claim.withLock { $0.granted() }
        }
        ours.remove(process)
        let holders = try db.readRows(
            sql: """
                SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
                WHERE datname = current_database() AND locktype = 'advisory' AND granted
                AND classid = 0 AND objid = CAST(:lock AS OID) AND objsubid = 1
                """, arguments: arguments
        ) { try $0.required("pid") as Int64 }
        // Where there is none any more it is asked for again after the pause.
        if let holder = holders.first { claim.withLock { $0.refused(isOwnPredecessor: ours.contains(holder)) } }
        throw PostgresError(.refused, "another instance uses the database alone")
    }

    /// Any number that nobody else has: "csdk" and one more than the lock of migrations.
    private static let claimLock: Int64 = 0x6373_646c

    private func follow(_ connection: PostgresConnection) throws {
        var look = longestLook
        while !isClosed.withLock({ $0 }) {
            let isOurs = wasWoken()
            let log = PostgresLog(db: PostgresSQLConnection(connection: connection, deadline: deadline))
            // Asked first: what is held up only after this sends its own notice. The other way round, what is committed
            // and free again between the two questions would be waited for until the next look.
            let isHeldUp = try log.isHeldUp()
            if let head = try log.head() { signal.advance(to: head) }
            if isOurs { try connection.execute("SELECT pg_notify('\(Self.channel)', '')", until: deadline) }
            // A stalled transaction may take long: then looking becomes rarer again.
            look =
                !isHeldUp
                ? longestLook
                : look == longestLook ? Self.shortestLook : min(look * 2, longestLook / 5)
            Thread.sleep(forTimeInterval: Self.restBetweenLooks)
            try connection.waitForNotification(orInputOn: wakeUp, timeout: look)
        }
    }

    private var deadline: ContinuousClock.Instant { .now + configuration.deadline }
}
