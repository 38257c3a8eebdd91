package import ComputeCore

/// Members of one kind that shall be idle for one group, beside the runtime's own pool.
package struct PoolOrder: Hashable, Sendable {
    package var id: PoolID
    /// Whose it is: starts go by turns among groups.
    package var group: GroupID
    package var members: MemberOrder
    package var target: Int

    package init(id: PoolID, group: GroupID, members: MemberOrder, target: Int) {
        self.id = id
        self.group = group
        self.members = members
        self.target = target
    }
}

/// How a pool that was ordered stands.
package struct PoolStatus: Sendable {
    package var target: Int
    /// Of those that are as ordered now; what is left of another order does not count.
    package var idle: Int
    /// Also those that wait for their turn.
    package var starting: Int
    /// Why members do not start; nil while they do, and when no more are wanted.
    package var failure: RuntimeError?
    /// How long a start took lately; nil before the first.
    package var startTime: Duration?

    package init(
        target: Int, idle: Int = 0, starting: Int = 0, failure: RuntimeError? = nil, startTime: Duration? = nil
    ) {
        self.target = target
        self.idle = idle
        self.starting = starting
        self.failure = failure
        self.startTime = startTime
    }
}
