// ThreadLimitTests: the default number of threads, from the environment and from control groups.
import CRengaKernels
import Glibc
import XCTest

final class ThreadLimitTests: XCTestCase {
    private var folder = ""

    override func setUp() {
        var template = Array("/tmp/renga-groups-XXXXXX".utf8CString)
        folder = mkdtemp(&template).map { String(cString: $0) } ?? ""
        XCTAssertFalse(folder.isEmpty)
    }

    override func tearDown() {
        for name in written.reversed() { remove(name) }
        rmdir(folder)
        written = []
    }

    private var written: [String] = []

    /// Writes `folder/path`, making the folders on the way.
    private func write(_ path: String, _ text: String) {
        var place = folder
        let parts = path.split(separator: "/")
        for part in parts.dropLast() {
            place += "/" + part
            if mkdir(place, 0o700) == 0 { written.append(place) }
        }
        place += "/" + (parts.last ?? "")
        guard let file = fopen(place, "w") else { return XCTFail("cannot write \(place)") }
        fputs(text, file)
        fclose(file)
        written.append(place)
    }

    private var limit: Int32 { rk_cgroup_threads(folder + "/membership", folder) }

    func testVersion2TakesTheSmallestQuotaUpToTheRoot() {
        write("membership", "0::/outer/inner\n")
        XCTAssertEqual(limit, 0)
        write("outer/inner/cpu.max", "max 100000\n")
        XCTAssertEqual(limit, 0)
        write("outer/cpu.max", "250000 100000\n")
        XCTAssertEqual(limit, 3)
        write("cpu.max", "150000 100000\n")
        XCTAssertEqual(limit, 2)
    }

    func testVersion2OfAnotherNamespaceStillSeesTheRoot() {
        write("membership", "0::/not/visible/here\n")
        write("cpu.max", "50000 100000\n")
        XCTAssertEqual(limit, 1)
    }

    func testVersion1UnderBothMountNames() {
        write("membership", "5:memory:/a\n4:cpu,cpuacct:/job\n3:cpuset:/b\n")
        write("cpuset/b/cpu.cfs_quota_us", "1\n")  // not the cpu controller
        write("cpuset/b/cpu.cfs_period_us", "1\n")
        XCTAssertEqual(limit, 0)
        write("cpu,cpuacct/job/cpu.cfs_quota_us", "400000\n")
        write("cpu,cpuacct/job/cpu.cfs_period_us", "100000\n")
        XCTAssertEqual(limit, 4)
        write("cpu/job/cpu.cfs_quota_us", "-1\n")
        write("cpu/job/cpu.cfs_period_us", "100000\n")
        XCTAssertEqual(limit, 4)
        write("cpu/cpu.cfs_quota_us", "100001\n")
        write("cpu/cpu.cfs_period_us", "100000\n")
        XCTAssertEqual(limit, 2)
    }

    func testOddFilesMeanNoLimit() {
        XCTAssertEqual(rk_cgroup_threads("/does/not/exist", folder), 0)
        write("membership", "nonsense\n::\n0:\n0::relative\n:::/x:y\n\n")
        write("cpu.max", "-5 0\n")
        XCTAssertEqual(limit, 0)
        write("cpu.max", "9999999999999999999999999 1\n")
        XCTAssertEqual(limit, 0)
        write("cpu.max", "")
        XCTAssertEqual(limit, 0)
    }

    func testEnvironmentLowersTheDefault() {
        let names = ["OMP_NUM_THREADS", "RENGA_NUM_THREADS"]
        let before = names.map { getenv($0).map { String(cString: $0) } }
        defer {
            for (name, value) in zip(names, before) {
                if let value { setenv(name, value, 1) } else { unsetenv(name) }
            }
        }
        names.forEach { unsetenv($0) }
        let free = rk_default_threads()
        XCTAssertGreaterThanOrEqual(free, 1)
        for name in names {
            for (value, expected) in [("1", 1), ("1,8", 1), ("100000", free), ("0", free), ("-3", free), ("x", free)] {
                setenv(name, value, 1)
                XCTAssertEqual(rk_default_threads(), expected, "\(name)=\(value)")
            }
            unsetenv(name)
        }
    }
}
