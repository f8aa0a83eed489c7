// GoldenTests.swift: PyTorch's float64 answers, losses, gradients, statistics and ten optimiser steps, on every instruction set.
// Not here: how the vectors were made (Tests/golden/generate.py), kernels alone (KernelTests).
import CRengaKernels
import RengaArchitectures
import RengaExecution
import RengaNetwork
import XCTest

@testable import RengaTraining

final class GoldenTests: XCTestCase {
    /// Those that this processor runs.
    private let sets = [RK_ISA_REFERENCE, RK_ISA_GENERIC, RK_ISA_AVX2, RK_ISA_AVX512].filter {
        rk_isa_supported($0) != 0
    }

    // MARK: - One operator a file

    func testOperators() throws {
        let names = try GoldenFile.names(in: "operators")
        XCTAssertEqual(names.count, 70)
        for name in names {
            let golden = try GoldenFile(name)
            for isa in sets {
                try checkAnswers(golden, output: "op", expected: "value", isa, within: 4e-6, name)
                try checkOneStep(golden, isa, loss: 1e-6, gradients: 3e-5, statistics: 1e-6, name)
            }
        }
    }

    // MARK: - Residual networks

    func testResidualNetworks() throws {
        let names = try GoldenFile.names(in: "networks")
        XCTAssertEqual(names.count, 4)
        for name in names {
            let golden = try GoldenFile(name)
            for isa in sets {
                try checkAnswers(golden, output: nil, expected: "logits", isa, within: 2e-6, name)
                try checkOneStep(golden, isa, loss: 1e-6, gradients: 3e-5, statistics: 1e-6, name)
            }
        }
    }

    // MARK: - Families of the papers

    /// Merge-and-run (K = 2, 3; basic, bottleneck; its controls), inception-like and pyramidal networks, and stochastic
    /// depth on them with recorded gates, each written as a PyTorch module.
    func testFamilies() throws {
        let names = try GoldenFile.names(in: "papers")
        XCTAssertEqual(names.count, 15)
        for name in names {
            let golden = try GoldenFile(name)
            for isa in sets {
                try checkAnswers(golden, output: nil, expected: "logits", isa, within: 4e-6, name)
                try checkOneStep(golden, isa, loss: 1e-6, gradients: 3e-5, statistics: 3e-6, name)
            }
        }
    }

    func testStepsOfEachOptimizer() throws {
        var rules = 0
        for name in try GoldenFile.names(in: "networks") + GoldenFile.names(in: "papers") {
            let golden = try GoldenFile(name)
            for (key, text) in golden.metadata where key.hasPrefix("recipe.") {
                rules += 1
                for isa in sets {
                    try checkSteps(golden, String(key.dropFirst("recipe.".count)), text, isa, "\(name), \(key)")
                }
            }
        }
        XCTAssertEqual(rules, 6 + 15)
    }

    /// The golden networks are those of the family, but for their widths.
    func testResidualNetworksAreThoseOfTheFamily() throws {
        for name in try GoldenFile.names(in: "networks") {
            let golden = try GoldenFile(name)
            let options = try Attributes(text: XCTUnwrap(golden.metadata["architecture"]))
            let family = try Architectures.make("resnet", options: options)
            let network = try golden.network()
            func structure(_ network: Network) -> [String] {
                network.nodes.map { node in
                    let attributes = node.op.encoded.filter { !["channels", "after"].contains($0.key) }
                    return "\(node.name) \(node.op.name) \(node.inputs) \(attributes.sorted { $0.key < $1.key })"
                }
            }
            XCTAssertEqual(structure(network), structure(family), name)
            XCTAssertEqual(network.parameters.keys.sorted(), family.parameters.keys.sorted())
        }
    }
}

// MARK: - Checks

extension GoldenTests {
    private func checkAnswers(
        _ golden: GoldenFile, output: String?, expected: String, _ isa: rk_isa, within limit: Double, _ name: String
    ) throws {
        let dimensions = try golden.dimensions("src")
        var options = SessionOptions()
        options.batch = dimensions[0]
        options.isa = isa
        let session = try Session(golden.network(output: output), options)
        let wanted = try golden.floats(expected)
        var answers = [Float](repeating: .nan, count: wanted.count)
        try golden.floats("src").withUnsafeBytes { src in
            try answers.withUnsafeMutableBufferPointer { dst in
                let input = InputView(data: try XCTUnwrap(src.baseAddress), shape: session.inputShapes[0])
                let output = OutputView(data: try XCTUnwrap(dst.baseAddress), count: dst.count)
                try session.run([input], outputs: [output], n: dimensions[0])
            }
        }
        check(answers, wanted, within: limit, "\(expected) of \(name)", isa)
    }

    private func checkOneStep(
        _ golden: GoldenFile, _ isa: rk_isa, loss: Double, gradients: Double, statistics: Double, _ name: String
    ) throws {
        let dimensions = try golden.dimensions("src")
        var options = TrainingPlan.Options(n: dimensions[0], threads: 2, isa: isa)
        options.labelSmoothing = try Float(XCTUnwrap(golden.metadata["label_smoothing"])) ?? .nan
        let plan = try TrainingPlan(golden.network(), options)
        try plan.gates?.force(golden.gates(step: 0))
        for (index, value) in try golden.floats("src").enumerated() { plan.src[index] = value }
        for (index, label) in try golden.integers("labels").enumerated() { plan.labels[index] = label }
        let result = try plan.run(n: dimensions[0])
        XCTAssertEqual(result.invalid, 0)
        check([Float(result.loss)], try golden.floats("loss"), within: loss, "loss of \(name)", isa)

        XCTAssertEqual(plan.trainable.map(\.name).sorted(), golden.names(after: "gradient."))
        let floor = try gradientFloor(golden)
        for slot in plan.trainable {
            let values = Array(UnsafeBufferPointer(start: plan.gradients + slot.offset, count: slot.count))
            let expected = try golden.floats("gradient." + slot.name)
            check(values, expected, within: gradients, floor: floor, "gradient of \(slot.name) of \(name)", isa)
        }
        for slot in plan.statistics where slot.role == .runningMean || slot.role == .runningVariance {
            let values = Array(UnsafeBufferPointer(start: plan.runningStatistics + slot.offset, count: slot.count))
            let expected = try golden.floats("statistic." + slot.name)
            check(values, expected, within: statistics, "\(slot.name) of \(name)", isa)
        }
    }

    private func checkSteps(
        _ golden: GoldenFile, _ rule: String, _ text: String, _ isa: rk_isa, _ name: String
    ) throws {
        var recipe = try Recipe(text: text)
        let shape = try golden.dimensions("src")
        recipe.batchSize = shape[0]
        recipe.labelSmoothing = try Double(XCTUnwrap(golden.metadata["label_smoothing"])) ?? .nan
        var options = TrainerOptions(threads: 2)
        options.isa = isa
        let trainer = try Trainer(golden.network(), recipe: recipe, options: options)
        let wanted = try golden.floats(rule + ".losses")
        var losses: [Float] = []
        for step in wanted.indices {
            try trainer.plan.gates?.force(golden.gates(step: step + 1))
            let suffix = step % 2 == 0 ? "" : "2"
            let labels = try golden.integers("labels" + suffix)
            let result = try golden.floats("src" + suffix).withUnsafeBytes { src in
                let images = InputView(
                    data: try XCTUnwrap(src.baseAddress),
                    shape: Shape(n: shape[0], h: shape[1], w: shape[2], c: shape[3]))
                return try labels.withUnsafeBufferPointer { try trainer.step(images, labels: $0) }
            }
            losses.append(Float(result.loss))
        }
        check(losses, wanted, within: 1e-6, "losses of \(name)", isa)
        // Adam divides small gradients by their own size: their roundings count fully.
        let limit = recipe.optimizer == .sgd ? 2e-5 : 2e-4
        let network = try trainer.network()
        XCTAssertEqual(network.parameters.keys.sorted(), golden.names(after: rule + ".parameter."))
        for (parameter, value) in network.parameters {
            let expected = try golden.floats("\(rule).parameter.\(parameter)")
            check(
                value.tensor.values, expected, within: limit, "\(parameter) after \(wanted.count) steps of \(name)", isa
            )
        }
    }

    /// An offset whose effect the next batch norm takes away has a gradient of nothing but roundings (PyramidNet has such):
    /// a tenth of all gradients' root mean square is the least scale.
    private func gradientFloor(_ golden: GoldenFile) throws -> Double {
        let all = try golden.names(after: "gradient.").flatMap { try golden.floats("gradient." + $0) }
        return 0.1 * (all.reduce(0) { $0 + Double($1) * Double($1) } / Double(max(all.count, 1))).squareRoot()
    }

    /// The largest difference, relative to the expected values' root mean square.
    private func check(
        _ values: [Float], _ expected: [Float], within limit: Double, floor: Double = 1e-6, _ what: String,
        _ isa: rk_isa
    ) {
        let error = relativeError(values, expected, floor: floor)
        XCTAssertLessThanOrEqual(error, limit, "\(what) (\(String(cString: rk_isa_name(isa))))")
    }
}
