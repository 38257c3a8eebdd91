import Glibc

/// What is left of a session whose leader has gone: the processes that it started and did not wait for.
///
/// The kernel gives a number to no new process while a session or group still has it. So as long as there is no process
/// of the leader's number, whoever is in the session of that number is in the one that was meant.
package enum SessionMembers {
    /// - Parameter leader: a process that has been reaped.
    package static func alive(after leader: Int32) -> [Int32] {
        let members = Descendants.scan().filter { $0.line.session == leader || $0.line.group == leader }
        // Then the number was free to be given away: nobody was left.
        guard !members.contains(where: { $0.pid == leader }) else { return [] }
        return members.map(\.pid)
    }

    /// - Returns: how many there were.
    @discardableResult
    package static func signal(_ number: Int32, after leader: Int32) -> Int {
        let members = alive(after: leader)
        for pid in members { kill(pid, number) }
        return members.count
    }
}
