// ONNXOptions.swift: what a host may say about an import. Not here: the import (ONNXImporter.swift).
import RengaNetwork

/// Options of an import.
struct ONNXOptions {
    /// ONNX's own operator sets that are read.
    static let operatorSets = 6...26

    static let attributes = [
        AttributeSpec(
            "height", .integer(1...Shape.largestExtent), default: "224",
            "Rows of images where the file leaves them open."),
        AttributeSpec(
            "width", .integer(1...Shape.largestExtent), default: "224",
            "Columns of images where the file leaves them open."),
        AttributeSpec(
            "layout", .choice(["auto", "nchw", "nhwc"]), default: "auto",
            "Axes of inputs with four: as a first Transpose tells, else [N,C,H,W]."),
    ]

    let height: Int
    let width: Int
    private let layout: String

    init(_ attributes: Attributes) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: "import")
        height = try reader.integer("height")
        width = try reader.integer("width")
        layout = try reader.choice("layout")
    }

    /// What the axes of an input are. They are names only: an operator that needs other axes refuses.
    func layout(of info: ONNXValueInfo, in model: ONNXModel) -> String {
        switch info.dimensions?.count ?? 0 {
        case 1: return "n"
        case 2: return Self.isTransposed(info.name, model) ? "cn" : "nc"
        case 3: return "ncw"
        case 4:
            guard layout == "auto" else { return layout }
            return Self.isTransposed(info.name, model) ? "nhwc" : "nchw"
        default: return "nchw"
        }
    }

    /// Whether the first node behind an input that asks for an order of axes turns [N,H,W,C] to [N,C,H,W], or [C,N] to [N,C].
    private static func isTransposed(_ input: String, _ model: ONNXModel) -> Bool {
        let neutral = ["Identity", "Cast", "Add", "Sub", "Mul", "Div", "Relu", "Clip"]
        var names: Set<String> = [input]
        for node in model.nodes where node.inputs.contains(where: names.contains) {
            if node.type == "Transpose" {
                let order = node.attributes["perm"]?.integers ?? [1, 0]
                return order == [0, 3, 1, 2] || order == [1, 0]
            }
            if node.type == "Gemm", names.contains(node.inputs[0]), node.attributes["transA"]?.integer == 1 {
                return true
            }
            if neutral.contains(node.type) { names.formUnion(node.outputs) } else { return false }
        }
        return false
    }
}
