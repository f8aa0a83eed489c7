// ONNXImporter.swift: an ONNX graph on its way to a network: values, layers and weights so far, and the nodes that cannot come along.
// Nodes are visited in the file's (topological) order; a handler a type of operator. Not here: the handlers (ONNXHandlers…), what a value
// is (ONNXValue.swift), the file (ONNXModel.swift).
import RengaNetwork

/// The state of an import. Handlers read their inputs from it and put layers and outputs into it.
final class ONNXImporter {
    let model: ONNXModel
    let options: ONNXOptions
    private(set) var values: [String: ONNXValue] = [:]
    private(set) var inputs: [NetworkInput] = []
    var layers: [Node] = []
    var shapes: [Shape] = []
    /// The parameters of each layer, by its name.
    var weights: [String: [ONNXWeight]] = [:]
    private(set) var refusals: [ONNXRefusal] = []
    /// What the host should know about the network.
    var notes: [String] = []
    /// How often each name is read.
    private(set) var uses: [String: Int] = [:]
    private var names = Set<String>()
    private(set) var inputViews: [ONNXView] = []
    private var charged = 0
    /// The images of a batch: 0 where the file leaves it open.
    private(set) var batch = 0

    init(_ model: ONNXModel, _ options: ONNXOptions) {
        (self.model, self.options) = (model, options)
        for node in model.nodes { for name in node.inputs { uses[name, default: 0] += 1 } }
        for output in model.outputs { uses[output.name, default: 0] += 1 }
    }

    var operatorSet: Int { model.operatorSet }

    /// Visits all nodes.
    func run() throws(RengaError) {
        guard ONNXOptions.operatorSets.contains(operatorSet) else {
            throw RengaError(
                .unsupported,
                "it uses ONNX's operator set \(operatorSet); \(ONNXOptions.operatorSets.lowerBound) to "
                    + "\(ONNXOptions.operatorSets.upperBound) are read")
        }
        for info in model.inputs { try addInput(info) }
        for node in model.nodes {
            do throws(RengaError) {
                try visit(node)
            } catch {
                guard error.status == .unsupported || error.status == .shapeMismatch || error.status == .invalidArgument
                else { throw error }
                refuse(node, error.message)
            }
        }
    }

    func refuse(_ node: ONNXNode, _ reason: String) {
        let name = node.name.isEmpty ? node.outputs.first ?? "" : node.name
        refusals.append(ONNXRefusal(node: name, type: node.type, reason: reason))
    }

    private func visit(_ node: ONNXNode) throws(RengaError) {
        if let fault = node.fault { throw RengaError(.unsupported, fault) }
        guard node.domain.isEmpty || node.domain == "ai.onnx" else {
            throw RengaError(.unsupported, "operators of '\(node.domain.prefix(200))' are not known")
        }
        let handler = ONNXHandlers.table[node.type]
        let fold = ONNXFolding.table[node.type]
        guard handler != nil || fold != nil else {
            throw RengaError(.unsupported, "this operator is not known")
        }
        // What reads a value that was refused has no say: the list names causes, not consequences.
        let given = node.inputs.filter { !$0.isEmpty }
        guard given.allSatisfy({ isKnown($0) }) else { return }
        var constants: [ONNXConstant] = []
        for name in given { if let constant = constant(named: name) { constants.append(constant) } }
        if let fold, constants.count == given.count, given.count >= ONNXFolding.fewest[node.type, default: 1] {
            let dependsOnImage = constants.contains(where: \.dependsOnImage)
            for (name, result) in zip(node.outputs, try fold(self, node, constants)) {
                var result = result
                result.dependsOnImage = dependsOnImage
                values[name] = ONNXValue(constant: result)
            }
        } else if let handler {
            try handler(self, node)
        } else {
            throw RengaError(.unsupported, "it is understood only where all its inputs are constants")
        }
    }

    func isKnown(_ name: String) -> Bool { values[name] != nil || model.initializers[name] != nil }

    private func constant(named name: String) -> ONNXConstant? {
        if let value = values[name] { return value.constant }
        return model.initializers[name].map { ONNXConstant($0) }
    }
}

// MARK: - Inputs of the graph

extension ONNXImporter {
    private func addInput(_ info: ONNXValueInfo) throws(RengaError) {
        func refused(_ what: String) -> RengaError {
            RengaError(.unsupported, "its input '\(info.name.prefix(200))' \(what)")
        }
        guard let element = ONNXElement(rawValue: info.element), element.isFloating else {
            throw refused("has the element type \(info.element); floating-point images are read")
        }
        guard let dimensions = info.dimensions, (1...8).contains(dimensions.count) else {
            throw refused("has no known number of axes from 1 to 8")
        }
        let letters = options.layout(of: info, in: model)
        var axes: [[ONNXFactor]] = []
        var (h, w, c) = (1, 1, 1)
        for (index, dimension) in dimensions.enumerated() {
            let letter = letters.utf8.dropFirst(min(index, letters.utf8.count - 1)).first
            switch letter {
            case UInt8(ascii: "n"):
                axes.append([.batch(dimension ?? 0)])
                batch = dimension ?? 0
            case UInt8(ascii: "c"):
                guard let dimension else { throw refused("leaves its channels open") }
                c = dimension
                axes.append(ONNXView.whole(.c, c))
            case UInt8(ascii: "h"):
                h = dimension ?? options.height
                if dimension == nil { note(info, "height", h) }
                axes.append(ONNXView.whole(.h, h))
            default:
                // Axes behind the fourth are columns, too.
                let extent = dimension ?? options.width
                if dimension == nil { note(info, "width", extent) }
                w = w.saturatingTimes(extent)
                for axis in axes.indices.dropFirst(letters.utf8.count - 1) {
                    axes[axis] = axes[axis].map {
                        ONNXFactor(axis: .w, stride: $0.stride.saturatingTimes(extent), extent: $0.extent)
                    }
                }
                axes.append(ONNXView.whole(.w, extent))
            }
        }
        let shape = try Shape(n: 1, h: h, w: w, c: c).validated("input '\(info.name.prefix(200))'")
        inputs.append(NetworkInput(name: unusedName(info.name), h: h, w: w, c: c))
        shapes.append(shape)
        let view = ONNXView(axes)
        inputViews.append(view)
        values[info.name] = ONNXValue(map: inputs.count - 1, view: view)
    }

    private func note(_ info: ONNXValueInfo, _ what: String, _ extent: Int) {
        notes.append("input '\(info.name)' leaves its \(what) open: \(extent) until a session chooses another")
    }

    /// A name for a layer or input that is allowed and not yet taken.
    func unusedName(_ wanted: String) -> String {
        let allowed = Array("_-./:".utf8)
        var bytes = wanted.utf8.prefix(180).map { byte -> UInt8 in
            let isLetter = (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
            let isDigit = byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
            return isLetter || isDigit || allowed.contains(byte) ? byte : UInt8(ascii: "_")
        }
        while bytes.first == UInt8(ascii: "/") { bytes.removeFirst() }
        let stem = bytes.isEmpty ? "layer" : String(decoding: bytes, as: UTF8.self)
        var name = stem
        var number = 2
        while !names.insert(name).inserted {
            name = "\(stem)_\(number)"
            number += 1
        }
        return name
    }
}

// MARK: - What handlers read

extension ONNXImporter {
    /// True where the node names input `index`.
    func has(_ node: ONNXNode, _ index: Int) -> Bool {
        node.inputs.indices.contains(index) && !node.inputs[index].isEmpty
    }

    /// The map of input `index` as it stands, with what is still to be applied.
    func pending(_ node: ONNXNode, _ index: Int) throws(RengaError) -> ONNXValue {
        guard has(node, index) else { throw RengaError(.unsupported, "its input \(index) is missing") }
        guard let value = values[node.inputs[index]], value.map != nil else {
            throw RengaError(.unsupported, "its input \(index) is a constant, expected a map")
        }
        return value
    }

    /// The map of input `index`, its view and its shape, with everything applied.
    func map(_ node: ONNXNode, _ index: Int = 0) throws(RengaError) -> (id: ValueID, view: ONNXView, shape: Shape) {
        let value = try settled(try pending(node, index), node.inputs[index])
        guard let id = value.map else { throw RengaError(.internalFault, "a map is none") }
        return (id, value.view, shapes[id])
    }

    /// The constant of input `index`, nil where it is a map.
    func constant(_ node: ONNXNode, _ index: Int) -> ONNXConstant? {
        has(node, index) ? constant(named: node.inputs[index]) : nil
    }

    /// The constant of input `index`, which must be one.
    func required(_ node: ONNXNode, _ index: Int, _ what: String) throws(RengaError) -> ONNXConstant {
        guard let constant = constant(node, index) else {
            throw RengaError(.unsupported, "its \(what) is computed from the image, or missing: expected constants")
        }
        return constant
    }

    /// Whole numbers that are an attribute in old operator sets and an input in new ones; nil where they are not given.
    func integers(_ node: ONNXNode, _ attribute: String, input: Int) throws(RengaError) -> [Int]? {
        if has(node, input) { return try required(node, input, attribute).integers() }
        return node.attributes[attribute]?.integers
    }

    /// Output `index` is this map.
    func set(_ node: ONNXNode, _ map: ValueID, _ view: ONNXView, output: Int = 0) {
        guard node.outputs.indices.contains(output) else { return }
        values[node.outputs[output]] = ONNXValue(map: map, view: view)
    }

    /// The first output is the map of input `index`, changed without a layer.
    func forward(_ node: ONNXNode, _ index: Int = 0, _ change: (inout ONNXValue) throws(RengaError) -> Void)
        throws(RengaError)
    {
        var value = try pending(node, index)
        value.isShared = value.isShared || uses[node.inputs[index]] != 1
        try change(&value)
        if let name = node.outputs.first { values[name] = value }
    }

    /// A constant result.
    func set(_ node: ONNXNode, _ constant: ONNXConstant) {
        if let name = node.outputs.first { values[name] = ONNXValue(constant: constant) }
    }

    /// Output `index` and all behind it must not be read.
    func refuseOutputs(_ node: ONNXNode, from index: Int, _ what: String) throws(RengaError) {
        for name in node.outputs.dropFirst(index) where uses[name] != nil {
            throw RengaError(.unsupported, "its output '\(name.prefix(200))' (\(what)) is used")
        }
    }
}

// MARK: - What handlers make

extension ONNXImporter {
    /// Adds a layer and returns the value that it makes. Its name is that of its weights where they have one ("conv1" of "conv1.weight"),
    /// else the node's.
    @discardableResult
    func add(
        _ node: ONNXNode, _ op: any Operator, _ sources: [ValueID], _ parameters: [ONNXWeight] = [],
        like name: String = ""
    ) throws(RengaError) -> ValueID {
        let sourceShapes = sources.map { shapes[$0] }
        let shape = try op.outputShape(sourceShapes).validated("output")
        for spec in try op.parameters(sourceShapes) {
            guard let weight = parameters.first(where: { $0.name == spec.name }), weight.dimensions == spec.dimensions
            else {
                throw RengaError(.shapeMismatch, "its \(spec.name) does not have the dimensions \(spec.dimensions)")
            }
        }
        let suffix = ".weight"
        let wanted =
            name.hasSuffix(suffix)
            ? String(name.dropLast(suffix.count)) : node.name.isEmpty ? "\(op.name)_\(layers.count)" : node.name
        // Computed numbers are held as double with their places until the weights are made.
        for weight in parameters { try charge(weight.constant.tensor == nil ? 24 : 4, weight.count) }
        let layer = Node(name: unusedName(wanted), op: op, inputs: sources)
        layers.append(layer)
        shapes.append(shape)
        weights[layer.name] = parameters
        return shapes.count - 1
    }

    /// Counts memory that the network is going to take against what a file of this size may ask for.
    func charge(_ width: Int, _ count: Int) throws(RengaError) {
        charged = charged.saturatingPlus(width.saturatingTimes(count))
        let most = model.bytes.saturatingTimes(64).saturatingPlus(64 << 20)
        guard charged <= most else {
            throw RengaError(
                .unsupported, "with it the weights take over \(most) bytes, 64 times the file's and 64 MiB")
        }
    }

    /// Adds a flatten before what `node` becomes, which keeps the node's name.
    func flatten(_ node: ONNXNode, _ order: Flatten.Order, _ source: ValueID) throws(RengaError) -> ValueID {
        var part = node
        part.name = "\(node.name.isEmpty ? node.outputs.first ?? "" : node.name)/flatten"
        return try add(part, Flatten(order: order), [source])
    }

    /// The value with its factors and offsets applied; `name` is what the graph calls it.
    func settled(_ value: ONNXValue, _ name: String) throws(RengaError) -> ONNXValue {
        guard !value.steps.isEmpty else { return value }
        let settled = try ONNXHandlers.apply(self, value, name)
        values[name] = settled
        return settled
    }
}
