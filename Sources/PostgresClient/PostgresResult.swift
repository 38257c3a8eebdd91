import CPostgres

/// The rows that a statement gave. Freed with this value; it stays with the thread that asked.
package final class PostgresResult {
    private let handle: OpaquePointer
    private lazy var columns: [String: Int32] = {
        var columns: [String: Int32] = [:]
        for index in 0..<PQnfields(handle) { columns[String(cString: PQfname(handle, index))] = index }
        return columns
    }()

    /// - Parameter handle: libpq's, now this value's.
    init(owning handle: OpaquePointer) { self.handle = handle }

    deinit { PQclear(handle) }

    package var rowCount: Int { Int(PQntuples(handle)) }

    /// Whether this is no answer but the mark behind the last one of those that were asked for at once.
    var isEndOfPipeline: Bool { PQresultStatus(handle) == PGRES_PIPELINE_SYNC }

    var error: PostgresError? {
        switch PQresultStatus(handle) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: return nil
        default:
            let sqlState = PQresultErrorField(handle, Int32(UInt8(ascii: "C"))).map { String(cString: $0) } ?? ""
            let message = PQresultErrorField(handle, Int32(UInt8(ascii: "M"))).map { String(cString: $0) }
            // PostgreSQL cancels a statement for a timeout and for a request alike.
            let code: PostgresError.Code =
                PostgresError.endsConnection(sqlState) ? .connectionLost : sqlState == "57014" ? .cancelled : .refused
            return PostgresError(code, message ?? "an answer that libpq does not understand", sqlState: sqlState)
        }
    }

    /// - Returns: nil for NULL.
    /// - Throws: `.unexpected` when there is no such column.
    package func text(_ row: Int, _ column: String) throws(PostgresError) -> String? {
        guard let index = columns[column], row < rowCount else {
            throw PostgresError(.unexpected, "the answer has no column \(column)")
        }
        guard PQgetisnull(handle, Int32(row), index) == 0 else { return nil }
        let start = UnsafeRawPointer(PQgetvalue(handle, Int32(row), index)!)
        let bytes = UnsafeRawBufferPointer(start: start, count: Int(PQgetlength(handle, Int32(row), index)))
        return String(decoding: bytes, as: UTF8.self)
    }
}
