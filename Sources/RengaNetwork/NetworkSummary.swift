// NetworkSummary.swift: a network in numbers: shapes, parameters, multiply-accumulates and bytes, layer by layer and in total.
// Not here: its text forms (NetworkSummary+Text.swift), times and memory of a plan (RengaExecution).

/// What a network costs for a batch of `n` images, from its structure alone. Numbers that no Int holds stand as `Int.max`.
public struct NetworkSummary: Sendable {
    /// One layer in numbers.
    public struct Layer: Sendable {
        /// The layer's name.
        public let name: String
        /// The operator's name.
        public let op: String
        /// The operator's attributes that are not defaults.
        public let attributes: Attributes
        /// The inputs or layers that it reads.
        public let sources: [String]
        /// Shapes of what it reads.
        public let inputShapes: [Shape]
        /// Shape of what it makes.
        public let outputShape: Shape
        /// Trainable numbers.
        public let parameters: Int
        /// Running statistics.
        public let statistics: Int
        /// Multiply-accumulates for the batch.
        public let macs: Int
        /// Bytes of what it makes, in f32.
        public let activationBytes: Int
        /// Layers with weights on the paths up to here.
        public let pathLength: PathLength
    }

    /// A named value at the network's border.
    public struct Port: Sendable {
        /// Its name.
        public let name: String
        /// Its shape.
        public let shape: Shape
    }

    /// The inputs.
    public let inputs: [Port]
    /// The outputs.
    public let outputs: [Port]
    /// The layers in order.
    public let layers: [Layer]
    /// Layers with weights on the paths from the inputs to the outputs.
    public let pathLength: PathLength
    /// The network's metadata.
    public let metadata: [String: String]

    /// Trainable numbers.
    public var parameters: Int { layers.map(\.parameters).saturatingSum }
    /// Running statistics.
    public var statistics: Int { layers.map(\.statistics).saturatingSum }
    /// Multiply-accumulates for the batch, as papers count them: convolutions and linear layers.
    public var macs: Int { layers.map(\.macs).saturatingSum }
    /// Bytes of all parameters and statistics, in f32.
    public var parameterBytes: Int { parameters.saturatingPlus(statistics).saturatingTimes(4) }
    /// Bytes of all layers' outputs, in f32: what training keeps at most, and inference far below.
    public var activationBytes: Int { layers.map(\.activationBytes).saturatingSum }

    /// Summarises a network for a batch of `n` at its own image size, or at `h` x `w`.
    public init(_ network: Network, n: Int = 1, h: Int? = nil, w: Int? = nil) throws(RengaError) {
        _ = try network.shapes(n: n, h: h, w: w)
        try self.init(NetworkDescription(network), n: n, h: h, w: w)
    }

    /// Summarises a description.
    public init(_ description: NetworkDescription, n: Int = 1, h: Int? = nil, w: Int? = nil) throws(RengaError) {
        let structure = description.structure
        let shapes = try structure.shapes(n: n, h: h, w: w)
        let lengths = PathLength.all(in: structure)
        var layers: [Layer] = []
        for (index, node) in structure.nodes.enumerated() {
            let inputShapes = node.inputs.map { shapes[$0] }
            let specs = try structure.parameterSpecs(ofNode: index, shapes: shapes).map(\.1)
            let shape = shapes[structure.value(ofNode: index)]
            layers.append(
                Layer(
                    name: node.name, op: node.op.name, attributes: node.op.encoded,
                    sources: node.inputs.map { structure.name(of: $0) }, inputShapes: inputShapes, outputShape: shape,
                    parameters: specs.filter(\.role.isTrainable).map(\.count).saturatingSum,
                    statistics: specs.filter { !$0.role.isTrainable }.map(\.count).saturatingSum,
                    macs: node.op.macs(inputShapes), activationBytes: shape.count.saturatingTimes(4),
                    pathLength: lengths[structure.value(ofNode: index)]))
        }
        self.layers = layers
        inputs = structure.inputs.indices.map { Port(name: structure.inputs[$0].name, shape: shapes[$0]) }
        outputs = structure.outputs.map { Port(name: structure.name(of: $0), shape: shapes[$0]) }
        pathLength = PathLength.joined(structure.outputs.map { lengths[$0] })
        metadata = description.metadata
    }
}
