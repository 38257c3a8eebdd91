import SidekickService
import Testing

struct CodeLanguageTests {
    static let samples: [(CodeLanguage, String)] = [
        (.python, "print('hello')"), (.python, "1 + 1"), (.python, "import os\nprint(os.getcwd())"),
        (.python, "from sys import argv\nfor a in argv:\n    print(a)"),
        (.python, "def f(x):\n    return x * 2\n\nprint(f(21))"), (.python, "x = [1, 2]\nprint(sum(x))"),
        (.python, "#!/usr/bin/env -S python3 -u\nputs 1"), (.python, "if True:\n    print(1)\nelse:\n    print(2)"),
        (.node, "console.log('hello')"), (.node, "const x = 1;\nconsole.log(x);"),
        (.node, "const fs = require('fs');\nconsole.log(fs.readdirSync('.'))"),
        (.node, "import fs from 'fs';\nconsole.log(fs)"), (.node, "[1,2].map(x => x * 2).forEach(x => console.log(x))"),
        (.node, "function f() {\n  return 1;\n}\nconsole.log(f());"), (.node, "#!/usr/bin/node\nprint"),
        (.node, "async function main() { await fetch('x') }\nmain().then(() => {})"),
        (.ruby, "puts 'hello'"), (.ruby, "def f(x)\n  x * 2\nend\nputs f(21)"),
        (.ruby, "[1, 2].each do |x|\n  puts x\nend"), (.ruby, "#!/usr/bin/env ruby\nprint 1"),
        (.sh, "echo hello"), (.sh, "for i in 1 2 3; do\n  echo $i\ndone"), (.sh, "ls -la && pwd"),
        (.sh, "export A=1\necho $A"), (.sh, "#!/bin/sh\nprint"), (.sh, "if [ -e x ]; then\n echo y\nfi"),
        (.bash, "if [[ -e x ]]; then\n  echo y\nfi"), (.bash, "#!/bin/bash\necho 1"),
        (.bash, "set -euo pipefail\necho $((1 + 1))"),
        (.deno, "console.log(Deno.version)"), (.deno, "#!/usr/bin/env -S deno run\n1"),
        (.bun, "console.log(Bun.version)"),
    ]

    @Test(arguments: samples)
    func codeIsToldByItsLooks(_ expected: CodeLanguage, _ code: String) {
        #expect(CodeLanguage.detect(code) == expected)
    }

    @Test func anyBytesAreTakenForSomething() {
        var random = SeededGenerator(state: 7)
        let letters = Array("#!/ \n\r\tdef:{}()=>'\"$é\u{0}abcxyz")
        for _ in 0..<500 {
            let code = String(
                (0..<Int.random(in: 0..<80, using: &random)).map { _ in letters.randomElement(using: &random)! })
            _ = CodeLanguage.detect(code)
        }
        #expect(CodeLanguage.detect("") == .python)
        #expect(CodeLanguage.detect("#!") == .python)
    }

    @Test func namesThatPeopleUseMeanTheSame() {
        for (name, language) in [
            ("python", CodeLanguage.python), ("python3", .python), ("py", .python), ("node", .node),
            ("javascript", .node),
            ("js", .node), ("JavaScript", .node), ("bash", .bash), ("sh", .sh), ("ruby", .ruby), ("deno", .deno),
            ("bun", .bun),
        ] { #expect(CodeLanguage(named: name) == language) }
        for name in ["", "cobol", "python 3", "c"] { #expect(CodeLanguage(named: name) == nil) }
    }

    @Test func smallCodeIsAnArgumentAndLargeCodeTheInput() {
        let large = String(repeating: "#", count: CodeLanguage.maxArgumentBytes + 1)
        for language in CodeLanguage.allCases {
            let small = language.invocation(of: "1")
            #expect(small.arguments.last == "1" && small.input == .nothing)
            #expect(language.invocation(of: large).input == .text(large))
            // For some it would be an option of theirs.
            #expect(language.invocation(of: "-v").input == .text("-v"))
        }
    }
}
