package import ComputeCore

/// What a command finds on its standard input.
package enum CommandInput: Hashable, Sendable {
    /// The end at once, so that a command that reads does not wait for ever.
    case nothing
    /// This, then the end.
    case text(String)
    /// What is sent to it while it runs.
    case open

    /// `stdin`: a text, or true for input to come.
    package init(_ fields: FieldReader) throws(Problem) {
        switch fields.value("stdin") {
        case nil, .bool(false)?: self = .nothing
        case .bool(true)?: self = .open
        case .string(let text)?: self = .text(text)
        case let value?:
            throw .invalid(
                fields.path("stdin"), "\(fields.path("stdin")) must be a string or true, not \(value.typeName)")
        }
    }
}

/// When a command runs, and when it is answered.
package enum CommandMode: Hashable, Sendable {
    /// At once; answered at its end.
    case foreground
    /// At once; answered at its start.
    case background
    /// Once `command:start` names it on `/ws`, when its caller has subscribed; answered before.
    case whenStarted

    package init(_ fields: FieldReader) throws(Problem) {
        let background = try fields.bool("background")
        let asynchronous = try fields.bool("async")
        let isStreamed = try fields.bool("stream") == true
        self = isStreamed ? .whenStarted : (background ?? asynchronous ?? false) ? .background : .foreground
    }
}
