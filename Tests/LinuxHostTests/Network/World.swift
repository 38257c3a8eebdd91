import Glibc
import LinuxHost

/// Everything beyond this machine, in one namespace. Its addresses are fixed, so only one process at a time has it.
struct World {
    static let namespace = "/run/netns/host-network-world"
    /// This machine's side of the wire.
    static let gateway = "203.0.113.1"
    static let internet = "203.0.113.2"
    /// As far away as that.
    static let elsewhere = "198.51.100.9"
    static let resolver = "10.99.99.53"
    /// A metadata service, and one address of each private range.
    static let closed = [
        "169.254.169.254", "10.99.99.99", "172.20.99.99", "192.168.99.99", "100.99.99.99", "198.18.99.9",
    ]
}

/// Runs `body` while the world is there.
func withWorld(_ body: (World) async throws -> Void) async throws {
    let lock = open("/tmp/host-network-world.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    defer { close(lock) }
    // The only one who may hold it is another run of these tests.
    while flock(lock, LOCK_EX | LOCK_NB) != 0 { try await Task.sleep(for: .milliseconds(50)) }
    let tools = Tools.ofThisProcess
    let sweep = "ip netns del host-network-world; ip link del hostnetworld; true"
    let routes = ([World.elsewhere, World.resolver] + World.closed).map { address in
        """
        ip -n host-network-world addr add \(address)/32 dev lo
        ip route add \(address)/32 via \(World.internet) dev hostnetworld src \(World.gateway)

        """
    }
    let build = """
        set -e
        ip netns add host-network-world
        ip link add hostnetworld type veth peer name eth0 netns host-network-world
        ip addr add \(World.gateway)/24 dev hostnetworld
        ip link set hostnetworld up
        ip -n host-network-world addr add \(World.internet)/24 dev eth0
        ip -n host-network-world link set eth0 up
        ip -n host-network-world link set lo up

        """
    // A run that was killed leaves it behind.
    try await tools.run("sh", ["-c", "(\(sweep)) 2>/dev/null"])
    do {
        try await tools.run("sh", ["-c", build + routes.joined()])
        try await body(World())
    } catch {
        _ = try? await tools.run("sh", ["-c", sweep])
        throw error
    }
    try await tools.run("sh", ["-c", sweep])
}
