import Dispatch
import Foundation
import Glibc
import Synchronization

/// Resolves the names of hosts within a deadline, which the C library does not keep: it waits for a silent DNS server for
/// as long as resolv.conf says, and cannot be stopped.
///
/// So each name is asked for on a thread that nobody has to wait for. All who want the same name meanwhile share that
/// thread, so there is one for each name of the configuration at most, however often connecting is tried.
package final class HostLookup: Sendable {
    package typealias Resolve = @Sendable (_ name: String) throws(PostgresError) -> [String]

    final class Question: Sendable {
        fileprivate let name: String
        fileprivate let isAnswered = DispatchGroup()
        fileprivate let answer = Mutex<Result<[String], PostgresError>?>(nil)

        fileprivate init(_ name: String) { self.name = name }
    }
    private let questions = Mutex<[String: Question]>([:])
    private let resolve: Resolve

    package static let system = HostLookup(askingSystem)

    package init(_ resolve: @escaping Resolve) { self.resolve = resolve }

    /// - Returns: addresses as text, in the order to try them in; at least one.
    static func answer(to question: Question, until deadline: ContinuousClock.Instant) throws(PostgresError)
        -> [String]
    {
        let left = max(deadline - .now, .zero)
        _ = question.isAnswered.wait(timeout: .now() + left / .seconds(1))
        guard let answer = question.answer.withLock({ $0 }) else {
            throw PostgresError(.unreachable, "nobody said in time which address \(question.name) has")
        }
        return try answer.get()
    }

    /// Asks without waiting.
    func ask(_ name: String) -> Question {
        let (question, isNew) = questions.withLock { questions in
            if let asked = questions[name] { return (asked, false) }
            let question = Question(name)
            question.isAnswered.enter()
            questions[name] = question
            return (question, true)
        }
        guard isNew else { return question }
        let thread = Thread { [self] in
            let answer = Result { () throws(PostgresError) in try resolve(name) }
            question.answer.withLock { $0 = answer }
            // Whoever comes now asks anew: addresses change.
            questions.withLock { $0[name] = nil }
            question.isAnswered.leave()
        }
        thread.name = "postgres-name"
        thread.start()
        return question
    }

    private static let askingSystem: Resolve = { (name) throws(PostgresError) in
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let failure = getaddrinfo(name, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard failure == 0 else {
            throw PostgresError(
                .unreachable, "the host \(name) has no address: \(String(cString: gai_strerror(failure)))")
        }
        let addresses = sequence(first: list, next: { $0?.pointee.ai_next }).compactMap { entry -> String? in
            guard let entry = entry?.pointee else { return nil }
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let said = getnameinfo(
                entry.ai_addr, entry.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            return said == 0 ? text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) } : nil
        }
        guard !addresses.isEmpty else { throw PostgresError(.unreachable, "the host \(name) has no address") }
        return addresses
    }
}
