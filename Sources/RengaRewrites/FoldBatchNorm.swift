// FoldBatchNorm.swift: a batch norm behind a convolution or linear layer becomes part of its weights and bias; the same map in inference.
// Not here: fusing what cannot be folded into other steps (the plan does that).
public import RengaNetwork

/// Folds batch norms into the layers before them.
///
/// BN(conv(x)) with y = gamma (z - mean) / sqrt(variance + epsilon) + beta is conv with weight' = weight s and
/// bias' = (bias - mean) s + beta, where s = gamma / sqrt(variance + epsilon) per output channel; computed in double.
/// A batch norm stays where its producer is anything else (as in pre-activation networks), or where others read the producer's output.
public enum FoldBatchNorm {
    /// The network with every such batch norm folded, and what became of each batch norm.
    public static func apply(_ network: Network) throws(RengaError) -> (network: Network, report: RewriteReport) {
        try apply(network, scales: true)
    }

    /// scales false: the same layers and shapes with weights as they were, for whoever asks for sizes alone.
    package static func apply(
        _ network: Network, scales: Bool
    ) throws(RengaError) -> (network: Network, report: RewriteReport) {
        let plan = FoldPlan(network.structure)
        var rewriter = try NetworkRewriter(network, rewrite: "fold_batch_norm")
        for (index, node) in network.nodes.enumerated() {
            if case .into(let producer) = plan.verdicts[index] {
                rewriter.note(index, .folded, "into '\(network.nodes[producer].name)'")
                rewriter.redirect(index, to: node.inputs[0])
            } else if let folded = try folded(
                index, plan.batchNorms[index, default: []], in: network, scales: scales)
            {
                rewriter.replace(index, by: folded.op, folded.parameters)
            } else {
                if case .stays(let reason) = plan.verdicts[index] { rewriter.note(index, .kept, reason) }
                try rewriter.keep(index)
            }
        }
        return try rewriter.finish()
    }

    /// The operator and parameters of layer `index` with `batchNorms` folded in, first to last; nil where there are none.
    private static func folded(
        _ index: Int, _ batchNorms: [Int], in network: Network, scales: Bool
    ) throws(RengaError) -> (op: any Operator, parameters: [String: Parameter])? {
        guard !batchNorms.isEmpty else { return nil }
        let node = network.nodes[index]
        let op: any Operator
        switch node.op {
        case var convolution as Convolution:
            convolution.hasBias = true
            op = convolution
        case var linear as Linear:
            linear.hasBias = true
            op = linear
        default: return nil
        }
        guard let weight = network.parameters["\(node.name).weight"], let channels = weight.tensor.dimensions.last
        else {
            throw RengaError(.internalFault, "layer '\(node.name)' has no weight")
        }
        var map = ChannelMap(channels: channels)
        if let bias = network.parameters["\(node.name).bias"] { map.shift = bias.tensor.values.map { Double($0) } }
        for batchNorm in batchNorms { map.follow(by: try ChannelMap(network.nodes[batchNorm], in: network)) }
        let parameters = [
            "weight": Parameter(role: .weight, tensor: scales ? try map.scaled(weight.tensor) : weight.tensor),
            "bias": Parameter(
                role: .bias, tensor: try Tensor(dimensions: [channels], values: map.shift.map { Float($0) })),
        ]
        return (op, parameters)
    }
}

/// Which batch norms go where, from the structure alone.
private struct FoldPlan {
    enum Verdict {
        /// No batch norm.
        case none
        /// A batch norm that this layer takes in.
        case into(node: Int)
        /// A batch norm that stays, and why.
        case stays(String)
    }

    private(set) var verdicts: [Verdict] = []
    /// The batch norms that a layer takes in, first to last.
    private(set) var batchNorms: [Int: [Int]] = [:]

    init(_ structure: NetworkStructure) {
        let consumers = structure.consumers()
        let isOutput = structure.isOutput()
        for node in structure.nodes {
            guard node.op is BatchNorm else {
                verdicts.append(.none)
                continue
            }
            let source = node.inputs[0]
            if isOutput[source] {
                verdicts.append(.stays("the value before it is an output of the network"))
            } else if consumers[source].count > 1 {
                verdicts.append(.stays("'\(structure.name(of: source))' has \(consumers[source].count) readers"))
            } else {
                verdicts.append(verdict(for: structure.node(making: source), structure))
            }
            if case .into(let layer)? = verdicts.last { batchNorms[layer, default: []].append(verdicts.count - 1) }
        }
    }

    private func verdict(for producer: Int?, _ structure: NetworkStructure) -> Verdict {
        guard let producer else { return .stays("it reads an input of the network") }
        let node = structure.nodes[producer]
        switch node.op {
        case is Convolution, is Linear: return .into(node: producer)
        case is BatchNorm:
            // A batch norm behind one that is folded goes the same way.
            if case .into(let first) = verdicts[producer] { return .into(node: first) }
            return .stays("it follows batch norm '\(node.name)', which stays")
        default: return .stays("it follows '\(node.name)' (\(node.op.name)), not a convolution or linear layer")
        }
    }
}

/// A map per channel, y[k] = scale[k] x[k] + shift[k], in double.
private struct ChannelMap {
    var scale: [Double]
    var shift: [Double]

    /// The identity.
    init(channels: Int) {
        scale = Array(repeating: 1, count: channels)
        shift = Array(repeating: 0, count: channels)
    }

    /// What a batch norm does in inference.
    init(_ node: Node, in network: Network) throws(RengaError) {
        guard let batchNorm = node.op as? BatchNorm,
            let mean = network.parameters["\(node.name).running_mean"]?.tensor.values,
            let variance = network.parameters["\(node.name).running_variance"]?.tensor.values
        else { throw RengaError(.internalFault, "layer '\(node.name)' is no batch norm with statistics") }
        let gamma = network.parameters["\(node.name).gamma"]?.tensor.values
        let beta = network.parameters["\(node.name).beta"]?.tensor.values
        self.init(channels: mean.count)
        for k in mean.indices {
            scale[k] = Double(gamma?[k] ?? 1) / (Double(variance[k]) + batchNorm.epsilon).squareRoot()
            shift[k] = Double(beta?[k] ?? 0) - Double(mean[k]) * scale[k]
        }
    }

    /// Self, then `next`.
    mutating func follow(by next: ChannelMap) {
        for k in scale.indices {
            scale[k] *= next.scale[k]
            shift[k] = next.scale[k] * shift[k] + next.shift[k]
        }
    }

    /// `weight` `[…,K]` with the scale of each output k in it.
    func scaled(_ weight: Tensor) throws(RengaError) -> Tensor {
        var result = try Tensor(dimensions: weight.dimensions)
        let channels = scale.count
        result.withUnsafeMutableValues { dst in
            weight.withUnsafeValues { src in
                scale.withUnsafeBufferPointer { scale in
                    for first in stride(from: 0, to: dst.count, by: max(channels, 1)) {
                        for k in 0..<channels { dst[first + k] = Float(Double(src[first + k]) * scale[k]) }
                    }
                }
            }
        }
        return result
    }
}
