import Foundation

/// What `serve` prints when it is ready: the URL, the key, and two things to try. Both work when pasted.
package struct Banner: Sendable {
    package var url: String
    package var key: Key
    package var isolationWarning: Bool

    package enum Key: Sendable {
        /// Made just now: shown this once.
        case new(String, file: String)
        case keptIn(file: String)
        case preset
    }

    package init(url: String, key: Key, isolationWarning: Bool) {
        self.url = url
        self.key = key
        self.isolationWarning = isolationWarning
    }

    package var text: String {
        """

        ComputeSDK is ready: \(url)
        \(keyLine)
        \(isolationWarning ? "\nNOT ISOLATED: code in computes runs as you, on this machine. For development only.\n" : "")
        Try it with curl:

        curl -sS -X POST \(url)/v1/sandboxes -H "X-ComputeSDK-API-Key: \(keyInShell)"

        Try it with Python, using the public client:

        python3 -m venv ~/.cache/computesdk-client && ~/.cache/computesdk-client/bin/pip install -q computesdk==0.1.1 'websockets<14'
        COMPUTESDK_API_KEY="\(keyInShell)" COMPUTESDK_PROVIDER=operator COMPUTESDK_GATEWAY_URL=\(url) ~/.cache/computesdk-client/bin/python - <<'END'
        import asyncio
        from computesdk import compute

        async def main():
            sandbox = await compute.sandbox.create()
            await sandbox.filesystem.write_file("hello.txt", "Hello from a compute\\n")
            result = await sandbox.run_command("cat hello.txt; exit 3")
            print(result.stdout, end="")
            print("exit code", result.exit_code)
            await sandbox.destroy()
            await compute.close()

        asyncio.run(main())
        END

        Ctrl-C stops everything.

        """
    }

    private var keyLine: String {
        switch key {
        case .new(let key, let file): "API key (shown once, kept in \(file)): \(key)"
        case .keptIn(let file): "API key: in \(file)"
        case .preset: "API key: the one in $COMPUTESDK_API_KEY"
        }
    }

    /// In the lines to paste the key is read from where it is kept, so that it stays out of the shell's history;
    /// only at the first start it stands there itself.
    private var keyInShell: String {
        switch key {
        case .new(let key, _): key
        case .keptIn(let file): "$(cat '\(file)')"
        case .preset: "$COMPUTESDK_API_KEY"
        }
    }
}
