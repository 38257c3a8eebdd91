package import ComputeCore
import FoundationEssentials
import Glibc
import LinuxSystem
package import SidekickProtocol

/// The claim on disk: `claim.json` in the state directory, mode 0600, open and empty from the start, so that a claim, which
/// somebody waits for, only writes it. Blocking.
struct ClaimFile: ~Copyable, Sendable {
    private let file: FileDescriptor
    private let path: String

    init(in stateDirectory: String, name: String = "claim.json") throws(LinuxSystemError) {
        path = "\(stateDirectory)/\(name)"
        let file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        try FileDescriptor.open(stateDirectory, O_RDONLY | O_DIRECTORY).sync(stateDirectory)
        self.file = file
    }

    /// - Returns: nil when nobody has claimed, else also whether all of the claim is done. What cannot be read is an error, never "unclaimed": somebody's compute must
    ///   not be given to somebody else.
    func load() throws -> (record: ClaimRecord, isWhole: Bool)? {
        let bytes = try file.readAll(upTo: RequestBody.maxBytes * 2, path)
        guard let last = bytes.last else { return nil }
        let record = try JSONDecoder().decode(ClaimRecord.self, from: Data(bytes))
        return (record, record.hasSecretFiles != true || last == Self.end)
    }

    private static let end = UInt8(ascii: "\n")

    /// Into an empty file. Returns when the record would survive a loss of power; whoever gets an error clears the file.
    func save(_ record: ClaimRecord) throws {
        let encoded = try JSONEncoder().encode(record)
        try encoded.withUnsafeBytes { (bytes) throws -> Void in try file.write(bytes, path) }
        try file.sync(path)
    }

    /// What the record promises besides itself is done. Returns when that would survive a loss of power.
    func markWhole() throws(LinuxSystemError) {
        guard lseek(file.raw, 0, SEEK_END) >= 0 else { throw .last("seek", path) }
        // One byte is there or not: the record before it cannot be harmed.
        try withUnsafeBytes(of: Self.end) { bytes -> Result<Void, LinuxSystemError> in
            do throws(LinuxSystemError) { return .success(try file.write(bytes, path)) } catch {
                return .failure(error)
            }
        }.get()
        try file.sync(path)
    }

    /// Returns when nothing of it would survive a loss of power.
    func clear() throws(LinuxSystemError) {
        guard ftruncate(file.raw, 0) == 0, lseek(file.raw, 0, SEEK_SET) == 0 else { throw .last("clear", path) }
        try file.sync(path)
    }

    func remove() { unlink(path) }
}

/// An accepted claim, as it is kept on disk.
package struct ClaimRecord: Codable, Hashable, Sendable {
    package var order: ClaimOrder
    /// Of the body as it was sent: "the same claim again" means the same bytes.
    package var bodySHA256: String
    /// It has files, which are not in here: whether they are in their places says the end of the record.
    package var hasSecretFiles: Bool?

    package init(order: ClaimOrder, bodySHA256: String) {
        self.order = order
        self.bodySHA256 = bodySHA256
    }

    package var computeID: ComputeID { order.computeId }
}
