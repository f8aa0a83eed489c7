// ONNXModel.swift: an ONNX file as it lies on the disk: graph, nodes with attributes, initialisers (still unread), operator sets, metadata.
// Memory: at most 128 bytes for each byte of the graph (a node that says nothing has five bytes in the file); weights stay where they are.
// Not here: what any node means (ONNXImporter.swift).
import RengaNetwork

/// One attribute of a node.
struct ONNXAttribute {
    var type = 0
    var integer = 0
    var float: Float = 0
    var text = ""
    var integers: [Int] = []
    var floats: [Float] = []
    var tensor: ONNXTensor?
}

/// One node of the graph.
struct ONNXNode {
    var name = ""
    var type = ""
    var domain = ""
    var inputs: [String] = []
    var outputs: [String] = []
    var attributes: [String: ONNXAttribute] = [:]
    /// Why it could not even be read.
    var fault: String?
}

/// An input or output of the graph: `nil` for an extent that the file leaves open.
struct ONNXValueInfo {
    var name = ""
    var element = 0
    var dimensions: [Int?]?
}

/// The file. Reading checks that everything lies inside it; graphs inside nodes are not entered.
struct ONNXModel {
    var producer = ""
    /// The version of ONNX's own operators.
    var operatorSet = 0
    var nodes: [ONNXNode] = []
    var initializers: [String: ONNXTensor] = [:]
    var inputs: [ONNXValueInfo] = []
    var outputs: [ONNXValueInfo] = []
    var metadata: [String: String] = [:]
    /// Bytes of the file and of the files that it names.
    private(set) var bytes: Int
    private let folder: String?
    private var externals: [String: InputFile] = [:]

    /// `folder`: where external data may lie, with a slash at its end; nil: nowhere.
    init(_ source: any ByteSource, folder: String?) throws(RengaError) {
        (bytes, self.folder) = (source.size, folder)
        var reader = ProtobufReader(source)
        var graph: ProtobufReader?
        while let field = try reader.next() {
            switch field.number {
            case ONNXSchema.Model.graph where field.wire == .bytes: graph = reader.message(field.range)
            case ONNXSchema.Model.producerName: producer = try reader.text(field)
            case ONNXSchema.Model.operatorSets: try readOperatorSet(reader, field)
            case ONNXSchema.Model.metadata:
                let entry = try reader.entry(field)
                metadata[entry.key] = entry.value
            default: break
            }
        }
        guard let graph else { throw RengaError(.corruptData, "it holds no graph") }
        try readGraph(graph)
    }

    private mutating func readOperatorSet(_ reader: ProtobufReader, _ field: ProtobufField) throws(RengaError) {
        guard field.wire == .bytes else { return }
        var set = reader.message(field.range)
        var (domain, version) = ("", 0)
        while let part = try set.next() {
            if part.number == ONNXSchema.OperatorSet.domain { domain = try set.text(part) }
            if part.number == ONNXSchema.OperatorSet.version { version = part.integer }
        }
        if domain.isEmpty || domain == "ai.onnx" { operatorSet = version }
    }

    private mutating func readGraph(_ graph: ProtobufReader) throws(RengaError) {
        var reader = graph
        while let field = try reader.next() {
            guard field.wire == .bytes else { continue }
            let message = reader.message(field.range)
            switch field.number {
            case ONNXSchema.Graph.nodes: nodes.append(try readNode(message))
            case ONNXSchema.Graph.initializers:
                let tensor = try readTensor(message)
                guard initializers.updateValue(tensor, forKey: tensor.name) == nil else {
                    throw RengaError(.corruptData, "two tensors are called '\(tensor.name.prefix(200))'")
                }
            case ONNXSchema.Graph.inputs: inputs.append(try Self.valueInfo(message))
            case ONNXSchema.Graph.outputs: outputs.append(try Self.valueInfo(message))
            case ONNXSchema.Graph.sparseInitializers:
                throw RengaError(.unsupported, "it holds sparse tensors")
            default: break
            }
        }
        // Files before IR version 4 list initialisers among the inputs, too.
        inputs.removeAll { initializers[$0.name] != nil }
    }
}

// MARK: - Parts

extension ONNXModel {
    private mutating func readNode(_ message: ProtobufReader) throws(RengaError) -> ONNXNode {
        var reader = message
        var node = ONNXNode()
        while let field = try reader.next() {
            switch field.number {
            case ONNXSchema.Node.inputs: node.inputs.append(try reader.text(field))
            case ONNXSchema.Node.outputs: node.outputs.append(try reader.text(field))
            case ONNXSchema.Node.name: node.name = try reader.text(field)
            case ONNXSchema.Node.operatorType: node.type = try reader.text(field)
            case ONNXSchema.Node.domain: node.domain = try reader.text(field)
            case ONNXSchema.Node.attributes where field.wire == .bytes:
                do throws(RengaError) {
                    let (name, attribute) = try readAttribute(reader.message(field.range))
                    node.attributes[name] = attribute
                } catch {
                    guard error.status == .unsupported else { throw error }
                    node.fault = error.message
                }
            default: break
            }
        }
        guard !node.type.isEmpty, node.outputs.count <= 4096, node.inputs.count <= 4096 else {
            throw RengaError(
                .corruptData, "a node '\(node.name.prefix(200))' of type '\(node.type.prefix(200))' makes no sense")
        }
        return node
    }

    private mutating func readAttribute(_ message: ProtobufReader) throws(RengaError) -> (String, ONNXAttribute) {
        var reader = message
        var name = ""
        var attribute = ONNXAttribute()
        var tensor: ProtobufReader?
        while let field = try reader.next() {
            switch field.number {
            case ONNXSchema.Attribute.name: name = try reader.text(field)
            case ONNXSchema.Attribute.type: attribute.type = field.integer
            case ONNXSchema.Attribute.integer: attribute.integer = field.integer
            case ONNXSchema.Attribute.float: attribute.float = field.float
            case ONNXSchema.Attribute.text: attribute.text = try reader.text(field, most: 1 << 20)
            case ONNXSchema.Attribute.integers:
                try reader.integers(field) { (integer) throws(RengaError) in attribute.integers.append(integer) }
            case ONNXSchema.Attribute.floats:
                try reader.fixeds(field, .fixed32) { (bits) throws(RengaError) in
                    attribute.floats.append(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
                }
            case ONNXSchema.Attribute.tensor where field.wire == .bytes: tensor = reader.message(field.range)
            case ONNXSchema.Attribute.reference:
                throw RengaError(.unsupported, "its attribute '\(name.prefix(200))' is that of a function around it")
            default: break
            }
        }
        if let tensor { attribute.tensor = try readTensor(tensor) }
        return (name, attribute)
    }

    private static func valueInfo(_ message: ProtobufReader) throws(RengaError) -> ONNXValueInfo {
        var info = ONNXValueInfo()
        // ValueInfo, its type, its tensor type, its shape, a dimension: five messages deep and no deeper.
        var reader = message
        while let field = try reader.next() {
            if field.number == ONNXSchema.ValueInfo.name { info.name = try reader.text(field) }
            guard field.number == ONNXSchema.ValueInfo.type, field.wire == .bytes else { continue }
            var type = reader.message(field.range)
            while let field = try type.next() {
                guard field.number == ONNXSchema.ValueType.tensor, field.wire == .bytes else { continue }
                var tensor = type.message(field.range)
                while let field = try tensor.next() {
                    if field.number == ONNXSchema.ValueType.element { info.element = field.integer }
                    guard field.number == ONNXSchema.ValueType.shape, field.wire == .bytes else { continue }
                    info.dimensions = try dimensions(tensor.message(field.range))
                }
            }
        }
        return info
    }

    private static func dimensions(_ message: ProtobufReader) throws(RengaError) -> [Int?] {
        var reader = message
        var dimensions: [Int?] = []
        while let field = try reader.next() {
            guard field.number == ONNXSchema.Shape.dimensions, field.wire == .bytes else { continue }
            var dimension = reader.message(field.range)
            var extent: Int?
            while let part = try dimension.next() {
                // 0 and below is what some exporters write for an extent that is left open.
                if part.number == ONNXSchema.Shape.value, part.integer > 0 { extent = part.integer }
            }
            dimensions.append(extent)
        }
        return dimensions
    }

    private mutating func readTensor(_ message: ProtobufReader) throws(RengaError) -> ONNXTensor {
        try ONNXTensor(message) { (location) throws(RengaError) in try external(location) }
    }

    /// Where the numbers of a tensor lie in another file, which must be in the model's folder or below it.
    private mutating func external(
        _ location: [String: String]
    ) throws(RengaError) -> (source: any ByteSource, range: Range<Int>) {
        let path = location["location"] ?? ""
        guard let folder else {
            throw RengaError(.unsupported, "its weights are in the file '\(path.prefix(200))': open it by its path")
        }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard !path.utf8.contains(0), !path.utf8.contains(UInt8(ascii: "\\")),
            parts.allSatisfy({ !$0.isEmpty && $0 != ".." })
        else {
            throw RengaError(
                .corruptData, "its weights would be in '\(path.prefix(200))', which is not a file beside or below it")
        }
        let file: InputFile
        if let open = externals[path] {
            file = open
        } else {
            guard externals.count < 1024 else { throw RengaError(.unsupported, "its weights are in over 1024 files") }
            file = try InputFile(path: folder + path)
            externals[path] = file
            bytes = bytes.saturatingPlus(file.size)
        }
        let offset = try Self.number(location["offset"]) ?? 0
        guard offset <= file.size, let length = try Self.number(location["length"]) ?? Optional(file.size - offset),
            length <= file.size - offset
        else {
            throw RengaError(
                .corruptData, "weights at byte \(offset) of '\(path.prefix(200))', which has \(file.size)")
        }
        return (file, offset..<offset + length)
    }

    private static func number(_ text: String?) throws(RengaError) -> Int? {
        guard let text, !text.isEmpty else { return nil }
        guard let value = Int(text), value >= 0 else {
            throw RengaError(.corruptData, "'\(text.prefix(40))' is no place in a file")
        }
        return value
    }
}
