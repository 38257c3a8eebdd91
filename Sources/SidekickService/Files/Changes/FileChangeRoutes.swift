import ComputeCore
import LinuxSystem
import NIOHTTP1

/// What clients otherwise run `mv`, `cp`, `mkdir`, `chmod` and `ln` for. Paths in a body have one reading: as written, relative
/// ones below the working directory.
struct FileChangeRoutes: Sendable {
    let files: FileService

    var routes: [SidekickRoute] {
        [
            SidekickRoute(.POST, "/files/mkdir", handle: makeDirectory),
            SidekickRoute(.POST, "/files/move", handle: move),
            SidekickRoute(.POST, "/files/copy", handle: copy),
            SidekickRoute(.POST, "/files/chmod", handle: changeMode),
            SidekickRoute(.POST, "/files/symlink", handle: makeLink),
        ]
    }

    private func makeDirectory(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let entry = try await files.makeDirectory(
            try Self.path(fields, "path", request), parents: try fields.bool("parents") ?? true,
            mode: try Self.mode(fields), as: request.compute.user)
        return .success("Directory made", status: 201, data: ["file": FileRoutes.json(entry)])
    }

    private func move(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let entry = try await files.move(
            try Self.path(fields, "from", request), to: try Self.path(fields, "to", request),
            replacing: try fields.bool("overwrite") ?? false, as: request.compute.user)
        return .success("Moved", data: ["file": FileRoutes.json(entry)])
    }

    private func copy(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let outcome = try await files.copy(
            try Self.path(fields, "from", request), to: try Self.path(fields, "to", request),
            recursive: try fields.bool("recursive") ?? false, replacing: try fields.bool("overwrite") ?? false,
            as: request.compute.user)
        return .success(
            "Copied",
            data: [
                "file": FileRoutes.json(outcome.entry), "entries": .int(Int64(outcome.entries)),
                "bytes": .int(outcome.bytes), "skipped": .int(Int64(outcome.skipped)),
            ])
    }

    private func changeMode(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        guard let mode = try Self.mode(fields) else { throw Problem.invalid("mode", "mode is required") }
        let (entry, changed) = try await files.changeMode(
            try Self.path(fields, "path", request), mode, recursive: try fields.bool("recursive") ?? false,
            as: request.compute.user)
        return .success("Mode changed", data: ["file": FileRoutes.json(entry), "changed": .int(Int64(changed))])
    }

    private func makeLink(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let fields = try await request.fields()
        let target = try fields.requiredString("target")
        guard !target.isEmpty, target.utf8.count <= FilePath.maxBytes, !target.utf8.contains(0) else {
            throw Problem.invalid("target", "target must be a path of 1 to \(FilePath.maxBytes) bytes without a NUL")
        }
        let entry = try await files.makeLink(
            try Self.path(fields, "path", request), to: target, replacing: try fields.bool("overwrite") ?? false,
            as: request.compute.user)
        return .success("Link made", status: 201, data: ["file": FileRoutes.json(entry)])
    }

    static func path(_ fields: FieldReader, _ name: String, _ request: SidekickRequest) throws(Problem) -> FilePath {
        let text = try fields.requiredString(name)
        do throws(Problem) {
            return try FilePath(text, directory: request.compute.directory)
        } catch {
            throw .invalid(name, error.message)
        }
    }

    private static func mode(_ fields: FieldReader) throws(Problem) -> UInt32? {
        guard let text = try fields.string("mode") else { return nil }
        return try FileMode.parse(text)
    }
}
