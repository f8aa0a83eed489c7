// Assertions.swift: what tests of every room say often: "fails with this status and these words", "is close to".
// Not here: any operator, any reference value.
import RengaNetwork
import XCTest

/// Asserts that `body` throws a `RengaError` of this status whose sentence contains all of `words`.
public func assertFails<Result>(
    _ status: Status, _ words: String..., file: StaticString = #filePath, line: UInt = #line,
    _ body: () throws -> Result
) {
    do {
        _ = try body()
        XCTFail("did not fail", file: file, line: line)
    } catch let error as RengaError {
        XCTAssertEqual(error.status, status, error.message, file: file, line: line)
        for word in words {
            XCTAssertTrue(error.message.contains(word), "'\(error.message)' lacks '\(word)'", file: file, line: line)
        }
    } catch {
        XCTFail("failed with \(error)", file: file, line: line)
    }
}

/// Asserts |a - b| <= absolute + relative |b| for each pair; reports the worst one. NaN is close only to NaN.
public func assertClose(
    _ a: [Float], _ b: [Float], absolute: Float = 1e-6, relative: Float = 1e-5, _ what: String = "",
    file: StaticString = #filePath, line: UInt = #line
) {
    guard a.count == b.count else {
        return XCTFail("\(what): \(a.count) numbers, expected \(b.count)", file: file, line: line)
    }
    var worst = (excess: Float(0), index: -1)
    for index in a.indices where !(a[index].isNaN && b[index].isNaN) {
        let excess = (a[index] - b[index]).magnitude / (absolute + relative * b[index].magnitude)
        if !(excess <= max(worst.excess, 1)) { worst = (excess.isNaN ? .infinity : excess, index) }
    }
    if worst.index >= 0 {
        XCTFail(
            "\(what): [\(worst.index)] is \(a[worst.index]), expected \(b[worst.index]) "
                + "(\(worst.excess) times the tolerance)", file: file, line: line)
    }
}

/// Asserts |a - b| <= tolerance.
public func assertClose(
    _ a: Double, _ b: Double, tolerance: Double, _ what: String = "", file: StaticString = #filePath,
    line: UInt = #line
) {
    XCTAssertTrue((a - b).magnitude <= tolerance, "\(what): \(a), expected \(b)", file: file, line: line)
}
