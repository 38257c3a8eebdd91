import ComputeCore
import Foundation
import Synchronization

/// Whether the machine resolves names under the domain, for `COMPUTESDK_URL_STYLE=auto`.
///
/// The resolver may hang for many seconds where DNS is broken, and it cannot be cancelled: it runs on a thread of
/// its own, and after `deadline` the answer is no.
package func resolves(_ name: String, within deadline: Duration = .seconds(1)) async -> Bool {
    let answer = OneAnswer()
    return await withCheckedContinuation { continuation in
        answer.arm(continuation)
        Thread.detachNewThread {
            var list: UnsafeMutablePointer<addrinfo>?
            let status = getaddrinfo(name, nil, nil, &list)
            if let list { freeaddrinfo(list) }
            answer.give(status == 0)
        }
        Thread.detachNewThread {
            Thread.sleep(forTimeInterval: Double(deadline.wholeMilliseconds) / 1000)
            answer.give(false)
        }
    }
}

/// Resumes its continuation with the first answer; later ones are late, and harmless.
private final class OneAnswer: Sendable {
    private let continuation = Mutex<CheckedContinuation<Bool, Never>?>(nil)

    func arm(_ continuation: CheckedContinuation<Bool, Never>) { self.continuation.withLock { $0 = continuation } }

    func give(_ answer: Bool) {
        continuation.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }?.resume(returning: answer)
    }
}
