// ValueTypes.swift: which values of a plan are held in which element type: the one place that decides it.
// Not here: how a step reads a value of another type (Emitter+Types), what callers may ask for (Precision).
import CRengaKernels
import RengaNetwork

/// The element type of each value of a graph; a value's gradient has that of the value. A step computes in the type of what it makes.
///
/// In bf16 these stay f32: the graph's outputs and what a softmax reads or makes, because 8 bits would tell apart only some hundred answers
/// (in training that is the way into the loss); and in training the network's input, which comes as f32 from outside.
struct ValueTypes: Sendable {
    private let types: [rk_type]

    init(_ graph: Graph, _ precision: Precision, _ purpose: Purpose) {
        var types = [rk_type](repeating: precision.type, count: graph.shapes.count)
        for value in graph.outputs { types[value] = RK_F32 }
        for (index, node) in graph.nodes.enumerated() where node.op is Softmax {
            types[graph.value(ofNode: index)] = RK_F32
            for value in node.inputs { types[value] = RK_F32 }
        }
        if purpose == .training {
            for value in graph.inputs.indices { types[value] = RK_F32 }
        }
        self.types = types
    }

    subscript(value: ValueID) -> rk_type { types[value] }
}

extension rk_type {
    /// Bytes of one element.
    var bytes: Int { self == RK_BF16 ? 2 : 4 }
}
