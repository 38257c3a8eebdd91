/// Why a compute ended. The raw values are in the log and on the wire: a value is added, never renamed.
package enum EndReason: String, Codable, Hashable, Sendable, CaseIterable {
    /// Somebody asked for it.
    case deleted
    /// Its lifetime was over.
    case expired
    /// The system was shut down.
    case shutdown
    /// It never ran: no place could be started or claimed.
    case startFailed = "start_failed"
    /// Its place vanished, or died, without anybody asking.
    case lost
}
