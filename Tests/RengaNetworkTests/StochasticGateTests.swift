// StochasticGateTests: the law by which gates open, where it may not depend on anything else, and the options of the operator.
// Not here: how gates run (RengaExecutionTests), what families make of them (RengaArchitecturesTests).
import RengaNetwork
import TestSupport
import XCTest

final class StochasticGateTests: XCTestCase {
    private static let draws = 100_000

    /// How often each joint state of a gate's parts is drawn: upper + 2 lower.
    private func counts(_ gate: StochasticGate, name: String = "layer", seed: UInt64 = 7) -> [Int] {
        let draws = StochasticGate.Draws(gate, name: name)
        var counts = [Int](repeating: 0, count: 4)
        for index in 0..<Self.draws {
            let open = draws.open(seed: seed, index: UInt64(index))
            counts[(open[0] ? 1 : 0) + ((open.count > 1 ? open[1] : open[0]) ? 2 : 0)] += 1
        }
        return counts
    }

    /// Pearson's statistic of counts against probabilities; states of probability 0 must not occur.
    private func chiSquare(_ counts: [Int], _ probabilities: [Double]) -> Double {
        zip(counts, probabilities).reduce(0) { sum, state in
            let expected = state.1 * Double(Self.draws)
            guard expected > 1e-9 else { return sum + (state.0 == 0 ? 0 : .infinity) }
            return sum + (Double(state.0) - expected) * (Double(state.0) - expected) / expected
        }
    }

    /// The joint law: with probability rho one number decides both, else each has its own.
    private func law(_ upper: Double, _ lower: Double, rho: Double) -> [Double] {
        let both = rho * min(upper, lower) + (1 - rho) * upper * lower
        return [1 - upper - lower + both, upper - both, lower - both, both]
    }

    func testJointLaw() {
        for (upper, lower, rho) in [
            (0.5, 0.5, 0.0), (0.5, 0.5, 0.3), (0.75, 0.75, 0.6), (0.5, 0.5, 1.0), (0.8, 0.3, 0.0), (0.8, 0.3, 0.5),
            (0.8, 0.3, 1.0), (1.0, 0.4, 0.7), (0.01, 0.99, 0.2),
        ] {
            let gate = StochasticGate(survival: upper, split: 3, survivalLower: lower, correlation: rho)
            // 99.99 % of a chi-square with 3 degrees of freedom lie below 21.1.
            let statistic = chiSquare(counts(gate), law(upper, lower, rho: rho))
            XCTAssertLessThan(statistic, 21.1, "p = \(upper), \(lower), rho = \(rho)")
            // The test sees a correlation that is wrong by a tenth.
            if upper == 0.5 {
                let wrong = law(upper, lower, rho: rho > 0.5 ? rho - 0.1 : rho + 0.1)
                XCTAssertGreaterThan(chiSquare(counts(gate), wrong), 21.1, "rho = \(rho)")
            }
        }
        XCTAssertLessThan(chiSquare(counts(StochasticGate(survival: 0.7)), [0.3, 0, 0, 0.7]), 15.2)
    }

    func testGatesOfAGroupShareAcrossLayers() {
        let gate = StochasticGate(survival: 0.5, correlation: 0.4, group: 2)
        let (a, b) = (StochasticGate.Draws(gate, name: "a"), StochasticGate.Draws(gate, name: "b"))
        var counts = [Int](repeating: 0, count: 4)
        for index in 0..<UInt64(Self.draws) {
            counts[(a.open(seed: 1, index: index)[0] ? 1 : 0) + (b.open(seed: 1, index: index)[0] ? 2 : 0)] += 1
        }
        XCTAssertLessThan(chiSquare(counts, law(0.5, 0.5, rho: 0.4)), 21.1)
        // Without a group the layers have nothing in common.
        let alone = StochasticGate(survival: 0.5, correlation: 1)
        let (c, d) = (StochasticGate.Draws(alone, name: "a"), StochasticGate.Draws(alone, name: "b"))
        let equal = (0..<UInt64(10_000)).filter { c.open(seed: 1, index: $0) == d.open(seed: 1, index: $0) }.count
        XCTAssertEqual(Double(equal), 5000, accuracy: 250)
    }

    func testDrawsAreFunctionsOfSeedNameAndIndexAlone() {
        let draws = StochasticGate.Draws(StochasticGate(survival: 0.5, split: 1, correlation: 0.5), name: "x")
        let first = (0..<64).map { draws.open(seed: 5, index: $0) }
        XCTAssertEqual((0..<64).reversed().map { draws.open(seed: 5, index: $0) }.reversed(), first)
        XCTAssertNotEqual((0..<64).map { draws.open(seed: 6, index: $0) }, first)
        let other = StochasticGate.Draws(StochasticGate(survival: 0.5, split: 1, correlation: 0.5), name: "y")
        XCTAssertNotEqual((0..<64).map { other.open(seed: 5, index: $0) }, first)
        // A gate that always opens does so, and one with a lower survival closes wherever a likelier one does.
        let sure = StochasticGate.Draws(StochasticGate(survival: 1, split: 1), name: "x")
        XCTAssertTrue((0..<5000).allSatisfy { sure.open(seed: 5, index: $0) == [true, true] })
        let (rare, likely) = (0.3, 0.6)
        let (a, b) = (
            StochasticGate.Draws(StochasticGate(survival: rare), name: "x"),
            StochasticGate.Draws(StochasticGate(survival: likely), name: "x")
        )
        XCTAssertTrue((0..<5000).allSatisfy { !a.open(seed: 5, index: $0)[0] || b.open(seed: 5, index: $0)[0] })
    }

    func testOptionsGoOutAndIn() throws {
        let gates = [
            StochasticGate(survival: 0.5), StochasticGate(survival: 0.25, split: 2),
            StochasticGate(
                survival: 0.9, split: 4, survivalLower: 0.1, correlation: 0.5, group: 3, scope: .sample, closed: .skip),
        ]
        for gate in gates {
            let again = try StochasticGate(attributes: gate.encoded)
            XCTAssertEqual(again.encoded, gate.encoded)
            XCTAssertEqual(again.survivals, gate.survivals)
            XCTAssertEqual([again.split, again.group], [gate.split, gate.group])
            XCTAssertEqual(again.correlation, gate.correlation)
            XCTAssertEqual(again.scope, gate.scope)
            XCTAssertEqual(again.closed, gate.closed)
        }
        XCTAssertEqual(gates[2].channels(10), [0..<4, 4..<10])
        XCTAssertEqual(gates[0].channels(10), [0..<10])
    }

    func testBadOptionsNameOptionBoundsAndValue() {
        let map = Shape(n: 2, h: 3, w: 3, c: 6)
        for (text, words) in [
            ("survival=0", ["'survival'", "1e-06...1.0", "'0'"]), ("survival=1.5", ["'survival'", "'1.5'"]),
            ("survival_lower=-1", ["'survival_lower'", "1e-06...1.0", "'-1'"]),
            ("correlation=1.01", ["'correlation'", "0.0...1.0", "'1.01'"]),
            ("scope=pixel", ["'scope'", "batch, sample"]),
            ("closed=maybe", ["'closed'", "run, skip"]), ("group=-1", ["'group'", "'-1'"]),
        ] {
            XCTAssertThrowsError(try OperatorTable.make("stochastic_gate", Attributes(text: text)), text) { error in
                let message = (error as? RengaError)?.message ?? ""
                for word in words { XCTAssertTrue(message.contains(word), "\(word) in: \(message)") }
            }
        }
        assertFails(.shapeMismatch, "below the 6 channels, got 6") {
            try StochasticGate(survival: 0.5, split: 6).outputShape([map])
        }
        assertFails(.invalidArgument, "survival") { try StochasticGate(survival: .nan).outputShape([map]) }
        assertFails(.invalidArgument, "correlation") {
            try StochasticGate(survival: 0.5, correlation: 2).outputShape([map])
        }
    }
}
