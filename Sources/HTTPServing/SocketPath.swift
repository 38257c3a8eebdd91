import ComputeCore
import Glibc
import NIOCore

/// Unix domain sockets that only their owner can reach.
enum SocketPath {
    static func address(_ path: String) throws -> SocketAddress {
        guard path.utf8.count <= 107 else {
            throw HTTPServingError(.bindFailed, "the socket path has more than 107 bytes: \(path)")
        }
        return try SocketAddress(unixDomainSocketPath: path)
    }

    /// A listening descriptor. There is no moment at which another user could connect: Linux gives the file the mode
    /// that the socket itself has, which is set before the name exists.
    static func listen(_ path: String, backlog: Int32) throws -> CInt {
        let address = try address(path)
        try removeStale(path, address)
        let descriptor = try open()
        do {
            // Where the kernel does not keep modes on sockets, the chmod below still happens before listen(), and
            // before listen() nobody can connect.
            _ = fchmod(descriptor, 0o600)
            guard address.withSockAddr({ Glibc.bind(descriptor, $0, socklen_t($1)) }) == 0 else {
                throw failure("bind", path)
            }
            guard chmod(path, 0o600) == 0 else { throw failure("chmod", path) }
            guard Glibc.listen(descriptor, backlog) == 0 else { throw failure("listen", path) }
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Removes a socket file that nobody listens on. A live one, or a file of another kind, is an error.
    private static func removeStale(_ path: String, _ address: SocketAddress) throws {
        var info = stat()
        guard lstat(path, &info) == 0 else { return }
        guard info.st_mode & S_IFMT == S_IFSOCK else {
            throw HTTPServingError(.bindFailed, "there is a file that is no socket: \(path)")
        }
        let probe = try open()
        defer { Glibc.close(probe) }
        let connected = address.withSockAddr { connect(probe, $0, socklen_t($1)) } == 0
        guard !connected, errno == ECONNREFUSED else {
            throw HTTPServingError(.bindFailed, "somebody listens already: \(path)")
        }
        guard unlink(path) == 0 || errno == ENOENT else { throw failure("unlink", path) }
    }

    private static func open() throws -> CInt {
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { throw failure("socket", "") }
        return descriptor
    }

    private static func failure(_ call: String, _ path: String) -> HTTPServingError {
        HTTPServingError(.bindFailed, "\(call) \(path)", cause: IOError(errnoCode: errno, reason: call))
    }
}

extension Endpoint {
    /// Never asks a resolver: a static executable has none.
    func socketAddress() throws -> SocketAddress {
        switch self {
        case .unix(let path): try SocketPath.address(path)
        case .tcp(let host, let port):
            try SocketAddress(ipAddress: host == "localhost" ? "127.0.0.1" : host, port: port)
        }
    }
}
