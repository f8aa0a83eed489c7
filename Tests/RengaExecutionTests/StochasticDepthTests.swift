// StochasticDepthTests: the theory of separated stochastic depth on small pyramidal networks: what must be equal is, bit for bit.
// Not here: gradients behind gates against the interpreter (GateTests), the law of the draws (RengaNetworkTests).
import CRengaKernels
import RengaArchitectures
import RengaExecution
import RengaNetwork
import RengaRewrites
import TestSupport
import XCTest

final class StochasticDepthTests: XCTestCase {
    private func network(_ options: String, like: Network? = nil) throws -> Network {
        let usual = options.contains("depth=20") ? "" : "depth=14,"
        var made = try Architectures.make(
            "pyramidnet", options: Attributes(text: usual + "width=5,alpha=9,classes=6,input=10x9x3" + options))
        if let like {
            for name in like.parameterNames { try made.setParameter(name, XCTUnwrap(like.parameters[name]).tensor) }
        } else {
            try made.randomiseParameters(seed: 31)
        }
        return made
    }

    private func answers(_ network: Network, fold: Bool = true) throws -> [Float] {
        var options = SessionOptions()
        (options.batch, options.foldBatchNorm) = (3, fold)
        let session = try Session(network, options)
        var random = TestRandom(5)
        return try session.run([random.floats(session.inputShapes[0].count)], n: 3)[0]
    }

    private func statistics(_ plan: TrainingPlan) -> [[Float]] {
        plan.statistics.map { slot in (0..<slot.count).map { plan.runningStatistics[slot.offset + $0] } }
    }

    private func assertSameTraining(_ a: TrainingPlan, _ b: TrainingPlan, _ check: GradientCheck, _ what: String) throws
    {
        for _ in 0..<3 {
            XCTAssertEqual(
                try a.run(check.images, check.labels).loss, try b.run(check.images, check.labels).loss, what)
            XCTAssertEqual(a.gradientsByName, b.gradientsByName, what)
            XCTAssertEqual(statistics(a), statistics(b), what)
        }
    }

    /// With survival 1 both forms are the pyramidal network, in training and in inference.
    func testSurvivalOneIsThePyramidalNetwork() throws {
        for block in ["basic", "bottleneck"] {
            let size = block == "basic" ? "" : ",depth=20,block=bottleneck"
            func make(_ options: String, like: Network? = nil) throws -> Network {
                try network(size + options, like: like)
            }
            let plain = try make("")
            let check = try GradientCheck(plain, n: 3)
            for kind in ["joint", "separate", "separate,gate_closed=skip", "separate,gate_scope=sample"] {
                let gated = try make(",survival=1,stochastic_depth=\(kind)", like: plain)
                let other = try GradientCheck(gated, n: 3)
                if kind.hasSuffix("sample") {
                    // A gate for each sample is a step of its own: the batch norm's sum is rounded once more.
                    XCTAssertEqual(
                        try other.plan().run(check.images, check.labels).loss,
                        try check.plan().run(check.images, check.labels).loss, accuracy: 1e-6)
                } else {
                    // Gated networks do not run in bands, and bits depend on the bands.
                    let (open, usual) = (try other.plan(), try check.plan { $0.bands = .never })
                    try assertSameTraining(open, usual, check, "\(block), \(kind)")
                }
                XCTAssertEqual(try answers(gated), try answers(plain), kind)
                XCTAssertEqual(try answers(gated, fold: false), try answers(plain, fold: false), kind)
            }
        }
    }

    func testForcedGatesTieTheFormsTogether() throws {
        let plain = try network("")
        let check = try GradientCheck(plain, n: 3)
        let separate = try GradientCheck(network(",stochastic_depth=separate", like: plain), n: 3).plan()
        let joint = try GradientCheck(network(",stochastic_depth=joint", like: plain), n: 3).plan()
        let names = try XCTUnwrap(joint.gates).records.map(\.layer)
        try separate.gates?.force(Dictionary(uniqueKeysWithValues: names.map { ($0, [true, true]) }))
        try assertSameTraining(separate, try check.plan { $0.bands = .never }, check, "all open")
        for pattern in [0, 5, 42, 63] {
            func open(_ index: Int) -> Bool { pattern >> index & 1 == 1 }
            try joint.gates?.force(Dictionary(uniqueKeysWithValues: names.indices.map { (names[$0], [open($0)]) }))
            try separate.gates?.force(
                Dictionary(uniqueKeysWithValues: names.indices.map { (names[$0], [open($0), open($0)]) }))
            for plan in [joint, separate] { try plan.load(from: plain) }
            try assertSameTraining(separate, joint, check, "pattern \(pattern)")
        }
    }

    /// All gates closed: x_l is the padded shortcut, and the new channels are exact zeros, with no NaN anywhere behind them.
    func testClosedNetworkIsThatOfItsShortcuts() throws {
        let gated = try network(",stochastic_depth=separate,gate_closed=skip")
        let plan = try GradientCheck(gated, n: 3).plan()
        try plan.gates?.force(
            Dictionary(uniqueKeysWithValues: try XCTUnwrap(plan.gates).records.map { ($0.layer, [false, false]) }))
        // The same network with nothing but the shortcuts in its blocks.
        var builder = NetworkBuilder()
        var places: [ValueID] = [try builder.addInput(h: 10, w: 9, c: 3)]
        for node in gated.nodes {
            let inBranch = node.name.hasPrefix("stage") && !node.name.contains("shortcut")
            guard !inBranch else {
                places.append(node.op is Add ? places[node.inputs[1]] : places[0])
                continue
            }
            places.append(try builder.add(node.op, name: node.name, sources: node.inputs.map { places[$0] }))
        }
        var shortcuts = try builder.build(outputs: [try XCTUnwrap(places.last)])
        for name in shortcuts.parameterNames {
            try shortcuts.setParameter(name, XCTUnwrap(gated.parameters[name]).tensor)
        }
        let check = try GradientCheck(shortcuts, n: 3)
        let other = try check.plan()
        XCTAssertEqual(
            try plan.run(check.images, check.labels).loss, try other.run(check.images, check.labels).loss)
        for (name, gradient) in plan.gradientsByName {
            if let expected = other.gradientsByName[name] {
                XCTAssertEqual(gradient, expected, name)
            } else {
                XCTAssertTrue(gradient.allSatisfy { $0 == 0 }, name)
            }
        }
    }

    /// Channels of zeros have variance 0: the norm behind them makes beta, and their running statistics follow the rule.
    func testChannelsWithoutVarianceGiveBetaAndNoNaN() throws {
        let gated = try network(",stochastic_depth=separate")
        let plan = try GradientCheck(gated, n: 3).plan()
        let records = try XCTUnwrap(plan.gates).records
        try plan.gates?.force(Dictionary(uniqueKeysWithValues: records.map { ($0.layer, [true, false]) }))
        let check = try GradientCheck(gated, n: 3)
        let result = try plan.run(check.images, check.labels)
        XCTAssertTrue(result.loss.isFinite)
        XCTAssertTrue(plan.gradientsByName.values.allSatisfy { $0.allSatisfy(\.isFinite) })
        let slot = try XCTUnwrap(plan.statistics.first { $0.name == "stage1.block2.bn1.running_variance" })
        let before = try XCTUnwrap(gated.parameters[slot.name]).tensor.values
        XCTAssertEqual(slot.count, 7)
        for channel in 5..<7 {
            XCTAssertEqual(
                plan.runningStatistics[slot.offset + channel], 0.9 * before[channel], accuracy: 1e-6,
                "new channels of a closed gate")
        }
        XCTAssertTrue(statistics(plan).allSatisfy { $0.allSatisfy(\.isFinite) })
    }

    /// Folded and not, the same answers; and inference runs the pyramidal network's own steps.
    func testInferenceCostsWhatThePyramidalNetworkCosts() throws {
        for (name, options) in [
            ("pyramidnet", "depth=14,width=5,alpha=9,stochastic_depth=separate,survival_upper=0.3"),
            ("pyramidnet", "depth=14,width=5,alpha=9,stochastic_depth=joint"),
            ("resnet", "depth=8,width=6,stochastic_depth=joint"),
            ("resnet", "depth=8,width=6,order=pre,stochastic_depth=joint"),
            ("dmrnet", "depth=8,width=6,stochastic_depth=joint,gate_scope=sample"),
        ] {
            func make(_ options: String) throws -> Network {
                try Architectures.make(name, options: Attributes(text: options + ",classes=6,input=10x9x3"))
            }
            var gated = try make(options)
            try gated.randomiseParameters(seed: 8)
            let own = options.split(separator: ",").filter { option in
                !["stochastic", "survival", "gate"].contains { option.hasPrefix($0) }
            }
            let plain = try make(own.joined(separator: ","))
            assertClose(try answers(gated), try answers(gated, fold: false), absolute: 2e-5, relative: 2e-5, options)
            let (folded, report) = try FoldBatchNorm.apply(gated)
            XCTAssertFalse(folded.nodes.contains { $0.op is StochasticGate }, options)
            let gates = gated.nodes.filter { $0.op is StochasticGate }.map(\.name)
            for gate in gates { XCTAssertEqual(report.entries.first { $0.layer == gate }?.outcome, .folded, gate) }
            let (session, other) = (try Session(gated, SessionOptions()), try Session(plain, SessionOptions()))
            XCTAssertEqual(session.steps, other.steps, options)
        }
    }

    /// Averaged over the gates a block makes what it makes in inference: b conv(x) + x has the mean p conv(x) + x.
    func testExpectationOfABlockIsItsInference() throws {
        let (upper, lower, rho) = (0.7, 0.4, 0.5)
        var net = try Layers(h: 4, w: 3, c: 5)
        let x = net.last
        try net.add("convolution", ["channels": "5", "kernel": "3", "pad": "1"])
        let gate = try net.add(
            "stochastic_gate",
            ["survival": "\(upper)", "survival_lower": "\(lower)", "split": "2", "correlation": "\(rho)"])
        try net.add("add", from: [gate, x])
        let network = try net.network(seed: 3)
        var random = TestRandom(2)
        let images = random.floats(2 * 60)
        let both = rho * lower + (1 - rho) * upper * lower
        var mean = [Double](repeating: 0, count: 120)
        for (open, probability) in [
            ([true, true], both), ([true, false], upper - both), ([false, true], lower - both),
            ([false, false], 1 - upper - lower + both),
        ] {
            var interpreter = ReferenceInterpreter(network)
            interpreter.training = true
            interpreter.masks[network.nodes[1].name] = (0..<120).map { open[$0 % 5 < 2 ? 0 : 1] ? 1 : 0 }
            let value = try interpreter.run([ReferenceMap(Shape(n: 2, h: 4, w: 3, c: 5), images.map(Double.init))])
            for index in mean.indices { mean[index] += probability * value[3].values[index] }
        }
        var options = SessionOptions()
        options.batch = 2
        let answers = try Session(network, options).run([images], n: 2)[0]
        assertClose(answers, mean.map { Float($0) }, absolute: 1e-5, relative: 1e-5, "mean over the gates")
    }
}
