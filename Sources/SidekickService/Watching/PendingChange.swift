/// What is still to be told about one name. A value; times come from outside.
///
///     created ─▶ add ─────┐ written, or quiet for a moment
///     modified ─▶ change ─┴──▶ told ─▶ resting ─▶ (forgotten)
///                  ▲  ▲                  │ modified
///                  │  └──────────────────┘          so a burst is told at its start and at its end
///     deleted ─▶ unlink ─▶ told a moment later; created again before that, it is a change: editors save like this
///     deleted while `add` is pending: nothing was told, and nothing will be
struct PendingChange: Hashable {
    enum What: Hashable {
        case add, change, unlink
        /// Told a moment ago.
        case resting
    }

    /// How long a writer may pause before what it has written counts as done.
    static let quiet: Duration = .milliseconds(30)
    /// Whoever writes without pause is told of this often.
    static let longest: Duration = .milliseconds(500)
    /// For how long a file may be missing while it is saved, and at least between two changes of it.
    static let rest: Duration = .milliseconds(50)

    private(set) var what: What
    private(set) var due: Duration
    /// When there was first something to tell.
    private var since: Duration
    private var notBefore: Duration
    let sequence: UInt64

    private init(_ what: What, now: Duration, due: Duration, _ sequence: UInt64) {
        self.what = what
        self.due = due
        since = now
        notBefore = now
        self.sequence = sequence
    }

    /// - Parameter isWhole: its content is there, such as after a rename.
    static func created(isWhole: Bool, now: Duration, _ sequence: UInt64) -> PendingChange {
        PendingChange(.add, now: now, due: isWhole ? now : now + quiet, sequence)
    }

    static func modified(now: Duration, _ sequence: UInt64) -> PendingChange {
        PendingChange(.change, now: now, due: now + quiet, sequence)
    }

    static func deleted(now: Duration, _ sequence: UInt64) -> PendingChange {
        PendingChange(.unlink, now: now, due: now + rest, sequence)
    }

    /// Created again, so it was only replaced.
    mutating func createdAgain(isWhole: Bool, now: Duration) {
        guard what == .unlink else { return }
        what = .change
        since = now
        due = isWhole ? now : now + Self.quiet
    }

    mutating func modified(now: Duration) {
        switch what {
        case .unlink: break
        case .resting:
            what = .change
            since = now
            due = max(notBefore, now + Self.quiet)
        case .add, .change:
            // What is due already is told after this, with this.
            if due > now { due = max(notBefore, min(now + Self.quiet, since + Self.longest)) }
        }
    }

    /// A writer has closed it.
    mutating func written(now: Duration) {
        switch what {
        case .add, .change: due = max(now, notBefore)
        case .unlink, .resting: break
        }
    }

    /// - Returns: nil: nothing is left to be done.
    func told(now: Duration) -> PendingChange? {
        switch what {
        case .unlink, .resting: return nil
        case .add, .change:
            var next = PendingChange(.resting, now: now, due: now + Self.rest, sequence)
            next.notBefore = next.due
            return next
        }
    }
}
