// ExpectError.swift: checks that a call fails with the right status and a sentence that names what it should.
// Not here: checks of results.
import RengaNetwork
import XCTest

/// Runs `body`, which must throw a ``RengaError`` with this status whose sentence holds each of `words`.
public func expect(
    _ status: Status, _ words: String..., file: StaticString = #filePath, line: UInt = #line,
    _ body: () throws -> Void
) {
    do {
        try body()
        XCTFail("expected \(status), nothing was thrown", file: file, line: line)
    } catch let error as RengaError {
        XCTAssertEqual(error.status, status, error.message, file: file, line: line)
        for word in words {
            XCTAssert(error.message.contains(word), "'\(error.message)' lacks '\(word)'", file: file, line: line)
        }
    } catch {
        XCTFail("unexpected error \(error)", file: file, line: line)
    }
}
