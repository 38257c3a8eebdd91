package import ComputeCore

/// A consistency boundary, as two pure functions. Nothing here does I/O or asks for the time.
///
/// ```
///   command ─┐
///            ├─ decide ─→ events ─→ append(expected version) ─→ evolve ─→ state
///   state ───┘               └─ conflict: reload, decide again
/// ```
package protocol Aggregate {
    associatedtype State: Sendable
    associatedtype Command: Sendable
    associatedtype Event: DomainEvent
    associatedtype Rejection: Error

    /// What a stream without events means.
    static var initial: State { get }
    /// - Returns: the events that the command leads to; none when it is already so.
    static func decide(_ command: Command, _ state: State) throws(Rejection) -> [Event]
    static func evolve(_ state: State, _ event: Event) -> State
    /// The shortest history that leads to this state, for a snapshot. nil where streams stay short, whatever the state.
    static func condensed(_ state: State) -> [Event]?
}

extension Aggregate {
    package static func condensed(_ state: State) -> [Event]? { nil }

    package static func replay(_ events: some Sequence<Event>) -> State { events.reduce(initial, evolve) }
}

/// An event of one aggregate, as a value; the log holds it as a type name and a JSON object.
package protocol DomainEvent: Sendable, Equatable {
    /// The name in the log. Past tense: `ComputeStarted`.
    var recorded: NewEvent { get }
    /// - Returns: nil for a type that this aggregate does not know.
    /// - Throws: `EventStoreError.corrupt` when the type is known and the data do not fit.
    init?(type: String, data: JSONValue) throws(EventStoreError)
}

extension Aggregate {
    /// The state that a stream's events lead to.
    /// - Throws: `.corrupt` when one of them cannot be read. Types from a newer version are passed over.
    package static func state(after events: [RecordedEvent]) throws(EventStoreError) -> State {
        var state = initial
        for event in events {
            guard let known = try Event(type: event.type, data: event.data) else { continue }
            state = evolve(state, known)
        }
        return state
    }
}
