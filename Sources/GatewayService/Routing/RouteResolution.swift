import ComputeCore
package import NIOHTTP1

/// Decides from the request line and `Host` alone where a request goes. Pure: what it decides on is what the
/// client sent, never what it decodes to, so that nothing upstream can read the same bytes differently.
package struct RouteResolution: Sendable {
    /// Computes live directly under this name, and under `sandbox.` and `preview.` of it. Lower case.
    package let domain: String
    /// Whether only this machine can reach the listener: ports in the path form share the API's origin, which
    /// is tolerable for a developer's own machine and nowhere else.
    package let listensOnLoopback: Bool

    package init(domain: String, listensOnLoopback: Bool) {
        self.domain = domain.lowercased()
        self.listensOnLoopback = listensOnLoopback
    }

    package func resolve(method: HTTPMethod, version: HTTPVersion, target raw: String, hosts: [String]) -> Resolution {
        do throws(Problem) {
            return try decide(method: method, version: version, target: raw, hosts: hosts)
        } catch {
            return Resolution(destination: .refused(error), target: "/", authority: nil, form: .host)
        }
    }

    private func decide(
        method: HTTPMethod, version: HTTPVersion, target raw: String, hosts: [String]
    ) throws(Problem) -> Resolution {
        // CONNECT would make us an open proxy; TRACE answers with the headers that we add.
        guard method != .CONNECT, method != .TRACE else {
            throw Problem(status: 405, code: .methodNotAllowed, message: "\(method.rawValue) is not answered here")
        }
        let target = try RequestTarget(raw)
        let authority = try authority(of: target, version: version, hosts: hosts)
        if let label = authority.flatMap(label(of:)) {
            return Resolution(
                destination: onComputeHost(label, path: RequestTarget.path(of: target.origin)), target: target.origin,
                authority: authority, form: .host)
        }
        var resolution = pathForm(target.origin)
        resolution.authority = authority
        return resolution
    }

    // MARK: - Host

    private func authority(
        of target: RequestTarget, version: HTTPVersion, hosts: [String]
    ) throws(Problem) -> Authority? {
        guard hosts.count <= 1 else { throw .malformed("the request has more than one Host") }
        guard let host = hosts.first else {
            guard version.major < 1 || (version.major == 1 && version.minor == 0) else {
                throw .malformed("the request has no Host")
            }
            return target.absolute?.authority
        }
        // An empty Host is legal; it names nobody, so it is the API's.
        guard !host.isEmpty else { return target.absolute?.authority }
        guard let named = Authority(host) else { throw .malformed("Host is not a host name") }
        guard let absolute = target.absolute else { return named }
        guard named.isSame(as: absolute.authority, scheme: absolute.scheme) else {
            throw .malformed("Host and the request target name different hosts")
        }
        return absolute.authority
    }

    /// - Returns: nil when the host is not directly under one of our domains or its label is no compute's.
    private func label(of authority: Authority) -> HostLabel? {
        guard let dot = authority.name.firstIndex(of: ".") else { return nil }
        let parent = authority.name[authority.name.index(after: dot)...]
        guard parent == domain || parent == "sandbox." + domain || parent == "preview." + domain else { return nil }
        let label = HostLabel(authority.name[..<dot])
        return label == .notACompute ? nil : label
    }

    private func onComputeHost(_ label: HostLabel, path: Substring) -> Destination {
        switch label {
        case .sidekick(let id, let child):
            path.startsWithBytes("/auth/") ? .api(computeHost: id) : .sidekick(id, child: child)
        case .port(let id, let port, let child): .port(id, port, child: child)
        case .impossible, .notACompute: .refused(.notFound("this host is not one of a sandbox"))
        }
    }

    // MARK: - Path

    private func pathForm(_ origin: String) -> Resolution {
        guard origin.startsWithBytes("/s/") else {
            return Resolution(destination: .api(computeHost: nil), target: origin, form: .host)
        }
        let afterS = origin[origin.utf8.index(origin.startIndex, offsetBy: 3)...]
        let (first, rest) = Self.segment(afterS)
        guard let id = ComputeID(first) else {
            return Resolution(destination: .refused(.notFound("no such sandbox")), target: "/", form: .path)
        }
        if rest.startsWithBytes("/auth/") {
            // The API knows the path form too, and a path is never rewritten for it.
            return Resolution(destination: .api(computeHost: id), target: origin, form: .path)
        }
        guard rest.startsWithBytes("/c/") else { return inside(id, child: nil, rest, of: origin) }
        let (name, tail) = Self.segment(rest[rest.utf8.index(rest.startIndex, offsetBy: 3)...])
        // A name that fits no host label fits no path either: each child has both.
        guard HostLabel.isChildName(name), id.rawValue.utf8.count + 1 + name.utf8.count <= 63 else {
            return Resolution(
                destination: .refused(.notFound("no such directory of this sandbox")), target: "/", form: .path)
        }
        if tail.startsWithBytes("/auth/") {
            // Tokens are the compute's, whichever of its directories they are asked for in.
            return Resolution(destination: .api(computeHost: id), target: "/s/\(id)\(tail)", form: .path)
        }
        return inside(id, child: String(name), tail, of: origin)
    }

    /// What follows on `/s/<id>` or `/s/<id>/c/<name>`.
    private func inside(_ id: ComputeID, child: String?, _ rest: Substring, of origin: String) -> Resolution {
        guard rest.startsWithBytes("/p/") else {
            return Resolution(destination: .sidekick(id, child: child), target: Self.rooted(rest), form: .path)
        }
        let (digits, tail) = Self.segment(rest[rest.utf8.index(rest.startIndex, offsetBy: 3)...])
        let destination: Destination
        if !listensOnLoopback {
            destination = .refused(
                .notFound("ports are not served under /s/<id>/p/ here: use the sandbox's host name"))
        } else if let port = HostLabel.port(digits) {
            destination = .port(id, port, child: child)
        } else {
            destination = .refused(.notFound("no such port"))
        }
        var resolution = Resolution(destination: destination, target: Self.rooted(tail), form: .path)
        if case .port = destination, !tail.startsWithBytes("/") {
            resolution.withFinalSlash = origin[..<tail.startIndex] + resolution.target
        }
        return resolution
    }

    /// Everything up to the next `/` or `?`, and the rest with that character.
    private static func segment(_ text: Substring) -> (Substring, Substring) {
        let end = text.utf8.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? text.endIndex
        return (text[..<end], text[end...])
    }

    /// `/s/<id>` and `/s/<id>?q` mean the Sidekick's `/`.
    private static func rooted(_ rest: Substring) -> String { rest.startsWithBytes("/") ? String(rest) : "/" + rest }
}
