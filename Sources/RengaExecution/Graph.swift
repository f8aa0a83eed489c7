// Graph.swift: the structure of a network at one batch and image size, without its parameters: what plans keep.
// Not here: parameters (ConstantStore, ParameterBlobs), which nodes run as one step (Fusion).
import RengaNetwork

/// What a plan is for.
package enum Purpose: Sendable {
    /// Forward only, with running statistics; dropout is gone.
    case inference
    /// Forward and backward.
    case training
}

/// Operators in topological order with the shapes of all values.
package struct Graph: Sendable {
    /// The network's inputs, values 0 ..< inputs.count.
    package let inputs: [NetworkInput]
    /// The network's operators; a value's node is `nodes[value - inputs.count]`.
    package let nodes: [Node]
    /// The values asked for.
    package let outputs: [ValueID]
    /// The shapes of all values.
    package let shapes: [Shape]
    /// Whether an output depends on the value; other values are never computed.
    package let isLive: [Bool]

    /// Takes the structure of `network` for `n` images of `h` x `w` (nil = the network's own size), and checks that its parameters
    /// fit that size.
    package init(_ network: Network, n: Int, h: Int? = nil, w: Int? = nil, _ purpose: Purpose) throws(RengaError) {
        let shapes = try network.shapes(n: n, h: h, w: w)
        try Graph.checkParameters(network, shapes)
        var sources = Array(shapes.indices)
        if purpose == .inference {
            for (index, node) in network.nodes.enumerated() where node.op.isIdentityInInference {
                sources[network.value(ofNode: index)] = sources[node.inputs[0]]
            }
        }
        inputs = network.inputs
        nodes = network.nodes.map { node in
            Node(name: node.name, op: node.op, inputs: node.inputs.map { sources[$0] })
        }
        outputs = network.outputs.map { sources[$0] }
        self.shapes = shapes
        isLive = Graph.live(nodes, outputs, inputs.count)
    }

    private init(_ other: Graph, shapes: [Shape], outputs: [ValueID]) {
        (inputs, nodes, self.outputs, self.shapes) = (other.inputs, other.nodes, outputs, shapes)
        isLive = Graph.live(nodes, outputs, inputs.count)
    }

    /// The same for another number of images: every operator keeps them apart.
    package func withBatch(_ n: Int) -> Graph {
        let shapes = shapes.map { Shape(n: n, h: $0.h, w: $0.w, c: $0.c) }
        return Graph(self, shapes: shapes, outputs: outputs)
    }

    /// The same with other values asked for.
    package func withOutputs(_ outputs: [ValueID]) -> Graph {
        Graph(self, shapes: shapes, outputs: outputs)
    }

    /// The value that node `index` makes.
    package func value(ofNode index: Int) -> ValueID { inputs.count + index }

    /// The node that makes `value`, or nil for an input.
    package func node(of value: ValueID) -> Node? { value < inputs.count ? nil : nodes[value - inputs.count] }

    /// What people call `value`: the name of its node or input.
    package func name(of value: ValueID) -> String { node(of: value)?.name ?? inputs[value].name }

    /// How often live nodes and the outputs read each value.
    package func uses() -> [Int] {
        var uses = [Int](repeating: 0, count: shapes.count)
        for output in outputs { uses[output] += 1 }
        for (index, node) in nodes.enumerated() where isLive[value(ofNode: index)] {
            for input in node.inputs { uses[input] += 1 }
        }
        return uses
    }

    private static func live(_ nodes: [Node], _ outputs: [ValueID], _ inputCount: Int) -> [Bool] {
        var live = [Bool](repeating: false, count: inputCount + nodes.count)
        for output in outputs { live[output] = true }
        for (index, node) in nodes.enumerated().reversed() where live[inputCount + index] {
            for input in node.inputs { live[input] = true }
        }
        return live
    }

    private static func checkParameters(_ network: Network, _ shapes: [Shape]) throws(RengaError) {
        for index in network.nodes.indices {
            for (name, spec) in try network.parameterSpecs(ofNode: index, shapes: shapes) {
                guard let parameter = network.parameters[name], parameter.tensor.dimensions == spec.dimensions else {
                    throw RengaError(
                        .shapeMismatch,
                        "layer '\(network.nodes[index].name)': this image size needs '\(spec.name)' of "
                            + "\(spec.dimensions), the network has "
                            + "\(network.parameters[name]?.tensor.dimensions.description ?? "none")")
                }
            }
        }
    }
}

extension Operator {
    /// Whether nothing is left of it in inference.
    fileprivate var isIdentityInInference: Bool {
        self is Dropout || (self as? StochasticGate)?.survivals.allSatisfy { $0 == 1 } == true
    }
}
