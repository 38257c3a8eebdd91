/// What part of a file a request asks for (RFC 9110, one range).
package enum ByteRange: Hashable, Sendable {
    case whole
    case part(ClosedRange<Int64>)
    /// 416
    case unsatisfiable

    /// What makes no sense, and several ranges at once, is ignored, as the RFC wishes: the answer is then the whole.
    package init(_ header: String?, size: Int64) {
        self = .whole
        guard let header, header.lowercased().hasPrefix("bytes=") else { return }
        let spec = header.dropFirst(6).filter { $0 != " " && $0 != "\t" }
        let parts = spec.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, !spec.contains(",") else { return }
        func number(_ text: Substring) -> Int64? {
            guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
            return text.isEmpty ? nil : Int64(text) ?? .max
        }
        switch (number(parts[0]), number(parts[1])) {
        case (let first?, let last?):
            guard first <= last else { return }
            self = first < size ? .part(first...min(last, size - 1)) : .unsatisfiable
        case (let first?, nil):
            guard parts[1].isEmpty else { return }
            self = first < size ? .part(first...size - 1) : .unsatisfiable
        case (nil, let suffix?):
            guard parts[0].isEmpty else { return }
            self = suffix > 0 && size > 0 ? .part(max(size - suffix, 0)...size - 1) : .unsatisfiable
        case (nil, nil): return
        }
    }
}
