import ComputeCore
import HTTPServing
import NIOCore
import NIOHTTP1

/// `/files/archive`. Without a `path` in the query a GET is about a file of that name, as the contract has it.
struct ArchiveRoutes: Sendable {
    let archives: ArchiveService
    let contract: FileRoutes

    /// How many entries of the tree are not in the archive; known at its end only.
    static let skippedTrailer = "X-Archive-Skipped"

    var routes: [SidekickRoute] {
        [
            SidekickRoute(.GET, "/files/archive", handle: pack),
            SidekickRoute(.HEAD, "/files/archive") { request in
                try await contract.get(request, try FilePath("archive", directory: request.compute.directory))
            },
            SidekickRoute(.POST, "/files/archive", handle: unpack),
        ]
    }

    private func pack(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let query = QueryReader(request.query)
        guard let asked = try query.string("path") else {
            return try await contract.get(request, try FilePath("archive", directory: request.compute.directory))
        }
        let path = try FilePath(asked.isEmpty ? "." : asked, directory: request.compute.directory)
        let format = try ArchiveFormat(try query.string("format") ?? "tar.gz")
        let ignore = try GlobSet(try query.strings("ignore"))
        var headers = AnswerWriter.headers(request.requestID, format.contentType)
        headers.add(
            name: "Content-Disposition", value: "attachment; filename=\"\(Self.name(path)).\(format.rawValue)\"")
        headers.add(name: "Trailer", value: Self.skippedTrailer)
        headers.add(name: "X-Content-Type-Options", value: "nosniff")
        try await archives.pack(path, format, ignore: ignore, as: request.compute.user) { archive in
            // A first piece, before anything is promised; then one is made while the last is on its way.
            var piece = try await archive.next()
            let writer = try await request.exchange.startResponse(status: .ok, headers: headers)
            while let current = piece {
                async let following = archive.next()
                try await writer.write(current)
                piece = try await following
            }
            try await writer.finish(trailers: [Self.skippedTrailer: "\(archive.skipped)"])
        }
        return .written
    }

    /// What may stand between quotes in a header.
    private static func name(_ path: FilePath) -> String {
        let name = path.absolute.split(separator: "/").last ?? "root"
        let plain = name.utf8.map { byte in
            let isPlain =
                byte.isLowercaseLetter || byte.isDigit || (0x41...0x5a).contains(byte) || byte == 0x2d || byte == 0x2e
            return isPlain ? byte : UInt8(ascii: "_")
        }
        return String(decoding: plain, as: UTF8.self)
    }

    private func unpack(_ request: SidekickRequest) async throws -> SidekickAnswer {
        let query = QueryReader(request.query)
        let asked = try query.string("path") ?? ""
        let path = try FilePath(asked.isEmpty ? "." : asked, directory: request.compute.directory)
        let format = try query.string("format").map { (text) throws(Problem) in try ArchiveFormat(text) }
        var limits = UnpackLimits()
        if let bytes = try query.integer("max_bytes", in: 0...Int.max) { limits.maxBytes = Int64(bytes) }
        if let entries = try query.integer("max_entries", in: 0...Int.max) { limits.maxEntries = Int64(entries) }
        limits.replaces = try query.bool("overwrite") ?? true
        switch try query.string("links") {
        case nil, "inside": break
        case "any": limits.allowsOutsideLinks = true
        default: throw Problem.invalid("links", "links must be \"inside\" or \"any\"")
        }
        let outcome = try await archives.unpack(
            path, format, limits, BodyPieces(body: request.exchange.body), as: request.compute.user)
        return .success(
            "Archive unpacked",
            data: [
                "path": .string(path.absolute), "entries": .int(outcome.entries), "bytes": .int(outcome.bytes),
            ])
    }
}
