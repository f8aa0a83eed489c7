// FlattenedMaps.swift: where a map becomes a vector, ours pixel by pixel [H,W,C], in PyTorch and ONNX channel by channel [C,H,W]:
// which values differ for that, up to the linear layers whose weights can make up for it.
// Not here: exchanging the weights (WeightAxes.swift).
import RengaNetwork

/// The vectors of a network whose elements other programs hold in another order than we do.
struct FlattenedMaps {
    /// For each value the map whose pixels it holds in an order that differs; nil for all others.
    let maps: [Shape?]
    /// Flattens (by node) whose order shows: in an output, or to a layer that could not tell whose channel is whose.
    let fixed: Set<Int>

    /// `shapes`: of all values, for one image.
    init(_ structure: NetworkStructure, shapes: [Shape]) {
        var fixed: Set<Int> = []
        while true {
            let origins = FlattenedMaps.origins(structure, shapes, fixed: fixed)
            let showing = FlattenedMaps.showing(structure, origins)
            guard showing.isSubset(of: fixed) else {
                fixed.formUnion(showing)
                continue
            }
            maps = origins.map { origin in origin.map { shapes[structure.nodes[$0].inputs[0]] } }
            self.fixed = fixed
            return
        }
    }

    /// For each value the flatten, none of `fixed`, whose order of elements it has.
    private static func origins(_ structure: NetworkStructure, _ shapes: [Shape], fixed: Set<Int>) -> [Int?] {
        var origins = [Int?](repeating: nil, count: structure.inputs.count)
        for (index, node) in structure.nodes.enumerated() {
            let source = node.inputs[0]
            if let flatten = node.op as? Flatten {
                let differs = flatten.order == .nhwc && shapes[source].h * shapes[source].w > 1 && shapes[source].c > 1
                origins.append(differs && !fixed.contains(index) ? index : nil)
            } else {
                origins.append(carriesOrder(node.op) ? origins[source] : nil)
            }
        }
        return origins
    }

    /// The flattens whose order reaches an output or a layer that is neither linear nor works on each channel by itself.
    private static func showing(_ structure: NetworkStructure, _ origins: [Int?]) -> Set<Int> {
        var showing = Set(structure.outputs.compactMap { origins[$0] })
        for node in structure.nodes where !(carriesOrder(node.op) || node.op is Linear) {
            showing.formUnion(node.inputs.compactMap { origins[$0] })
        }
        return showing
    }

    /// Whether the operator makes each channel of its one input by itself.
    private static func carriesOrder(_ op: any Operator) -> Bool {
        if let gate = op as? StochasticGate { return gate.split == 0 }
        return op is ReLU || op is PReLU || op is BatchNorm || op is Dropout || op is Activation || op is Scale
    }
}
