// GradientCheck.swift: gradients of a training plan against central differences of the interpreter's loss in double precision.
// Not here: the networks (Cases).
import CRengaKernels
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

/// One batch for one network, and the loss as a function of its parameters.
struct GradientCheck {
    let network: Network
    let n: Int
    let images: [Float]
    let labels: [Int]
    let smoothing: Float
    /// Gates by layer that the plan was told to take instead of drawing them.
    var forced: [String: [Bool]]?

    init(_ network: Network, n: Int, smoothing: Float = 0.1, seed: UInt64 = 11) throws {
        (self.network, self.n, self.smoothing) = (network, n, smoothing)
        var random = TestRandom(seed)
        let shapes = try network.shapes(n: n)
        images = random.floats(shapes[0].count)
        let classes = shapes[network.outputs[0]].c
        labels = (0..<n).map { _ in random.index(classes) }
    }

    func plan(
        threads: Int = 2, isa: rk_isa = rk_isa_best(), _ change: (inout TrainingPlan.Options) -> Void = { _ in }
    ) throws -> TrainingPlan {
        var options = TrainingPlan.Options(n: n, threads: threads, isa: isa, labelSmoothing: smoothing)
        options.serialWhereSmall = false
        change(&options)
        let plan = try TrainingPlan(network, options)
        (plan.dropoutKey, plan.dropoutCounter) = (99, 5)
        plan.gates?.key = 99
        plan.gates?.counter = 5
        return plan
    }

    /// What the gates of layer `node` do to each element under key 99, counter 5, or where `forced` says so.
    private func gates(_ node: Node, _ gate: StochasticGate, _ shape: Shape) -> [Double] {
        let draws = StochasticGate.Draws(gate, name: node.name)
        let channels = gate.channels(shape.c)
        var mask: [Double] = []
        for n in 0..<shape.n {
            let index = gate.scope == .batch ? 5 : 5 * UInt64(shape.n) + UInt64(n)
            let open = forced?[node.name] ?? draws.open(seed: 99, index: index)
            for i in 0..<shape.countPerImage {
                let part = channels.firstIndex { $0.contains(i % shape.c) } ?? 0
                mask.append(open[part] ? 1 : 0)
            }
        }
        return mask
    }

    /// The interpreter as it sees this batch in training; `logits` is the value that the loss reads.
    private func interpreter() throws -> (ReferenceInterpreter, logits: ValueID) {
        var interpreter = ReferenceInterpreter(network)
        interpreter.training = true
        let shapes = try network.shapes(n: n)
        for (index, node) in network.nodes.enumerated() {
            let shape = shapes[network.value(ofNode: index)]
            if let gate = node.op as? StochasticGate { interpreter.masks[node.name] = gates(node, gate, shape) }
            guard let dropout = node.op as? Dropout else { continue }
            let count = shape.count
            interpreter.masks[node.name] = try Self.mask(count, dropout.rate, stream: UInt64(index))
        }
        let output = network.outputs[0]
        let last = output < network.inputs.count ? nil : network.nodes[output - network.inputs.count]
        return (interpreter, last?.op is Softmax ? last?.inputs[0] ?? output : output)
    }

    /// The factors that the kernel applies for key 99, counter 5.
    private static func mask(_ count: Int, _ rate: Double, stream: UInt64) throws -> [Double] {
        let buffer = try Buffer(floats: count, for: "a mask")
        for i in 0..<count { buffer.floats[i] = 1 }
        let program = Program()
        var args = rk_dropout_args()
        (args.count, args.rate, args.stream) = (Int64(count), Float(rate), stream)
        (args.key, args.counter) = (UnsafePointer(try program.keep(99)), UnsafePointer(try program.keep(5)))
        (args.src, args.dst) = (UnsafeRawPointer(buffer.floats), UnsafeMutableRawPointer(buffer.floats))
        try program.add("mask", rk_dropout, args)
        program.run(threads: 1)
        return (0..<count).map { buffer.floats[$0] == 0 ? 0 : 1 / (1 - Double(Float(rate))) }
    }

    /// The loss after `change` to the parameters, by the interpreter.
    private func loss(_ change: (inout ReferenceInterpreter) -> Void) throws -> Double {
        var (reference, logits) = try interpreter()
        let source = ReferenceMap(try network.shapes(n: n)[0], images.map(Double.init))
        change(&reference)
        return ReferenceInterpreter.loss(try reference.run([source])[logits], labels, smoothing: Double(smoothing))
    }

    /// Compares loss, a few single elements and one random direction of every trained parameter.
    func check(_ plan: TrainingPlan, _ what: String, file: StaticString = #filePath, line: UInt = #line) throws {
        let found = try plan.run(images, labels)
        assertClose(found.loss, try loss { _ in }, tolerance: 1e-5, "\(what): loss", file: file, line: line)
        var random = TestRandom(17)
        for slot in plan.trainable {
            var directions = (0..<min(2, slot.count)).map { _ in [random.index(slot.count): 1.0] }
            directions.append(
                Dictionary(uniqueKeysWithValues: (0..<slot.count).map { ($0, Double(random.float())) }))
            for direction in directions {
                try compare(
                    plan, [slot.name: direction], "\(what): d \(slot.name) (\(direction.count) moved)", file: file,
                    line: line
                )
            }
        }
    }

    /// Compares loss and one random direction of all trained parameters together.
    func checkOneDirection(
        _ plan: TrainingPlan, _ what: String, file: StaticString = #filePath, line: UInt = #line
    ) throws {
        let found = try plan.run(images, labels)
        assertClose(found.loss, try loss { _ in }, tolerance: 1e-4, "\(what): loss", file: file, line: line)
        var random = TestRandom(23)
        var directions: [String: [Int: Double]] = [:]
        for slot in plan.trainable {
            directions[slot.name] = Dictionary(
                uniqueKeysWithValues: (0..<slot.count).map { ($0, Double(random.float())) })
        }
        try compare(plan, directions, what, file: file, line: line)
    }

    /// The derivative along `directions`: the plan's against central differences.
    private func compare(
        _ plan: TrainingPlan, _ directions: [String: [Int: Double]], _ what: String, file: StaticString, line: UInt
    ) throws {
        let step = 1e-5
        func moved(_ distance: Double) throws -> Double {
            try loss { net in
                for (name, direction) in directions {
                    for (i, d) in direction { net.parameters[name]?[i] += distance * d }
                }
            }
        }
        let gradients = plan.gradientsByName
        var (got, scale) = (0.0, 0.0)
        for (name, direction) in directions {
            let gradient = (gradients[name] ?? []).map(Double.init)
            got += direction.reduce(0) { $0 + gradient[$1.key] * $1.value }
            let square = gradient.reduce(0) { $0 + $1 * $1 } / Double(max(gradient.count, 1))
            scale += max(square, 1e-6) * direction.values.reduce(0) { $0 + $1 * $1 }
        }
        let expected = (try moved(step) - moved(-step)) / (2 * step)
        assertClose(got, expected, tolerance: 1e-3 * scale.squareRoot(), what, file: file, line: line)
    }
}
