/// A statement that the server knows by a name, with values for its parameters.
struct PreparedStatement {
    var name: String
    var parameters: [PostgresParameter]
}
