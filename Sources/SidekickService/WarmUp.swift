import ComputeCore
import HTTPServing
import NIOCore
import NIOHTTP1

/// Does once, before anybody has claimed this compute, what its first user will ask for. In a fresh sandbox the first
/// claim and the first command each cost several times a later one, because every page of code and every file is met for the
/// first time. And a sandbox that cannot do even this must not be given to anybody.
struct WarmUp: Sendable {
    let claims: ClaimService
    let commands: CommandService
    /// The public listener's.
    let handler: PublicHandler
    let stateDirectory: String

    /// - Throws: when a claim could not be recorded, or the smallest command does not run.
    func run() async throws {
        guard claims.current == nil else { return }
        let (claimed, secret) = try claims.rehearse()
        // Like the public listener, but where nobody else reaches it.
        let server = HTTPServer(
            listen: .unix(path: "\(stateDirectory)/rehearsal.sock"), handler: handler.rehearsing(claimed))
        let endpoint = try await server.bind()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            do {
                // Twice: the first may come before the shell that was started ahead has begun to wait.
                for _ in 0..<2 {
                    try await smallestCommand(at: endpoint, secret, as: claimed.compute.user)
                    // What is frozen from here on has it, too.
                    await commands.nextIsReady(within: .seconds(2))
                }
            } catch let problem as Problem where problem.field == "shell" {
                // An image without a shell still has its files, and whatever programs it came for.
                SidekickLog.write(.warning, "the image has no shell that runs", ["reason": problem.message])
            } catch {
                await server.shutdown(deadline: .zero)
                throw error
            }
            await server.shutdown(deadline: .zero)
        }
    }

    private func smallestCommand(at endpoint: Endpoint, _ secret: String, as user: UserIdentity) async throws {
        let connection = try await HTTPClientConnection.connect(to: endpoint, timeout: .seconds(5))
        let body = ByteBuffer(string: #"{"command":"echo"}"#)
        let head = HTTPRequestHead(
            version: .http1_1, method: .POST, uri: "/run/command",
            headers: [
                "Host": "localhost", "Authorization": "Bearer \(secret)", "Content-Type": "application/json",
                "Content-Length": "\(body.readableBytes)",
            ])
        let answer: JSONValue
        do {
            try await connection.sendHead(head)
            try await connection.sendBody(body)
            try await connection.finish()
            _ = try await connection.receiveHead()
            answer = try JSONDocument.parse(Array(try await connection.body.collect(upTo: 64 << 10).readableBytesView))
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
        let fields = try FieldReader(answer)
        if let message = try fields.string("error") {
            throw Problem(
                status: 500, code: .internalError, message: "the smallest command as \(user.name): \(message)",
                field: try fields.string("field"))
        }
        let exitCode = try FieldReader(try fields.object("data") ?? [:]).integer("exit_code", in: 0...255)
        guard exitCode == 0 else {
            throw Problem(
                status: 500, code: .internalError,
                message: "the smallest command as \(user.name) ended with \(exitCode ?? -1)")
        }
    }
}
