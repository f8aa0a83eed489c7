// GateTests: stochastic depth in training plans: forced gates against the interpreter, closed work left out against closed work run.
// Not here: the law of the draws (RengaNetworkTests), whole families (RengaTrainingTests), folding (RengaRewritesTests).
import CRengaKernels
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

final class GateTests: XCTestCase {
    /// Every way to force the gates of a network, or some of them where there are many.
    private func forcings(_ network: Network) -> [[String: [Bool]]] {
        let gates = network.nodes.compactMap { node in
            (node.op as? StochasticGate).map { (node.name, $0.survivals.count) }
        }
        let bits = gates.reduce(0) { $0 + $1.1 }
        let all = 1 << bits
        return (Array(stride(from: 0, to: all, by: max(1, all / 6))) + [all - 1]).map { pattern in
            var bit = 0
            var forced: [String: [Bool]] = [:]
            for (name, parts) in gates {
                forced[name] = (0..<parts).map { pattern >> (bit + $0) & 1 == 1 }
                bit += parts
            }
            return forced
        }
    }

    func testForcedGatesAgainstTheInterpreter() throws {
        for test in try GatedCases.all() {
            for forced in forcings(test.network) {
                var check = try GradientCheck(test.network, n: 3)
                check.forced = forced
                let plan = try check.plan()
                try XCTUnwrap(plan.gates).force(forced)
                try check.checkOneDirection(plan, "\(test.name), \(forced)")
                XCTAssertEqual(plan.gates?.records.map(\.layer).sorted(), forced.keys.sorted())
                for record in plan.gates?.records ?? [] {
                    XCTAssertTrue(record.open.allSatisfy { $0 == forced[record.layer] })
                }
            }
        }
    }

    func testLeavingOutClosedWorkChangesNoBit() throws {
        for test in try GatedCases.all() { try checkLeavingOut(test, .f32) }
        for test in try GatedCases.some() { try checkLeavingOut(test, .bf16) }
    }

    private func checkLeavingOut(_ test: Case, _ precision: Precision) throws {
        let check = try GradientCheck(test.network, n: 3)
        let skipping = try check.plan { $0.precision = precision }
        let running = try check.plan { ($0.precision, $0.skipClosed) = (precision, false) }
        for forced in forcings(test.network) {
            for plan in [skipping, running] {
                try plan.load(from: test.network)
                try plan.gates?.force(forced)
            }
            let what = "\(test.name), \(forced)"
            XCTAssertEqual(
                try skipping.run(check.images, check.labels).loss, try running.run(check.images, check.labels).loss,
                what)
            XCTAssertEqual(skipping.gradientsByName, running.gradientsByName, what)
            // Where closed branches run, so do their statistics; where they do not, those of closed layers stay (below).
            guard precision == .f32, !test.name.hasSuffix("skip"), !test.name.hasSuffix("samples") else { continue }
            XCTAssertEqual(statistics(skipping), statistics(running), what)
        }
    }

    private func statistics(_ plan: TrainingPlan) -> [String: [Float]] {
        Dictionary(
            uniqueKeysWithValues: plan.statistics.map { slot in
                (slot.name, (0..<slot.count).map { plan.runningStatistics[slot.offset + $0] })
            })
    }

    func testClosedBranchesHaveZeroGradientsAndStillStatistics() throws {
        let network = try GatedCases.pyramid(["closed": "skip"])
        let gates = network.nodes.filter { $0.op is StochasticGate }.map(\.name)
        let (norms, convolutions) = (
            network.nodes.filter { $0.op is BatchNorm }.map(\.name),
            network.nodes.filter { $0.op is Convolution }.map(\.name)
        )
        let check = try GradientCheck(network, n: 3)
        let plan = try check.plan()
        // One step with everything open, so that no gradient is zero because nobody has ever written it.
        try plan.gates?.force(Dictionary(uniqueKeysWithValues: gates.map { ($0, [true, true]) }))
        try plan.run(check.images, check.labels)
        let open = plan.gradientsByName
        XCTAssertTrue(open.values.allSatisfy { $0.contains { $0 != 0 } })
        let before = statistics(plan)
        // The first block closed, of the second the channels with a shortcut (7 of 10), of the third (10 of 11) the new ones.
        try plan.gates?.force([gates[0]: [false, false], gates[1]: [false, true], gates[2]: [true, false]])
        try plan.run(check.images, check.labels)
        let (gradients, after) = (plan.gradientsByName, statistics(plan))
        for name in ["\(norms[0]).gamma", "\(norms[1]).beta", "\(norms[2]).gamma"] {
            XCTAssertTrue(try XCTUnwrap(gradients[name]).allSatisfy { $0 == 0 }, name)
        }
        for name in [convolutions[1], convolutions[2]] {
            XCTAssertTrue(try XCTUnwrap(gradients["\(name).weight"]).allSatisfy { $0 == 0 }, name)
        }
        for norm in norms[0...2] {
            XCTAssertEqual(after["\(norm).running_mean"], before["\(norm).running_mean"], norm)
            XCTAssertEqual(after["\(norm).running_variance"], before["\(norm).running_variance"], norm)
        }
        func channels(_ name: String, _ values: [String: [Float]], _ range: Range<Int>) throws -> [Float] {
            let all = try XCTUnwrap(values[name])
            let width = name == "\(convolutions[4]).weight" ? 10 : name == "\(convolutions[6]).weight" ? 11 : all.count
            return all.indices.filter { range.contains($0 % width) }.map { all[$0] }
        }
        let closed = [(norms[5], convolutions[4], 0..<7, 7..<10), (norms[8], convolutions[6], 10..<11, 0..<10)]
        for (norm, convolution, shut, live) in closed {
            for name in ["\(norm).gamma", "\(norm).beta", "\(convolution).weight"] {
                XCTAssertTrue(try channels(name, gradients, shut).allSatisfy { $0 == 0 }, name)
                XCTAssertTrue(try channels(name, gradients, live).contains { $0 != 0 }, name)
            }
            for name in ["\(norm).running_mean", "\(norm).running_variance"] {
                XCTAssertEqual(try channels(name, after, shut), try channels(name, before, shut), name)
                XCTAssertNotEqual(try channels(name, after, live), try channels(name, before, live), name)
            }
        }
    }

    /// Where of the last convolution only the new channels (at most half) are open, they alone are computed, backward in any case.
    func testOnlyTheOpenChannelsOfAConvolution() throws {
        for (closed, forward) in [("skip", 3), ("run", 0)] {
            let network = try GatedCases.pyramid(["closed": closed])
            let plan = try GradientCheck(network, n: 3).plan()
            let macs = { (work: String) in
                plan.program.infos.filter { $0.name.hasSuffix(": \(work)") }.map(\.macs)
            }
            XCTAssertEqual(macs("part").count, forward, closed)
            // 30 pixels of 7 inputs for 2 outputs, then 9 of 10 for 3 and of 11 for 1: batch 3, 3x3.
            let expected = [30 * 7 * 2, 9 * 10 * 3, 9 * 11 * 1].map { 3 * 9 * $0 }
            XCTAssertEqual(macs("backward data part"), expected.reversed(), closed)
            XCTAssertEqual(macs("backward weight part"), expected.reversed(), closed)
        }
        let single = try GradientCheck(GatedCases.post(["closed": "skip"]), n: 3).plan()
        XCTAssertFalse(single.program.infos.contains { $0.name.hasSuffix("part") })
    }

    func testWrongForcingsAreRefused() throws {
        let plan = try GradientCheck(try GatedCases.pyramid([:]), n: 2).plan()
        let gates = try XCTUnwrap(plan.gates)
        XCTAssertThrowsError(try gates.force(["no such layer": [true]])) {
            XCTAssertEqual(($0 as? RengaError)?.status, .notFound)
        }
        XCTAssertThrowsError(try gates.force([gates.records[0].layer: [true]])) {
            XCTAssertEqual(($0 as? RengaError)?.status, .invalidArgument)
        }
        XCTAssertNil(try GradientCheck(try Cases.blocks()[0].network, n: 2).plan().gates)
    }
}
