import Auth
package import NIOHTTP1

/// Our cookies among those of a request or an answer.
package enum Cookies {
    package static func sessionName(scheme: String) -> String { SessionCookie.name(scheme: scheme) }

    /// Every name of ours, also of the other scheme: none of them may reach user code or come from it.
    package static func isOurs(_ name: Substring) -> Bool {
        name.hasPrefix("__Host-computesdk") || name.hasPrefix("computesdk_session")
    }

    /// Several of one name arrive when another host planted one for the parent domain; each is a candidate,
    /// but no more than four, because each costs a signature check.
    package static func values(named name: String, in headers: HTTPHeaders) -> [String] {
        var values: [String] = []
        for (cookie, value) in headers["cookie"].flatMap(pairs) where cookie == name && values.count < 4 {
            values.append(String(value))
        }
        return values
    }

    /// Leaves only the app's own cookies.
    package static func removeOurs(from headers: inout HTTPHeaders) {
        let lines = headers["cookie"]
        guard lines.contains(where: { pairs($0).contains { isOurs($0.name) } }) else { return }
        headers.remove(name: "cookie")
        for line in lines {
            let kept = line.split(separator: ";").map(trimmed).filter { !isOurs(name(of: $0)) }
            if !kept.isEmpty { headers.add(name: "Cookie", value: kept.joined(separator: "; ")) }
        }
    }

    /// User code must not plant our cookies, on its own host or on the parent domain.
    package static func removePlanted(from headers: inout HTTPHeaders) {
        let lines = headers["set-cookie"]
        guard lines.contains(where: { isOurs(name(of: trimmed($0[...]))) }) else { return }
        headers.remove(name: "set-cookie")
        for line in lines where !isOurs(name(of: trimmed(line[...]))) { headers.add(name: "Set-Cookie", value: line) }
    }

    private static func pairs(_ line: String) -> [(name: Substring, value: Substring)] {
        line.split(separator: ";").map { pair in
            let pair = trimmed(pair)
            let value = pair.firstIndex(of: "=").map { pair[pair.index(after: $0)...] } ?? ""
            return (name(of: pair), value)
        }
    }

    private static func name(of pair: Substring) -> Substring {
        trimmed(pair[..<(pair.firstIndex(of: "=") ?? pair.endIndex)])
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}
