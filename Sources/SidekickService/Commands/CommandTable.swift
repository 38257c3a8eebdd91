package import ComputeCore

/// The commands that are kept track of, and the exec terminals they belong to. A value: `CommandRegistry` is its shell.
///
///     admitted ─▶ pending ──startRequested──▶ starting ──started──▶ running ──ended──▶ ended ──▶ dropped
///                    │ expiryDue                 │ notStarted          │ removed         ▲
///                    └───────────▶ ended         └──▶ ended or gone    └──▶ leaving ──▶ gone
///
/// What is removed is gone for everybody at once; a process that still runs keeps its place until it has ended.
package struct CommandTable: ~Copyable {
    package enum State: Hashable, Sendable {
        /// Nothing runs until its caller says so.
        case pending
        /// The process is being made.
        case starting
        case running
        /// It is kept to be looked at.
        case ended(CommandEnd)
        /// Removed; its process has been told to end.
        case leaving
    }

    package struct Entry: Sendable {
        package let id: CommandID
        package let terminal: TerminalID
        package let command: String
        /// In the order of admission.
        fileprivate let number: UInt64
        /// What each of its streams may keep.
        fileprivate let capacity: Int
        package fileprivate(set) var state: State
        /// nil: not yet.
        package fileprivate(set) var startedAt: WallTime?
        /// Bytes kept of one that has ended.
        fileprivate var footprint = 0
        /// Which of those that have ended: the oldest goes first.
        fileprivate var endNumber: UInt64 = 0
        /// Calls that wait for its end and have still to look at it.
        fileprivate var waiters = 0

        package var hasEnded: Bool {
            if case .ended = state { true } else { false }
        }
    }

    private enum Terminal {
        case exec(ExecTerminal, number: UInt64)
        /// Made for one command, and gone with it.
        case single
    }

    package let limits: CommandLimits
    private var terminals: [TerminalID: Terminal] = [:]
    private var entries: [CommandID: Entry] = [:]
    private var next: UInt64 = 1

    package init(limits: CommandLimits = CommandLimits()) { self.limits = limits }

    // MARK: - Terminals

    /// - Returns: false: there are too many.
    package mutating func terminalRequested(_ terminal: ExecTerminal) -> Bool {
        guard execTerminals.count < limits.terminals else { return false }
        terminals[terminal.id] = .exec(terminal, number: takeNumber())
        return true
    }

    package var execTerminals: [ExecTerminal] {
        let found = terminals.values.compactMap { terminal -> (ExecTerminal, UInt64)? in
            guard case .exec(let exec, let number) = terminal else { return nil }
            return (exec, number)
        }
        return found.sorted { $0.1 < $1.1 }.map(\.0)
    }

    /// Also one that was made for a single command.
    package func terminal(_ id: TerminalID) -> ExecTerminal? {
        switch terminals[id] {
        case .exec(let terminal, _)?: terminal
        case .single?: ExecTerminal(id: id)
        case nil: nil
        }
    }

    /// - Returns: what happens to its commands; nil: there is no such terminal.
    package mutating func terminalRemoved(_ id: TerminalID) -> [(CommandID, Removal)]? {
        guard terminals[id] != nil else { return nil }
        let commands = commands(in: id).map(\.id)
        let removals = commands.map { ($0, removed($0)) }
        terminals[id] = nil
        return removals
    }

    // MARK: - From the request to the start

    package enum Admission: Hashable, Sendable {
        /// Its streams may keep this much each.
        case granted(capacity: Int)
        case noSuchTerminal
        case tooManyActive, tooManyPending
    }

    /// - Parameters:
    ///   - terminal: an exec terminal, or, with `isSingle`, a new id.
    ///   - isPending: it starts later, by `startRequested`; else at once.
    ///   - isAwaited: as if `waitBegan` came at once.
    package mutating func admitted(
        _ id: CommandID, _ command: String, in terminal: TerminalID, isSingle: Bool, isPending: Bool,
        isAwaited: Bool = false
    ) -> Admission {
        guard isSingle || execTerminal(terminal) else { return .noSuchTerminal }
        guard !isPending || entries.values.count(where: { $0.state == .pending }) < limits.pending else {
            return .tooManyPending
        }
        let active = entries.values.filter { !$0.hasEnded }
        guard active.count < limits.active else { return .tooManyActive }
        let capacity = limits.capacity(committed: active.reduce(0) { $0 + 2 * $1.capacity })
        if isSingle { terminals[terminal] = .single }
        entries[id] = Entry(
            id: id, terminal: terminal, command: command, number: takeNumber(), capacity: capacity,
            state: isPending ? .pending : .starting, waiters: isAwaited ? 1 : 0)
        return .granted(capacity: capacity)
    }

    package enum StartOrder: Hashable, Sendable {
        case start
        /// It runs, or has run.
        case alreadyStarted
        case expired
        case unknown
    }

    package mutating func startRequested(_ id: CommandID) -> StartOrder {
        switch entries[id]?.state {
        case .pending?:
            entries[id]?.state = .starting
            return .start
        case .starting?, .running?: return .alreadyStarted
        case .ended(let end)?: return end.cause == .expired ? .expired : .alreadyStarted
        case .leaving?, nil: return .unknown
        }
    }

    package enum StartedOrder: Hashable, Sendable {
        case goOn
        /// It was removed meanwhile.
        case endIt
    }

    package mutating func started(_ id: CommandID, at now: WallTime) -> StartedOrder {
        switch entries[id]?.state {
        case .starting?:
            entries[id]?.state = .running
            entries[id]?.startedAt = now
            return .goOn
        case .leaving?: return .endIt
        case .pending?, .running?, .ended?, nil: preconditionFailure("a start that nobody ordered")
        }
    }

    /// There is no process, and whoever asked is told so at once: nothing is kept.
    package mutating func notStarted(_ id: CommandID) { forget(id) }

    /// - Returns: false: it is late, the command has started or gone.
    package mutating func expiryDue(_ id: CommandID, at now: WallTime) -> (isExpired: Bool, dropped: [CommandID]) {
        guard entries[id]?.state == .pending else { return (false, []) }
        let end = CommandEnd(exitCode: nil, cause: .expired, at: now, duration: .zero)
        return (true, ended(id, end, footprint: 0))
    }

    // MARK: - Its end

    /// - Parameter footprint: bytes that are kept of it.
    /// - Returns: those whose turn it is to be forgotten, perhaps itself.
    package mutating func ended(_ id: CommandID, _ end: CommandEnd, footprint: Int) -> [CommandID] {
        guard var entry = entries[id] else { return [] }
        switch entry.state {
        case .pending, .starting, .running: break
        case .leaving:
            forget(id)
            return []
        case .ended: return []
        }
        entry.state = .ended(end)
        entry.footprint = footprint + entry.command.utf8.count
        entry.endNumber = takeNumber()
        entries[id] = entry
        return dropOldest(in: entry.terminal)
    }

    package enum Removal: Hashable, Sendable {
        /// Its end will be told by `ended`.
        case endProcess
        /// No process: what is kept of it can go.
        case forget
        case unknown
    }

    package mutating func removed(_ id: CommandID) -> Removal {
        switch entries[id]?.state {
        case .starting?, .running?:
            entries[id]?.state = .leaving
            return .endProcess
        case .pending?, .ended?:
            forget(id)
            return .forget
        case .leaving?, nil: return .unknown
        }
    }

    // MARK: - Waiting

    /// Until `waitEnded` it is not forgotten to make room: who waited learns how it ended, however many end with it.
    package mutating func waitBegan(_ id: CommandID) { entries[id]?.waiters += 1 }

    /// - Returns: those whose turn it is to be forgotten, perhaps itself.
    package mutating func waitEnded(_ id: CommandID) -> [CommandID] {
        guard let entry = entries[id] else { return [] }
        entries[id]?.waiters -= 1
        return entry.hasEnded ? dropOldest(in: entry.terminal) : []
    }

    // MARK: - Looking

    /// nil: there is none that anybody may see.
    package func command(_ id: CommandID) -> Entry? {
        guard let entry = entries[id], entry.state != .leaving else { return nil }
        return entry
    }

    /// In the order they were asked for; of all terminals when none is named.
    package func commands(in terminal: TerminalID? = nil) -> [Entry] {
        entries.values.filter { $0.state != .leaving && (terminal == nil || $0.terminal == terminal) }
            .sorted { $0.number < $1.number }
    }

    /// Pending, running, and those that have still to end.
    package var activeCount: Int { entries.values.count { !$0.hasEnded } }

    /// Those that have a process, or are about to.
    package var runningCount: Int {
        entries.values.count { entry in
            switch entry.state {
            case .starting, .running, .leaving: true
            case .pending, .ended: false
            }
        }
    }

    // MARK: - Keeping

    /// Per terminal by count, and over all by bytes. Whatever somebody waits for has its turn when he has seen it.
    private mutating func dropOldest(in terminal: TerminalID) -> [CommandID] {
        let kept = entries.values.filter { $0.hasEnded && $0.waiters == 0 }.sorted { $0.endNumber < $1.endNumber }
        let isSingle = !execTerminal(terminal)
        let peers = kept.filter { isSingle ? !execTerminal($0.terminal) : $0.terminal == terminal }
        var dropped = peers.prefix(max(0, peers.count - (isSingle ? limits.keptSingle : limits.keptPerTerminal)))
            .map(\.id)
        var bytes = kept.reduce(0) { $0 + (dropped.contains($1.id) ? 0 : $1.footprint) }
        for entry in kept where bytes > limits.keptBytes && !dropped.contains(entry.id) {
            bytes -= entry.footprint
            dropped.append(entry.id)
        }
        for id in dropped { forget(id) }
        return dropped
    }

    private mutating func forget(_ id: CommandID) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        if !execTerminal(entry.terminal) { terminals[entry.terminal] = nil }
    }

    private func execTerminal(_ id: TerminalID) -> Bool {
        if case .exec? = terminals[id] { true } else { false }
    }

    private mutating func takeNumber() -> UInt64 {
        defer { next += 1 }
        return next
    }
}
