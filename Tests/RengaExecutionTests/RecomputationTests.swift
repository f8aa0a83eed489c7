// RecomputationTests: a plan with a byte budget does the same to every bit, holds what was planned, and refuses what it cannot do.
import CRengaKernels
import RengaArchitectures
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

final class RecomputationTests: XCTestCase {
    /// Everything that two runs of a plan leave behind.
    private struct Trace: Equatable {
        var losses: [Double] = []
        var gradients: [[Float]] = []
        var statistics: [[Float]] = []

        init(_ plan: TrainingPlan, _ check: GradientCheck) throws {
            for step in 0..<2 {
                plan.dropoutCounter = UInt64(step)
                losses.append(try plan.run(check.images, check.labels).loss)
                gradients.append(Array(UnsafeBufferPointer(start: plan.gradients, count: plan.parameterFloats)))
                statistics.append(
                    Array(UnsafeBufferPointer(start: plan.runningStatistics, count: plan.statisticFloats)))
            }
        }
    }

    /// Between everything kept and the least possible.
    private func budgets(
        _ check: GradientCheck, _ isa: rk_isa, _ precision: Precision
    ) throws -> (most: Int, least: Int) {
        let most = try check.plan(isa: isa) { $0.precision = precision }.memory.total
        do {
            _ = try check.plan(isa: isa) { ($0.memoryBudget, $0.precision) = (1, precision) }
            XCTFail("a byte is no budget")
        } catch let error as RengaError {
            XCTAssertEqual(error.status, .invalidArgument)
            let named = error.message.split(separator: " ").last.flatMap { Int($0) }
            return (most, try XCTUnwrap(named, error.message))
        }
        return (most, most)
    }

    private func assertSameBits(
        _ network: Network, n: Int, _ what: String, isa: rk_isa = rk_isa_best(), precision: Precision = .f32
    ) throws {
        let check = try GradientCheck(network, n: n)
        let expected = try Trace(check.plan(isa: isa) { $0.precision = precision }, check)
        let (most, least) = try budgets(check, isa, precision)
        XCTAssertLessThanOrEqual(least, most, what)
        for budget in Set([least, (least + most) / 2, (least + 3 * most) / 4]).sorted() {
            let plan = try check.plan(isa: isa) { ($0.memoryBudget, $0.precision) = (budget, precision) }
            XCTAssertLessThanOrEqual(plan.memory.total, budget, what)
            XCTAssertTrue(try Trace(plan, check) == expected, "\(what): other bits with \(budget) of \(most) bytes")
            if budget < most { XCTAssertGreaterThan(plan.memory.recomputation.steps, 0, what) }
        }
    }

    func testEveryOperatorGivesTheSameBits() throws {
        for test in try Cases.all() {
            for isa in testedSets { try assertSameBits(test.network, n: 3, test.name, isa: isa) }
            try assertSameBits(test.network, n: 3, "\(test.name) in bf16", precision: .bf16)
        }
    }

    func testArchitecturesGiveTheSameBits() throws {
        for (name, options): (String, Attributes) in [
            ("resnet", ["depth": "14"]), ("dmrnet", ["depth": "14"]), ("pyramidnet", ["depth": "14", "alpha": "12"]),
            ("inception", ["depth": "14"]),
        ] {
            let all = options.merging(["input": "8x8x3"]) { $1 }
            let network = try Architectures.make(name, options: all, seed: 5)
            for precision in [Precision.f32, .bf16] {
                try assertSameBits(network, n: 2, "\(name) \(precision)", precision: precision)
            }
        }
    }
}
