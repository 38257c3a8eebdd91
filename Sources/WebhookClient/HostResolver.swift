import Glibc
import NIOPosix

/// The addresses of a host, in the order to try them in.
package protocol HostResolver: Sendable {
    func addresses(of host: String) async throws -> [IPAddress]
}

/// Asks the system, on threads that may wait: the C library knows no deadline. Whoever asks has one, and leaves the thread
/// to its fate.
package struct SystemResolver: HostResolver {
    /// The process's own: there is nobody who could wait for a thread that the C library holds.
    private static let pool: NIOThreadPool = {
        // More than all who ask at once, or names that nobody answers for would hold up everybody's.
        let pool = NIOThreadPool(numberOfThreads: 48)
        pool.start()
        return pool
    }()

    package init() {}

    package func addresses(of host: String) async throws -> [IPAddress] {
        try await Self.pool.runIfActive { Self.ask(host) }
    }

    private static func ask(_ host: String) -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { if let list { freeaddrinfo(list) } }
        return sequence(first: list, next: { $0?.pointee.ai_next }).compactMap { entry -> IPAddress? in
            guard let address = entry?.pointee.ai_addr else { return nil }
            return IPAddress(address)
        }
    }
}
