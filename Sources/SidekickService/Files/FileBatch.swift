import ComputeCore
import FoundationEssentials
import LinuxSystem

/// What a batch does with one path.
struct FileOperation: Sendable {
    /// As the client spelled the path, by which it finds its result.
    let spelling: String
    enum Kind: Sendable {
        case write([UInt8])
        case delete
    }
    let path: FilePath
    let kind: Kind

    /// The last operation for a path wins; what is left is ordered by path, so a directory comes before what is in it.
    static func plan(_ operations: [FileOperation]) -> [FileOperation] {
        // By bytes: texts that differ only in how accents are composed are equal, and two files.
        var last: [[UInt8]: FileOperation] = [:]
        for operation in operations { last[Array(operation.path.absolute.utf8)] = operation }
        return last.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value)
    }
}

struct FileOperationResult: Sendable {
    let path: String
    /// nil after a deletion.
    let outcome: Result<FileTree.Entry?, Problem>
}

extension FileService {
    /// One after the other, each as durable as alone. Batches that touch the same files run one after the other, so their
    /// writes do not mix. A failure does not keep the others from being done.
    func run(_ operations: [FileOperation], as user: UserIdentity) async throws -> [FileOperationResult] {
        let plan = FileOperation.plan(operations)
        return try await locks.holding(plan.map(\.path.absolute)) {
            var results: [FileOperationResult] = []
            for operation in plan {
                do {
                    let entry: FileTree.Entry?
                    switch operation.kind {
                    case .write(let bytes): entry = try await writeUnlocked(operation.path, bytes, as: user)
                    case .delete:
                        try await removeUnlocked(operation.path, as: user)
                        entry = nil
                    }
                    results.append(FileOperationResult(path: operation.spelling, outcome: .success(entry)))
                } catch let problem as Problem {
                    results.append(FileOperationResult(path: operation.spelling, outcome: .failure(problem)))
                }
            }
            return results
        }
    }
}

/// `POST /files/batch`
extension FileRoutes {
    /// As many as fit into a body with short contents; more is a mistake or an archive.
    static let maxOperations = 10_000

    func batch(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        guard let items = try fields.array("files") else { throw Problem.invalid("files", "files is required") }
        guard items.count <= Self.maxOperations else {
            throw Problem.invalid("files", "files holds more than \(Self.maxOperations) operations; use an archive")
        }
        var operations: [FileOperation] = []
        for (index, item) in items.enumerated() {
            guard case .object(let members) = item else {
                throw Problem.invalid("files[\(index)]", "files[\(index)] must be an object, not \(item.typeName)")
            }
            operations.append(
                try Self.operation(FieldReader(members, prefix: "files[\(index)]"), request.compute.directory))
        }
        let results = try await files.run(operations, as: request.compute.user)
        let failed = results.count { if case .failure = $0.outcome { true } else { false } }
        return .success(
            failed == 0 ? "All operations done" : "\(failed) of \(results.count) operations failed",
            status: failed == 0 ? 200 : 207, data: ["results": .array(results.map(Self.json))])
    }

    private static func operation(_ fields: FieldReader, _ directory: String) throws -> FileOperation {
        let spelling = try fields.requiredString("path")
        let path: FilePath
        do {
            path = try FilePath(spelling, directory: directory)
        } catch let problem {
            // The path's own complaints do not know where it stood.
            throw Problem.invalid(fields.path("path"), problem.message)
        }
        switch try fields.requiredString("operation") {
        case "write":
            return FileOperation(spelling: spelling, path: path, kind: .write(try content(fields, required: false)))
        case "delete": return FileOperation(spelling: spelling, path: path, kind: .delete)
        default:
            let field = fields.path("operation")
            throw Problem.invalid(field, "\(field) must be \"write\" or \"delete\"")
        }
    }

    private static func json(_ result: FileOperationResult) -> JSONValue {
        switch result.outcome {
        case .success(let entry):
            var members: [String: JSONValue] = ["path": .string(result.path), "success": .bool(true)]
            if let entry { members["file"] = json(entry) }
            return .object(members)
        case .failure(let problem):
            return .object([
                "path": .string(result.path), "success": .bool(false), "error": .string(problem.message),
                "code": .string(problem.code.rawValue),
            ])
        }
    }
}
