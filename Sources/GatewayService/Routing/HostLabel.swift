package import ComputeCore

/// What the first label of a host under our domain says.
///
///     <id>                  the Sidekick
///     <id>-<port>           a port            <port>-<id>   the same
///     <id>-<name>           a child directory's Sidekick (the name begins with a letter)
///     <id>-<name>-<port>    a port, in the child's name
///
/// Ids have no hyphen, so nobody can own an id that reads as somebody else's port. Whatever begins or ends
/// like one of these forms and is none of them is `impossible`: it must not fall through to another meaning.
package enum HostLabel: Equatable, Sendable {
    case sidekick(ComputeID, child: String?)
    case port(ComputeID, Int, child: String?)
    case impossible
    case notACompute

    /// - Parameter label: lower case.
    package init(_ label: Substring) {
        if let id = ComputeID(label) {
            self = .sidekick(id, child: nil)
            return
        }
        let parts = label.split(separator: "-", omittingEmptySubsequences: false)
        if parts.count > 1, let id = ComputeID(parts[0]) {
            self = HostLabel(id: id, rest: parts.dropFirst(), length: label.utf8.count)
        } else if parts.count > 1, !parts[0].isEmpty, parts[0].utf8.allSatisfy(\.isASCIIDigit),
            let id = ComputeID(parts[1])
        {
            if parts.count == 2, let port = Self.port(parts[0]) {
                self = .port(id, port, child: nil)
            } else {
                self = .impossible
            }
        } else {
            self = .notACompute
        }
    }

    private init(id: ComputeID, rest: ArraySlice<Substring>, length: Int) {
        // DNS ends a label at 63 bytes.
        guard length <= 63, let last = rest.last, rest.allSatisfy({ !$0.isEmpty }) else {
            self = .impossible
            return
        }
        let endsInNumber = last.utf8.allSatisfy(\.isASCIIDigit)
        let names = endsInNumber ? rest.dropLast() : rest
        guard names.count <= 1, names.allSatisfy(Self.isChildName) else {
            self = .impossible
            return
        }
        let child = names.first.map(String.init)
        if !endsInNumber {
            self = .sidekick(id, child: child)
        } else if let port = Self.port(last) {
            self = .port(id, port, child: child)
        } else {
            self = .impossible
        }
    }

    /// A letter, then letters and digits. No hyphen: `web-2` could be port 2 of `web`.
    package static func isChildName(_ name: Substring) -> Bool {
        guard let first = name.utf8.first, first.isLowercaseLetter else { return false }
        return name.utf8.allSatisfy { $0.isLowercaseLetter || $0.isASCIIDigit }
    }

    /// 1…65535 without leading zeros, so that each port has one spelling.
    package static func port(_ digits: Substring) -> Int? {
        guard digits.utf8.count <= 5, digits.utf8.first != UInt8(ascii: "0"),
            digits.utf8.allSatisfy(\.isASCIIDigit), let port = Int(digits), (1...65535).contains(port)
        else { return nil }
        return port
    }
}
