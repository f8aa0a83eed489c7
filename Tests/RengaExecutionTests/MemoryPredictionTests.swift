// MemoryPredictionTests: what is told before a plan is made is what it holds.
import RengaArchitectures
import RengaExecution
import RengaNetwork
import XCTest

final class MemoryPredictionTests: XCTestCase {
    func testSessionsHoldWhatWasPredicted() throws {
        for test in try Cases.all() {
            for (batch, fold) in [(1, true), (3, true), (3, false)] {
                var options = SessionOptions()
                (options.batch, options.foldBatchNorm, options.threads) = (batch, fold, 2)
                let predicted = try Session.memory(of: test.network, options)
                XCTAssertEqual(predicted, try Session(test.network, options).memory, "\(test.name), batch \(batch)")
                XCTAssertGreaterThan(predicted.activations, 0)
            }
        }
    }

    func testTrainingPlansHoldWhatWasPredicted() throws {
        for test in try Cases.all() {
            var options = TrainingPlan.Options(n: 3, threads: 2)
            let usual = try TrainingPlan.memory(of: test.network, options)
            XCTAssertEqual(usual, try TrainingPlan(test.network, options).memory, test.name)
            options.memoryBudget = usual.total - 1
            guard let tight = try? TrainingPlan.memory(of: test.network, options) else { continue }
            XCTAssertEqual(tight, try TrainingPlan(test.network, options).memory, "\(test.name), budget")
            XCTAssertLessThan(tight.total, usual.total)
        }
    }

    func testPredictionsRefuseWhatPlansRefuse() throws {
        let network = try Architectures.make("resnet", options: ["depth": "8", "input": "8x8x3"], seed: 1)
        var options = SessionOptions()
        options.height = 1 << 29
        options.width = 1 << 29
        XCTAssertThrowsError(try Session.memory(of: network, options))
        XCTAssertThrowsError(try TrainingPlan.memory(of: network, TrainingPlan.Options(n: 0, threads: 1)))
    }

    /// What could never be allocated is still told.
    func testPredictsMoreThanThisMachineHas() throws {
        let network = try Architectures.make("resnet", options: ["depth": "8", "input": "32x32x3"], seed: 1)
        var options = SessionOptions()
        options.batch = 1 << 25
        XCTAssertGreaterThan(try Session.memory(of: network, options).activations, 1 << 38)
    }
}
