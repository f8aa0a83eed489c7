// FoldBatchNorm.swift: a batch norm or scale behind a convolution or linear layer becomes part of its weights and bias, and a gate of
// stochastic depth part of the layer before it; the same map in inference.
// Not here: fusing what cannot be folded into other steps (the plan does that).
public import RengaNetwork

/// Folds batch norms into the layers before them.
///
/// BN(conv(x)) with y = gamma (z - mean) / sqrt(variance + epsilon) + beta is conv with weight' = weight s and
/// bias' = (bias - mean) s + beta, where s = gamma / sqrt(variance + epsilon) per output channel; computed in double.
/// A scale (gamma z + beta) and a gate, in inference a factor p for each channel, are folded likewise, and also into a batch norm that stays:
/// gamma' = p gamma, beta' = p beta. Each stays where its producer is anything else (as in pre-activation networks), or where others read the producer's output.
public enum FoldBatchNorm {
    /// The network with every such batch norm, scale and gate folded, and what became of each.
    public static func apply(_ network: Network) throws(RengaError) -> (network: Network, report: RewriteReport) {
        let (folded, report, _) = try apply(network, scalesWeights: true)
        return (folded, report)
    }

    /// The network with every gate folded that can be; batch norms stay.
    public static func gates(_ network: Network) throws(RengaError) -> Network {
        try apply(network, scalesWeights: true, gatesAlone: true).network
    }

    /// The same layers, shapes and biases with weights as they were, and by which factor of each output channel each weight, by name, has
    /// yet to be multiplied: for whoever walks through the weights anyway, or asks for sizes alone.
    package static func deferred(
        _ network: Network
    ) throws(RengaError) -> (network: Network, scales: [String: [Double]]) {
        let (folded, _, scales) = try apply(network, scalesWeights: false)
        return (folded, scales)
    }

    private static func apply(
        _ network: Network, scalesWeights: Bool, gatesAlone: Bool = false
    ) throws(RengaError) -> (network: Network, report: RewriteReport, scales: [String: [Double]]) {
        var scales: [String: [Double]] = [:]
        let plan = FoldPlan(network.structure, gatesAlone: gatesAlone)
        var rewriter = try NetworkRewriter(network, rewrite: "fold_batch_norm")
        for (index, node) in network.nodes.enumerated() {
            if case .into(let producer) = plan.verdicts[index] {
                rewriter.note(index, .folded, "into '\(network.nodes[producer].name)'")
                rewriter.redirect(to: node.inputs[0])
            } else if let folded = try folded(
                index, plan.followers[index, default: []], in: network, scalesWeights: scalesWeights)
            {
                rewriter.replace(index, by: folded.op, folded.parameters)
                if !scalesWeights, let scale = folded.scale { scales["\(node.name).weight"] = scale }
            } else {
                if case .stays(let reason) = plan.verdicts[index] { rewriter.note(index, .kept, reason) }
                try rewriter.keep(index)
            }
        }
        let (folded, report) = try rewriter.finish()
        return (folded, report, scales)
    }

    /// The operator and parameters of layer `index` with its `followers` folded in, first to last; nil where there are none.
    private static func folded(
        _ index: Int, _ followers: [Int], in network: Network, scalesWeights: Bool
    ) throws(RengaError) -> (op: any Operator, parameters: [String: Parameter], scale: [Double]?)? {
        guard !followers.isEmpty else { return nil }
        let node = network.nodes[index]
        let op: any Operator
        switch node.op {
        case var convolution as Convolution:
            convolution.hasBias = true
            op = convolution
        case var linear as Linear:
            linear.hasBias = true
            op = linear
        case let batchNorm as BatchNorm: return try gated(batchNorm, index, followers, in: network)
        default: return nil
        }
        guard let weight = network.parameters["\(node.name).weight"], let channels = weight.tensor.dimensions.last
        else {
            throw RengaError(.internalFault, "layer '\(node.name)' has no weight")
        }
        var map = ChannelMap(channels: channels)
        if let bias = network.parameters["\(node.name).bias"] { map.shift = bias.tensor.values.map { Double($0) } }
        for follower in followers {
            map.follow(by: try ChannelMap(network.nodes[follower], channels: channels, in: network))
        }
        let parameters = [
            "weight": Parameter(role: .weight, tensor: scalesWeights ? try map.scaled(weight.tensor) : weight.tensor),
            "bias": Parameter(
                role: .bias, tensor: try Tensor(dimensions: [channels], values: map.shift.map { Float($0) })),
        ]
        return (op, parameters, map.scale)
    }

    /// A batch norm that stays, with the gates and scales behind it in its gamma and beta.
    private static func gated(
        _ batchNorm: BatchNorm, _ index: Int, _ gates: [Int], in network: Network
    ) throws(RengaError) -> (op: any Operator, parameters: [String: Parameter], scale: [Double]?) {
        let name = network.nodes[index].name
        guard let mean = network.parameters["\(name).running_mean"],
            let variance = network.parameters["\(name).running_variance"]
        else { throw RengaError(.internalFault, "layer '\(name)' is no batch norm with statistics") }
        var map = ChannelMap(channels: mean.tensor.count)
        if let gamma = network.parameters["\(name).gamma"] { map.scale = gamma.tensor.values.map { Double($0) } }
        if let beta = network.parameters["\(name).beta"] { map.shift = beta.tensor.values.map { Double($0) } }
        for gate in gates {
            map.follow(by: try ChannelMap(network.nodes[gate], channels: map.scale.count, in: network))
        }
        func channels(_ values: [Double]) throws(RengaError) -> Tensor {
            try Tensor(dimensions: [values.count], values: values.map { Float($0) })
        }
        var op = batchNorm
        op.isAffine = true
        let parameters = [
            "gamma": Parameter(role: .gamma, tensor: try channels(map.scale)),
            "beta": Parameter(role: .beta, tensor: try channels(map.shift)),
            "running_mean": mean, "running_variance": variance,
        ]
        return (op, parameters, nil)
    }
}

/// Which batch norms, scales and gates go where, from the structure alone.
private struct FoldPlan {
    enum Verdict {
        /// None of the three.
        case none
        /// One that this layer takes in.
        case into(node: Int)
        /// One that stays, and why.
        case stays(String)
    }

    private(set) var verdicts: [Verdict] = []
    /// What a layer takes in, first to last.
    private(set) var followers: [Int: [Int]] = [:]

    init(_ structure: NetworkStructure, gatesAlone: Bool) {
        let consumers = structure.consumers()
        let isOutput = structure.isOutput()
        for node in structure.nodes {
            guard node.op is StochasticGate || (node.op is BatchNorm || node.op is Scale) && !gatesAlone else {
                verdicts.append(.none)
                continue
            }
            let source = node.inputs[0]
            if isOutput[source] {
                verdicts.append(.stays("the value before it is an output of the network"))
            } else if consumers[source].count > 1 {
                verdicts.append(.stays("'\(structure.name(of: source))' has \(consumers[source].count) readers"))
            } else {
                verdicts.append(verdict(node, behind: structure.node(making: source), structure))
            }
            if case .into(let layer)? = verdicts.last { followers[layer, default: []].append(verdicts.count - 1) }
        }
    }

    private func verdict(_ own: Node, behind producer: Int?, _ structure: NetworkStructure) -> Verdict {
        guard let producer else { return .stays("it reads an input of the network") }
        let node = structure.nodes[producer]
        switch node.op {
        case is Convolution, is Linear: return .into(node: producer)
        case is BatchNorm, is Scale, is StochasticGate:
            // Whatever is behind one that is folded goes the same way, but a batch norm takes in no other.
            if case .into(let first) = verdicts[producer] {
                guard own.op is BatchNorm, structure.nodes[first].op is BatchNorm else { return .into(node: first) }
                return .stays("it follows batch norm '\(structure.nodes[first].name)', which stays")
            }
            if !(own.op is BatchNorm), node.op is BatchNorm { return .into(node: producer) }
            let kind = node.op is BatchNorm ? "batch norm" : node.op is Scale ? "scale" : "gate"
            return .stays("it follows \(kind) '\(node.name)', which stays")
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

    /// What a batch norm, a scale or a gate does in inference.
    init(_ node: Node, channels: Int, in network: Network) throws(RengaError) {
        if let gate = node.op as? StochasticGate {
            self.init(channels: channels)
            for (survival, range) in zip(gate.survivals, gate.channels(channels)) {
                for k in range { scale[k] = survival }
            }
            return
        }
        if node.op is Scale, let gamma = network.parameters["\(node.name).gamma"]?.tensor.values,
            let beta = network.parameters["\(node.name).beta"]?.tensor.values
        {
            self.init(channels: gamma.count)
            (scale, shift) = (gamma.map { Double($0) }, beta.map { Double($0) })
            return
        }
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
