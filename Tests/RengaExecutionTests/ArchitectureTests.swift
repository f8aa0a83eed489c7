// ArchitectureTests.swift: whole networks: folded against unfolded, in batches, on several threads, and what they cost in memory.
// Not here: their structure (RengaArchitecturesTests), golden values.
import RengaArchitectures
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

final class ArchitectureTests: XCTestCase {
    private func network(_ options: Attributes) throws -> Network {
        var network = try Architectures.make("resnet", options: options, seed: 3)
        // Statistics that a trained network could have: folding a fresh one would prove nothing.
        for (number, name) in network.parameterNames.enumerated() {
            guard let parameter = network.parameters[name], parameter.role != .weight else { continue }
            var random = TestRandom(UInt64(number))
            let around: Float = parameter.role == .gamma || parameter.role == .runningVariance ? 1 : 0
            let values = random.floats(parameter.tensor.count, around - 0.2, around + 0.2)
            try network.setParameter(name, Tensor(dimensions: parameter.tensor.dimensions, values: values))
        }
        return network
    }

    private func relativeError(_ a: [Float], _ b: [Float]) -> Double {
        let difference = zip(a, b).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        return (difference / b.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
    }

    func testFoldedNetworksAgree() throws {
        let variants: [Attributes] = [
            ["depth": "8"], ["depth": "8", "order": "pre"], ["depth": "11", "block": "bottleneck", "input": "16x16x3"],
            ["depth": "8", "shortcut": "project", "input": "17x13x3"],
        ]
        for attributes in variants {
            let network = try network(attributes)
            var options = SessionOptions()
            (options.batch, options.threads) = (2, 2)
            let folded = try Session(network, options)
            options.foldBatchNorm = false
            let whole = try Session(network, options)
            var random = TestRandom(5)
            let images = random.floats(2 * network.inputs[0].h * network.inputs[0].w * network.inputs[0].c)
            let (a, b) = (try folded.run([images], n: 2)[0], try whole.run([images], n: 2)[0])
            XCTAssertLessThan(relativeError(a, b), 1e-5, "\(attributes)")
            XCTAssertEqual(try folded.run([images], n: 2)[0], a, "\(attributes): a second run")
            XCTAssertLessThan(folded.steps.count, whole.steps.count)
        }
    }

    func testMemoryIsNearItsBound() throws {
        let network = try network(["depth": "20"])
        var options = SessionOptions()
        options.batch = 8
        let memory = try Session(network, options).memory
        XCTAssertGreaterThanOrEqual(memory.activations, memory.activationsLowerBound)
        XCTAssertLessThanOrEqual(Double(memory.activations), 1.2 * Double(memory.activationsLowerBound))
        // Three maps of the first stage are alive at most.
        XCTAssertLessThanOrEqual(memory.activations, 4 * 8 * 32 * 32 * 16 * 4)
        let training = try TrainingPlan(network, .init(n: 8, threads: 1)).memory
        XCTAssertLessThanOrEqual(Double(training.activations), 1.2 * Double(training.activationsLowerBound))
    }

    func testSmallerBatchesShareMemoryAndWeights() throws {
        let network = try network(["depth": "8"])
        var options = SessionOptions()
        options.batch = 6
        let session = try Session(network, options)
        let before = session.memory
        let images = [Float](repeating: 0.5, count: 6 * 32 * 32 * 3)
        for n in 1...6 { _ = try session.run([Array(images.prefix(n * 32 * 32 * 3))], n: n) }
        XCTAssertEqual(session.memory, before)
    }

    func testASessionOutlivesItsNetwork() throws {
        var made: Network? = try network(["depth": "8"])
        let images = [Float](repeating: 0.25, count: 2 * 32 * 32 * 3)
        guard let network = made else { return }
        var options = SessionOptions()
        options.batch = 2
        let session = try Session(network, options)
        let expected = try session.run([images], n: 2)
        made = nil
        XCTAssertEqual(try session.run([images], n: 2), expected)
        XCTAssertEqual(try session.run([Array(images.prefix(3072))], n: 1)[0], Array(expected[0].prefix(10)))
    }
}
