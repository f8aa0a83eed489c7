// ONNXValue.swift: what names of an ONNX graph stand for while it is imported, and what is said of a node that cannot be.
// Not here: how tensors' axes lie on a map (ONNXView.swift), the numbers of constants (ONNXConstant.swift).
import RengaNetwork

/// What a name of the graph stands for.
struct ONNXValue {
    /// The map, …
    var map: ValueID?
    /// … how the tensor's axes lie on it, …
    var view = ONNXView([])
    /// … and factors and offsets for each channel that are still to be applied to it, …
    var steps: [ONNXStep] = []
    /// … or the numbers themselves.
    var constant: ONNXConstant?
    /// Whether the map without those factors and offsets is read elsewhere, too.
    var isShared = false
}

/// A factor (or divisor) or an offset for each channel of a map, in the order of its memory.
struct ONNXStep {
    enum Kind { case multiply, divide, add, subtract }
    let kind: Kind
    let values: [Double]
    /// One number for all channels.
    let isScalar: Bool
}

/// A node that cannot be imported.
struct ONNXRefusal {
    let node: String
    let type: String
    let reason: String
}
