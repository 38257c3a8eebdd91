import ComputeCore
import LinuxSystem

/// A server as it is at one moment, and how the wire shows it (contract §1.10).
struct ServerRecord: Sendable {
    let definition: ServerDefinition
    let machine: ServerMachine
    let pid: Int32?
    let port: Int?
    let url: String?
    let createdAt: WallTime
    let updatedAt: WallTime
    let lastCheck: WallTime?

    var fields: [String: JSONValue] {
        var fields: [String: JSONValue] = [
            "slug": .string(definition.slug), "start": .string(definition.start),
            "command": .string(definition.start), "path": .string(definition.directory),
            "autostart": .bool(definition.autostart), "strict_port": .bool(definition.strictPort),
            "status": .string(machine.status.rawValue),
            "restart_policy": .string(definition.restartPolicy.rawValue),
            "max_restarts": .int(Int64(definition.maxRestarts)),
            // Durations go out in nanoseconds, and came in in milliseconds: that is how the public clients have it.
            "restart_delay": .int(Int64(definition.restartDelayMilliseconds) * 1_000_000),
            "stop_timeout": .int(Int64(definition.stopTimeoutMilliseconds) * 1_000_000),
            "restart_count": .int(Int64(machine.restartCount)), "created_at": .string(createdAt.rfc3339),
            "updated_at": .string(updatedAt.rfc3339), "channel": .string("server:\(definition.slug)"),
        ]
        fields["install"] = definition.install.map(JSONValue.string)
        fields["original_path"] = definition.originalPath.map(JSONValue.string)
        fields["env_file"] = definition.envFile.map(JSONValue.string)
        if !definition.environment.isEmpty {
            fields["environment"] = .object(definition.environment.mapValues(JSONValue.string))
        }
        if !definition.dependsOn.isEmpty { fields["depends_on"] = .array(definition.dependsOn.map(JSONValue.string)) }
        fields["port"] = port.map { .int(Int64($0)) }
        fields["url"] = url.map(JSONValue.string)
        fields["pid"] = pid.map { .int(Int64($0)) }
        fields["exit_code"] = machine.exit.map { .int(Int64($0.shellCode)) }
        fields["error"] = machine.reason.map(JSONValue.string)
        if let check = definition.healthCheck {
            fields["health_check"] = .object([
                "path": .string(check.path), "interval_ms": .int(Int64(check.intervalMilliseconds)),
                "timeout_ms": .int(Int64(check.timeoutMilliseconds)), "delay_ms": .int(Int64(check.delayMilliseconds)),
            ])
            fields["healthy"] = machine.health?.isHealthy.map(JSONValue.bool)
            fields["health_status"] = health.map(JSONValue.object)
        }
        return fields
    }

    /// For `/ready`, where `health_check` is what the checks have said.
    var readiness: [String: JSONValue] {
        var fields: [String: JSONValue] = [
            "slug": .string(definition.slug), "status": .string(machine.status.rawValue),
        ]
        fields["port"] = port.map { .int(Int64($0)) }
        fields["url"] = url.map(JSONValue.string)
        fields["healthy"] = machine.health?.isHealthy.map(JSONValue.bool)
        fields["health_check"] = health.map(JSONValue.object)
        return fields
    }

    private var health: [String: JSONValue]? {
        guard let health = machine.health else { return nil }
        var fields: [String: JSONValue] = [
            "last_status": .int(Int64(health.lastStatus)),
            "consecutive_failures": .int(Int64(health.consecutiveFailures)),
        ]
        fields["last_check"] = lastCheck.map { .string($0.rfc3339) }
        return fields
    }
}
