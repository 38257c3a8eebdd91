import LinuxHost
import Testing

/// Recorded from machines of each kind.
struct CgroupLayoutTests {
    private static let v1Machine = """
        23 0 254:0 / / rw,relatime - ext4 /dev/root rw
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:10 - cgroup cgroup rw,cpu,cpuacct
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
        36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
        37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
        39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
        """

    private static let v1Membership = """
        9:name=systemd:/
        8:pids:/
        6:freezer:/
        5:devices:/
        4:memory:/process_api/479b705b07f3712216e22dd9af20247f
        2:cpu,cpuacct:/
        """

    private func parse(
        _ mountinfo: String, _ membership: String = v1Membership, unified: [String: String] = [:]
    ) throws -> CgroupLayout {
        try CgroupLayout.parse(mountinfo: mountinfo, membership: membership) { unified[$0] }
    }

    @Test func aV1MachineHasOneHierarchyPerController() throws {
        let layout = try parse(Self.v1Machine)
        #expect(layout.version == .v1)
        #expect(layout.missing.isEmpty)
        #expect(layout.warnings.isEmpty)
        #expect(layout.hierarchy(of: .memory)?.mountPoint == "/sys/fs/cgroup/memory")
        #expect(layout.hierarchy(of: .cpu)?.mountPoint == "/sys/fs/cgroup/cpu,cpuacct")
        #expect(layout.hierarchy(of: .freezer)?.interface == .v1)
        // Neither devices nor systemd's own: what nothing is set in is not joined.
        #expect(layout.hierarchies.count == 4)
    }

    @Test func aHybridMachineKeepsToV1WhereItHasTheController() throws {
        let mountinfo =
            Self.v1Machine + "\n41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate"
        let idle = try parse(mountinfo, unified: ["/sys/fs/cgroup/unified": "hugetlb\n"])
        #expect(idle.version == .hybrid)
        #expect(idle.hierarchies.allSatisfy { $0.interface == .v1 })

        // The memory controller was left to v2.
        let lines = mountinfo.split(separator: "\n").filter { !$0.contains("/memory ") }
        let shared = try parse(
            lines.joined(separator: "\n"), unified: ["/sys/fs/cgroup/unified": "memory hugetlb"])
        #expect(shared.hierarchy(of: .memory)?.interface == .v2)
        #expect(shared.hierarchy(of: .pids)?.interface == .v1)
        #expect(shared.hierarchy(of: .freezer)?.interface == .v1)
        #expect(shared.missing.isEmpty)
    }

    @Test func aV2MachineHasOneTreeThatFreezesByItself() throws {
        let layout = try parse(
            "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot",
            "0::/system.slice/example.service",
            unified: ["/sys/fs/cgroup": "cpuset cpu io memory hugetlb pids rdma misc"])
        #expect(layout.version == .v2)
        #expect(layout.hierarchies.map(\.mountPoint) == ["/sys/fs/cgroup"])
        #expect(layout.missing.isEmpty)
        #expect(layout.hierarchy(of: .freezer)?.interface == .v2)
    }

    @Test func aControllerThatIsNotThereIsNamedWithTheReason() throws {
        let v2 = try parse(
            "35 24 0:30 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw", "0::/",
            unified: ["/sys/fs/cgroup": "cpu pids"])
        #expect(v2.missing == [.memory])
        #expect(v2.warnings == ["this kernel or container has no cgroup controller memory"])

        let lines = Self.v1Machine.split(separator: "\n").filter { !$0.contains("/pids ") }
        let v1 = try parse(lines.joined(separator: "\n"))
        #expect(v1.warnings == ["the cgroup controller pids is not mounted, or read-only"])
    }

    @Test func aContainersOwnPartOfAHierarchyIsUsedWhereItIsMounted() throws {
        let own = "/docker/4f1a"
        let layout = try parse(
            """
            700 690 0:29 \(own) /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
            701 690 0:32 \(own) /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
            702 690 0:34 \(own) /sys/fs/cgroup/freezer rw,nosuid - cgroup cgroup rw,freezer
            703 690 0:36 \(own) /sys/fs/cgroup/pids rw,nosuid - cgroup cgroup rw,pids
            """,
            "4:memory:\(own)/inner\n2:cpu,cpuacct:\(own)/inner\n8:pids:\(own)/inner\n6:freezer:\(own)/inner")
        #expect(layout.hierarchies.count == 4)
        #expect(layout.hierarchy(of: .memory)?.mountPoint == "/sys/fs/cgroup/memory")
    }

    @Test func ofSeveralMountsTheWritableOneThatShowsMostIsTaken() throws {
        let layout = try parse(
            """
            700 690 0:30 /docker/4f1a /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw
            701 690 0:30 /docker/4f1a /own\\040tree rw,nosuid - cgroup2 cgroup rw
            702 690 0:30 / /host/sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw
            """, "0::/docker/4f1a",
            unified: [
                "/sys/fs/cgroup": "cpu memory pids", "/own tree": "cpu memory pids",
                "/host/sys/fs/cgroup": "cpu memory pids",
            ])
        #expect(layout.hierarchies.map(\.mountPoint) == ["/host/sys/fs/cgroup"])
    }

    @Test func aReadOnlyMountIsRefusedByName() throws {
        let readOnly = "700 690 0:30 / /sys/fs/cgroup ro,nosuid,nodev - cgroup2 cgroup rw,nsdelegate"
        let error = #expect(throws: HostError.self) {
            try parse(readOnly, "0::/", unified: ["/sys/fs/cgroup": "cpu memory pids"])
        }
        #expect(error?.code == .notPermitted)
        #expect(error?.message.contains("/sys/fs/cgroup is read-only") == true)

        let superBlock = "700 690 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup ro,memory"
        #expect(throws: HostError.self) { try parse(superBlock) }
    }

    @Test func aMachineWithoutControlGroupsIsRefused() throws {
        let error = #expect(throws: HostError.self) { try parse("23 0 254:0 / / rw - ext4 /dev/root rw", "") }
        #expect(error?.code == .unavailable)
        // Broken lines are no mounts.
        #expect(throws: HostError.self) { try parse("1 2 3\n- cgroup\n\n32 31 0:29 / /x rw -\n", "::::") }
    }
}
