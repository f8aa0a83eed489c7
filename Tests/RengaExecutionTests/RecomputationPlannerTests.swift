// RecomputationPlannerTests: the choice alone, on chains whose best answers are known.
import RengaExecution
import RengaNetwork
import XCTest

final class RecomputationPlannerTests: XCTestCase {
    /// A chain of `count` steps of equal cost; each backward pass reads what its step reads, each value has 100 bytes.
    private func chain(_ count: Int) -> RecomputationProblem {
        let steps = (0..<count).map { index in
            RecomputationStep(
                output: index + 1, reads: [index], backwardReads: [index], macs: 1, seconds: 1)
        }
        return RecomputationProblem(steps, bytes: [Int](repeating: 100, count: count + 1))
    }

    /// The peak of such a chain by playing it: what is kept, then each dropped run made again at once, freed as backward passes it.
    private func peak(_ count: Int, _ dropped: Set<ValueID>) -> Int {
        var alive = Set((1..<count).filter { !dropped.contains($0) })
        var most = alive.count
        for step in (0..<count).reversed() {
            var value = step
            while value > 0, !alive.contains(value) {
                alive.insert(value)
                value -= 1
            }
            // The gradients of what the step makes and reads.
            most = max(most, alive.count + 2)
            alive.remove(step)
        }
        return 100 * most
    }

    func testEnoughKeepsEverything() throws {
        let planner = RecomputationPlanner(chain(20)) { self.peak(20, $0) }
        let choice = try planner.choose(budget: peak(20, []))
        XCTAssertEqual(choice.dropped, [])
        XCTAssertEqual(choice.seconds, 0)
    }

    /// Stretches of about the root of the length are the best that one pass of second runs can do (Chen et al. 2016).
    func testTheLeastIsNearTwiceTheRoot() throws {
        for count in [9, 16, 25, 36] {
            let planner = RecomputationPlanner(chain(count)) { self.peak(count, $0) }
            let least = try planner.choose(budget: 0)
            let root = Int(Double(count).squareRoot())
            XCTAssertLessThanOrEqual(least.bytes, 100 * (2 * root + 3), "\(count) steps")
            XCTAssertLessThan(least.seconds, Double(count), "no step runs a third time")
        }
    }

    func testFitsEveryBudgetDownToTheLeastAndCostsNoLessForLess() throws {
        let planner = RecomputationPlanner(chain(30)) { self.peak(30, $0) }
        let least = try planner.choose(budget: 0).bytes
        var seconds = Double.infinity
        for budget in stride(from: least, through: peak(30, []), by: 100) {
            let choice = try planner.choose(budget: budget)
            XCTAssertLessThanOrEqual(choice.bytes, budget)
            XCTAssertEqual(choice.bytes, peak(30, choice.dropped))
            // Halving the ladder may stop at a neighbour of the best.
            XCTAssertLessThanOrEqual(choice.seconds, seconds + 2, "\(budget)")
            seconds = choice.seconds
        }
        XCTAssertEqual(seconds, 0)
    }

    /// Where norms and activations run twice for little, products of many multiply-accumulates do not.
    func testCheapStepsRunTwiceFirst() throws {
        let steps = (0..<20).map { index in
            RecomputationStep(
                output: index + 1, reads: [index], backwardReads: [index], macs: index % 2 == 0 ? 1000 : 0,
                seconds: index % 2 == 0 ? 100 : 1)
        }
        let problem = RecomputationProblem(steps, bytes: [Int](repeating: 100, count: 21))
        let planner = RecomputationPlanner(problem) { self.peak(20, $0) }
        let choice = try planner.choose(budget: peak(20, []) * 2 / 3)
        XCTAssertFalse(choice.dropped.isEmpty)
        XCTAssertTrue(choice.dropped.allSatisfy { $0 % 2 == 0 }, "\(choice.dropped.sorted())")
        XCTAssertLessThan(choice.seconds, 100)
    }

    func testRefusalNamesWhatIsPossible() throws {
        let planner = RecomputationPlanner(chain(12)) { self.peak(12, $0) }
        let least = try planner.choose(budget: 1).bytes
        XCTAssertLessThanOrEqual(try planner.choose(budget: least).bytes, least)
    }
}
