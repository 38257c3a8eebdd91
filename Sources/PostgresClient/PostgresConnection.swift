import CPostgres
import Glibc

/// One connection, used by one thread. Everything on it has a deadline; whoever misses one has lost the connection.
///
/// libpq is used without blocking, with `poll` in between: its blocking calls have no deadlines.
package final class PostgresConnection {
    private let handle: OpaquePointer
    private var statements = StatementNames()
    private var isInTransaction = false
    /// Statements of this transaction that are sent with the next one whose answer is looked at.
    private var waiting: [PreparedStatement] = []
    /// Whether some were sent ahead, whose answers are looked at before anything else is sent.
    private var isAhead = false
    /// False once a deadline passed or the peer is gone: what is read next could be the answer to something else.
    package private(set) var isUsable = true

    private init(handle: OpaquePointer) { self.handle = handle }

    deinit { PQfinish(handle) }

    var cancellation: PostgresCancellation? { PostgresCancellation(of: handle) }

    /// The server's version, such as 150018.
    package var serverVersion: Int { Int(PQserverVersion(handle)) }
    package var isEncrypted: Bool { PQsslInUse(handle) != 0 }

    // MARK: - Connecting

    package static func open(_ configuration: PostgresConfiguration, until deadline: ContinuousClock.Instant)
        throws(PostgresError) -> PostgresConnection
    {
        let keywords = configuration.connectKeywords
        guard let hosts = HostList(configuration) else {
            return try open(configuration, keywords, at: "the server", until: deadline)
        }
        let others = keywords.filter { !PostgresConfiguration.placing.contains($0.name) }
        return try hosts.first(askedOf: configuration.lookup, until: deadline) { (place, end) throws(PostgresError) in
            try open(configuration, others + place.keywords, at: "\(place)", until: end)
        }
    }

    private static func open(
        _ configuration: PostgresConfiguration, _ keywords: [(name: String, value: String)], at place: String,
        until deadline: ContinuousClock.Instant
    ) throws(PostgresError) -> PostgresConnection {
        do throws(PostgresError) {
            let connection = try connect(with: keywords, until: deadline)
            try connection.run(script: configuration.sessionScript(), until: deadline)
            return connection
        } catch {
            let message = error.code == .deadlineExceeded ? "no connection to \(place) in time" : error.message
            throw PostgresError(.unreachable, message, sqlState: error.sqlState)
        }
    }

    private static func connect(
        with keywords: [(name: String, value: String)], until deadline: ContinuousClock.Instant
    ) throws(PostgresError) -> PostgresConnection {
        let names = keywords.map { strdup($0.name) } + [nil]
        let values = keywords.map { strdup($0.value) } + [nil]
        defer { for text in names + values { free(text) } }
        let handle = PQconnectStartParams(names.map { UnsafePointer($0) }, values.map { UnsafePointer($0) }, 0)
        guard let handle else { throw PostgresError(.unreachable, "libpq has no memory") }
        let connection = PostgresConnection(handle: handle)
        var status = PGRES_POLLING_WRITING
        while status != PGRES_POLLING_OK {
            guard status != PGRES_POLLING_FAILED, PQstatus(handle) != CONNECTION_BAD else {
                throw PostgresError(.unreachable, connection.message)
            }
            try connection.wait(for: status == PGRES_POLLING_READING ? POLLIN : POLLOUT, until: deadline)
            status = PQconnectPoll(handle)
        }
        guard PQsetnonblocking(handle, 1) == 0 else { throw PostgresError(.unreachable, connection.message) }
        return connection
    }

    /// Whether the server has not hung up while nothing was asked of it.
    package var isAlive: Bool {
        guard isUsable else { return false }
        var descriptor = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        if poll(&descriptor, 1, 0) > 0 { _ = PQconsumeInput(handle) }
        return PQstatus(handle) == CONNECTION_OK
    }

    // MARK: - Statements

    /// One statement with `$1`, `$2` …; prepared once per connection.
    @discardableResult
    package func execute(
        _ sql: String, _ parameters: [PostgresParameter] = [], until deadline: ContinuousClock.Instant
    ) throws(PostgresError) -> PostgresResult {
        try finishAhead(until: deadline)
        let statement = try prepared(sql, parameters, until: deadline)
        guard !waiting.isEmpty else { return try answer(to: send(statement), until: deadline) }
        return try answerInTurn(to: takeWaiting() + [statement], until: deadline)
    }

    /// One statement that is a transaction by itself, and has an effect that must not happen twice: unlike in `execute`, a
    /// connection that breaks may have broken behind it.
    /// - Throws: `.outcomeUnknown` when the server did not answer to it.
    package func executeOnce(
        _ sql: String, _ parameters: [PostgresParameter] = [], until deadline: ContinuousClock.Instant
    ) throws(PostgresError) -> PostgresResult {
        let statement = try prepared(sql, parameters, until: deadline)
        return try decisive { () throws(PostgresError) in try answer(to: send(statement), until: deadline) }
    }

    /// Statements without parameters, separated by semicolons. Outside of a transaction they are one.
    package func run(script: String, until deadline: ContinuousClock.Instant) throws(PostgresError) {
        try sendWaiting(until: deadline)
        _ = try answer(to: PQsendQuery(handle, script), until: deadline)
    }

    /// A statement whose answer nobody looks at. Inside a transaction it waits for the next one that is looked at, and is
    /// sent with that: each answer that is waited for costs a way to the server and back. Its failure is then that one's.
    /// Of many some are sent ahead, so that the server is at them while the next ones are put together here.
    package func run(
        _ sql: String, _ parameters: [PostgresParameter] = [], until deadline: ContinuousClock.Instant
    ) throws(PostgresError) {
        guard isInTransaction else {
            try execute(sql, parameters, until: deadline)
            return
        }
        waiting.append(try prepared(sql, parameters, until: deadline))
        guard waiting.count >= Self.mostWaiting else { return }
        try finishAhead(until: deadline)
        try sendInTurn(takeWaiting(), until: deadline)
        isAhead = true
    }

    /// By then the way to the server and back costs next to nothing, and memory does.
    private static let mostWaiting = 256

    private func prepared(
        _ sql: String, _ parameters: [PostgresParameter], until deadline: ContinuousClock.Instant
    ) throws(PostgresError) -> PreparedStatement {
        switch statements.use(of: sql) {
        case .known(let name): return PreparedStatement(name: name, parameters: parameters)
        case .new(let name, let forget):
            // What waits may make what this one is about, or have the name that is to be forgotten.
            try sendWaiting(until: deadline)
            if let forget { _ = try answer(to: PQsendQuery(handle, "DEALLOCATE \(forget)"), until: deadline) }
            let types = parameters.map(\.type)
            _ = try answer(to: PQsendPrepare(handle, name, sql, Int32(types.count), types), until: deadline)
            statements.prepared(sql, as: name)
            return PreparedStatement(name: name, parameters: parameters)
        }
    }

    private func send(_ statement: PreparedStatement) -> Int32 {
        let values = statement.parameters.map { $0.string.flatMap { strdup($0) } }
        defer { for value in values { free(value) } }
        return PQsendQueryPrepared(
            handle, statement.name, Int32(values.count), values.map { UnsafePointer($0) }, nil, nil, 0)
    }

    // MARK: - Transactions

    /// What `body` does is done as a whole when it returns true with its value, and else not at all.
    ///
    /// - Throws: what `body` throws, after undoing; `.outcomeUnknown` when the server did not answer to the commit.
    package func transaction<T>(
        until deadline: ContinuousClock.Instant, _ body: () throws -> (keep: Bool, value: T)
    ) throws -> T {
        isInTransaction = true
        defer {
            isInTransaction = false
            waiting = []
        }
        do {
            try run("BEGIN", until: deadline)
            let result = try body()
            if result.keep { try commit(until: deadline) } else { try undo(until: deadline) }
            return result.value
        } catch {
            // When this fails, too, the connection is not usable any more, and the server undoes it by itself.
            if isUsable { try? undo(until: deadline) }
            throw error
        }
    }

    private func commit(until deadline: ContinuousClock.Instant) throws(PostgresError) {
        try finishAhead(until: deadline)
        _ = try decisive { () throws(PostgresError) in try execute("COMMIT", until: deadline) }
    }

    /// - Parameter send: sends what commits, and waits for the answer.
    private func decisive(_ send: () throws(PostgresError) -> PostgresResult) throws(PostgresError) -> PostgresResult {
        do {
            return try send()
        } catch {
            switch error.code {
            case .connectionLost, .deadlineExceeded, .cancelled:
                isUsable = false
                throw PostgresError(
                    .outcomeUnknown, "no answer to a commit: \(error.message)", sqlState: error.sqlState)
            default: throw error
            }
        }
    }

    /// Nothing that still waits is sent.
    private func undo(until deadline: ContinuousClock.Instant) throws(PostgresError) {
        waiting = []
        // Whatever became of them is undone; only their answers must not be taken for that of the next statement.
        do throws(PostgresError) { try finishAhead(until: deadline) } catch { guard isUsable else { throw error } }
        guard PQtransactionStatus(handle) != PQTRANS_IDLE else { return }
        try run(script: "ROLLBACK", until: deadline)
    }

    private func takeWaiting() -> [PreparedStatement] {
        defer { waiting = [] }
        return waiting
    }

    private func sendWaiting(until deadline: ContinuousClock.Instant) throws(PostgresError) {
        try finishAhead(until: deadline)
        guard !waiting.isEmpty else { return }
        _ = try answerInTurn(to: takeWaiting(), until: deadline)
    }

    /// - Throws: the first failure among them.
    private func finishAhead(until deadline: ContinuousClock.Instant) throws(PostgresError) {
        guard isAhead else { return }
        isAhead = false
        _ = try answersInTurn(until: deadline)
    }

    // MARK: - Answers

    private func answer(to sent: Int32, until deadline: ContinuousClock.Instant) throws(PostgresError)
        -> PostgresResult
    {
        guard sent == 1 else { throw lost() }
        try flush(until: deadline)
        var last: PostgresResult?
        var failure: PostgresError?
        while let result = try nextResult(until: deadline) {
            do throws(PostgresError) { try check(result) } catch { failure = failure ?? error }
            last = result
        }
        if let failure { throw failure }
        guard let last else { throw lost() }
        return last
    }

    /// - Returns: the answer to the last one.
    private func answerInTurn(to statements: [PreparedStatement], until deadline: ContinuousClock.Instant)
        throws(PostgresError) -> PostgresResult
    {
        try sendInTurn(statements, until: deadline)
        return try answersInTurn(until: deadline)
    }

    /// Sends all of them at once. After one that fails the server skips the others.
    private func sendInTurn(_ statements: [PreparedStatement], until deadline: ContinuousClock.Instant)
        throws(PostgresError)
    {
        guard PQenterPipelineMode(handle) == 1 else { throw lost() }
        for statement in statements { guard send(statement) == 1 else { throw lost() } }
        guard PQpipelineSync(handle) == 1 else { throw lost() }
        try flush(until: deadline)
    }

    /// - Returns: the answer to the last one of those that were sent.
    private func answersInTurn(until deadline: ContinuousClock.Instant) throws(PostgresError) -> PostgresResult {
        var last: PostgresResult?
        var failure: PostgresError?
        // A nil ends the answer to each, and the mark that we sent ends all of them.
        while true {
            guard let result = try nextResult(until: deadline) else {
                guard PQstatus(handle) == CONNECTION_OK else { throw lost() }
                continue
            }
            if result.isEndOfPipeline { break }
            if failure != nil { continue }
            do throws(PostgresError) { try check(result) } catch { failure = error }
            last = result
        }
        guard PQexitPipelineMode(handle) == 1, let last else { throw lost() }
        if let failure { throw failure }
        return last
    }

    private func flush(until deadline: ContinuousClock.Instant) throws(PostgresError) {
        while true {
            let left = PQflush(handle)
            guard left >= 0 else { throw lost() }
            if left == 0 { return }
            // The server may want to be read before it reads.
            try wait(for: POLLIN | POLLOUT, until: deadline)
            guard PQconsumeInput(handle) == 1 else { throw lost() }
        }
    }

    /// - Returns: nil at the end of the answer to one statement.
    private func nextResult(until deadline: ContinuousClock.Instant) throws(PostgresError) -> PostgresResult? {
        while PQisBusy(handle) != 0 {
            try wait(for: POLLIN, until: deadline)
            guard PQconsumeInput(handle) == 1 else { throw lost() }
        }
        return PQgetResult(handle).map { PostgresResult(owning: $0) }
    }

    private func check(_ result: PostgresResult) throws(PostgresError) {
        guard let error = result.error else { return }
        // Without a state it is libpq that speaks: the connection is gone.
        if error.sqlState?.isEmpty != false { throw lost() }
        if error.code == .connectionLost { isUsable = false }
        throw error
    }

    // MARK: - Notifications

    /// Waits until another connection's notice is here, `descriptor` can be read, or the time is over.
    package func waitForNotification(orInputOn descriptor: Int32, timeout: Duration) throws(PostgresError) {
        // It may have come with the answer to a statement; then the socket is silent.
        if tookNotifications() { return }
        var descriptors = [
            pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0),
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
        ]
        _ = poll(&descriptors, 2, Int32(clamping: timeout.milliseconds))
        guard PQconsumeInput(handle) == 1 else { throw lost() }
        _ = tookNotifications()
        guard PQstatus(handle) == CONNECTION_OK else { throw lost() }
    }

    /// - Returns: whether there was one that is not our own.
    private func tookNotifications() -> Bool {
        var isNew = false
        while let notification = PQnotifies(handle) {
            if notification.pointee.be_pid != PQbackendPID(handle) { isNew = true }
            PQfreemem(notification)
        }
        return isNew
    }

    // MARK: - Waiting

    private func wait(for events: Int32, until deadline: ContinuousClock.Instant) throws(PostgresError) {
        while true {
            let left = deadline - .now
            guard left > .zero else {
                isUsable = false
                throw PostgresError(.deadlineExceeded, "the server did not answer in time")
            }
            var descriptor = pollfd(fd: PQsocket(handle), events: Int16(events), revents: 0)
            let ready = poll(&descriptor, 1, Int32(clamping: left.milliseconds + 1))
            if ready > 0 { return }
            guard ready == 0 || errno == EINTR else { throw lost() }
        }
    }

    private func lost() -> PostgresError {
        isUsable = false
        return PostgresError(.connectionLost, message)
    }

    private var message: String {
        let text = String(cString: PQerrorMessage(handle))
        let line = text.split(separator: "\n").map { $0.drop { $0 == "\t" } }.joined(separator: "; ")
        return line.isEmpty ? "the connection is gone" : line
    }
}
