import APIContract
import ComputeCore
import ComputeDomain

/// The names that types of events can have: ours, and what programs may call theirs.
enum EventTypes {
    private static let ours: Set<String> = {
        func names<T: CaseIterable & RawRepresentable>(_ type: T.Type) -> [String] where T.RawValue == String {
            T.allCases.map(\.rawValue)
        }
        return Set(
            names(ComputeEvent.TypeName.self) + names(SessionTokenEvent.TypeName.self)
                + names(MagicLinkEvent.TypeName.self) + names(APIKeyEvent.TypeName.self)
                + names(APISessionEvent.TypeName.self) + names(GroupEvent.TypeName.self)
                + names(SigningKeyEvent.TypeName.self) + names(WebhookEvent.TypeName.self)
                + names(SecretEvent.TypeName.self) + names(FilesystemEvent.TypeName.self)
                + names(TemplateEvent.TypeName.self) + names(PoolEvent.TypeName.self))
    }()

    /// Who waits for what cannot come waits in silence.
    static func check(_ types: some Sequence<String>, field: String) throws(Problem) {
        for type in types where !ours.contains(type) && !EmitEvent.isType(type) {
            throw .invalid(field, "\(field) has \(type.prefix(64)), which is the type of no event")
        }
    }
}
