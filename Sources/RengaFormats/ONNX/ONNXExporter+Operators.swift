// ONNXExporter+Operators.swift: what each operator of ours is in ONNX.
// Not here: windows, pads and sizes (ONNXExporter+Windows.swift).
import RengaNetwork

extension ONNXExporter {
    /// Writes down layer `index`.
    mutating func export(_ index: Int) throws(RengaError) {
        let node = network.nodes[index]
        do {
            try export(node, index)
        } catch {
            throw RengaError(error.status, "layer '\(node.name)' (\(node.op.name)): \(error.message)")
        }
    }

    private mutating func export(_ node: Node, _ index: Int) throws(RengaError) {
        let flat = isFlat(node)
        switch node.op {
        case is Dropout: pass(node)
        case is ReLU: finish(node, "Relu", sources(node, flat: flat), flat: flat)
        case is GlobalAveragePool: finishPoint(node, "GlobalAveragePool", sources(node, flat: false))
        case is GlobalMaxPool: finishPoint(node, "GlobalMaxPool", sources(node, flat: false))
        case is Add: finish(node, node.inputs.count == 2 ? "Add" : "Sum", sources(node, flat: flat), flat: flat)
        case is Mean: finish(node, "Mean", sources(node, flat: flat), flat: flat)
        case is Concat: finish(node, "Concat", sources(node, flat: flat), flat: flat, [.integer("axis", 1)])
        case let op as Softmax:
            let type = op.isLog ? "LogSoftmax" : "Softmax"
            let axis = op.axis == .c ? 1 : op.axis == .h ? 2 : 3
            // A flat vector has no rows or columns in ONNX.
            let isFlat = flat && op.isOverChannels
            finish(node, type, sources(node, flat: isFlat), flat: isFlat, [.integer("axis", axis)])
        case let op as Arithmetic: finish(node, Self.name(op.function), sources(node, flat: flat), flat: flat)
        case let op as WeightedSum: try export(node, op, flat: flat)
        case let op as Activation: try export(node, op, flat: flat)
        case let op as StochasticGate: try export(node, op, flat: flat)
        case let op as BatchNorm: try export(node, op, index, flat: flat)
        case let op as Flatten: export(node, op, index)
        case let op as ChannelSlice:
            let numbers = [op.begin, op.begin + op.count, 1]
            var inputs = sources(node, flat: flat)
            for (what, number) in zip(["starts", "ends", "axes"], numbers) {
                inputs.append(integers("\(node.name):\(what)", [number]))
            }
            finish(node, "Slice", inputs, flat: flat)
        case let op as LocalResponseNorm:
            finish(
                node, "LRN", sources(node, flat: false), flat: false,
                [
                    .integer("size", op.size), .float("alpha", op.alpha), .float("beta", op.beta),
                    .float("bias", op.bias),
                ])
        case is Linear:
            let own = try parameters(index)
            let inputs = sources(node, flat: true) + ["weight", "bias"].compactMap { own[$0] }
            finish(node, "Gemm", inputs, flat: true, [.integer("transB", 1)])
        case is PReLU:
            let own = try parameters(index, broadcast: !flat)
            finish(node, "PRelu", sources(node, flat: flat) + own.values, flat: flat)
        case is Scale:
            let own = try parameters(index, broadcast: !flat)
            let scaled = step(node, "scaled", "Mul", sources(node, flat: flat) + [own["gamma"] ?? ""])
            finish(node, "Add", [scaled, own["beta"] ?? ""], flat: flat)
        default: try exportWindow(node, index)
        }
    }

    private static func name(_ function: Arithmetic.Function) -> String {
        switch function {
        case .multiply: "Mul"
        case .add: "Add"
        case .subtract: "Sub"
        case .divide: "Div"
        case .maximum: "Max"
        case .minimum: "Min"
        }
    }

    private mutating func export(_ node: Node, _ op: WeightedSum, flat: Bool) throws(RengaError) {
        var terms: [String] = []
        for (index, (source, weight)) in zip(sources(node, flat: flat), op.weights).enumerated() {
            if weight == 1 {
                terms.append(source)
            } else {
                let factor = try numbers("\(node.name):weight\(index)", [weight])
                terms.append(step(node, "term\(index)", "Mul", [source, factor]))
            }
        }
        finish(node, "Sum", terms, flat: flat)
    }

    private mutating func export(_ node: Node, _ op: Activation, flat: Bool) throws(RengaError) {
        let source = sources(node, flat: flat)
        let (alpha, beta) = (ONNXExportAttribute.float("alpha", op.alpha), ONNXExportAttribute.float("beta", op.beta))
        switch op.function {
        case .sigmoid: finish(node, "Sigmoid", source, flat: flat)
        case .tanh: finish(node, "Tanh", source, flat: flat)
        case .softplus: finish(node, "Softplus", source, flat: flat)
        case .leakyReLU: finish(node, "LeakyRelu", source, flat: flat, [alpha])
        case .elu: finish(node, "Elu", source, flat: flat, [alpha])
        case .hardSigmoid: finish(node, "HardSigmoid", source, flat: flat, [alpha, beta])
        case .hardSwish where options.opset >= 14: finish(node, "HardSwish", source, flat: flat)
        case .hardSwish:
            let factor = step(
                node, "factor", "HardSigmoid", source, [.float("alpha", 1.0 / 6), .float("beta", 0.5)])
            finish(node, "Mul", source + [factor], flat: flat)
        case .silu:
            finish(node, "Mul", source + [step(node, "factor", "Sigmoid", source)], flat: flat)
        case .clip:
            // An input without a name is a bound that is not there.
            let bounds = [("min", op.alpha), ("max", op.beta)]
            var inputs = source
            for (name, bound) in bounds {
                let isNone = bound.magnitude >= Activation.largestNumber
                inputs.append(isNone ? "" : try numbers("\(node.name):\(name)", [bound]))
            }
            while inputs.last == "" { inputs.removeLast() }
            finish(node, "Clip", inputs, flat: flat)
        }
    }

    /// A gate is its mean: a factor for each channel.
    private mutating func export(_ node: Node, _ op: StochasticGate, flat: Bool) throws(RengaError) {
        guard op.survivals.contains(where: { $0 != 1 }) else { return pass(node) }
        let channels = shapes[node.inputs[0]].c
        var factors = [Double](repeating: 1, count: channels)
        for (survival, range) in zip(op.survivals, op.channels(channels)) {
            for channel in range { factors[channel] = survival }
        }
        let name = "\(node.name):survival"
        let factor =
            op.survivals.count == 1
            ? try numbers(name, [op.survival]) : try numbers(name, factors, flat ? [channels] : [channels, 1, 1])
        finish(node, "Mul", sources(node, flat: flat) + [factor], flat: flat)
    }

    private mutating func export(
        _ node: Node, _ op: BatchNorm, _ index: Int, flat: Bool
    ) throws(RengaError) {
        var own = try parameters(index)
        if !op.isAffine {
            let channels = shapes[node.inputs[0]].c
            for (name, value) in [("gamma", 1.0), ("beta", 0.0)] {
                own[name] = try numbers(
                    "\(node.name).\(name)", [Double](repeating: value, count: channels), [channels])
            }
        }
        let inputs = ["gamma", "beta", "running_mean", "running_variance"].compactMap { own[$0] }
        // ONNX counts the part of the old statistics.
        finish(
            node, "BatchNormalization", sources(node, flat: flat) + inputs, flat: flat,
            [.float("epsilon", op.epsilon), .float("momentum", 1 - op.momentum)])
    }

    /// Both orders flatten alike there: who reads a vector pixel by pixel has its weights exchanged, else the map is.
    private mutating func export(_ node: Node, _ op: Flatten, _ index: Int) {
        var source = form(node.inputs[0], flat: false)
        if op.order == .nhwc, flattened.fixed.contains(index) {
            source = step(node, "pixels", "Transpose", [source], [.integers("perm", [0, 2, 3, 1])])
        }
        finish(node, "Flatten", [source], flat: true, [.integer("axis", 1)])
    }
}
