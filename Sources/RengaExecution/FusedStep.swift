// FusedStep.swift: neighbouring nodes that run as one step: an operator, then optionally a sum with another value, an activation and a pooling.
// Not here: which nodes may fuse (Fusion), how they run (Operators/).
import RengaNetwork

/// What follows the operator (and the sum) inside a step.
package enum StepActivation: Equatable, Sendable {
    /// Nothing.
    case none
    /// max(x, 0).
    case relu
    /// The PReLU or leaky ReLU of the node of that index.
    case prelu(node: Int)
    /// The clip or hard swish of the node of that index.
    case bounded(node: Int)
}

/// Nodes that run as one: dst = pool(activation(gate(op(inputs)) + add)).
package struct FusedStep: Sendable {
    /// The node that does the work: it gives the step its name.
    package let node: Int
    /// What that node reads.
    package let inputs: [ValueID]
    /// The node of a gate of stochastic depth behind the operator.
    var gate: Int?
    /// Another value joined before the activation. It may have fewer channels: nothing is added to those behind them.
    package var add: ValueID?
    /// The node of a mean of two maps that is added in the place of `add`.
    var mean: Int?
    /// What comes then.
    package var activation = StepActivation.none
    /// The node of a max pooling of 2x2 pixels that comes last.
    package var pool: Int?
    /// The value that the step makes: that of the last of its nodes.
    package var output: ValueID
    /// All nodes of the step, in order.
    package var nodes: [Int]

    /// The value before the pooling, where there is one: else what the step makes.
    package func unpooled(in graph: Graph) -> ValueID { pool.map { graph.nodes[$0].inputs[0] } ?? output }

    /// What is read besides the inputs.
    func added(in graph: Graph) -> [ValueID] { mean.map { graph.nodes[$0].inputs } ?? add.map { [$0] } ?? [] }

    /// The channels of what is added, where it has fewer than the result.
    func fewerAdded(in graph: Graph) -> Int? {
        guard let add, graph.shapes[add].c < graph.shapes[output].c else { return nil }
        return graph.shapes[add].c
    }

    /// "conv2: convolution(relu1) + add(input) + relu".
    package func description(in graph: Graph) -> String {
        func names(_ values: [ValueID]) -> String { values.map { graph.name(of: $0) }.joined(separator: ", ") }
        var text = "\(graph.nodes[node].name): \(graph.nodes[node].op.name)(\(names(inputs)))"
        if gate != nil { text += " * gate" }
        if let add {
            let channels = fewerAdded(in: graph) == nil ? "" : " to its first channels"
            text += " + add(\(graph.name(of: add))\(channels))"
        }
        if let mean { text += " + add(mean(\(names(graph.nodes[mean].inputs))))" }
        switch activation {
        case .none: break
        case .relu: text += " + relu"
        case .prelu: text += " + prelu"
        case .bounded(let node): text += " + \((graph.nodes[node].op as? Activation)?.function.rawValue ?? "bounded")"
        }
        return pool == nil ? text : text + " + max_pool"
    }

    /// The node of the step's gate: behind its operator, or the operator itself.
    func gateNode(in graph: Graph) -> Int? { graph.nodes[node].op is StochasticGate ? node : gate }
}
