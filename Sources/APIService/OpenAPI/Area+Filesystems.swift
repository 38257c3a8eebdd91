import APIContract
import ComputeCore

extension Area {
    static let filesystems = Area(
        name: "filesystems", text: "Disks that sandboxes mount and that outlive them.",
        operations: [
            Operation(
                method: "POST", path: all, id: "createFilesystem", summary: "Make one, empty",
                body: .order([
                    .must("name", Components.name), .must("sizeMiB", .integer(CreateFilesystem.sizeRange)),
                ]), answer: .data(.named("Filesystem")), refusals: [409, 429]),
            Operation(
                method: "GET", path: all, id: "listFilesystems", summary: "The group's, by name",
                parameters: [.cursor, .limit], answer: .page(of: .named("Filesystem"))),
            Operation(
                method: "GET", path: one, id: "getFilesystem", summary: "One, and which sandboxes have it",
                answer: .data(.named("Filesystem"))),
            Operation(
                method: "DELETE", path: one, id: "deleteFilesystem",
                summary: "Delete it with all that is in it, unless a sandbox has it", answer: .data(.object),
                refusals: [409]),
        ])

    private static let all = "/v1/filesystems"
    private static let one = "/v1/filesystems/{filesystem}"
}
