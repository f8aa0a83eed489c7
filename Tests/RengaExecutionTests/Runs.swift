// Runs.swift: sessions and training plans on arrays, and the cases that every test of this room goes through.
// Not here: what is right (ReferenceInterpreter).
import CRengaKernels
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

/// The instruction sets to test: the reference twins and the best of this machine.
var testedSets: [rk_isa] { rk_isa_best() == RK_ISA_REFERENCE ? [RK_ISA_REFERENCE] : [RK_ISA_REFERENCE, rk_isa_best()] }

extension Session {
    /// Runs `n` images given as arrays, one for each input, and returns one array for each output.
    func run(_ sources: [[Float]], n: Int) throws -> [[Float]] {
        var results = outputShapes.map { [Float](repeating: .nan, count: n * $0.countPerImage) }
        var inputs: [InputView] = []
        var held: [UnsafeMutablePointer<Float>] = []
        defer { for pointer in held { pointer.deallocate() } }
        for (index, source) in sources.enumerated() {
            let pointer = UnsafeMutablePointer<Float>.allocate(capacity: source.count)
            pointer.initialize(from: source, count: source.count)
            held.append(pointer)
            var shape = inputShapes[index]
            shape.n = n
            inputs.append(InputView(data: UnsafeRawPointer(pointer), shape: shape))
        }
        var outputs: [OutputView] = []
        for result in results {
            let pointer = UnsafeMutablePointer<Float>.allocate(capacity: max(result.count, 1))
            pointer.initialize(repeating: .nan, count: max(result.count, 1))
            held.append(pointer)
            outputs.append(OutputView(data: pointer, count: result.count))
        }
        try run(inputs, outputs: outputs, n: n)
        for index in results.indices {
            results[index] = (0..<results[index].count).map { outputs[index].data[$0] }
        }
        return results
    }
}

extension TrainingPlan {
    /// Fills the batch, runs, and returns the loss.
    @discardableResult
    func run(_ images: [Float], _ labels: [Int], n: Int? = nil) throws -> (loss: Double, correct: Int, invalid: Int) {
        for (index, value) in images.enumerated() { src[index] = value }
        for (index, value) in labels.enumerated() { self.labels[index] = Int32(value) }
        return try run(n: n ?? inputShape.n)
    }

    /// The gradient of each trained parameter.
    var gradientsByName: [String: [Float]] {
        Dictionary(
            uniqueKeysWithValues: trainable.map { slot in
                (slot.name, (0..<slot.count).map { gradients[slot.offset + $0] })
            })
    }
}

/// A network with a name for messages.
struct Case {
    let name: String
    let network: Network
}

/// Adds layers by text, one after the other, as the C face does.
struct Layers {
    var builder = NetworkBuilder()
    var last: ValueID

    init(h: Int, w: Int, c: Int) throws {
        last = try builder.addInput(h: h, w: w, c: c)
    }

    /// Adds a layer behind the last one, or behind `from`.
    @discardableResult
    mutating func add(_ op: String, _ attributes: Attributes = [:], from: [ValueID]? = nil) throws -> ValueID {
        last = try builder.add(operator: op, attributes, sources: from ?? [last])
        return last
    }

    /// The network, with parameters that exercise all of them.
    func network(_ outputs: [ValueID]? = nil, seed: UInt64 = 1) throws -> Network {
        var network = try builder.build(outputs: outputs ?? [last])
        try network.randomiseParameters(seed: seed)
        return network
    }

    /// The network behind a head that makes five logits.
    func classifier(seed: UInt64 = 1) throws -> Network {
        var copy = self
        try copy.add("global_average_pool")
        try copy.add("linear", ["channels": "5"])
        return try copy.network(seed: seed)
    }
}
