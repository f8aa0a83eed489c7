// AtomicFileTests.swift: whole or not at all: what stands at the path and beside it after success and after every failure.
// Not here: a disk that is really full (the tests from outside mount one).
import Glibc
import RengaFormats
import RengaNetwork
import TestSupport
import XCTest

final class AtomicFileTests: XCTestCase {
    private func put(_ bytes: [UInt8], at path: String) throws {
        let file = try AtomicFile(path: path)
        try bytes.withUnsafeBytes { try file.write($0) }
        try file.commit()
    }

    func testWritesAndReplaces() throws {
        let scratch = try Scratch()
        try put([1, 2, 3], at: "\(scratch.path)/a")
        XCTAssertEqual(try scratch.read("a"), [1, 2, 3])
        XCTAssertEqual(chmod("\(scratch.path)/a", 0o640), 0)
        try put([], at: "\(scratch.path)/a")
        XCTAssertEqual(try scratch.read("a"), [])
        XCTAssertEqual(scratch.names, ["a"])
        var status = stat()
        XCTAssertEqual(stat("\(scratch.path)/a", &status), 0)
        XCTAssertEqual(status.st_mode & 0o777, 0o640, "permissions of the replaced file")
    }

    func testAbandonedFileLeavesNothing() throws {
        let scratch = try Scratch()
        try scratch.write("a", [9])
        do {
            let file = try AtomicFile(path: "\(scratch.path)/a")
            try [UInt8](repeating: 1, count: 100).withUnsafeBytes { try file.write($0) }
            XCTAssertEqual(scratch.names.count, 2, "the temporary file stands beside the target")
        }
        XCTAssertEqual(scratch.names, ["a"])
        XCTAssertEqual(try scratch.read("a"), [9])
    }

    /// In Swift a slash and a combining mark behind it are one character: the folder is told by bytes.
    func testTheTemporaryFileStandsBesideItsTargetWhateverTheNamesAre() throws {
        let scratch = try Scratch()
        let folder = "\(scratch.path)/sub"
        XCTAssertEqual(mkdir(folder, 0o777), 0)
        let file = try AtomicFile(path: folder + "/\u{301}a")
        XCTAssertEqual(scratch.names, ["sub"])
        try file.commit()
        XCTAssertEqual(access(folder + "/\u{301}a", F_OK), 0)
        XCTAssertEqual(unlink(folder + "/\u{301}a"), 0)
        XCTAssertEqual(rmdir(folder), 0)
    }

    func testWhatCannotBeWrittenIsSaidAndUntouched() throws {
        let scratch = try Scratch()
        expect(.fileError, "folder", scratch.path) { try self.put([1], at: scratch.path) }
        expect(.fileError, "/none/a", "No such file") { try self.put([1], at: "\(scratch.path)/none/a") }
        expect(.fileError, "regular") { try self.put([1], at: "/dev/full") }
        expect(.invalidArgument, "empty") { try self.put([1], at: "") }
        let long = String(repeating: "x", count: 5000)
        expect(.fileError, "too long") { try self.put([1], at: "\(scratch.path)/\(long)") }
        try scratch.write("kept", [7])
        chmod("\(scratch.path)/kept", 0o444)
        expect(.fileError, "read-only") { try self.put([1], at: "\(scratch.path)/kept") }
        XCTAssertEqual(try scratch.read("kept"), [7])
        XCTAssertEqual(scratch.names, ["kept"])
        // Even root may not create files there.
        expect(.fileError, "/proc/") { try self.put([1], at: "/proc/renga") }
        if geteuid() != 0 {
            chmod(scratch.path, 0o500)
            expect(.fileError, "Permission denied") { try self.put([1], at: "\(scratch.path)/new") }
        }
    }

    func testALinkStaysALink() throws {
        let scratch = try Scratch()
        try scratch.write("target", [1])
        XCTAssertEqual(symlink("target", "\(scratch.path)/link"), 0)
        try put([2, 3], at: "\(scratch.path)/link")
        XCTAssertEqual(try scratch.read("target"), [2, 3])
        var status = stat()
        XCTAssertEqual(lstat("\(scratch.path)/link", &status), 0)
        XCTAssertEqual(status.st_mode & S_IFMT, S_IFLNK)
    }

    /// A limit on file sizes fails in the middle of a write, as a full disk does.
    func testAWriteThatFailsHalfwayLeavesTheOldFile() throws {
        let scratch = try Scratch()
        try scratch.write("a", [5, 6])
        let handler = signal(SIGXFSZ, SIG_IGN)
        var old = rlimit()
        XCTAssertEqual(getrlimit(__rlimit_resource_t(1), &old), 0)
        var small = rlimit(rlim_cur: 4096, rlim_max: old.rlim_max)
        XCTAssertEqual(setrlimit(__rlimit_resource_t(1), &small), 0)
        defer {
            setrlimit(__rlimit_resource_t(1), &old)
            signal(SIGXFSZ, handler)
        }
        expect(.fileError, "write", "File too large", "\(scratch.path)/a") {
            try self.put([UInt8](repeating: 1, count: 10_000), at: "\(scratch.path)/a")
        }
        XCTAssertEqual(scratch.names, ["a"])
        XCTAssertEqual(try scratch.read("a"), [5, 6])
    }

    func testInputFileReadsExactly() throws {
        let scratch = try Scratch()
        let file = try InputFile(path: scratch.write("a", [1, 2, 3, 4]))
        var bytes = [UInt8](repeating: 0, count: 3)
        try bytes.withUnsafeMutableBytes { try file.read($0, at: 1) }
        XCTAssertEqual(bytes, [2, 3, 4])
        expect(.corruptData, "ends at byte 4", "1 more") {
            try bytes.withUnsafeMutableBytes { try file.read($0, at: 2) }
        }
        expect(.fileError, "No such file") { _ = try InputFile(path: "\(scratch.path)/none") }
        expect(.fileError, "folder") { _ = try InputFile(path: scratch.path) }
    }
}
