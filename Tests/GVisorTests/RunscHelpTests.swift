import GVisor
import Testing

struct RunscHelpTests {
    private static let of2022 = """
          -file-access value
            \tspecifies which filesystem validation to use for the root mount: exclusive (default), shared.
          -host-uds value
            \tcontrols permission to access host Unix-domain sockets. Values: none|open|create|all, default: none
          -ignore-cgroups
            \tdon't configure cgroups.
          -overlay
            \tDEPRECATED: use --overlay2=all:memory to achieve the same effect
          -platform value
            \tspecifies which platform to use: ptrace (default), kvm. (default "ptrace")
          -platform_device_path string
            \tpath to a platform-specific device file (e.g. /dev/kvm for KVM platform): a. b, c.
        """
    private static let later = """
          -overlay2 value
            \twrap mounts with overlayfs. (default root:self)
          -platform value
            \tspecifies which platform to use: systrap (default), ptrace, kvm. (default "systrap")
        """

    @Test func aBuildsOwnWordsSayWhatItKnows() {
        let help = RunscHelp(version: "runsc version 0.0~20221219.0\nspec: 1.0.2-dev\n", flags: Self.of2022)
        #expect(help.version == "0.0~20221219.0")
        #expect(help.platforms == ["ptrace", "kvm"])
        #expect(
            help.flags == ["--ignore-cgroups=true", "--overlay=false", "--file-access=exclusive", "--host-uds=none"])
        #expect(RunscHelp(version: "", flags: Self.later).flags == ["--overlay2=none"])
    }

    @Test func platformsAreTriedBestFirstAndHardwareOnlyWhenAsked() {
        let old = RunscHelp(version: "", flags: Self.of2022)
        let new = RunscHelp(version: "", flags: Self.later)
        #expect(old.candidates(nil) == ["ptrace"])
        #expect(new.candidates("auto") == ["systrap", "ptrace"])
        #expect(new.candidates("kvm") == ["kvm"])
        #expect(new.candidates("kvm,auto") == ["kvm", "systrap", "ptrace"])
        #expect(new.candidates("magic") == [])
        #expect(RunscHelp(version: "", flags: "").candidates(nil) == [])
    }
}
