package import EventSourcing

/// What a token of a compute came of, as it is named in the token: a key, a session of the API, or a member with how
/// often his role has sunk. Whoever follows revocations needs no more than this name.
///
/// All have the shape of a session's id, and none is ever another's: ids are drawn from 62 bits and more.
package struct Origin: Hashable, Sendable {
    package let text: String

    /// As many digits are put behind a member's id, so that both can be told from the whole again.
    private static let digits = 6
    /// Long before anybody is demoted that often a group's stream is too long to be read.
    package static let mostDemotions: Int64 = 999_999

    /// A key, or a session.
    package init(_ id: String) { text = id }

    package init(member id: String, demotions: Int) {
        let number = String(demotions)
        text =
            demotions == 0
            ? id : id + String(repeating: "0", count: max(0, Self.digits - number.utf8.count)) + number
    }

    /// What the text may name; the records say which one it is.
    package static func candidates(_ text: String) -> [(id: AccessRecord.ID, demotions: Int)] {
        var all = [AccessRecord.Kind.key, .session, .member].map { (id: AccessRecord.ID($0, text), demotions: 0) }
        if text.utf8.count > digits, let number = Int(text.suffix(digits)), number > 0 {
            all.append((AccessRecord.ID(.member, String(text.dropLast(digits))), number))
        }
        return all
    }
}

extension AccessRecord {
    /// What tokens that come of this one name.
    package func origin() throws(EventStoreError) -> Origin {
        guard id.kind == .member else { return Origin(id.id) }
        return Origin(member: id.id, demotions: try member().demotions)
    }
}
