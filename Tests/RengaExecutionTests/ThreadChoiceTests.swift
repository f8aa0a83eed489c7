// ThreadChoiceTests.swift: small work stays on one thread, large work does not.
import RengaExecution
import XCTest

final class ThreadChoiceTests: XCTestCase {
    private func steps(_ count: Int, macs: Int, bytes: Int) -> [StepInfo] {
        (0..<count).map { _ in StepInfo(name: "step", macs: macs, bytes: bytes) }
    }

    func testSmallWorkIsNotShared() {
        XCTAssertEqual(CompiledPlan.usefulThreads(steps(10, macs: 10_000, bytes: 5_000), 8), 1)
        XCTAssertEqual(CompiledPlan.usefulThreads(steps(10, macs: 5_000_000, bytes: 50_000), 2), 2)
        XCTAssertEqual(CompiledPlan.usefulThreads(steps(3, macs: 0, bytes: 40_000_000), 4), 4)
        XCTAssertEqual(CompiledPlan.usefulThreads([], 4), 1)
        XCTAssertEqual(CompiledPlan.usefulThreads(steps(10, macs: 5_000_000, bytes: 50_000), 1), 1)
    }
}
