// BrokenFilesTests.swift: safetensors files that are each broken in one way are refused, and reading takes no more memory than its bound says.
// Not here: damage drawn at random (MutationTests), whole files (SafetensorsTests).
import RengaFormats
import RengaNetwork
import TestSupport
import XCTest

final class BrokenFilesTests: XCTestCase {
    func testBrokenFilesAreRefused() throws {
        let files = try BrokenFiles.all("safetensors")
        XCTAssertGreaterThanOrEqual(files.count, 35)
        for (name, path) in files {
            XCTAssertThrowsError(try SafetensorsFile(path: path), name) { error in
                let error = error as? RengaError
                XCTAssertTrue(
                    error?.status == .corruptData || error?.status == .unsupported, "\(name): \(error?.message ?? "")")
            }
        }
    }

    /// 40 times the header, whatever it holds, and the data once.
    func testMemoryIsBoundedByTheFile() throws {
        let scratch = try Scratch()
        let bytes = 1 << 20
        let headers = [
            "{\"a\":[" + String(repeating: "0,", count: bytes / 2) + "0]}",
            "{\"a\":[" + String(repeating: "[],", count: bytes / 3) + "0]}",
            String(repeating: "[", count: bytes),
            "{\"__metadata__\":{"
                + (0..<bytes / 10).map { "\"\(String($0, radix: 16))\":\"\"" }.joined(separator: ",") + "}}",
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[" + String(repeating: "1,", count: bytes / 2)
                + "1],\"data_offsets\":[0,4]}}",
        ]
        for (index, header) in headers.enumerated() {
            let path = try scratch.write("header", raw(header, [0, 0, 0, 0]))
            let growth = peakGrowth { _ = try? SafetensorsFile(path: path) }
            if let growth { XCTAssertLessThan(growth, 40 * header.utf8.count + 2 << 20, "header \(index)") }
        }
        let floats = 4 << 20
        let header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[\(floats)],\"data_offsets\":[0,\(4 * floats)]}}"
        let path = try scratch.write("data", raw(header, [UInt8](repeating: 0, count: 4 * floats)))
        let growth = try peakGrowth { XCTAssertEqual(try SafetensorsFile(path: path).tensors["a"]?.count, floats) }
        if let growth { XCTAssertLessThan(growth, 4 * floats + 2 << 20) }
    }
}
