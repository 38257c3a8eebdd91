import ComputeCore

/// Does once, before anybody has claimed this compute, what its first user will ask for. In a fresh sandbox the first
/// claim and the first command each cost several times a later one, because every page of code and every file is met for the
/// first time. And a sandbox that cannot do even this must not be given to anybody.
struct WarmUp: Sendable {
    let claims: ClaimService
    let commands: CommandService
    let user: UserIdentity

    /// - Throws: when a claim could not be recorded, or the smallest command does not run.
    func run() async throws {
        guard claims.current == nil else { return }
        try await claims.rehearse()
        let nobody = ComputeContext(
            computeID: .random(), env: [:], directory: user.home, user: user, url: "", portURLTemplate: nil)
        let output = commands.output()
        defer { output.release() }
        do {
            let result = try await commands.run(CommandRequest(command: "echo"), in: nobody, into: output)
            guard result.exitCode == 0 else {
                throw Problem(
                    status: 500, code: .internalError,
                    message: "the smallest command as \(user.name) ended with \(result.exitCode)")
            }
            // What is frozen from here on has it, too.
            await commands.nextIsReady(within: .seconds(2))
        } catch let problem as Problem where problem.field == "shell" {
            // An image without a shell still has its files, and whatever programs it came for.
            SidekickLog.write(.warning, "the image has no shell that runs", ["reason": problem.message])
        }
    }
}
