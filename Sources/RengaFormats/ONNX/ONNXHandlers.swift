// ONNXHandlers.swift: which function imports which operator, and what becomes of factors and offsets for each channel beside a map.
// Not here: the functions (ONNXHandlers+….swift), operators on constants alone (ONNXFolding.swift).
import RengaNetwork

/// The operators on maps.
enum ONNXHandlers {
    typealias Handler = @Sendable (ONNXImporter, ONNXNode) throws(RengaError) -> Void

    /// A handler for each type of operator.
    static let table: [String: Handler] = [
        "Conv": convolution, "ConvTranspose": transposedConvolution, "MaxPool": pool, "AveragePool": pool,
        "GlobalAveragePool": globalPool, "GlobalMaxPool": globalPool, "ReduceMean": reduce, "ReduceMax": reduce,
        "Gemm": gemm, "MatMul": matrixProduct, "Softmax": softmax, "LogSoftmax": softmax,
        "BatchNormalization": batchNorm, "LRN": localResponseNorm,
        "Relu": activation, "LeakyRelu": activation, "Elu": activation, "Sigmoid": activation, "Tanh": activation,
        "HardSigmoid": activation, "HardSwish": activation, "Softplus": activation, "Swish": activation,
        "Clip": clip, "PRelu": prelu, "Neg": negate,
        "Add": arithmetic, "Sub": arithmetic, "Mul": arithmetic, "Div": arithmetic, "Max": several, "Min": several,
        "Sum": several, "Mean": several,
        "Concat": concat, "Split": split, "Slice": slice, "Pad": pad, "Resize": resize, "Upsample": resize,
        "Identity": identity, "Dropout": identity, "Cast": identity, "Transpose": transpose,
        "Reshape": reshape, "Flatten": reshape, "Squeeze": reshape, "Unsqueeze": reshape,
        "Shape": shape, "Constant": constant,
    ]
}

// MARK: - Factors and offsets

extension ONNXHandlers {
    /// What a chain of factors and offsets becomes: the bias of the layer before, a batch norm, or a scale.
    static func apply(_ importer: ONNXImporter, _ value: ONNXValue, _ name: String) throws(RengaError) -> ONNXValue {
        guard var map = value.map else { return value }
        var steps = value.steps
        let isBatchNorm = map >= importer.inputs.count && isBatchNorm(steps)
        if !isBatchNorm, !value.isShared, let first = steps.first, first.kind == .add || first.kind == .subtract,
            importer.addBias(first.kind == .add ? first.values : first.values.map { -$0 }, to: map)
        {
            steps.removeFirst()
        }
        var node = ONNXNode()
        node.name = name
        if isBatchNorm {
            map = try batchNorm(importer, node, map, steps)
        } else if !steps.isEmpty {
            var gamma = [Double](repeating: 1, count: importer.shapes[map].c)
            var beta = [Double](repeating: 0, count: gamma.count)
            compose(steps, &gamma, &beta)
            // What stands between the image and the first layer is its normalisation, which training leaves alone.
            let scale = Scale(frozen: map < importer.inputs.count)
            map = try importer.add(
                node, scale, [map], [ONNXWeight("gamma", .gamma, gamma), ONNXWeight("beta", .beta, beta)])
        }
        return ONNXValue(map: map, view: value.view)
    }

    private static func compose(_ steps: [ONNXStep], _ gamma: inout [Double], _ beta: inout [Double]) {
        for step in steps {
            for (channel, value) in step.values.enumerated() {
                switch step.kind {
                case .add: beta[channel] += value
                case .subtract: beta[channel] -= value
                case .multiply:
                    gamma[channel] *= value
                    beta[channel] *= value
                case .divide:
                    gamma[channel] /= value
                    beta[channel] /= value
                }
            }
        }
    }

    /// (x - mean) / deviation [* gamma] + beta with a number for each channel: a batch norm in its parts.
    private static func isBatchNorm(_ steps: [ONNXStep]) -> Bool {
        guard steps.count >= 3, let first = steps.first, let last = steps.last else { return false }
        let isShift = { (step: ONNXStep) in step.kind == .add || step.kind == .subtract }
        return steps.allSatisfy { !$0.isScalar } && isShift(first) && isShift(last)
            && !steps.dropFirst().dropLast().contains(where: isShift)
    }

    private static func batchNorm(
        _ importer: ONNXImporter, _ node: ONNXNode, _ map: ValueID, _ steps: [ONNXStep]
    ) throws(RengaError) -> ValueID {
        let mean = steps[0].kind == .subtract ? steps[0].values : steps[0].values.map { -$0 }
        // With one factor alone nobody knows how much of it was gamma: all of it.
        let hasDeviation = steps.count > 3
        let divides = steps[1].kind == .divide
        let deviation = mean.indices.map {
            hasDeviation ? (divides ? steps[1].values[$0] : 1 / steps[1].values[$0]) : 1
        }
        let least = deviation.reduce(Double.infinity) { min($0, $1 * $1) }
        let epsilon = min(1e-5, least / 2)
        guard epsilon >= 1e-12, deviation.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            var scaled = ONNXValue(map: map, view: ONNXView([]))
            // Two steps that are no batch norm any more make a scale.
            let (gamma, beta) = composed(steps, mean.count)
            scaled.steps = [
                ONNXStep(kind: .multiply, values: gamma, isScalar: false),
                ONNXStep(kind: .add, values: beta, isScalar: false),
            ]
            return try apply(importer, scaled, node.name).map ?? map
        }
        var (gamma, beta) = ([Double](repeating: 1, count: mean.count), [Double](repeating: 0, count: mean.count))
        compose(Array(steps[(hasDeviation ? 2 : 1)...]), &gamma, &beta)
        if !hasDeviation {
            importer.notes.append("batch norm '\(node.name)': its variance is not in the file; taken as 1")
        }
        return try importer.add(
            node, BatchNorm(epsilon: epsilon), [map],
            [
                ONNXWeight("gamma", .gamma, gamma), ONNXWeight("beta", .beta, beta),
                ONNXWeight("running_mean", .runningMean, mean),
                ONNXWeight("running_variance", .runningVariance, deviation.map { $0 * $0 - epsilon }),
            ])
    }

    private static func composed(_ steps: [ONNXStep], _ count: Int) -> (gamma: [Double], beta: [Double]) {
        var (gamma, beta) = ([Double](repeating: 1, count: count), [Double](repeating: 0, count: count))
        compose(steps, &gamma, &beta)
        return (gamma, beta)
    }
}

extension ONNXImporter {
    /// Gives the layer that makes `map` this bias, if it can have one and has none.
    fileprivate func addBias(_ bias: [Double], to map: ValueID) -> Bool {
        guard map >= inputs.count else { return false }
        let index = map - inputs.count
        let layer = layers[index]
        let op: any Operator
        switch layer.op {
        case var layer as Convolution where !layer.hasBias:
            layer.hasBias = true
            op = layer
        case var layer as ConvolutionTranspose where !layer.hasBias:
            layer.hasBias = true
            op = layer
        case var layer as Linear where !layer.hasBias:
            layer.hasBias = true
            op = layer
        default: return false
        }
        layers[index] = Node(name: layer.name, op: op, inputs: layer.inputs)
        weights[layer.name, default: []].append(ONNXWeight("bias", .bias, bias))
        return true
    }
}
