// ONNXExporter.swift: walks a network and writes down its ONNX graph: names, forms of values, constants, inputs and outputs.
// A map is [N,C,H,W] there; a vector, [N,1,1,C] with us, is [N,C] behind linear layers, flattens and global pools, and a map where one is asked for.
// Not here: the operators one by one (ONNXExporter+Operators.swift, ONNXExporter+Windows.swift), the file (ONNXExport.swift).
import RengaNetwork

/// A network on its way to an ONNX graph.
struct ONNXExporter {
    let network: Network
    let options: ONNXExportOptions
    var graph = ONNXExportGraph()
    /// Shapes for one image.
    let shapes: [Shape]
    let flattened: FlattenedMaps
    /// In the order of the network's values.
    private var values: [Value] = []

    /// A value under its names in the graph, one a form.
    private struct Value {
        /// [N,C,H,W].
        var map: String?
        /// [N,C].
        var flat: String?
        /// The form that it has by itself.
        let isFlat: Bool
    }

    init(_ network: Network, _ options: ONNXExportOptions) throws(RengaError) {
        self.network = network
        self.options = options
        shapes = try network.shapes(n: 1)
        flattened = FlattenedMaps(network.structure, shapes: shapes)
        // Layers keep their names, whatever else needs one.
        for name in network.inputs.map(\.name) + network.nodes.map(\.name) { _ = graph.unique(name) }
    }

    /// Writes down everything.
    mutating func run() throws(RengaError) {
        for (index, input) in network.inputs.enumerated() {
            values.append(Value(map: input.name, flat: nil, isFlat: false))
            let size = options.hasDynamicSize ? [-2, -3] : [input.h, input.w]
            let number = index == 0 ? "" : "\(index)"
            graph.end(
                ONNXSchema.Graph.inputs, input.name, [-1, input.c] + size,
                unknown: ["batch", "height\(number)", "width\(number)"])
        }
        for index in network.nodes.indices { try export(index) }
        addOutputs()
    }

    private mutating func addOutputs() {
        var taken = Set(network.inputs.map(\.name))
        for output in network.outputs {
            let isFlat = values[output].isFlat
            var name = form(output, flat: isFlat)
            if !taken.insert(name).inserted {
                let copy = graph.unique("\(name):output")
                graph.node("Identity", [name], name: copy, output: copy)
                name = copy
                taken.insert(copy)
            }
            let shape = shapes[output]
            let size = isFlat ? [] : options.hasDynamicSize ? [-2, -3] : [shape.h, shape.w]
            graph.end(
                ONNXSchema.Graph.outputs, name, [-1, shape.c] + size,
                unknown: ["batch", "\(name):height", "\(name):width"])
        }
    }
}

// MARK: - Values

extension ONNXExporter {
    /// The value's name as a vector (where it has one pixel) or a map; made where it has none yet.
    mutating func form(_ value: ValueID, flat: Bool) -> String {
        if let name = flat ? values[value].flat : values[value].map { return name }
        let own = network.structure.name(of: value)
        let name = graph.unique("\(own):\(flat ? "flat" : "map")")
        if flat {
            graph.node("Flatten", [form(value, flat: false)], name: name, output: name, [.integer("axis", 1)])
            values[value].flat = name
        } else {
            let axes = integers("\(name):axes", [2, 3])
            graph.node("Unsqueeze", [form(value, flat: true), axes], name: name, output: name)
            values[value].map = name
        }
        return name
    }

    /// Whether all sources of a node are vectors by themselves.
    func isFlat(_ node: Node) -> Bool { node.inputs.allSatisfy { values[$0].isFlat } }

    /// The sources of a node, all in the same form.
    mutating func sources(_ node: Node, flat: Bool) -> [String] {
        var names: [String] = []
        for input in node.inputs { names.append(form(input, flat: flat)) }
        return names
    }

    /// Ends a layer: `type` with `inputs` makes its value, which has its name.
    mutating func finish(
        _ node: Node, _ type: String, _ inputs: [String], flat: Bool, _ attributes: [ONNXExportAttribute] = []
    ) {
        graph.node(type, inputs, name: node.name, output: node.name, attributes)
        values.append(Value(map: flat ? nil : node.name, flat: flat ? node.name : nil, isFlat: flat))
    }

    /// Ends a layer that makes a vector, though a map of one pixel: whoever reads it takes it as a vector first.
    mutating func finishPoint(_ node: Node, _ type: String, _ inputs: [String]) {
        graph.node(type, inputs, name: node.name, output: node.name)
        values.append(Value(map: node.name, flat: nil, isFlat: true))
    }

    /// Ends a layer that does nothing in inference.
    mutating func pass(_ node: Node) { values.append(values[node.inputs[0]]) }

    /// A node inside a layer; returns its output.
    mutating func step(
        _ node: Node, _ what: String, _ type: String, _ inputs: [String], _ attributes: [ONNXExportAttribute] = []
    ) -> String {
        let name = graph.unique("\(node.name):\(what)")
        graph.node(type, inputs, name: name, output: name, attributes)
        return name
    }
}

// MARK: - Constants

extension ONNXExporter {
    /// A vector of whole numbers.
    mutating func integers(_ name: String, _ values: [Int]) -> String {
        graph.constant(ONNXExportConstant(graph.unique(name), values))
    }

    /// Numbers; without dimensions one number.
    mutating func numbers(_ name: String, _ values: [Double], _ dimensions: [Int] = []) throws(RengaError) -> String {
        let tensor = try Tensor(dimensions: dimensions, values: values.map { Float($0) })
        return graph.constant(ONNXExportConstant(graph.unique(name), tensor, WeightAxes(same: dimensions)))
    }

    /// The parameters of a node by their names in the layer. broadcast: vectors of channels as [C,1,1], which go with maps.
    mutating func parameters(
        _ index: Int, broadcast: Bool = false
    ) throws(RengaError) -> [String: String] {
        let node = network.nodes[index]
        var names: [String: String] = [:]
        for (name, spec) in try network.parameterSpecs(ofNode: index, shapes: shapes) {
            guard let parameter = network.parameters[name] else {
                throw RengaError(.internalFault, "parameter '\(name)' is missing")
            }
            let axes = WeightAxes(spec, of: node, flattened: flattened.maps[node.inputs[0]])
            names[spec.name] = graph.constant(
                ONNXExportConstant(
                    graph.unique(name), parameter.tensor, axes, dimensions: broadcast ? axes.theirs + [1, 1] : nil))
        }
        return names
    }
}
