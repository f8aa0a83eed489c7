// FusedStep.swift: neighbouring nodes that run as one step: an operator, then optionally a sum with another value, then an activation.
// Not here: which nodes may fuse (Fusion), how they run (Operators/).
import RengaNetwork

/// What follows the operator (and the sum) inside a step.
package enum StepActivation: Equatable, Sendable {
    /// Nothing.
    case none
    /// max(x, 0).
    case relu
    /// The PReLU of the node of that index.
    case prelu(node: Int)
}

/// Nodes that run as one: dst = activation(gate(op(inputs)) + add).
package struct FusedStep: Sendable {
    /// The node that does the work: it gives the step its name.
    package let node: Int
    /// What that node reads.
    package let inputs: [ValueID]
    /// The node of a gate of stochastic depth behind the operator.
    var gate: Int?
    /// Another value joined before the activation.
    package var add: ValueID?
    /// What comes last.
    package var activation = StepActivation.none
    /// The value that the step makes: that of the last of its nodes.
    package var output: ValueID
    /// All nodes of the step, in order.
    package var nodes: [Int]

    /// "conv2: convolution(relu1) + add(input) + relu".
    package func description(in graph: Graph) -> String {
        let operands = inputs.map { graph.name(of: $0) }.joined(separator: ", ")
        var text = "\(graph.nodes[node].name): \(graph.nodes[node].op.name)(\(operands))"
        if gate != nil { text += " * gate" }
        if let add { text += " + add(\(graph.name(of: add)))" }
        switch activation {
        case .none: break
        case .relu: text += " + relu"
        case .prelu: text += " + prelu"
        }
        return text
    }

    /// The node of the step's gate: behind its operator, or the operator itself.
    func gateNode(in graph: Graph) -> Int? { graph.nodes[node].op is StochasticGate ? node : gate }
}
