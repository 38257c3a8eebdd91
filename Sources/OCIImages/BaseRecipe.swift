import ComputeCore
import Crypto
import Foundation

/// What the base image is made of. Its digest stands for all of it, so a changed recipe is a new image.
package struct BaseRecipe: Sendable {
    /// Of Debian.
    package var suite: String
    package var architecture: String

    package init(suite: String, architecture: String) {
        self.suite = suite
        self.architecture = architecture
    }

    /// Debian's releases that the recipe is known to work with; the first where the machine is no such Debian.
    static let suites = ["bookworm", "trixie"]

    /// Without npm: its 400 packages would triple the image. `passwd` is there to make the user.
    static let packages = [
        "bash", "coreutils", "python3", "nodejs", "git", "curl", "ca-certificates", "procps", "ncurses-bin", "sudo",
        "passwd",
    ]

    /// What a program in there does not need, left out also of what is installed later; licences stay.
    static let dpkgOptions = [
        "path-exclude=/usr/share/doc/*", "path-include=/usr/share/doc/*/copyright", "path-exclude=/usr/share/man/*",
        "path-exclude=/usr/share/info/*", "path-exclude=/usr/share/locale/*", "path-exclude=/usr/share/lintian/*",
        // The whole image is written out once at its end, and thrown away when that does not come.
        "force-unsafe-io",
    ]

    /// Runs on this machine with the new root as its argument. What describes the machine that built it goes: how it
    /// reaches its mirrors, its name, its resolver.
    static let finish = #"""
        set -eu
        root=$1
        chroot "$root" groupadd --gid 1000 user
        chroot "$root" useradd --uid 1000 --gid 1000 --create-home --home-dir /home/user --shell /bin/bash user
        printf 'user ALL=(ALL:ALL) NOPASSWD: ALL\n' >"$root/etc/sudoers.d/user"
        chmod 0440 "$root/etc/sudoers.d/user"
        rm -f "$root/etc/resolv.conf" "$root/etc/hostname" "$root/etc/apt/apt.conf.d/99mmdebstrap"
        : >"$root/etc/resolv.conf"
        : >"$root/etc/machine-id"
        echo localhost >"$root/etc/hostname"
        printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
        printf 'Acquire::Languages "none";\n' >"$root/etc/apt/apt.conf.d/90languages"
        sed -i -E 's#(://)[^/@ ]*@#\1#; /^$/d' "$root/etc/apt/sources.list"
        find "$root/var/log" -type f -delete
        rm -rf "$root/var/cache/ldconfig" "$root/var/cache/apt" "$root/var/lib/apt/lists"
        rm -f "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old "$root"/etc/*-
        mkdir -p "$root/var/cache/apt/archives/partial" "$root/var/lib/apt/lists/partial"
        """#

    /// Of what runs in it. No LANG: the Sidekick sees to UTF-8 where nobody names a language.
    static let environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]

    package static var ofThisMachine: BaseRecipe {
        let release = (try? String(contentsOfFile: "/etc/os-release", encoding: .utf8)) ?? ""
        return BaseRecipe(suite: suite(osRelease: release), architecture: machineArchitecture)
    }

    /// The machine's own release, for which it is sure to know a mirror.
    package static func suite(osRelease: String) -> String {
        var fields: [Substring: String] = [:]
        for line in osRelease.split(separator: "\n") {
            let pair = line.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { fields[pair[0]] = pair[1].trimmingCharacters(in: CharacterSet(charactersIn: "\"'")) }
        }
        guard fields["ID"] == "debian", let own = fields["VERSION_CODENAME"], suites.contains(own) else {
            return suites[0]
        }
        return own
    }

    package var digest: String {
        let parts = [suite, architecture, Self.finish] + Self.packages + Self.dpkgOptions + Self.environment
        return ImageManifest.digest(of: parts.joined(separator: "\n"))
    }

    /// For `mmdebstrap`.
    /// - Parameters:
    ///   - sources: lines of a sources.list; none: its own defaults.
    ///   - options: of apt, while it builds only.
    package func arguments(target: String, sources: [String], options: [String]) -> [String] {
        ["--verbose", "--mode=root", "--format=directory", "--variant=apt", "--architectures=\(architecture)"]
            + ["--include=" + Self.packages.joined(separator: ",")]
            + (options + [#"Acquire::Languages "none""#]).map { "--aptopt=\($0)" }
            + Self.dpkgOptions.map { "--dpkgopt=\($0)" }
            + ["--customize-hook=\(Self.finish)", suite, target] + sources
    }
}
