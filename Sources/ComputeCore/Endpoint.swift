/// Where something listens: `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/x.sock`.
package enum Endpoint: Hashable, Sendable {
    /// `host` is an IP address or a name, without brackets.
    case tcp(host: String, port: Int)
    case unix(path: String)

    /// Whether only this machine can connect, over TCP.
    package var isLoopback: Bool {
        switch self {
        case .tcp(let host, _):
            host == "localhost" || host == "::1" || host.hasPrefix("127.") || host.hasPrefix("::ffff:127.")
        case .unix: false
        }
    }
}

extension Endpoint: CustomStringConvertible, LosslessStringConvertible {
    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    package init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty else { return nil }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self = .tcp(host: String(host), port: port)
    }
}

extension Endpoint: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let endpoint = Endpoint(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not host:port or unix:/path")
        }
        self = endpoint
    }
    package func encode(to encoder: any Encoder) throws { try description.encode(to: encoder) }
}
