import ComputeCore

extension SidekickPlace.Answer {
    /// A text of the envelope's `data`.
    func data(_ name: String) -> String? { json["data"]?.members[name]?.text }
}
