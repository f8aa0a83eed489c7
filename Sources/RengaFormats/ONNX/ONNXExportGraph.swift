// ONNXExportGraph.swift: an ONNX graph on its way to a file: nodes, constants, inputs and outputs; large constants stay where they are until
// they are written.
// Not here: which nodes (ONNXExporter.swift), the file around it (ONNXExport.swift).
import RengaNetwork

/// One attribute of a node, as it stands in the file.
struct ONNXExportAttribute {
    let bytes: [UInt8]

    private init(_ name: String, _ type: Int, _ value: (inout ProtobufWriter) -> Void) {
        var writer = ProtobufWriter()
        writer.text(ONNXSchema.Attribute.name, name)
        value(&writer)
        writer.integer(ONNXSchema.Attribute.type, type)
        bytes = writer.bytes
    }

    static func integer(_ name: String, _ value: Int) -> ONNXExportAttribute {
        ONNXExportAttribute(name, ONNXSchema.AttributeType.integer) { $0.integer(ONNXSchema.Attribute.integer, value) }
    }

    static func integers(_ name: String, _ values: [Int]) -> ONNXExportAttribute {
        ONNXExportAttribute(name, ONNXSchema.AttributeType.integers) { writer in
            for value in values { writer.integer(ONNXSchema.Attribute.integers, value) }
        }
    }

    static func float(_ name: String, _ value: Double) -> ONNXExportAttribute {
        ONNXExportAttribute(name, ONNXSchema.AttributeType.float) { $0.float(ONNXSchema.Attribute.float, Float(value)) }
    }

    static func text(_ name: String, _ value: String) -> ONNXExportAttribute {
        ONNXExportAttribute(name, ONNXSchema.AttributeType.text) { $0.text(ONNXSchema.Attribute.text, value) }
    }
}

/// A constant of a graph.
struct ONNXExportConstant {
    let name: String
    /// Its message up to the numbers.
    let head: [UInt8]
    /// Bytes of the numbers.
    let count: Int
    /// The numbers, little-endian, in the order of their axes.
    let write: ((UnsafeRawBufferPointer) throws(RengaError) -> Void) throws(RengaError) -> Void

    private init(
        _ name: String, _ element: Int, _ dimensions: [Int], bytes count: Int,
        _ write: @escaping ((UnsafeRawBufferPointer) throws(RengaError) -> Void) throws(RengaError) -> Void
    ) {
        self.name = name
        self.count = count
        self.write = write
        var writer = ProtobufWriter()
        for extent in dimensions { writer.integer(ONNXSchema.Tensor.dimensions, extent) }
        writer.integer(ONNXSchema.Tensor.element, element)
        writer.text(ONNXSchema.Tensor.name, name)
        writer.head(ONNXSchema.Tensor.raw, count: count)
        head = writer.bytes
    }

    /// Whole numbers, a vector.
    init(_ name: String, _ values: [Int]) {
        self.init(name, ONNXSchema.Element.int64, [values.count], bytes: 8 * values.count) { sink throws(RengaError) in
            let words = values.map { Int64($0).littleEndian }
            try words.withUnsafeBufferPointer { (words) throws(RengaError) in try sink(UnsafeRawBufferPointer(words)) }
        }
    }

    /// A parameter of ours in the order of ONNX' axes; dimensions: those there, if not the axes'.
    init(_ name: String, _ tensor: Tensor, _ axes: WeightAxes, dimensions: [Int]? = nil) {
        self.init(name, ONNXSchema.Element.float, dimensions ?? axes.theirs, bytes: 4 * tensor.count) {
            sink throws(RengaError) in try axes.export(tensor, to: sink)
        }
    }

    /// All bytes of its message.
    var byteCount: Int { head.count + count }
}

/// A graph. Names of values and constants are unique.
struct ONNXExportGraph {
    private var nodes = ProtobufWriter()
    private var ends = ProtobufWriter()
    private(set) var constants: [ONNXExportConstant] = []
    private var names: Set<String> = []

    /// A name like `wanted` that nothing has yet.
    mutating func unique(_ wanted: String) -> String {
        var name = wanted
        while !names.insert(name).inserted { name += "_" }
        return name
    }

    /// Adds a node with one output, whose name it returns. An input "" is left out.
    mutating func node(
        _ type: String, _ inputs: [String], name: String, output: String, _ attributes: [ONNXExportAttribute] = []
    ) {
        var node = ProtobufWriter()
        for input in inputs { node.text(ONNXSchema.Node.inputs, input) }
        node.text(ONNXSchema.Node.outputs, output)
        node.text(ONNXSchema.Node.name, name)
        node.text(ONNXSchema.Node.operatorType, type)
        for attribute in attributes { node.message(ONNXSchema.Node.attributes, attribute.bytes) }
        nodes.message(ONNXSchema.Graph.nodes, node.bytes)
    }

    /// Adds a constant and returns its name.
    mutating func constant(_ constant: ONNXExportConstant) -> String {
        constants.append(constant)
        return constant.name
    }

    /// Adds an input or output of f32 numbers; an extent below 0 is the name `unknown[-1 - extent]`.
    mutating func end(_ field: Int, _ name: String, _ extents: [Int], unknown: [String]) {
        var shape = ProtobufWriter()
        for extent in extents {
            var dimension = ProtobufWriter()
            if extent >= 0 {
                dimension.integer(ONNXSchema.Shape.value, extent)
            } else {
                dimension.text(ONNXSchema.Shape.parameter, unknown[-1 - extent])
            }
            shape.message(ONNXSchema.Shape.dimensions, dimension.bytes)
        }
        var tensor = ProtobufWriter()
        tensor.integer(ONNXSchema.ValueType.element, ONNXSchema.Element.float)
        tensor.message(ONNXSchema.ValueType.shape, shape.bytes)
        var type = ProtobufWriter()
        type.message(ONNXSchema.ValueType.tensor, tensor.bytes)
        var info = ProtobufWriter()
        info.text(ONNXSchema.ValueInfo.name, name)
        info.message(ONNXSchema.ValueInfo.type, type.bytes)
        ends.message(field, info.bytes)
    }

    /// All of it but the constants.
    func bytes(name: String) -> [UInt8] {
        var writer = nodes
        writer.text(ONNXSchema.Graph.name, name)
        return writer.bytes + ends.bytes
    }
}
