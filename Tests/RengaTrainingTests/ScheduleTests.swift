// ScheduleTests.swift: learning-rate courses against PyTorch's schedulers and closed forms.
import RengaTraining
import XCTest

final class ScheduleTests: XCTestCase {
    func testCoursesAreThoseOfPyTorch() throws {
        let golden = try GoldenFile("schedules")
        let epochs = try XCTUnwrap(golden.metadata["epochs"].flatMap(Int.init))
        let steps = try XCTUnwrap(golden.metadata["steps"].flatMap(Int.init))
        XCTAssertEqual(golden.names.count, 9)
        for name in golden.names {
            let recipe = try Recipe(text: XCTUnwrap(golden.metadata[name]))
            let expected = try golden.floats(name)
            XCTAssertEqual(expected.count, epochs * steps)
            for (step, rate) in expected.enumerated() {
                let factor = recipe.schedule.factor(step: step, stepsPerEpoch: steps, epochs: epochs)
                XCTAssertEqual(
                    Float(recipe.learningRate * factor), rate, accuracy: 1e-6 * abs(rate) + 1e-9,
                    "\(name), step \(step)")
            }
        }
    }

    func testWarmUpRisesLinearlyThenHandsOver() {
        var schedule = Schedule()
        schedule.warmupEpochs = 2
        schedule.warmupStart = 0
        let factors = (0..<12).map { schedule.factor(step: $0, stepsPerEpoch: 4, epochs: 3) }
        XCTAssertEqual(factors, [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1, 1, 1])
        schedule.perEpoch = true
        let byEpoch = (0..<12).map { schedule.factor(step: $0, stepsPerEpoch: 4, epochs: 3) }
        XCTAssertEqual(byEpoch, [0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 1, 1])
    }

    func testPerEpochRatesAreConstantWithinAnEpoch() {
        for shape in ScheduleShape.allCases {
            var schedule = Schedule()
            schedule.shape = shape
            schedule.perEpoch = true
            for epoch in 0..<8 {
                let factors = (0..<5).map { schedule.factor(step: epoch * 5 + $0, stepsPerEpoch: 5, epochs: 8) }
                XCTAssertEqual(Set(factors).count, 1, "\(shape)")
            }
        }
    }

    func testBeyondTheEndTheLastFactorStays() {
        for shape in ScheduleShape.allCases {
            var schedule = Schedule()
            schedule.shape = shape
            let last = schedule.factor(step: 29, stepsPerEpoch: 10, epochs: 3)
            XCTAssertEqual(schedule.factor(step: 30, stepsPerEpoch: 10, epochs: 3), last)
            XCTAssertEqual(schedule.factor(step: .max, stepsPerEpoch: 10, epochs: 3), last)
        }
    }

    func testShortestTrainingsAreFinite() {
        for shape in ScheduleShape.allCases {
            var schedule = Schedule()
            schedule.shape = shape
            schedule.warmupEpochs = 1
            for (steps, epochs) in [(1, 1), (0, 0), (1, 2), (2, 1)] {
                for rise in [0.0, 0.5, 1.0] {
                    schedule.rise = rise
                    for step in 0...2 {
                        let factor = schedule.factor(step: step, stepsPerEpoch: steps, epochs: epochs)
                        XCTAssert((0...1).contains(factor), "\(shape) \(steps) \(epochs) \(rise): \(factor)")
                    }
                }
            }
        }
    }
}
