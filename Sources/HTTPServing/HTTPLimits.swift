/// The bounds of one server. Every one of them exists because a peer could otherwise make us hold memory,
/// descriptors or tasks for as long as it likes.
package struct HTTPLimits: Sendable {
    /// Request line, header names and values together; more is answered with 431.
    package var maxHeaderBytes: Int
    /// Header fields of one message, trailers included; more is answered with 431.
    package var maxHeaderFields: Int
    /// From the first byte of a head to its end; later it is answered with 408. Stops "slow loris" clients.
    package var headerTimeout: Duration
    /// How long a connection may stay open without a request.
    package var idleTimeout: Duration
    /// More connections than this are closed as soon as they are accepted.
    package var maxConnections: Int
    /// Whether connections that come from this machine itself are closed as soon as they are accepted.
    package var refusesOwnMachine = false
    /// How much of a body that a handler left unread is thrown away to keep the connection.
    package var maxDrainBytes: Int
    /// How long a refused peer may take to read our last answer before the socket closes under it.
    package var lingerTimeout: Duration
    /// What a cancelled handler gets for its last words, before the connection closes under it. Longer than writing a
    /// close frame takes, and short, because a shutdown waits for it after its deadline.
    package var goodbyeTimeout: Duration
    /// How long one write may wait for a peer that takes neither all of it nor 64 KiB of it, in answers, tunnels and WebSockets
    /// alike: this bounds standstill and not slowness.
    package var stallTimeout: Duration
    /// What the kernel keeps on its way to a peer, in bytes; nil: as much as it likes, which far peers need. Over TCP.
    package var sendBufferBytes: Int?

    /// As long as the contract lets an answer take to begin. A download that somebody paused for minutes goes on.
    package static let defaultStallTimeout: Duration = .seconds(300)

    package init(
        maxHeaderBytes: Int = 64 * 1024, maxHeaderFields: Int = 256, headerTimeout: Duration = .seconds(10),
        idleTimeout: Duration = .seconds(120), maxConnections: Int = 10_000, maxDrainBytes: Int = 256 * 1024,
        lingerTimeout: Duration = .seconds(5), goodbyeTimeout: Duration = .milliseconds(250),
        stallTimeout: Duration = HTTPLimits.defaultStallTimeout
    ) {
        self.maxHeaderBytes = maxHeaderBytes
        self.maxHeaderFields = maxHeaderFields
        self.headerTimeout = headerTimeout
        self.idleTimeout = idleTimeout
        self.maxConnections = maxConnections
        self.maxDrainBytes = maxDrainBytes
        self.lingerTimeout = lingerTimeout
        self.goodbyeTimeout = goodbyeTimeout
        self.stallTimeout = stallTimeout
    }
}
