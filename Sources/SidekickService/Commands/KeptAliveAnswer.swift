package import ComputeCore
package import HTTPServing
import NIOCore
import NIOHTTP1

/// Answers that may take longer than a client waits (contract §1.8).
///
/// Clients give up after 30 s without headers or bytes. So after a grace, in which an error still gets its own status,
/// the headers of a 200 go out, then one space every few seconds, then the document: JSON may begin with spaces.
package struct KeptAliveAnswer: Sendable {
    /// Most commands are done by then, and most mistakes known.
    package var grace: Duration = .seconds(1)
    package var interval: Duration = .seconds(5)

    package init() {}

    private enum Step: Sendable {
        case done(Result<JSONValue, any Error>)
        case tick
    }

    /// - Parameter work: cancelled when the client goes away, and awaited in any case.
    /// - Returns: when the answer is out.
    /// - Throws: what `work` throws, as long as nothing was sent.
    package func answer(
        _ exchange: HTTPExchange, requestID: RequestID, work: @escaping @Sendable () async throws -> JSONValue
    ) async throws -> SidekickAnswer {
        try await withThrowingTaskGroup(of: Step.self) { group in
            group.addTask {
                do { return .done(.success(try await work())) } catch { return .done(.failure(error)) }
            }
            group.addTask { [grace] in
                try await exchange.sleep(for: grace)
                return .tick
            }
            var writer: HTTPResponseWriter?
            while let step = try await group.next() {
                switch step {
                case .tick:
                    if writer == nil {
                        writer = try await exchange.startResponse(status: .ok, headers: Self.headers)
                    }
                    try await writer?.write(ByteBuffer(string: " "))
                    group.addTask { [interval] in
                        try await exchange.sleep(for: interval)
                        return .tick
                    }
                case .done(let result):
                    group.cancelAll()
                    guard let writer else {
                        try await AnswerWriter.write(
                            .json(status: 200, try result.get()), to: exchange, requestID)
                        return .written
                    }
                    let document = Self.document(result, requestID: requestID)
                    try await writer.write(ByteBuffer(bytes: document.utf8))
                    try await writer.finish()
                    return .written
                }
            }
            return .written
        }
    }

    /// Proxies must not hold the spaces back.
    private static let headers: HTTPHeaders = [
        "Content-Type": "application/json", "X-Accel-Buffering": "no", "Cache-Control": "no-store",
    ]

    /// The status is out; a failure can only be told inside.
    private static func document(_ result: Result<JSONValue, any Error>, requestID: RequestID) -> JSONValue {
        switch result {
        case .success(let document): return document
        case .failure(let error):
            let problem =
                error as? Problem ?? Problem(status: 500, code: .internalError, message: "the command failed")
            var body: [String: JSONValue] = [
                "success": .bool(false), "status": .string("error"), "error": .string(problem.message),
                "message": .string(problem.message), "code": .string(problem.code.rawValue),
                "requestId": .string(requestID.rawValue),
            ]
            body["field"] = problem.field.map(JSONValue.string)
            return .object(body)
        }
    }
}
