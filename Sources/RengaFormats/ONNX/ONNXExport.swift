// ONNXExport.swift: a network as an ONNX file: what is asked for, and the file around the graph.
// Not here: the graph (ONNXExporter.swift), reading ONNX.
public import RengaNetwork

/// How a network is written as ONNX.
public struct ONNXExportOptions: Sendable {
    /// Version of ONNX' operators.
    public var opset: Int
    /// Whether batch norms become part of the convolutions before them.
    public var foldsBatchNorm: Bool
    /// Whether rows and columns of the images are left open, for networks that take images of any size.
    public var hasDynamicSize: Bool
    /// The version of this library, for the file's "producer".
    public var producerVersion = ""

    /// The options, for people.
    public static let attributes = [
        AttributeSpec("opset", .integer(13...24), default: "17", "Version of ONNX' operators."),
        AttributeSpec(
            "fold_batch_norm", .flag, default: "no", "Whether batch norms become part of the convolutions before them."),
        AttributeSpec(
            "dynamic_size", .flag, default: "no", "Whether rows and columns of the images are left open in the file."),
    ]

    /// Reads options; all may be left out. Errors: notFound, invalidArgument.
    public init(_ attributes: Attributes = [:]) throws(RengaError) {
        let reader = try AttributeReader(attributes, Self.attributes, owner: "ONNX export")
        opset = try reader.integer("opset")
        foldsBatchNorm = try reader.flag("fold_batch_norm")
        hasDynamicSize = try reader.flag("dynamic_size")
    }

    /// The newest version of the file's layout that operators of this version need, so that old readers read it.
    var irVersion: Int { opset >= 23 ? 11 : opset >= 21 ? 10 : opset >= 19 ? 9 : opset >= 15 ? 8 : 7 }
}

/// A network made an ONNX file for inference: [N,C,H,W] f32 in, any N; the same answers up to rounding.
public enum ONNXExport {
    /// No protobuf message, and so no file, may be larger.
    private static let mostBytes = 1 << 31 - 1

    /// Writes the file: beside `path`, synced, renamed over it. Dropout is left out, a gate is its mean; the network's metadata go along.
    /// ``ONNXExportOptions/foldsBatchNorm`` is not looked at: who calls rewrites the network.
    /// Errors: fileError; unsupported (an operator's form that the opset has not; more than 2 GB); outOfMemory.
    public static func save(
        _ network: Network, to path: String, options: ONNXExportOptions
    ) throws(RengaError) {
        try save(network, to: path, options: options, mostBytes: mostBytes)
    }

    /// The same with another bound.
    static func save(
        _ network: Network, to path: String, options: ONNXExportOptions, mostBytes: Int
    ) throws(RengaError) {
        var exporter = try ONNXExporter(network, options)
        try exporter.run()
        let constants = exporter.graph.constants
        let graph = exporter.graph.bytes(name: network.metadata["renga.architecture"] ?? "network")

        var head = ProtobufWriter()
        head.integer(ONNXSchema.Model.irVersion, options.irVersion)
        head.text(ONNXSchema.Model.producerName, "renga")
        head.text(ONNXSchema.Model.producerVersion, options.producerVersion)
        var operators = ProtobufWriter()
        operators.text(ONNXSchema.OperatorSet.domain, "")
        operators.integer(ONNXSchema.OperatorSet.version, options.opset)
        head.message(ONNXSchema.Model.operatorSets, operators.bytes)
        for (key, value) in network.metadata.sorted(by: { $0.key < $1.key }) {
            var entry = ProtobufWriter()
            entry.text(ONNXSchema.Entry.key, key)
            entry.text(ONNXSchema.Entry.value, value)
            head.message(ONNXSchema.Model.metadata, entry.bytes)
        }
        let heads = constants.map { constant in
            var writer = ProtobufWriter()
            writer.head(ONNXSchema.Graph.initializers, count: constant.byteCount)
            return writer.bytes + constant.head
        }
        let graphBytes = zip(heads, constants).reduce(graph.count) { $0 + $1.0.count + $1.1.count }
        head.head(ONNXSchema.Model.graph, count: graphBytes)
        guard head.bytes.count + graphBytes <= mostBytes else {
            throw RengaError(
                .unsupported,
                "the network needs \(head.bytes.count + graphBytes) bytes; an ONNX file holds at most \(mostBytes)"
            )
        }

        let file = try AtomicFile(path: path)
        func put(_ bytes: [UInt8]) throws(RengaError) {
            try bytes.withUnsafeBufferPointer { (bytes) throws(RengaError) in
                try file.write(UnsafeRawBufferPointer(bytes))
            }
        }
        try put(head.bytes + graph)
        for (head, constant) in zip(heads, constants) {
            try put(head)
            try constant.write { (bytes) throws(RengaError) in try file.write(bytes) }
        }
        try file.commit()
    }
}
