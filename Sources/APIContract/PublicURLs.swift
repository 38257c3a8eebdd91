package import ComputeCore

/// How the outside reaches a compute. Pure: the same for API and Gateway, whatever listens where.
///
/// ```
///   host:  http://<id>.localhost:8080        http://<id>-{port}.localhost:8080
///   path:  http://127.0.0.1:8080/s/<id>      http://127.0.0.1:8080/s/<id>/p/{port}
/// ```
package struct PublicURLs: Hashable, Sendable {
    package enum Style: String, Hashable, Sendable {
        /// One host name per compute; needs wildcard DNS.
        case host
        /// For places without it.
        case path
    }

    package var style: Style
    /// `http` or `https`.
    package var scheme: String
    /// Under which computes have their hosts; in path style the host of all URLs. No brackets around IPv6.
    package var domain: String
    /// Left out of URLs when it is the scheme's own.
    package var port: Int
    /// Path style serves ports on loopback listeners only: everywhere else one origin would share its cookies
    /// and storage between all computes.
    package var pathStyleServesPorts: Bool

    package init(style: Style, scheme: String, domain: String, port: Int, pathStyleServesPorts: Bool = true) {
        self.style = style
        self.scheme = scheme
        self.domain = domain
        self.port = port
        self.pathStyleServesPorts = pathStyleServesPorts
    }

    /// The Sidekick's base, without a trailing slash.
    package func url(of id: ComputeID) -> String {
        switch style {
        case .host: origin(host: "\(id).\(domain)")
        case .path: origin(host: domain) + "/s/\(id)"
        }
    }

    /// The URL of a port, with `{port}` in it; nil where ports have none.
    package func portURLTemplate(of id: ComputeID) -> String? {
        switch style {
        case .host: origin(host: "\(id)-{port}.\(domain)")
        case .path: pathStyleServesPorts ? origin(host: domain) + "/s/\(id)/p/{port}" : nil
        }
    }

    private func origin(host: String) -> String {
        let host = host.contains(":") ? "[\(host)]" : host
        let isDefault = port == (scheme == "https" ? 443 : 80)
        return "\(scheme)://\(host)" + (isDefault ? "" : ":\(port)")
    }
}
