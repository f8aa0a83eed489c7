// Network.swift: the network as a value: operators in topological order plus named parameters. Nothing in it runs, trains or allocates.
// Not here: how to build one (NetworkBuilder), how to run one (RengaExecution).

/// A value of the network: an input (0 ..< inputs.count) or a node's output (inputs.count + node index).
public typealias ValueID = Int

/// An input of the network: its name and the shape of one image that it was made for.
public struct NetworkInput: Sendable, Equatable {
    /// The name in files and messages.
    public let name: String
    /// Rows of one image; the plan may choose another size where every shape rule allows it.
    public let h: Int
    /// Columns of one image.
    public let w: Int
    /// Channels; fixed.
    public let c: Int

    /// Names an input.
    public init(name: String, h: Int, w: Int, c: Int) {
        self.name = name
        self.h = h
        self.w = w
        self.c = c
    }
}

/// One operator in its place.
public struct Node: Sendable {
    /// Unique name; parameters are "name.weight" and so on.
    public let name: String
    /// The operator with its attributes.
    public let op: any Operator
    /// The values that it reads: all smaller than its own.
    public let inputs: [ValueID]

    /// Places an operator.
    public init(name: String, op: any Operator, inputs: [ValueID]) {
        self.name = name
        self.op = op
        self.inputs = inputs
    }
}

/// One parameter with its values.
public struct Parameter: Sendable {
    /// What it is for.
    public let role: ParameterRole
    /// Its values.
    public var tensor: Tensor

    /// Gives a parameter its values.
    public init(role: ParameterRole, tensor: Tensor) {
        self.role = role
        self.tensor = tensor
    }
}

/// A network: a checked list of operators in topological order, named parameters, outputs and free-form metadata. A value.
public struct Network: Sendable {
    /// Most inputs of one node.
    public static let mostInputs = 64

    /// The inputs, values 0 ..< inputs.count.
    public private(set) var inputs: [NetworkInput]
    /// The operators; each reads only values before its own.
    public private(set) var nodes: [Node]
    /// The values that a run returns, at least one.
    public private(set) var outputs: [ValueID]
    /// Parameters by full name ("layer.weight"). Every parameter that a node needs is here with the right dimensions.
    public private(set) var parameters: [String: Parameter]
    /// Free-form text that travels with the network: architecture, class names, normalisation, …
    public var metadata: [String: String]

    /// Checks everything (topology, names, arity, shapes, parameters) and makes the network, or says what is wrong.
    /// Parameters that `parameters` lacks are an error; see ``NetworkBuilder`` for making and initialising them.
    public init(
        inputs: [NetworkInput], nodes: [Node], outputs: [ValueID], parameters: [String: Parameter],
        metadata: [String: String] = [:]
    ) throws(RengaError) {
        self.inputs = inputs
        self.nodes = nodes
        self.outputs = outputs
        self.parameters = parameters
        self.metadata = metadata
        try checkStructure()
        try checkParameters()
    }

    /// The value that node `index` makes.
    public func value(ofNode index: Int) -> ValueID { inputs.count + index }

    /// Replaces one parameter's values; name and dimensions must be those of the network.
    public mutating func setParameter(_ name: String, _ tensor: Tensor) throws(RengaError) {
        guard let old = parameters[name] else {
            throw RengaError(.notFound, "network has no parameter '\(name)'")
        }
        guard old.tensor.dimensions == tensor.dimensions else {
            throw RengaError(
                .shapeMismatch,
                "parameter '\(name)': expected dimensions \(old.tensor.dimensions), got \(tensor.dimensions)")
        }
        parameters[name] = Parameter(role: old.role, tensor: tensor)
    }

    /// Shapes of all values (inputs first) for a batch of `n`, at the network's own image size or at `h` x `w`.
    public func shapes(n: Int, h: Int? = nil, w: Int? = nil) throws(RengaError) -> [Shape] {
        var shapes: [Shape] = []
        shapes.reserveCapacity(inputs.count + nodes.count)
        for input in inputs {
            let shape = Shape(n: n, h: h ?? input.h, w: w ?? input.w, c: input.c)
            shapes.append(try shape.validated("input '\(input.name)'"))
        }
        for node in nodes {
            let sources = node.inputs.map { shapes[$0] }
            do {
                let shape = try node.op.outputShape(sources)
                shapes.append(try shape.validated("output of '\(node.name)'"))
            } catch {
                throw RengaError(error.status, "layer '\(node.name)' (\(node.op.name)): \(error.message)")
            }
        }
        return shapes
    }

    /// The parameter names of a node, in the operator's order, with their specifications.
    public func parameterSpecs(ofNode index: Int, shapes: [Shape]) throws(RengaError) -> [(String, ParameterSpec)] {
        let node = nodes[index]
        let specs = try node.op.parameters(node.inputs.map { shapes[$0] })
        return specs.map { ("\(node.name).\($0.name)", $0) }
    }
}
