/// What one connection has yet to be sent. Bounded: a connection that does not read loses output, and is told how much;
/// it can neither stop a terminal nor make us grow.
package struct OutboundQueue: Sendable {
    /// A screen of a busy build is kilobytes; this is minutes of a slow line, and small enough for many connections.
    package static let maxOutputBytes = 2 << 20
    /// Everything but output. More unread ones than this are a client that has gone and not said so.
    package static let maxOtherEvents = 4096
    /// Small pieces are joined up to this size: fewer frames when it matters.
    static let joinedBytes = 32 << 10

    private let maxOutputBytes: Int
    private var events: [TerminalEvent] = []
    private var head = 0
    private var outputBytes = 0
    private var otherEvents = 0
    private var gaps: [TerminalID: Int] = [:]

    package init(maxOutputBytes: Int = OutboundQueue.maxOutputBytes) { self.maxOutputBytes = maxOutputBytes }

    package var isEmpty: Bool { head == events.count }
    package var bytes: Int { outputBytes }

    /// - Returns: false when the connection must be closed instead (1013).
    package mutating func push(_ event: TerminalEvent) -> Bool {
        switch event {
        case .output(let id, let text, let encoding, let dropped):
            pushOutput(id, text, encoding, dropped)
            return true
        case .destroyed(let id, _):
            // A gap at the very end would otherwise go untold.
            if let gap = gaps.removeValue(forKey: id) { append(.output(id, text: "", .raw, dropped: gap)) }
            return pushOther(event)
        case .created, .terminalError, .error:
            return pushOther(event)
        }
    }

    package mutating func pop() -> TerminalEvent? {
        guard head < events.count else { return nil }
        let event = events[head]
        head += 1
        // Amortized: as many moves as were pops.
        if head > 64, head * 2 > events.count {
            events.removeFirst(head)
            head = 0
        }
        switch event {
        case .output(_, let text, _, _): outputBytes -= text.utf8.count
        case .created, .destroyed, .terminalError, .error: otherEvents -= 1
        }
        return event
    }

    private mutating func pushOutput(_ id: TerminalID, _ text: String, _ encoding: TerminalEncoding, _ dropped: Int) {
        let size = text.utf8.count
        let gap = gaps[id] ?? 0
        // Once it has fallen behind, it gets half of the room free before output goes on: a few large gaps are better
        // than a hole after every line.
        let room = gap > 0 ? maxOutputBytes / 2 : maxOutputBytes
        guard outputBytes + size <= room else {
            gaps[id] = gap + dropped + size
            return
        }
        gaps[id] = nil
        if head < events.count, case .output(id, let earlier, .raw, let earlierDropped) = events[events.count - 1],
            encoding == .raw, gap + dropped == 0, earlier.utf8.count + size <= Self.joinedBytes
        {
            events[events.count - 1] = .output(id, text: earlier + text, .raw, dropped: earlierDropped)
            outputBytes += size
        } else {
            append(.output(id, text: text, encoding, dropped: gap + dropped))
        }
    }

    private mutating func pushOther(_ event: TerminalEvent) -> Bool {
        guard otherEvents < Self.maxOtherEvents else { return false }
        otherEvents += 1
        append(event)
        return true
    }

    private mutating func append(_ event: TerminalEvent) {
        if case .output(_, let text, _, _) = event { outputBytes += text.utf8.count }
        events.append(event)
    }
}
