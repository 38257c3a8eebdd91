import ComputeCore
import FoundationEssentials
import Glibc
import NIOHTTP1
import Testing

/// An answer about one server.
struct ServerAnswer: Sendable {
    let status: Int
    let body: String
    let data: [String: JSONValue]

    init(_ answer: SidekickPlace.Answer) {
        status = answer.status
        body = answer.body
        data = answer.json["data"]?.members ?? [:]
    }

    func text(_ name: String) -> String? { data[name]?.text }
    func number(_ name: String) -> Int64? {
        guard case .int(let number)? = data[name] else { return nil }
        return number
    }
    func bool(_ name: String) -> Bool? {
        guard case .bool(let value)? = data[name] else { return nil }
        return value
    }
}

extension SidekickPlace {
    /// Serves HTTP on `$PORT` of the loopback: 200, or 503 while there is a file `sick`.
    static let serverScript = """
        use Socket; $| = 1; my $port = $ENV{PORT};
        socket(my $s, PF_INET, SOCK_STREAM, 0) or die "socket"; setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
        bind($s, sockaddr_in($port, INADDR_LOOPBACK)) or die "bind: $!"; listen($s, 5) or die "listen";
        print "listening on $port\\n"; print STDERR "warned\\n";
        while (accept(my $c, $s)) {
            sysread($c, my $request, 65536);
            my $status = -e "sick" ? 503 : 200;
            syswrite($c, "HTTP/1.1 $status X\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n");
            close $c;
        }
        """

    /// Puts the server into the home; `perl serve` runs it.
    func writeServer() async throws {
        let body = JSONValue.object(["path": .string("serve"), "content": .string(Self.serverScript)]).line
        #expect(try await authorized(.POST, "/files", body: body).status == 201)
    }

    @discardableResult
    func server(_ slug: String, _ start: String, _ fields: [String: JSONValue] = [:]) async throws -> ServerAnswer {
        let body = fields.merging(["slug": .string(slug), "start": .string(start)]) { given, _ in given }
        return ServerAnswer(try await authorized(.POST, "/servers", body: JSONValue.object(body).line))
    }

    func server(_ slug: String) async throws -> ServerAnswer {
        ServerAnswer(try await authorized(.GET, "/servers/\(slug)"))
    }

    /// Returns when it is so.
    @discardableResult
    func server(_ slug: String, becomes status: String) async throws -> ServerAnswer {
        var answer = try await server(slug)
        do {
            try await eventually("\(slug) is \(status)") {
                answer = try await server(slug)
                return answer.text("status") == status
            }
        } catch {
            throw DeadlinePassed(description: "\(slug) is not \(status): \(answer.body)")
        }
        return answer
    }

    func act(_ verb: String, _ slug: String) async throws -> ServerAnswer {
        ServerAnswer(try await authorized(.POST, "/servers/\(slug)/\(verb)"))
    }

    func logs(_ slug: String, _ query: String = "") async throws -> ServerAnswer {
        ServerAnswer(try await authorized(.GET, "/servers/\(slug)/logs\(query)"))
    }

    /// One that nobody listens on, chosen by the kernel.
    static func freePort() throws -> Int {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(socket >= 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                try #require(bind(socket, address, length) == 0 && getsockname(socket, address, &length) == 0)
            }
            return Int(UInt16(bigEndian: pointer.pointee.sin_port))
        }
    }
}
