import SQLStore
import Testing

struct NumberedSQLTests {
    @Test(arguments: [
        ("SELECT 1", "SELECT 1", []),
        ("a = :a AND b = :b OR :a IS NULL", "a = $1 AND b = $2 OR $1 IS NULL", ["a", "b"]),
        ("(:created_at, :id)", "($1, $2)", ["created_at", "id"]),
        ("x = ':a' AND y = 'it''s :b' AND z = :c", "x = ':a' AND y = 'it''s :b' AND z = $1", ["c"]),
        ("x = 'open :a", "x = 'open :a", []),
        (":", ":", []),
    ])
    func namesBecomeNumbersInOrderOfAppearance(_ text: String, _ sql: String, _ names: [String]) {
        let numbered = NumberedSQL(naming: text)
        #expect(numbered.sql == sql)
        #expect(numbered.names == names)
    }
}
