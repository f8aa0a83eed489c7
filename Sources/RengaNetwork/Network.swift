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

    /// The graph: everything but the numbers.
    public let structure: NetworkStructure
    /// Parameters by full name ("layer.weight"). Every parameter that a node needs is here with the right dimensions.
    public private(set) var parameters: [String: Parameter]
    /// The names of all parameters, in the order of the layers and of each operator's list.
    public let parameterNames: [String]
    /// Free-form text that travels with the network: architecture, class names, normalisation, …
    public var metadata: [String: String]

    /// Makes a network from its graph and parameters. A parameter that is missing, foreign or of other dimensions is an error;
    /// see ``NetworkBuilder`` for making and initialising them.
    public init(
        structure: NetworkStructure, parameters: [String: Parameter], metadata: [String: String] = [:]
    ) throws(RengaError) {
        self.structure = structure
        self.parameters = parameters
        self.metadata = metadata
        parameterNames = try Self.check(parameters, against: structure)
    }

    /// Checks everything (topology, names, arity, shapes, parameters) and makes the network, or says what is wrong.
    public init(
        inputs: [NetworkInput], nodes: [Node], outputs: [ValueID], parameters: [String: Parameter],
        metadata: [String: String] = [:]
    ) throws(RengaError) {
        let structure = try NetworkStructure(inputs: inputs, nodes: nodes, outputs: outputs)
        try self.init(structure: structure, parameters: parameters, metadata: metadata)
    }

    /// Replaces one parameter's values; name and dimensions must be those of the network.
    public mutating func setParameter(_ name: String, _ tensor: Tensor) throws(RengaError) {
        guard let old = parameters[name] else {
            throw RengaError(.notFound, "network has no parameter '\(name.prefix(200))'")
        }
        guard old.tensor.dimensions == tensor.dimensions else {
            throw RengaError(
                .shapeMismatch,
                "parameter '\(name)': expected dimensions \(old.tensor.dimensions), got \(tensor.dimensions)")
        }
        parameters[name] = Parameter(role: old.role, tensor: tensor)
    }

    /// Every parameter of every node is there with its role and dimensions, and no other; returns the names in order.
    private static func check(
        _ parameters: [String: Parameter], against structure: NetworkStructure
    ) throws(RengaError) -> [String] {
        var names: [String] = []
        let shapes = try structure.shapes(n: 1)
        for index in structure.nodes.indices {
            for (name, spec) in try structure.parameterSpecs(ofNode: index, shapes: shapes) {
                guard let parameter = parameters[name] else {
                    throw RengaError(.notFound, "parameter '\(name)' \(spec.dimensions) is missing")
                }
                guard parameter.tensor.dimensions == spec.dimensions, parameter.role == spec.role else {
                    throw RengaError(
                        .shapeMismatch,
                        "parameter '\(name)': expected \(spec.role.rawValue) \(spec.dimensions), "
                            + "got \(parameter.role.rawValue) \(parameter.tensor.dimensions)")
                }
                names.append(name)
            }
        }
        let known = Set(names)
        for name in parameters.keys.sorted() where !known.contains(name) {
            throw RengaError(.invalidArgument, "parameter '\(name.prefix(200))' belongs to no layer")
        }
        return names
    }
}

// MARK: - The graph's own answers

extension Network {
    /// The inputs, values 0 ..< inputs.count.
    public var inputs: [NetworkInput] { structure.inputs }
    /// The operators; each reads only values before its own.
    public var nodes: [Node] { structure.nodes }
    /// The values that a run returns, at least one.
    public var outputs: [ValueID] { structure.outputs }

    /// The value that node `index` makes.
    public func value(ofNode index: Int) -> ValueID { structure.value(ofNode: index) }

    /// Shapes of all values (inputs first) for a batch of `n`, at the network's own image size or at `h` x `w`.
    /// Errors: `shapeMismatch` where a layer cannot take that size, or would need parameters of other dimensions than it has.
    public func shapes(n: Int, h: Int? = nil, w: Int? = nil) throws(RengaError) -> [Shape] {
        let shapes = try structure.shapes(n: n, h: h, w: w)
        guard h != nil || w != nil else { return shapes }
        for index in nodes.indices {
            for (name, spec) in try parameterSpecs(ofNode: index, shapes: shapes) {
                let present = parameters[name]?.tensor.dimensions ?? []
                guard present == spec.dimensions else {
                    throw RengaError(
                        .shapeMismatch,
                        "layer '\(nodes[index].name)' (\(nodes[index].op.name)): images of \(shapes[0].h)x\(shapes[0].w) need "
                            + "parameter '\(name)' as \(spec.dimensions), the network has \(present)")
                }
            }
        }
        return shapes
    }

    /// The parameter names of a node, in the operator's order, with their specifications.
    public func parameterSpecs(ofNode index: Int, shapes: [Shape]) throws(RengaError) -> [(String, ParameterSpec)] {
        try structure.parameterSpecs(ofNode: index, shapes: shapes)
    }
}
