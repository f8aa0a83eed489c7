// MutationTests.swift: thousands of damaged files: each is refused with a sentence or is the file that was written; nothing is left open.
// Not here: damage of a known kind (SafetensorsTests, NetworkFileTests).
import Glibc
import RengaArchitectures
import RengaFormats
import RengaNetwork
import TestSupport
import XCTest

final class MutationTests: XCTestCase {
    func testDamagedNetworkFilesAreRefused() throws {
        let network = try Architectures.make(
            "cnn", options: ["input": "8x8x1", "stages": "1", "width": "2", "classes": "2"], seed: 1)
        let whole = try bytes(of: NetworkFile(network))
        let scratch = try Scratch()
        var mutations = Mutations(seed: 7)
        for _ in 0..<1500 {
            let damaged = mutations.next(of: whole)
            guard damaged != whole else { continue }
            XCTAssertThrowsError(try NetworkFile(damaged)) { error in
                XCTAssertFalse((error as? RengaError)?.message.isEmpty ?? true)
            }
            let path = try scratch.write("damaged", damaged)
            XCTAssertThrowsError(try NetworkFile.open(path: path).pending.values.map { tensor in try tensor.load() })
        }
    }

    /// Files without checksums reach the readers behind them: no damage of names, sizes or JSON may trap.
    func testDamagedForeignFilesAreReadOrRefused() throws {
        let header = """
            {"__metadata__":{"format":"pt","k":"\\u00e4\\n"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},\
            "b":{"dtype":"F32","shape":[],"data_offsets":[8,12]},"c":{"dtype":"F32","shape":[0,3],"data_offsets":[12,12]}}
            """
        let whole = raw(header, [UInt8](repeating: 1, count: 12))
        var mutations = Mutations(seed: 8)
        var refused = 0
        for _ in 0..<4000 {
            do {
                let file = try SafetensorsFile(mutations.next(of: whole))
                let floats = file.tensors.values.reduce(0) { $0 + $1.count }
                XCTAssertLessThanOrEqual(floats, 3, "no more numbers than the file has")
            } catch {
                refused += 1
                XCTAssert(error.status == .corruptData || error.status == .unsupported, error.message)
            }
        }
        XCTAssertGreaterThan(refused, 2000)
    }

    func testFailuresLeaveNothingOpen() throws {
        func descriptors() -> Int {
            guard let folder = opendir("/proc/self/fd") else { return -1 }
            defer { closedir(folder) }
            var count = 0
            while readdir(folder) != nil { count += 1 }
            return count
        }
        let scratch = try Scratch()
        let file = try scratch.write("damaged", Array("nothing".utf8))
        let network = try Architectures.make(
            "cnn", options: ["input": "8x8x1", "stages": "1", "width": "2", "classes": "2"], seed: 1)
        let before = descriptors()
        for _ in 0..<50 {
            expect(.corruptData) { _ = try NetworkFile(path: file) }
            expect(.fileError) { _ = try NetworkFile(path: scratch.path) }
            expect(.fileError) { try NetworkFile(network).save(to: scratch.path) }
            expect(.invalidArgument) { try NetworkFile(network, metadata: ["renga.": ""]).save(to: file) }
        }
        XCTAssertEqual(descriptors(), before)
        XCTAssertEqual(scratch.names, ["damaged"])
    }
}
