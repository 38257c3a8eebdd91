import Synchronization

/// Elements on their way from a connection's event loop (or another producer) to the one task that reads them.
///
/// The bound is in bytes, not in elements: `push` always takes the element, because it was already received, and
/// answers whether the producer may go on. At `high` it must stop; `resume` is called when less than `low` is left.
package final class BoundedQueue<Element: Sendable>: Sendable {
    private let state: Mutex<BoundedQueueState<Element>>
    private let resume: @Sendable () -> Void

    package init(low: Int = 32 * 1024, high: Int = 64 * 1024, resume: @escaping @Sendable () -> Void) {
        self.state = Mutex(BoundedQueueState(low: low, high: high))
        self.resume = resume
    }

    /// False: stop until `resume` is called.
    @discardableResult
    package func push(_ element: Element, cost: Int) -> Bool {
        let (waiter, goOn) = state.withLock { $0.push(element, cost: cost) }
        waiter?.resume(returning: element)
        return goOn
    }

    /// False also tells the queue that the producer stopped, so that `resume` will be called.
    package var wantsMore: Bool { state.withLock { $0.wantsMore() } }

    /// No more elements; those that are queued are still delivered. The first call decides, later ones do nothing.
    package func finish(throwing error: (any Error)? = nil) {
        let waiter = state.withLock { $0.finish(error) }
        if let error { waiter?.resume(throwing: error) } else { waiter?.resume(returning: nil) }
    }

    /// The error the queue was finished with, also while elements are still queued.
    package var failure: (any Error)? { state.withLock { $0.failure } }
    package var isFinished: Bool { state.withLock { $0.isFinished } }
    package var isEmpty: Bool { state.withLock { $0.isEmpty } }

    /// The next element, nil at the end. One reader at a time. A cancelled task still gets what is queued.
    package func next() async throws -> Element? {
        if let taken = try take() { return taken.element }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome = state.withLock { $0.wait(continuation, cancelled: Task.isCancelled) }
                if case .element(_, resume: true)? = try? outcome?.get() { resume() }
                switch outcome {
                case nil: break
                case .success(.element(let element, _)): continuation.resume(returning: element)
                case .success(.end): continuation.resume(returning: nil)
                case .failure(let error): continuation.resume(throwing: error)
                }
            }
        } onCancel: {
            state.withLock { $0.takeWaiter() }?.resume(throwing: CancellationError())
        }
    }

    private struct Taken { let element: Element? }

    private func take() throws -> Taken? {
        switch try state.withLock({ try $0.take() }) {
        case nil: return nil
        case .end?: return Taken(element: nil)
        case .element(let element, let mayResume)?:
            if mayResume { resume() }
            return Taken(element: element)
        }
    }
}

/// The queue itself: no lock, no resumption, only what is to be done.
struct BoundedQueueState<Element: Sendable> {
    typealias Waiter = CheckedContinuation<Element?, any Error>

    enum Taken {
        /// `resume`: the producer had stopped and may go on.
        case element(Element, resume: Bool)
        case end
    }

    private let low: Int
    private let high: Int
    private var elements: [(element: Element, cost: Int)?] = []
    private var first = 0
    private var cost = 0
    private var producerStopped = false
    private var end: Result<Void, any Error>?
    private var waiter: Waiter?

    init(low: Int, high: Int) {
        self.low = low
        self.high = high
    }

    var isEmpty: Bool { first == elements.count }
    var isFinished: Bool { end != nil }
    var failure: (any Error)? {
        if case .failure(let error)? = end { error } else { nil }
    }

    mutating func push(_ element: Element, cost: Int) -> (waiter: Waiter?, goOn: Bool) {
        guard end == nil else { return (nil, true) }
        if let waiter = takeWaiter() { return (waiter, true) }
        elements.append((element, cost))
        self.cost += cost
        return (nil, wantsMore())
    }

    mutating func wantsMore() -> Bool {
        producerStopped = cost >= high
        return !producerStopped
    }

    mutating func take() throws -> Taken? {
        guard !isEmpty else {
            switch end {
            case nil: return nil
            case .success?: return .end
            case .failure(let error)?: throw error
            }
        }
        let (element, elementCost) = elements[first]!
        elements[first] = nil
        first += 1
        if first == elements.count {
            elements.removeAll(keepingCapacity: elements.capacity <= 64)
            first = 0
        }
        cost -= elementCost
        let resume = producerStopped && cost < low
        if resume { producerStopped = false }
        return .element(element, resume: resume)
    }

    /// Nil: the continuation is kept and will be resumed.
    mutating func wait(_ continuation: Waiter, cancelled: Bool) -> Result<Taken, any Error>? {
        do {
            if let taken = try take() { return .success(taken) }
        } catch {
            return .failure(error)
        }
        if cancelled { return .failure(CancellationError()) }
        guard waiter == nil else {
            return .failure(HTTPServingError(.invalidState, "two tasks read the same stream"))
        }
        waiter = continuation
        return nil
    }

    mutating func takeWaiter() -> Waiter? {
        defer { waiter = nil }
        return waiter
    }

    mutating func finish(_ error: (any Error)?) -> Waiter? {
        guard end == nil else { return nil }
        end = error.map { .failure($0) } ?? .success(())
        return takeWaiter()
    }
}
