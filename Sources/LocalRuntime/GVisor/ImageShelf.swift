import ComputeRuntime
import OCIImages
import Synchronization

/// Fetches images once for all who wait for one, and to the end also when nobody waits any more: the next who asks
/// finds it there.
final class ImageShelf: Sendable {
    private typealias Fetch = Task<Result<StoredImage, ImageError>, Never>
    /// What strangers may have fetched at once.
    private static let maximumFetches = 16

    let store: ImageStore
    private let fetches = Mutex<[ImageReference: Fetch]>([:])

    init(store: ImageStore) { self.store = store }

    /// - Throws: `.deadlineExceeded` while it is still being fetched, `.badImage` when there is no such image to be had.
    func image(
        _ reference: ImageReference, deadline: ContinuousClock.Instant,
        progress: @escaping ImageProgress.Report = { _ in }
    ) async throws(RuntimeError) -> StoredImage {
        if let image = store.stored(reference) { return image }
        let fetch = try fetches.withLock { fetches throws(RuntimeError) in
            if let fetch = fetches[reference] { return fetch }
            guard fetches.count < Self.maximumFetches else {
                throw RuntimeError(.unavailable, "too many images are being fetched")
            }
            // Nobody's child: see above. The store bounds how long it may take.
            let fetch = Fetch {
                let result: Result<StoredImage, ImageError>
                do throws(ImageError) {
                    result = .success(try await self.store.resolve(reference, progress: progress))
                } catch {
                    result = .failure(error)
                }
                _ = self.fetches.withLock { $0.removeValue(forKey: reference) }
                return result
            }
            fetches[reference] = fetch
            return fetch
        }
        // Who waits may go away at any time; a task's value alone does not let him.
        let (results, sink) = AsyncStream<Result<StoredImage, ImageError>>.makeStream()
        let relay = Task { sink.yield(await fetch.value) }
        let timer = Task {
            try await Task.sleep(until: deadline, clock: .continuous)
            sink.finish()
        }
        defer {
            relay.cancel()
            timer.cancel()
        }
        for await result in results {
            do throws(ImageError) { return try result.get() } catch { throw RuntimeError(error) }
        }
        throw RuntimeError(.deadlineExceeded, "the image \(reference) is still being fetched")
    }

    /// A preparation that is given up takes its fetches along.
    func cancelAll() {
        for fetch in fetches.withLock({ Array($0.values) }) { fetch.cancel() }
    }
}

extension RuntimeError {
    init(_ error: ImageError) {
        let code: Code =
            switch error.code {
            case .invalidReference, .notFound, .unsupported, .tooLarge: .badImage
            case .noSpace: .outOfCapacity
            case .deadlineExceeded: .deadlineExceeded
            case .unavailable: .imageOutOfReach
            case .cannotRun, .cancelled, .inUse: .unavailable
            }
        self.init(code, error.message, cause: error)
    }
}
