import Testing

@Suite("Reading Swift for the tidy tests")
struct CodeTextTests {
    @Test(
        "comments and strings are blanked, code stays where it was",
        arguments: [
            ("let a = 1 // x", "let a = 1     "),
            (#"f("a // b", c)"#, "f(        , c)"),
            (##"f(#"a"b"#, c)"##, "f(       , c)"),
            (#"f("\(g("x"))", c)"#, "f(           , c)"),
            (#"f("\"", c)"#, "f(    , c)"),
            ("a /* b\n c */ d", "a     \n      d"),
            ("s = \"\"\"\n { \"\n\"\"\" + t", "s =    \n    \n    + t"),
        ]
    )
    func blanking(source: String, expected: String) {
        #expect(CodeText.blanked(source) == expected)
    }

    @Test("a function's length counts its own lines, up to its closing brace")
    func functionLengths() {
        let source = """
            protocol P {
                func a()
                func b(
                    x: Int
                ) -> Int
            }
            func c(
                x: () -> Void = { },
                y: Int
            ) {
                if x { y("}") }
            }
            init?(x: Int) { self.x = x }
            """
        let file = SourceFile(path: "x.swift", text: source)
        let found = CodeText.functions(in: file.code)
        #expect(found.map(\.line) == [6, 12])
        #expect(found.map(\.length) == [6, 1])
    }
}
