package import ComputeCore

/// Where a request goes, and what it asks for there.
package struct Resolution: Equatable, Sendable {
    package var destination: Destination
    /// Path and query for the upstream, byte for byte; the `token` pair is still in it.
    package var target: String
    /// How the client names this host; nil when it named none.
    package var authority: Authority?
    package var form: Form
    /// Where the client finds the same with a final slash, as an absolute path. A page at `/s/<id>/p/<port>` would
    /// take `p/` for the folder that its relative links count from.
    package var withFinalSlash: String?

    package enum Form: Equatable, Sendable {
        /// `<id>.<domain>`: the compute has an origin of its own.
        case host
        /// `/s/<id>/…`: all computes and the API share one origin, so no cookie and no script may count there.
        case path
    }
}

package enum Destination: Equatable, Sendable {
    /// `computeHost` is set for `/auth/*` on a compute's host: sessions are the API's, but the browser sees
    /// the compute's origin.
    case api(computeHost: ComputeID?)
    case sidekick(ComputeID, child: String?)
    case port(ComputeID, Int, child: String?)
    case refused(Problem)
}
