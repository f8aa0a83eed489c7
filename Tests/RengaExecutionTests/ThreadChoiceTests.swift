// ThreadChoiceTests.swift: small work stays on one thread, large work does not, and more threads than processors do no harm.
import CRengaKernels
import RengaArchitectures
import RengaExecution
import RengaNetwork
import XCTest

final class ThreadChoiceTests: XCTestCase {
    private func steps(_ count: Int, macs: Int, bytes: Int) -> [StepInfo] {
        (0..<count).map { _ in StepInfo(name: "step", macs: macs, bytes: bytes) }
    }

    func testSmallWorkIsNotShared() {
        XCTAssertEqual(CompiledPlan.usefulThreads(steps(10, macs: 10_000, bytes: 5_000), 8, processors: 8), 1)
        XCTAssertEqual(CompiledPlan.usefulThreads(steps(10, macs: 5_000_000, bytes: 50_000), 2, processors: 8), 2)
        XCTAssertEqual(CompiledPlan.usefulThreads(steps(3, macs: 0, bytes: 40_000_000), 4, processors: 8), 4)
        XCTAssertEqual(CompiledPlan.usefulThreads([], 4, processors: 8), 1)
        XCTAssertEqual(CompiledPlan.usefulThreads(steps(10, macs: 5_000_000, bytes: 50_000), 1, processors: 8), 1)
    }

    /// A team larger than the machine only waits at its barriers. What it would cost: `renga bench --threads 2,8`.
    func testNoMoreThreadsThanProcessorsWork() throws {
        XCTAssertEqual(CompiledPlan.usefulThreads(steps(3, macs: 0, bytes: 40_000_000), 4, processors: 2), 2)
        XCTAssertEqual(CompiledPlan.usefulThreads(steps(3, macs: 0, bytes: 40_000_000), 4, processors: 1), 1)
        let network = try Architectures.make("resnet", options: ["depth": "20", "input": "32x32x3"], seed: 1)
        let images = [Float](repeating: 0.5, count: 16 * 32 * 32 * 3)
        let answers = try [Int(rk_processors()), SessionOptions.mostThreads].map { threads in
            var options = SessionOptions()
            (options.batch, options.threads) = (16, threads)
            return try Session(network, options).run([images], n: 16)
        }
        XCTAssertEqual(answers[0], answers[1])
    }
}
