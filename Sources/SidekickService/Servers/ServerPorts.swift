/// Which port a server is given, and which one it has taken. Pure.
package enum ServerPorts {
    /// Where a server that asked for none is told to listen: what most frameworks take themselves.
    package static let first = 3000

    /// - Parameter asked: nil: any.
    /// - Returns: nil when it is taken and must be that one, or when none is free.
    package static func choose(asked: Int?, strict: Bool, taken: Set<Int>) -> Int? {
        let start = asked ?? first
        if !taken.contains(start) { return start }
        if strict { return nil }
        return (start...65535).first { !taken.contains($0) } ?? (1024..<max(start, 1024)).first { !taken.contains($0) }
    }

    /// - Parameters:
    ///   - current: what it was last seen to listen on.
    ///   - session: of its processes.
    /// - Returns: the port that it was told to take, if it listens there; else the one it had; else its lowest.
    package static func detect(
        _ listeners: [PortListener], assigned: Int?, current: Int?, session: Int32
    ) -> PortListener? {
        let own = listeners.filter { $0.owner?.session == session }
        // A holder that cannot be seen, on exactly the port that only this server was told of.
        let unseen = listeners.filter { $0.owner == nil && $0.port == assigned }
        return own.first { $0.port == assigned } ?? own.first { $0.port == current } ?? own.min { $0.port < $1.port }
            ?? unseen.first
    }

    /// A server is looked for often while it is about to listen: most do within seconds, or never.
    private static let awaited: Duration = .seconds(30)

    /// How soon it has to be looked for again.
    package static func demand(isListening: Bool, age: Duration) -> PortMonitor.Demand {
        !isListening && age < awaited ? .eager : .calm
    }
}
