import CPostgres
import Glibc

/// The places of a configuration where its server may be, to be tried one after the other.
///
/// ```
///   host=db.example,10.0.0.7  port=5432,5433         db.example has two addresses
///   ──▶ db.example 10.0.0.5 5432,  db.example 10.0.0.6 5432,  10.0.0.7 5433
/// ```
/// libpq could try them all by itself, but under one deadline: a place that is silent would use it up. It asks no resolver
/// where it is given `hostaddr`, and still compares a certificate with `host`.
struct HostList {
    struct Place: CustomStringConvertible {
        var host: String
        /// Empty where `host` is a socket.
        var address: String
        var port: String

        /// Without the empty ones, which libpq takes from the environment or has a default for.
        var keywords: [(name: String, value: String)] {
            [("host", host), ("hostaddr", address), ("port", port)].filter { !$0.1.isEmpty }
        }

        var description: String {
            [host, host == address ? "" : address, port].filter { !$0.isEmpty }.joined(separator: " ")
        }
    }
    private var places: [Place]

    /// - Returns: nil where libpq knows better what to do: there is no host, or their numbers do not match.
    init?(_ configuration: PostgresConfiguration) {
        let values = configuration.hostKeywords
        var hosts = Self.list(values["host"])
        var addresses = Self.list(values["hostaddr"])
        var ports = Self.list(values["port"])
        let count = max(hosts.count, addresses.count)
        guard count > 0, [0, count].contains(hosts.count), [0, count].contains(addresses.count),
            [0, 1, count].contains(ports.count)
        else { return nil }
        if hosts.isEmpty { hosts = Array(repeating: "", count: count) }
        if addresses.isEmpty { addresses = Array(repeating: "", count: count) }
        if ports.count < count { ports = Array(repeating: ports.first ?? "", count: count) }
        places = (0..<count).map { index in
            let isAddress = addresses[index].isEmpty && Self.isAddress(hosts[index])
            return Place(
                host: hosts[index], address: isAddress ? hosts[index] : addresses[index], port: ports[index])
        }
    }

    /// Calls `attempt` with one place after the other until it succeeds; each has a share of the time that is left.
    func first<T>(
        askedOf lookup: HostLookup, until deadline: ContinuousClock.Instant,
        _ attempt: (Place, ContinuousClock.Instant) throws(PostgresError) -> T
    ) throws(PostgresError) -> T {
        // All at once: while one is waited for the others are found out.
        let questions = places.map { $0.needsLookup ? lookup.ask($0.host) : nil }
        var failures: [PostgresError] = []
        for (index, place) in places.enumerated() {
            let end = Self.share(of: deadline, among: places.count - index)
            do throws(PostgresError) {
                guard let question = questions[index] else { return try attempt(place, end) }
                let addresses = try HostLookup.answer(to: question, until: end)
                for (index, address) in addresses.enumerated() {
                    var place = place
                    place.address = address
                    do throws(PostgresError) {
                        return try attempt(place, Self.share(of: end, among: addresses.count - index))
                    } catch { failures.append(error) }
                }
            } catch { failures.append(error) }
        }
        guard failures.count > 1 else { throw failures.first ?? PostgresError(.unreachable, "there is no host") }
        throw PostgresError(
            .unreachable, failures.map(\.message).joined(separator: "; "),
            sqlState: failures.lazy.compactMap(\.sqlState).first)
    }

    private static func share(of deadline: ContinuousClock.Instant, among count: Int) -> ContinuousClock.Instant {
        let now = ContinuousClock.now
        return now + max(deadline - now, .zero) / count
    }

    private static func list(_ value: String?) -> [String] {
        value?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
    }

    private static func isAddress(_ host: String) -> Bool {
        var address = in6_addr()
        return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1
    }
}

extension HostList.Place {
    /// Neither known, nor a socket, nor empty, which is the default socket.
    fileprivate var needsLookup: Bool {
        guard address.isEmpty, let first = host.first else { return false }
        return first != "/" && first != "@"
    }
}

extension PostgresConfiguration {
    /// The values of `host`, `hostaddr` and `port`: the configured ones, else those of the environment.
    fileprivate var hostKeywords: [String: String] {
        var values: [String: String] = [:]
        for (name, value) in Self.keywords(owning: PQconndefaults()) + keywords { values[name] = value }
        return values.filter { Self.placing.contains($0.key) && !$0.value.isEmpty }
    }

    /// The keywords that say where the server is.
    static let placing: Set<String> = ["host", "hostaddr", "port"]

    /// What has a value, of libpq's list, which is freed.
    static func keywords(owning options: UnsafeMutablePointer<PQconninfoOption>?) -> [(name: String, value: String)] {
        guard let options else { return [] }
        defer { PQconninfoFree(options) }
        var values: [(name: String, value: String)] = []
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values.append((String(cString: keyword), String(cString: value))) }
            option += 1
        }
        return values
    }
}
