import GatewayService
import Testing

@Suite struct QueryTokenTests {
    @Test(arguments: [
        ("/", "/", []),
        ("/?", "/?", []),
        ("/?token=x", "/", ["x"]),
        ("/a?token=x&b=1", "/a?b=1", ["x"]),
        ("/a?b=1&token=x&c=2", "/a?b=1&c=2", ["x"]),
        ("/a?b=1&token=x", "/a?b=1", ["x"]),
        ("/a?token=x&b&token=y", "/a?b", ["x", "y"]),
        ("/?token=x&token=y", "/", ["x", "y"]),
        ("/?token=", "/", [""]),
        ("/?token=a=b", "/", ["a=b"]),
        ("/?token=a%2Eb%2eC", "/", ["a.b.C"]),
        ("/?token=a%2", "/", ["a%2"]),
        ("/?token=a?b", "/", ["a?b"]),
        ("/?a&&token=x&&b", "/?a&&&b", ["x"]),
        ("/?&token=x", "/?", ["x"]),
        ("/?a=%2f+%zz;&token=x", "/?a=%2f+%zz;", ["x"]),
        // Not ours
        ("/?token", "/?token", []),
        ("/?tokenx=1", "/?tokenx=1", []),
        ("/?xtoken=1", "/?xtoken=1", []),
        ("/?Token=1", "/?Token=1", []),
        ("/?%74oken=1", "/?%74oken=1", []),
        ("/?a=1;token=1", "/?a=1;token=1", []),
        ("/token=x", "/token=x", []),
        ("/a%3Ftoken=x", "/a%3Ftoken=x", []),
        ("/?a=?token=x", "/?a=?token=x", []),
        ("/?&\u{301}token=x", "/?&\u{301}token=x", []),
    ])
    func onlyTheTokenPairIsCut(_ target: String, _ rest: String, _ tokens: [String]) {
        let cut = QueryToken.cut(from: target)
        #expect(Array(cut.target.utf8) == Array(rest.utf8))
        #expect(cut.tokens == tokens)
    }
}
