import CPostgres
import Glibc

/// The hosts of a configuration, of which libpq tries one after the other, with the addresses of those that are names.
///
/// ```
///   host=db.example,10.0.0.7  port=5432,5433         db.example has two addresses
///   ──▶ host=db.example,db.example,10.0.0.7  hostaddr=10.0.0.5,10.0.0.6,10.0.0.7  port=5432,5432,5433
/// ```
/// libpq asks no resolver where it is given `hostaddr`, and still compares a certificate with `host`.
struct HostList {
    private var hosts: [Substring]
    private var ports: [Substring]

    /// - Returns: nil where libpq has no name to resolve.
    init?(_ configuration: PostgresConfiguration) {
        let values = configuration.hostKeywords
        guard values["hostaddr"] == nil, let host = values["host"] else { return nil }
        hosts = host.split(separator: ",", omittingEmptySubsequences: false)
        ports = (values["port"] ?? "").split(separator: ",", omittingEmptySubsequences: false)
        guard hosts.contains(where: Self.isName) else { return nil }
        // That is an error, and libpq says it best.
        guard ports.count == 1 || ports.count == hosts.count else { return nil }
    }

    /// - Returns: keywords that stand for those of the configuration.
    /// - Throws: when no host is left whose address is known.
    func resolved(by lookup: HostLookup, until deadline: ContinuousClock.Instant) throws(PostgresError)
        -> [(name: String, value: String)]
    {
        var found: [(host: Substring, address: String, port: Substring)] = []
        var failure: PostgresError?
        for (index, host) in hosts.enumerated() {
            let port = ports.count == 1 ? ports[0] : ports[index]
            do throws(PostgresError) {
                // libpq takes an empty one for a host that is an address or a socket itself.
                let addresses = Self.isName(host) ? try lookup.addresses(of: String(host), until: deadline) : [""]
                for address in addresses { found.append((host, address, port)) }
            } catch {
                failure = failure ?? error
            }
        }
        if found.isEmpty, let failure { throw failure }
        return [
            ("host", found.map(\.host).joined(separator: ",")),
            ("hostaddr", found.map(\.address).joined(separator: ",")),
            ("port", found.map(\.port).joined(separator: ",")),
        ]
    }

    /// Not empty, which is the default socket; nor a socket, nor an address.
    private static func isName(_ host: Substring) -> Bool {
        guard let first = host.first, first != "/", first != "@" else { return false }
        var address = in6_addr()
        let text = String(host)
        return inet_pton(AF_INET, text, &address) != 1 && inet_pton(AF_INET6, text, &address) != 1
    }
}

extension PostgresConfiguration {
    /// The values of `host`, `hostaddr` and `port`: the configured ones, else those of the environment.
    fileprivate var hostKeywords: [String: String] {
        var values = Self.values(PQconndefaults())
        if isURL {
            for (_, url) in keywords { values.merge(Self.values(PQconninfoParse(url, nil))) { $1 } }
        } else {
            for (name, value) in keywords { values[name] = value }
        }
        return values.filter { ["host", "hostaddr", "port"].contains($0.key) && !$0.value.isEmpty }
    }

    private static func values(_ options: UnsafeMutablePointer<PQconninfoOption>?) -> [String: String] {
        guard let options else { return [:] }
        defer { PQconninfoFree(options) }
        var values: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return values
    }
}
