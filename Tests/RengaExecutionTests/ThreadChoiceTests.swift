// ThreadChoiceTests.swift: small work stays on one thread, large work does not, and more threads than processors do no harm.
import CRengaKernels
import Glibc
import RengaArchitectures
import RengaExecution
import RengaNetwork
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

    /// What is asked for beyond the machine would only wait: the bound leaves room for a busy machine, not for a team that waits.
    func testMoreThreadsThanProcessorsCostLittle() throws {
        let network = try Architectures.make("resnet", options: ["depth": "20", "input": "32x32x3"], seed: 1)
        let usual = Int(rk_processors())
        var sessions: [Session] = []
        for threads in [usual, min(4 * usual, SessionOptions.mostThreads)] {
            var options = SessionOptions()
            (options.batch, options.threads) = (16, threads)
            sessions.append(try Session(network, options))
        }
        let images = [Float](repeating: 0.5, count: 16 * 32 * 32 * 3)
        var least = [Double](repeating: .infinity, count: 2)
        var answers: [[[Float]]] = [[], []]
        for _ in 0..<8 {
            for (index, session) in sessions.enumerated() {
                let begin = seconds()
                answers[index] = try session.run([images], n: 16)
                least[index] = min(least[index], seconds() - begin)
            }
        }
        XCTAssertEqual(answers[0], answers[1])
        XCTAssertLessThan(least[1], 1.5 * least[0])
    }

    private func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
    }
}
