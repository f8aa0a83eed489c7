// ONNXImport.swift: an ONNX file as a network: the whole way, and what a host is told about it.
// Not here: its stations (ONNXModel.swift, ONNXImporter.swift, ONNXWeights.swift).
import RengaNetwork

/// A network that was read from an ONNX file, and a report. Nothing of the file is used that is not understood: all or nothing.
///
/// Memory: at most 192 times the size of the file and those that it names, and 64 MiB; little more than the weights for a trained network.
public struct ONNXImport: Sendable {
    /// What the file was and what became of it, as JSON: {"producer","operator_set","nodes","layers","inputs":[{"name","input","layout",
    /// "shape"}],"outputs":[{"name","layout","shape"}],"notes":[…],"unsupported":[{"node","operator","reason"}]}. A layout is that in which
    /// a host's memory is the tensor of ONNX: "nchw", "nhwc", or "cn" for images as columns.
    public let reportJSON: String
    /// The network, or nil where nodes are not supported.
    public let network: Network?
    /// All nodes that are not supported, each with its reason, as one sentence; "" where there are none.
    public let refusal: String

    /// Reads a file. Options: ``optionList``. Errors: fileError; corruptData (truncated, not ONNX, sizes that do not fit); unsupported (other
    /// operator sets, sparse or quantised tensors); outOfMemory. Nodes that are not supported are no error here: see ``refusal``.
    public init(path: String, options: Attributes = [:]) throws(RengaError) {
        let folder = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[...$0]) } ?? ""
        try self.init(InputFile(path: path), folder: folder, options)
    }

    /// Reads the same from memory; `bytes` are read during the call only. Weights in other files are refused.
    public init(bytes: UnsafeRawBufferPointer, options: Attributes = [:]) throws(RengaError) {
        try self.init(MemorySource(bytes: bytes), folder: nil, options)
    }

    /// The options that an import takes.
    public static var optionList: [AttributeSpec] { ONNXOptions.attributes }

    private init(_ source: some ByteSource, folder: String?, _ attributes: Attributes) throws(RengaError) {
        let options = try ONNXOptions(attributes)
        do throws(RengaError) {
            let importer = ONNXImporter(try ONNXModel(source, folder: folder), options)
            try importer.run()
            let outputs = try importer.outputs()
            let isWhole = importer.refusals.isEmpty
            network = isWhole ? try importer.network(outputs.map(\.map)) : nil
            reportJSON = importer.report(outputs, network).description
            refusal = isWhole ? "" : "\(source.name) cannot be imported from ONNX: \(importer.refusalText)"
        } catch {
            guard error.status != .fileError, error.status != .outOfMemory else { throw error }
            let status: Status = error.status == .unsupported ? .unsupported : .corruptData
            throw RengaError(status, "\(source.name) cannot be read as ONNX: \(error.message)")
        }
    }

    /// The network. Error: unsupported with ``refusal``.
    public func get() throws(RengaError) -> Network {
        guard let network else { throw RengaError(.unsupported, refusal) }
        return network
    }
}

/// An output of the graph on its map.
private struct ONNXOutput {
    let name: String
    let map: ValueID
    let layout: String
}

extension ONNXImporter {
    /// The graph's outputs. What a host could not get in a known order is refused.
    fileprivate func outputs() throws(RengaError) -> [ONNXOutput] {
        guard !model.outputs.isEmpty, model.outputs.count <= Network.mostInputs else {
            throw RengaError(.unsupported, "it has \(model.outputs.count) outputs; 1 to \(Network.mostInputs) are read")
        }
        var outputs: [ONNXOutput] = []
        for info in model.outputs {
            var node = ONNXNode()
            (node.name, node.type, node.inputs) = (info.name, "output", [info.name])
            // An unknown output follows from a node that was refused.
            guard isKnown(info.name) else {
                guard refusals.isEmpty else { continue }
                throw RengaError(.corruptData, "no node makes its output '\(info.name.prefix(200))'")
            }
            do throws(RengaError) {
                var (id, view, shape) = try map(node)
                if view.rank == 2, shape.h > 1 || shape.w > 1,
                    let flat = try ONNXHandlers.ordered(self, node, id, view, shape)
                {
                    (id, view) = flat
                    shape = shapes[id]
                }
                let layout = view.isOrdered("nchw", shape) ? "nchw" : "nhwc"
                guard view.isOrdered(layout, shape) else {
                    throw RengaError(.unsupported, "the axes of this output are in an order that no layout has")
                }
                outputs.append(ONNXOutput(name: info.name, map: id, layout: layout))
            } catch {
                guard error.status == .unsupported || error.status == .shapeMismatch else { throw error }
                refuse(node, error.message)
            }
        }
        return outputs
    }

    /// The network of all layers that the outputs need, with its weights.
    fileprivate func network(_ outputs: [ValueID]) throws(RengaError) -> Network {
        var isNeeded = [Bool](repeating: false, count: shapes.count)
        for output in outputs { isNeeded[output] = true }
        for (index, layer) in layers.enumerated().reversed() where isNeeded[inputs.count + index] {
            for source in layer.inputs { isNeeded[source] = true }
        }
        var places = Array(inputs.indices)
        var nodes: [Node] = []
        var wanted: [(layer: String, weight: ONNXWeight)] = []
        for (index, layer) in layers.enumerated() {
            places.append(inputs.count + nodes.count)
            guard isNeeded[inputs.count + index] else { continue }
            nodes.append(Node(name: layer.name, op: layer.op, inputs: layer.inputs.map { places[$0] }))
            for weight in weights[layer.name] ?? [] { wanted.append((layer.name, weight)) }
        }
        let structure = try NetworkStructure(inputs: inputs, nodes: nodes, outputs: outputs.map { places[$0] })
        let tensors = try ONNXWeightReader.read(wanted.map(\.weight))
        var parameters: [String: Parameter] = [:]
        for ((layer, weight), tensor) in zip(wanted, tensors) {
            parameters["\(layer).\(weight.name)"] = Parameter(role: weight.role, tensor: tensor)
        }
        return try Network(structure: structure, parameters: parameters, metadata: model.metadata)
    }

    /// "3 of its 20 nodes are not supported: 'name' (Op): reason; …".
    fileprivate var refusalText: String {
        let list = refusals.map { "'\($0.node)' (\($0.type)): \($0.reason)" }
        return "\(refusals.count) of its \(model.nodes.count) nodes are not supported: \(list.joined(separator: "; "))"
    }

    fileprivate func report(_ outputs: [ONNXOutput], _ network: Network?) -> JSON {
        func list(_ shape: Shape) -> JSON { [.integer(shape.h), .integer(shape.w), .integer(shape.c)] }
        let sources = zip(zip(model.inputs, inputs), inputViews).enumerated().map { index, input -> JSON in
            let ((info, own), view) = input
            let layout =
                view.isOrdered("nchw", shapes[index]) ? "nchw" : view.isOrdered("nhwc", shapes[index]) ? "nhwc" : "cn"
            return [
                "name": .text(info.name), "input": .text(own.name), "layout": .text(layout),
                "shape": list(shapes[index]),
            ]
        }
        let results = outputs.map { output -> JSON in
            ["name": .text(output.name), "layout": .text(output.layout), "shape": list(shapes[output.map])]
        }
        let refused = refusals.map { refusal -> JSON in
            ["node": .text(refusal.node), "operator": .text(refusal.type), "reason": .text(refusal.reason)]
        }
        return [
            "producer": .text(model.producer), "operator_set": .integer(operatorSet),
            "nodes": .integer(model.nodes.count), "layers": .integer(network?.nodes.count ?? 0),
            "inputs": .list(sources), "outputs": .list(results), "notes": .list(notes.map { .text($0) }),
            "unsupported": .list(refused),
        ]
    }
}
