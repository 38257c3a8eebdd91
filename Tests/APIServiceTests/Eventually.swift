/// Asks until the answer is yes, or the deadline is over. What fails counts as no.
func eventually(within deadline: Duration = .seconds(60), _ condition: () async throws -> Bool) async -> Bool {
    let end = ContinuousClock.now + deadline
    repeat {
        if let answer = try? await condition(), answer { return true }
        try? await Task.sleep(for: .milliseconds(10))
    } while ContinuousClock.now < end
    return false
}
